"""What the environment lock and the state of git cost: ``python tests/benchmarks/lock.py``.

The lock and what was imported, first and again, in a process that has imported scikit-learn and
MLflow, against ``pip freeze``; the state of git in a small repository, and in one where a file of
50 MB was changed, against ``git diff`` read whole. Medians of several rounds, in turns.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mlflow.sklearn  # noqa: F401  # what a training kernel has imported

from mlops_magics.evidence import code, installed, lock

ROUNDS = 7


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def run(*words: str, folder: Path | None = None) -> bytes:
    return subprocess.run(words, cwd=folder, capture_output=True, check=True).stdout


def ours() -> None:
    lock.text()
    lock.describe()


def change(file: Path, seed: int) -> None:
    file.write_bytes(b"".join(b"%d,%d\n" % (i * seed, i) for i in range(3_600_000)))


def main() -> None:
    first = timed(ours)
    rounds = [
        (timed(ours), timed(lambda: run(sys.executable, "-m", "pip", "freeze", "--all")))
        for _ in range(ROUNDS)
    ]
    again, freeze = (statistics.median(side) for side in zip(*rounds, strict=True))
    print(f"lock of {len(installed.distributions())} distributions: first {first:.0f} ms,", end=" ")
    print(f"again {again:.1f} ms; pip freeze {freeze:.0f} ms: {first / freeze:.3f} and", end=" ")
    print(f"{again / freeze:.3f} of it")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        run("git", "init", "-q", folder=folder)
        (folder / "train.py").write_text("C = 1\n")
        change(folder / "data.csv", 3)
        run("git", "add", ".", folder=folder)
        run("git", *who, "commit", "-qm", "first", folder=folder)
        (folder / "train.py").write_text("C = 2\n")
        for what in ("small change", "and 50 MB of data changed"):
            rounds = [
                (
                    timed(lambda: code.git(folder)),
                    timed(lambda: run("git", "diff", "HEAD", folder=folder)),
                )
                for _ in range(ROUNDS)
            ]
            mine, whole = (statistics.median(side) for side in zip(*rounds, strict=True))
            size = len(code.git(folder)["diff"])
            print(f"git, {what}: {mine:.1f} ms, {size:,} bytes; git diff alone {whole:.1f} ms")
            change(folder / "data.csv", 7)


if __name__ == "__main__":
    main()
