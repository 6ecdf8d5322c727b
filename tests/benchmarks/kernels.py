"""Twenty notebooks that import scikit-learn: forked kernels against the ``papermill`` command.

Run with ``python tests/benchmarks/kernels.py [ROUNDS]``, a minute and a half a round: prints the
median seconds, and processor seconds, of 20 ``papermill`` commands one after the other, of one
``mlops execute`` whose kernels are forked from one parent (aim: at most 0.10), of the same with
``MLOPS_WARM_KERNELS=false``, and of one notebook by ``mlops execute``, which has no parent, against
one by ``papermill`` (aim: at most 0.60). All are whole commands, taken in turn; byte code is
compiled before.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

COUNT = 20

CELLS = (
    "from sklearn.datasets import load_iris\nfrom sklearn.linear_model import LogisticRegression",
    "X, y = load_iris(return_X_y=True)\nmodel = LogisticRegression(C=C, max_iter=200).fit(X, y)",
    "model.score(X, y)",
)

ALL, COLD, ONE, PEER = "mlops, 20, forked", "mlops, 20, not forked", "mlops, one", "papermill, one"


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    took: dict[str, list[tuple[float, float]]] = defaultdict(list)
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
        scripts = Path(sys.executable).parent
        peer = [str(scripts / "papermill"), "light.ipynb", "out.ipynb", "-p", "C", "2"]
        one = [str(scripts / "mlops"), "execute", "light.ipynb"]
        grid = [*one, "--grid", f"C={','.join(str(n) for n in range(1, COUNT + 1))}"]
        for round_ in range(rounds + 1):
            count = COUNT if round_ else 1  # the first one compiles and makes the key
            found = {
                ALL: [_took([*grid, "--output", f"warm-{round_}"], folder)],
                COLD: [_took(grid, folder, MLOPS_WARM_KERNELS="false")],
                PEER: [_took(peer, folder) for _ in range(count)],
                ONE: [_took([*one, "-p", "C", "2"], folder) for _ in range(3 if round_ else 1)],
            }
            for label, times in found.items():
                took[label] += times if round_ else []
        _check(folder / "warm-1")
    medians = {label: _median(times) for label, times in took.items()}
    for label, (wall, used) in medians.items():
        print(f"{label:22} {wall:6.2f} s  {used:6.2f} s of processors  (of {len(took[label])})")
    series = medians[PEER][0] * COUNT
    print(f"20 forked          {medians[ALL][0] / series:6.3f} of 20 papermill  (aim: 0.10)")
    alone = medians[ONE][0] / medians[PEER][0]
    print(f"one without parent {alone:6.2f}  of papermill     (aim: 0.60)")


def _took(command: Sequence[str], folder: Path, **variables: str) -> tuple[float, float]:
    """Seconds, and seconds of processors, that a command takes."""
    environment = {**os.environ, "MLOPS_KEYS": str(folder / "keys"), **variables}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, used


def _check(folder: Path) -> None:
    """All of them ran, in kernels that were forked."""
    files = sorted(folder.glob("*.ipynb"))
    records = [json.loads(file.read_bytes())["metadata"]["mlops"]["record"] for file in files]
    assert [record["status"] for record in records] == ["finished"] * COUNT
    assert all(record["kernel"]["forked"] for record in records)


def _median(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    walls, useds = zip(*times, strict=True)
    return statistics.median(walls), statistics.median(useds)


if __name__ == "__main__":
    main()
