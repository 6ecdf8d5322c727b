"""What a batch of notebooks imports, as far as their text tells."""

from __future__ import annotations

from pathlib import Path

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
    assert "mlflow" in wanted.modules([book("%load_ext mlops_magics")])
