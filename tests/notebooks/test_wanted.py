"""What a batch of notebooks imports, as far as their text tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mlops_magics.notebooks.warm import wanted


def book(*sources: str) -> NotebookNode:
    cells = [new_markdown_cell("import this"), *(new_code_cell(s) for s in sources)]
    return new_notebook(cells=cells)


def test_what_notebooks_import(project: Path) -> None:
    (project / "own.py").write_text("")
    first = book(
        "%matplotlib inline\nimport numpy as np\nfrom sklearn import svm", "import own, os"
    )
    second = book("import pandas\nimport numpy\nthis is no Python", "from . import a\n!ls\n")
    assert wanted.modules([first, second]) == ["numpy", "sklearn", "sklearn:svm", "pandas"]
    assert wanted.modules([book("import not_there_at_all")]) == []
    assert wanted.modules([book("%load_ext mlops_magics", "%status")]) == []
    assert "mlflow" in wanted.modules([book("%load_ext mlops_magics", "%%train credit\nfit()")])
    assert "mlflow" in wanted.modules([book("with mlops.train('credit') as run:\n    fit()")])


@pytest.mark.parametrize(
    "source",
    [
        'import os\nos.environ["OMP_NUM_THREADS"] = "1"',
        "environ.update(A='1')",
        "%env A=1",
        "%pip install -U pandas",
        "!uv pip install pandas",
        "from dotenv import load_dotenv",
    ],
)
def test_what_changes_imports(source: str) -> None:
    assert wanted.changes_imports(book("1", source))


def test_what_does_not() -> None:
    reads = 'folder = os.environ["HOME"]\nassert os.environ["A"] == "1"\nos.environ.get("B")'
    assert not wanted.changes_imports(book(reads, "%matplotlib inline", "!ls"))
