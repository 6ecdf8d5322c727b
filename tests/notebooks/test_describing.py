"""What a notebook says of its parameters."""

from __future__ import annotations

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mlops_magics.evidence import secrets
from mlops_magics.notebooks import describing

CELL = """
%load_ext mlops_magics
# What is learned from:
# a path or a name.
data: str
depth: int = 5  # levels of each tree
rate = 0.1      # type: float  # how fast it learns

where = Path("a")
mode: Literal["a", "b"] = (
    "a"  # one of two
)
db_password = "hunter22"
a, b = 1, "#x"  # two at once
"""


def test_names_types_defaults_and_comments() -> None:
    notebook = new_notebook(cells=[new_markdown_cell("text\n\n# The *work*"), new_code_cell(CELL)])
    notebook.cells[1].metadata["tags"] = ["parameters"]
    found = {p.pop("name"): tuple(p.values()) for p in describing.of_parameters(notebook)}
    assert found == {
        "data": ("str", "", True, "What is learned from: a path or a name."),
        "depth": ("int", "5", False, "levels of each tree"),
        "rate": ("float", "0.1", False, "how fast it learns"),
        "where": ("a plain value", "Path('a')", False, ""),
        "mode": ("'a' or 'b'", "'a'", False, "one of two"),
        "db_password": ("str", secrets.MASK, False, ""),
        "a": ("int", "1", False, "two at once"),
        "b": ("str", "'#x'", False, "two at once"),
    }
    assert describing.heading(notebook) == "The work"


def test_without_parameters() -> None:
    assert describing.of_parameters(new_notebook(cells=[new_code_cell("x = 1")])) == []
