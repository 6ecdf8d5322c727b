"""The body of a `with` statement, out of its file."""

from __future__ import annotations

from mlops_magics.verbs import blocks

SOURCE = """\
before = 1
with a() as x, b(
    2,
) as y:
    first = 1
    with c():
        second = 2
after = 3
"""


def test_the_body_of_the_statement_at_a_line() -> None:
    for line in (2, 3, 4):  # an interpreter names any line of the head
        assert blocks.inside(SOURCE, line) == "first = 1\nwith c():\n    second = 2"
    assert blocks.inside(SOURCE, 6) == "second = 2"


def test_all_of_it_where_there_is_none() -> None:
    assert blocks.inside(SOURCE, 0) == SOURCE
    assert blocks.inside(SOURCE, 8) == SOURCE
    assert blocks.inside("!ls\n", 1) == "!ls\n"
