"""Kernels forked from a parent that has imported already what their notebooks import.

Of twenty notebooks that import scikit-learn each spends most of its time on that import. Here one
process, the parent, imports once and forks a kernel for each of them. A single notebook gains too:
its parent imports while this process is still busy with its own imports, and begins before this
one knows which notebook it is.

- `parents`: the parent as seen from the process that runs the notebooks. It lives as long as the
  context it is opened in, one call, and no longer than that process.
- `starting`: its process, which may be under way before its order is known.
- `provisioner`: what jupyter_client starts, asks and ends such a kernel by.
- `wanted`: which modules notebooks import, and which notebooks change how that comes out.
- `__main__`, `preloading`: the parent's process, and what it imports as long as it can be forked.
- `recording`, `looking`, `known`: who needs whom, and who kept what belongs to one process.
- `stamps`: whether a package was upgraded meanwhile.
- `shelf`, `child`, `leaving`: how a fork of it becomes a kernel in which nothing seems imported
  yet, and ends.
"""
