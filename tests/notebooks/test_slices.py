"""Recorded cells as a notebook: parameters lifted where that changes nothing, and only there."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest

from mlops_magics.notebooks import parameters, slices
from mlops_magics.notebooks.lifting import lift


def build(*sources: str, **options: Any) -> nbformat.NotebookNode:
    cells = [{"number": 10 * i, "source": s} for i, s in enumerate(sources, 1)]
    return slices.notebook(cells, head="# Made of cells", **options)


def names(*sources: str) -> list[str]:
    return [one.name for one in lift(sources)[0]]


def test_the_notebook() -> None:
    made = build(
        "import pandas as pd\nseed = 3  # for all", "%%train credit\nC = 1.0\nfit(C, seed)"
    )
    nbformat.validate(made)
    assert [cell.source for cell in made.cells] == [
        "# Made of cells",
        "%load_ext mlops_magics",
        "seed: int = 3  # cell 10\nC: float = 1.0  # cell 20",
        "import pandas as pd\n# seed = 3  # for all",
        "%%train credit\n# C = 1.0\nfit(C, seed)",
    ]
    declared = parameters.declared(made)
    assert {n: (str(p.kind), p.default) for n, p in declared.items()} == {
        "seed": ("int", 3),
        "C": ("float", 1.0),
    }
    assert [slices.number_of(made, i) for i in range(5)] == [None, None, None, 10, 20]


def test_the_extension_is_loaded_once() -> None:
    made = build("%load_ext mlops_magics\nimport os", "%%train credit\nfit()")
    assert [cell.source for cell in made.cells][1:] == [
        "%load_ext mlops_magics\nimport os",
        "%%train credit\nfit()",
    ]
    assert build("fit()", before="import sys").cells[1].source.endswith("mlops_magics\nimport sys")


def test_types() -> None:
    first = "a = 1\nb = 2.5\nc = 'x'\nd = True\ne = None"
    second = "f = [1, 2]\ng = {'k': (1,)}\nh: int | None = 5"
    cell = parameters.cell_of(build(f"{first}\n{second}"))
    assert cell is not None
    assert cell["source"].split("\n") == [
        "a: int = 1  # cell 10",
        "b: float = 2.5  # cell 10",
        "c: str = 'x'  # cell 10",
        "d: bool = True  # cell 10",
        "e = None  # cell 10",
        "f: list = [1, 2]  # cell 10",
        "g: dict = {'k': (1,)}  # cell 10",
        "h: int | None = 5  # cell 10",
    ]


def test_a_literal_over_several_lines_keeps_the_line_numbers() -> None:
    source = "grid = {\n    'C': [1, 2],\n}\nfit(grid)"
    found, (rest,) = lift([source])
    assert found[0].value == {"C": [1, 2]}
    assert rest == "# grid = {\n#     'C': [1, 2],\n# }\nfit(grid)"


@pytest.mark.parametrize(
    "sources",
    [
        ["x = 1\nx = 2 * x"],
        ["x = 1\nx += 1"],
        ["print(x)", "x = 1"],  # read before: a builtin, or a name from elsewhere
        ["m = max(1, 2)\nmax = 5"],
        ["def f():\n    return x", "x = 1"],
        ["x = 1; y = f()"],
        ["x = 1;"],
        ["if True:\n    x = 1"],
        ["for x in y:\n    pass", "x = 1"],
        ["x = 1", "def f():\n    global x\n    x = 2"],
        ["x = 1", "import x"],
        ["x = 1", "del x"],
        ["x = 1", "try:\n    pass\nexcept E as x:\n    pass"],
        ["x = 1", "(x := 2)"],
        ["x = 1", "match y:\n    case {'k': x}:\n        pass"],
        ["from m import *", "x = 1"],  # which may bind it too
        ["%run other.py", "x = 1"],
        ["exec(code)", "x = 1"],
        ["!echo $x", "x = 1"],
        ["%%bash --out x\nls", "x = 1"],
        ["%%train credit --tag seed=$x\nx = 1"],
        ["x = !ls"],
        ["x = %sql select 1"],
        ["text = '''\n!x\n'''"],  # no escape, but it can't be told from one
        ["x = ..."],
        ["x = y = 1"],
        ["x = {1: f}"],
        ["_x = 1"],
        ["x = 1", "this is no Python, and has x"],
    ],
)
def test_what_stays_where_it_is(sources: list[str]) -> None:
    assert lift(sources) == ([], sources)


def test_what_is_lifted() -> None:
    assert names("x = 1\nx = 2\nf(x)") == ["x"]  # nothing reads the first one
    assert names("x = 1", "%%time\nf(x)") == ["x"]
    assert names("%%train credit\n\n%%time\nx = 1\nf(x)") == ["x"]
    assert names("x = -1\nawait f(x)") == ["x"]
    assert names("x = 1", "!echo $x") == ["x"]
    assert names("x = 1", "def f(x):\n    return x") == ["x"]
    assert names("%time y = f()\nx = 1") == ["x"]
    assert names("x = 'ü'  # ä") == ["x"]


def test_the_last_assignment_counts() -> None:
    found, rest = lift(["x = 1", "x = 2", "f(x)"])
    assert [(one.name, one.value, one.cell) for one in found] == [("x", 2, 1)]
    assert rest == ["# x = 1", "# x = 2", "f(x)"]


def test_nothing_changes() -> None:
    """The cells, run with their parameters first, leave the same names with the same values."""
    sources = [
        "a = 1\nb = [1]\nn = len(b)",
        "c = a + 1\nlen = 3\nd = {'x': 1}",
        "b.append(c)\ne = 'e'\na2 = a\na = 5",
    ]
    found, rest = lift(sources)
    before: dict[str, Any] = {}
    after: dict[str, Any] = {one.name: one.value for one in found}
    for source in sources:
        exec(source, before)
    for source in rest:
        exec(source, after)
    del before["__builtins__"], after["__builtins__"]
    assert before == after
    assert {one.name for one in found} == {"b", "d", "e"}
