"""What `mlops execute` pays for keeping the state of a notebook, and what `--resume` then spares.

Run with ``python tests/benchmarks/resume.py [GB]``: a notebook of 20 quick cells, and one that
makes a frame of that size (1 GB by default) and works on it for a minute, each with
``checkpoints`` on and off, started alternately. Times are the executions' own, without the start
of Python.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

ROUNDS = 5


def main() -> None:
    """Measure and print."""
    size = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    quick = ["import json"] + [f"x{n} = list(range(1000))" for n in range(19)]
    rows = int(size * 1e9 / 80)
    large = [
        "import time, numpy as np, pandas as pd",
        f"frame = pd.DataFrame(np.random.default_rng(0).random(({rows}, 10)))",
        *["time.sleep(25); a = frame[0].sum()"] * 3,
        "b = a",
    ]
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        os.environ["MLOPS_KEYS"] = str(Path(name) / "keys")
        os.environ["MLOPS_CHECKPOINT_MB"] = "8000"
        _compare("20 quick cells", quick, ROUNDS)
        _compare(f"a frame of {size:g} GB", large, 1)
        _resume(size, [*large[:-1], "raise ValueError"])


def _compare(label: str, sources: Sequence[str], rounds: int) -> None:
    took: dict[str, list[float]] = {"false": [], "true": []}
    for round_ in range(rounds + 1):
        for kept, times in took.items():
            if round_ or rounds > 1:  # the first one compiles
                times.append(_run(sources, kept)[0])
    off, on = (statistics.median(times[rounds > 1 :]) for times in took.values())
    print(f"{label}: {off:.2f} s without, {on:.2f} s with checkpoints: {on / off - 1:+.1%}")


def _resume(size: float, sources: Sequence[str]) -> None:
    _, kept = _run(sources, "true")
    again, _ = _run([*sources[:-1], "b = a"], "true", resume=True)
    print(f"resumed after cell {kept} with {size:g} GB: {again:.2f} s")


def _run(sources: Sequence[str], kept: str, *, resume: bool = False) -> tuple[float, int]:
    from mlops_magics.verbs.executing import execute

    os.environ["MLOPS_CHECKPOINTS"] = kept
    nbformat.write(new_notebook(cells=[new_code_cell(s) for s in sources]), "work.ipynb")
    done = execute("work.ipynb", resume=resume)
    return done.duration, int((done.checkpoint or {}).get("cell", 0))


if __name__ == "__main__":
    main()
