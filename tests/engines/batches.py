"""A notebook for clusters, which leaves behind who began it, and waiting for what it leaves."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

SOURCES = (
    "import os, time\n"
    "with open(f'begun-{depth}', 'a') as file:\n"
    "    print(os.getppid(), file=file)\n"
    "time.sleep(pause)",
    "from mlops_magics.verbs.steps import step\n"
    "with step('train', experiment='credit', arguments={}) as s:\n"
    "    s.metrics({'depth': depth})",
    "assert depth != 2, 'not two'",
)


def put(*sources: str) -> str:
    parameters = "depth: int = 1\npause: float = 1.0\nservice_token: str = ''"
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    nbformat.write(new_notebook(cells=[*cells, *map(new_code_cell, sources)]), "work.ipynb")
    return "work.ipynb"


def mlops(*words: str) -> subprocess.Popen[bytes]:
    """The command line, in a process that can be told to stop."""
    code = "import sys; from mlops_magics.doors.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def until(reached: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if reached():
            return
        time.sleep(0.05)
    raise TimeoutError
