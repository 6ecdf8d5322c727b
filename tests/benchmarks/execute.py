"""`mlops execute` against the `papermill` command on the same trivial notebook.

Run with ``python tests/benchmarks/execute.py``: prints both medians and their ratio (aim: at most
0.6). Both are whole commands, started alternately, with byte code compiled beforehand.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

ROUNDS = 5


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notebook = new_notebook(
            cells=[
                new_code_cell("x = 1", metadata={"tags": ["parameters"]}),
                new_code_cell("print(x)"),
            ],
            metadata={
                "kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}
            },
        )
        nbformat.write(notebook, folder / "trivial.ipynb")
        scripts = Path(sys.executable).parent
        commands = {
            "papermill": [str(scripts / "papermill"), "trivial.ipynb", "out.ipynb", "-p", "x", "2"],
            "mlops execute": [str(scripts / "mlops"), "execute", "trivial.ipynb", "-p", "x", "2"],
        }
        environment = {**os.environ, "MLOPS_KEYS": str(folder / "keys")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        took: dict[str, list[float]] = {label: [] for label in commands}
        for round_ in range(ROUNDS + 1):
            for label, command in commands.items():
                begun = time.perf_counter()
                subprocess.run(
                    command, cwd=folder, env=environment, check=True, capture_output=True
                )
                if round_:  # the first one compiles and makes the key
                    took[label].append(time.perf_counter() - begun)
    medians = {label: statistics.median(times) for label, times in took.items()}
    for label, median in medians.items():
        print(f"{label:14} {median:6.2f} s  (of {', '.join(f'{t:.2f}' for t in took[label])})")
    print(f"ratio          {medians['mlops execute'] / medians['papermill']:6.2f}    (aim: 0.60)")


if __name__ == "__main__":
    main()
