"""Random notebooks: whatever ran, the slice run alone gives the last cell's result again."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.evidence.notebook import Notebook, run

NAMES = "abcd"
FUNCTIONS = "fgh"

#: One statement each; N, M and O stand for names, F and G for functions, 7 for a number.
STATEMENTS = (
    "N = 7",
    "N = [7]",
    "N = M",
    "N = [M, O]",
    "N = {'k': M}",
    "N = (M, O)",
    "N, M = O, 7",
    "N = str(M)[:1]",
    "N = list(str(M)[:2])",
    "N = [x for x in str(M)[:2]]",
    "N += M",
    "N.append(7)",
    "N.append(M)",
    "N[0] = 7",
    "N[0].append(7)",
    "N['k'] = M",
    "N['k'].append(7)",
    "del N",
    "N = M.pop()",
    "M.pop()",
    "N = M[0]",
    "for x in (N, M):\n    x.append(7)",
    "for x in N:\n    x.append(7)",
    "for N in range(2):\n    M = N",
    "if str(N) > '5':\n    M = 7",
    "if str(N) > '5':\n    M = 7\nelse:\n    M = O",
    "while len(str(N)) > 9:\n    N = 7",
    "try:\n    N = M[0]\nexcept Exception:\n    N = 7",
    "try:\n    N.append(7)\n    M = 7\nexcept Exception as e:\n    pass",
    "with open('/dev/null') as N:\n    pass\nN = 7",
    "def F(): return N",
    "def F(x=N): return x",
    "def F(x=None):\n    global N\n    N = 7\n    return N",
    "def F(x=None):\n    N.append(7)\n    return M",
    "def F(x=None):\n    y = x\n    y.append(7)",
    "def F(x=None): return G()",
    "def F(x=None):\n    def inner(): return N\n    return inner()",
    "def F(x=None): return [N for _ in range(2)]",
    "F = lambda x=None: N",
    "F = G",
    "N = F",
    "N = F()",
    "N = F(M)",
    "F()",
    "F(M)",
    "N = [F]",
    "N = N[0]()",
    "exec('N = M')",
    "globals()['N'] = M",
    "for k in ['N']:\n    globals()[k] = 7",
    "(N := M)",
    "match N:\n    case [M, *_]: pass\n    case int(): M = 7",
    "class N:\n    k = M\n    def m(self): return O",
    "N = N().m()",
    "N = M.k",
    "N.k = M",
)


def written(template: str, names: tuple[str, ...], number: int) -> str:
    """A statement with its placeholders filled in."""
    for placeholder, name in zip("NMOFG", names, strict=True):
        template = re.sub(rf"\b{placeholder}\b", name, template)
    return template.replace("7", str(number))


of_names, of_functions = st.sampled_from(NAMES), st.sampled_from(FUNCTIONS)
statements = st.builds(
    written,
    st.sampled_from(STATEMENTS),
    st.tuples(of_names, of_names, of_names, of_functions, of_functions),
    st.integers(0, 9),
)
cells = st.lists(statements, min_size=1, max_size=2).map("\n".join)


def shape(value: Any) -> str:
    """A value as text that is the same wherever it was made."""
    return re.sub(r" at 0x\w+", "", repr(value))


BEGINNING = ("a = [1]", "b = 2", "c = [3]", "d = {'k': [4]}")


@pytest.mark.skipif(
    sys.version_info[:3] == (3, 13, 0),
    reason="3.13.0 lets a function with defaults call itself until the memory is full",
)
@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(cells, min_size=2, max_size=12))
def test_the_slice_alone_gives_the_same(programs: list[str]) -> None:
    accepted = list(BEGINNING)
    for program in programs:
        # A cell that would fail half-way is another test's.
        if runs([*accepted, program]):
            accepted.append(program)
    notebook = Notebook()
    notebook.run(*accepted)
    for name in (*NAMES, *FUNCTIONS):
        if name not in notebook.names:
            continue
        notebook.run(f"out = {name}")
        note("\n".join(f"{i + 1}: {e.source!r}" for i, e in enumerate(notebook.log.executions)))
        note(f"needed: {notebook.needed()}")
        assert shape(notebook.alone()["out"]) == shape(notebook.names["out"])
        notebook.log.executions.pop()


def runs(sources: list[str]) -> bool:
    names: dict[str, Any] = {}
    try:
        for source in sources:
            run(source, names)
    except Exception:
        return False
    return True
