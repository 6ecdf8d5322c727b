"""Twenty notebooks that import scikit-learn: forked kernels against the ``papermill`` command.

Run with ``python tests/benchmarks/kernels.py [N]``: prints the seconds, and the processor seconds,
of the ``papermill`` command for one notebook after the other, and of a batch whose kernels are
forked from one parent, driven by two threads (aim: at most 0.10); then one notebook by ``mlops
execute`` without a parent against ``papermill`` (aim: at most 0.6). Byte code is compiled before.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

THREADS = 2

CELLS = (
    "from sklearn.datasets import load_iris\nfrom sklearn.linear_model import LogisticRegression",
    "X, y = load_iris(return_X_y=True)\nmodel = LogisticRegression(C=C, max_iter=200).fit(X, y)",
    "model.score(X, y)",
)

#: What `mlops execute` does for one notebook, with a parent for all.
BATCH = """
import sys, tempfile, uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from mlops_magics import settings
from mlops_magics.notebooks import headless
headless.lighten()
from mlops_magics.notebooks import files, kernels, parameters, running
from mlops_magics.notebooks.warm import parents
from mlops_magics.verbs import executing

options, source, count = settings.load(), files.find(sys.argv[1]), int(sys.argv[2])
content = files.read(source)
spec = kernels.find(content)

def one(number):
    event = str(uuid.uuid4())
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "steps.jsonl"
        plan = running.Plan(
            notebook=content, kernel=spec, folder=str(Path.cwd()),
            params=parameters.check(content, {"C": 1.0 + number}, spec.language),
            environment=executing.variables(source, event, journal),
        )
        target = Path(f"warm-{number}.ipynb").resolve()
        ready = executing.Ready(plan, source, target, options.keys)
        outcome = running.run(plan, ready.save, meanwhile=ready.prepare, parent=parent)
        steps = executing.read_steps(journal)
    return executing.Finish(ready, outcome, event, {}, steps).finish(html=False)

common = {k: v for k, v in executing.variables(source, "", Path()).items()}
with parents.opened(spec, [content] * count, common, str(Path.cwd()), int(sys.argv[3])) as parent:
    with ThreadPoolExecutor(int(sys.argv[3])) as pool:
        done = list(pool.map(one, range(count)))
assert all(d.status == "finished" for d in done), done
assert parent.forked == count, parent.forked
"""


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notebook = new_notebook(
            cells=[
                new_code_cell("C: float = 1.0", metadata={"tags": ["parameters"]}),
                *(new_code_cell(source) for source in CELLS),
            ],
            metadata={
                "kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}
            },
        )
        nbformat.write(notebook, folder / "light.ipynb")
        papermill = [_script("papermill"), "light.ipynb", "out.ipynb", "-p", "C", "2"]
        execute = [_script("mlops"), "execute", "light.ipynb", "-p", "C", "2"]
        batch = [sys.executable, "-c", BATCH, "light.ipynb"]
        for command in (papermill, execute, [*batch, "2", "2"]):  # compiles, and makes the key
            _took([command], folder)
        series = _took([papermill] * count, folder)
        warm = _took([[*batch, str(count), str(THREADS)]], folder)
        single = _took([execute] * 3, folder)
    _tell(f"papermill, {count} in turn", *series)
    _tell(f"warm kernels, {THREADS} threads", *warm)
    print(f"ratio {warm[0] / series[0]:.3f}, of processor {warm[1] / series[1]:.3f} (aim: 0.10)")
    _tell("mlops execute, one", single[0] / 3, single[1] / 3)
    one, used = series[0] / count, series[1] / count
    print(f"ratio {single[0] / 3 / one:.2f}, of processor {single[1] / 3 / used:.2f} (aim: 0.60)")


def _script(name: str) -> str:
    return shutil.which(name) or name


def _took(commands: Sequence[Sequence[str]], folder: Path) -> tuple[float, float]:
    """Seconds, and seconds of processors, that commands take one after the other."""
    environment = {**os.environ, "MLOPS_KEYS": str(folder / "keys")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, used


def _tell(what: str, wall: float, used: float) -> None:
    print(f"{what:28} {wall:7.2f} s  {used:7.2f} s of processors")


if __name__ == "__main__":
    main()
