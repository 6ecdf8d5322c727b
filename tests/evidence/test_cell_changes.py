"""Cells of two trainings matched with each other, and what differs."""

from __future__ import annotations

from typing import Any

from mlops_magics.evidence.cell_changes import compare


def cells(*sources: str, ids: tuple[str | None, ...] = ()) -> list[dict[str, Any]]:
    names = ids or (None,) * len(sources)
    return [
        {"number": i, "id": id, "source": source}
        for i, (source, id) in enumerate(zip(sources, names, strict=True), 1)
    ]


def told(before: Any, after: Any) -> list[tuple[str, list[int | None]]]:
    return [(c["change"], c["number"]) for c in compare(before, after).found]


def test_equal_cells_do_not_differ_wherever_they_stand() -> None:
    found = compare(cells("a = 1", "b = 2", "fit()"), cells("b = 2", "a = 1", "fit()"))
    assert found.found == ()
    assert found.unchanged == 3


def test_a_changed_line_is_a_diff_without_file_names() -> None:
    found = compare(cells("a = 1\nb = 2\nc = 3"), cells("a = 1\nb = 4\nc = 3"))
    (change,) = found.found
    assert change["diff"] == "@@ -1,3 +1,3 @@\n a = 1\n-b = 2\n+b = 4\n c = 3"


def test_an_id_ties_cells_that_have_nothing_in_common() -> None:
    before = cells("x = load('a')", "fit(x)", ids=("one", "two"))
    after = cells("import os\nfor f in os.listdir(): read(f)", "fit(x)", ids=("one", "two"))
    assert told(before, after) == [("changed", [1, 1])]


def test_without_ids_the_most_alike_are_matched() -> None:
    load = "import pandas as pd\nimport os\nframe = pd.read_csv(path)\n"
    clean = "frame = frame.dropna()\nframe = frame.drop_duplicates()\nframe.shape\n"
    before = cells(load, clean, "model.fit(X, y)")
    after = cells(clean + "frame.head()", load + "frame.head()", "model.fit(X, y)")
    assert told(before, after) == [("changed", [2, 1]), ("changed", [1, 2])]


def test_cells_come_and_go_where_they_stood() -> None:
    before = cells("a = 1", "removed = 'yes'", "c = 3", "fit()")
    after = cells("a = 1", "c = 3", "import numpy", "fit()")
    assert told(before, after) == [("removed", [2, None]), ("added", [None, 3])]


def test_the_cells_that_train_are_compared_with_each_other() -> None:
    before = cells("%%train credit\nmodel = Forest().fit(X, y)")
    after = cells("setup()", "%%train credit\nnet = Net()\nfor _ in range(9):\n    step(net)")
    assert told(before, after) == [("added", [None, 1]), ("changed", [1, 2])]


def test_one_changed_word_in_a_cell_of_one_line() -> None:
    before = cells("rate = 0.1", "fit()")
    after = cells("rate = 0.5", "fit()")
    assert told(before, after) == [("changed", [1, 1])]


def test_nothing_recorded() -> None:
    assert compare([], []).found == ()
    assert told([], cells("a = 1")) == [("added", [None, 1])]
    assert told(cells("a = 1"), []) == [("removed", [1, None])]
