"""How long the doors take to open, against MLflow's own: ``python tests/benchmarks/doors.py``."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time

ROUNDS = 7

LOAD = (
    "import time\n"
    "from IPython.core.interactiveshell import InteractiveShell\n"
    "shell = InteractiveShell()\n"
    "began = time.perf_counter()\n"
    "shell.run_line_magic('load_ext', 'mlops_magics')\n"
    "print(time.perf_counter() - began)"
)
IMPORT = (
    "import time\nbegan = time.perf_counter()\nimport mlflow\nprint(time.perf_counter() - began)"
)


def inside(code: str) -> float:
    """Seconds that the code reports of itself, in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    return float(done.stdout.splitlines()[-1])


def whole(*command: str) -> float:
    """Seconds of wall time of a command."""
    program = shutil.which(command[0], path=os.path.dirname(sys.executable)) or command[0]
    began = time.perf_counter()
    subprocess.run([program, *command[1:]], capture_output=True, check=True, env=environment())
    return time.perf_counter() - began


def environment() -> dict[str, str]:
    """Byte code may be used by both, or imports are compared that no user has."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {
        "MLFLOW_DISABLE_TELEMETRY": "true"
    }


def main() -> None:
    pairs = {
        "%load_ext mlops_magics / import mlflow": (lambda: inside(LOAD), lambda: inside(IMPORT)),
        "mlops --help / mlflow --help": (
            lambda: whole("mlops", "--help"),
            lambda: whole("mlflow", "--help"),
        ),
    }
    limits = dict(zip(pairs, (0.1, 0.15), strict=True))
    for name, (ours, theirs) in pairs.items():
        ours(), theirs()  # both warm
        rounds = [(ours(), theirs()) for _ in range(ROUNDS)]  # taking turns
        a, b = (statistics.median(side) for side in zip(*rounds, strict=True))
        print(f"{name}: {a:.3f} s / {b:.3f} s = {a / b:.3f} (at most {limits[name]})")


if __name__ == "__main__":
    main()
