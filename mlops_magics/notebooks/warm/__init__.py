"""Kernels forked from a parent that has imported already what their notebooks import.

Of twenty notebooks that import scikit-learn each spends most of its time on that import. Here one
process, the parent, imports once and forks a kernel for each of them:

- `parents`: the parent as seen from the process that runs the notebooks. It lives as long as the
  context it is opened in, one batch, so that no package is upgraded under it.
- `provisioner`: what jupyter_client starts, asks and ends such a kernel by.
- `wanted`: which modules a batch of notebooks imports.
- `__main__`, `preloading`, `recording`: the parent's process; what it imports, and what it notes.
- `shelf`, `child`: how a fork of it becomes a kernel in which nothing seems imported yet.
"""
