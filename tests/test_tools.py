"""The tools that guard the code run as tests too, so one command tells all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "words",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports"],
    ],
    ids=" ".join,
)
def test_tool(words: list[str]) -> None:
    program = shutil.which(words[0], path=str(Path(sys.executable).parent)) or words[0]
    done = subprocess.run([program, *words[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["templates", "example_notebooks"])
def test_notebooks_are_kept_without_outputs(folder: str) -> None:
    notebooks = sorted((ROOT / folder).glob("*.ipynb"))
    assert notebooks
    for file in notebooks:
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            assert not cell.get("outputs"), file
            assert cell.get("execution_count") is None, file
