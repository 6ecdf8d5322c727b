"""Parameters are typed by the notebook, and whatever does not fit is refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mlops_magics.errors import BadData, UnknownName, WrongUsage
from mlops_magics.notebooks import parameters

CELL = """
import typing
from typing import Literal, Optional

%matplotlib inline
depth: int = 5            # annotated
rate: float = 0.1
shuffle: bool = True
name: str = "credit"
columns: list = []
ages: list[int] = [1]
options: dict[str, float] = {}
algorithm: Literal["logistic", "forest"] = "logistic"
level: Literal[1, 2] = 1
limit: Optional[int] = None
region: str | None = None
either: typing.Union[int, str] = 1
quoted: "int" = 1
pair: tuple[int, int] = (1, 2)
anything: typing.Any = 1
day: datetime.date = None
trees = 100
scale = 1.5
verbose = False
label = "x"
items = [1, 2]
mapping = {}
nothing = None
computed = depth * 2
negative = -1
a = b = 3
c, d = 4, "e"
"""


def notebook(source: str = CELL, tags: list[str] | None = None) -> Any:
    tagged = {"tags": ["parameters"] if tags is None else tags}
    return new_notebook(
        cells=[new_markdown_cell("# x"), new_code_cell(source, metadata=tagged), new_code_cell("1")]
    )


def read(name: str, value: Any) -> Any:
    return parameters.check(notebook(), {name: value})[name]


FIT = [
    ("depth", 7, 7),
    ("depth", "7", 7),
    ("depth", " -7 ", -7),
    ("depth", "007", 7),
    ("depth", np.int64(7), 7),
    ("rate", "1e-3", 0.001),
    ("rate", 1, 1.0),
    ("rate", "2", 2.0),
    ("rate", np.float32(0.5), 0.5),
    ("shuffle", "true", True),
    ("shuffle", "False", False),
    ("shuffle", False, False),
    ("name", "007", "007"),
    ("name", "true", "true"),
    ("name", Path("a/b.csv"), "a/b.csv"),
    ("columns", '["a", 1]', ["a", 1]),
    ("columns", "['a', None]", ["a", None]),
    ("columns", ("a",), ["a"]),
    ("ages", "[1, 2]", [1, 2]),
    ("options", '{"a": 1}', {"a": 1.0}),
    ("algorithm", "forest", "forest"),
    ("level", "2", 2),
    ("limit", "none", None),
    ("limit", "null", None),
    ("limit", "3", 3),
    ("limit", None, None),
    ("region", "north", "north"),
    ("region", "none", None),
    ("either", "3", 3),
    ("either", "x", "x"),
    ("quoted", "3", 3),
    ("pair", "[1, 2]", [1, 2]),
    ("anything", "[1]", [1]),
    ("anything", "text", "text"),
    ("anything", "007", "007"),
    ("day", "2026-01-01", "2026-01-01"),
    ("trees", "7", 7),
    ("scale", "7", 7.0),
    ("verbose", "true", True),
    ("label", "5", "5"),
    ("items", "[3]", [3]),
    ("mapping", '{"a": [1]}', {"a": [1]}),
    ("nothing", "5", 5),
    ("nothing", "x", "x"),
    ("computed", "5", 5),
    ("negative", "5", 5),
    ("a", "5", 5),
    ("b", "5", 5),
    ("d", "5", "5"),
]


@pytest.mark.parametrize(("name", "given", "expected"), FIT)
def test_fits(name: str, given: Any, expected: Any) -> None:
    value = read(name, given)
    assert value == expected
    assert type(value) is type(expected)


MISFITS = [
    ("depth", "7.5", "'depth' is int, and '7.5' is not"),
    ("depth", 7.5, "'depth' is int, and 7.5 (float) is not"),
    ("depth", True, "and True (bool) is not"),
    ("depth", "", "and '' is not"),
    ("depth", "seven", "Its default is 5."),
    ("rate", "fast", "'rate' is float"),
    ("rate", False, "and False (bool) is not"),
    ("shuffle", "1", "'shuffle' is bool, and '1' is not"),
    ("shuffle", 1, "and 1 (int) is not"),
    ("name", 7, "'name' is str, and 7 (int) is not"),
    ("columns", "a,b", "write it as JSON, for example '[1, 2]'"),
    ("columns", '{"a": 1}', "'columns' is list"),
    ("ages", "[1, 2.5]", "'ages' is list[int]"),
    ("ages", '["1"]', "'ages' is list[int]"),
    ("options", "a=1", "for example '{\"a\": 1}'"),
    ("options", {1: 2.0}, "keys have to be strings"),
    ("algorithm", "forests", "'algorithm' is 'logistic' or 'forest', and 'forests' is not"),
    ("level", True, "'level' is 1 or 2"),
    ("limit", "many", "'limit' is int or None"),
    ("anything", object, "only numbers, text, booleans, None, lists and dictionaries"),
    ("trees", "7.5", "'trees' is int"),
    ("nothing", {1, 2}, "can be given"),
]


@pytest.mark.parametrize(("name", "given", "said"), MISFITS)
def test_misfits(name: str, given: Any, said: str) -> None:
    with pytest.raises(WrongUsage) as caught:
        read(name, given)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_infinities_are_floats() -> None:
    assert read("rate", "inf") == float("inf")
    assert np.isnan(read("rate", "nan"))


def test_unknown_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"no parameter 'dpeth'. Did you mean 'depth'"):
        read("dpeth", 1)


def test_imports_and_magics_are_no_parameters() -> None:
    assert {"typing", "Literal", "Optional"}.isdisjoint(parameters.declared(notebook()))


def test_required() -> None:
    needed = notebook("data: str\ntarget: str = ...\nseed: int = 1")
    assert parameters.check(needed, {"data": "a", "target": "b"}) == {"data": "a", "target": "b"}
    with pytest.raises(WrongUsage, match=r"needs data \(str\), target \(str\)\. Give -p data"):
        parameters.check(needed, {"seed": 2})


def test_unknown_comes_before_missing() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'data'"):
        parameters.check(notebook("data: str"), {"dta": "x"})


def test_no_parameters_cell() -> None:
    bare = notebook(tags=[])
    assert parameters.check(bare, {}) == {}
    with pytest.raises(WrongUsage, match=r"no parameters cell, but was given depth"):
        parameters.check(bare, {"depth": 1})


def test_an_empty_parameters_cell() -> None:
    with pytest.raises(UnknownName, match="no parameter 'x'"):
        parameters.check(notebook(""), {"x": 1})


def test_a_parameters_cell_that_is_no_python() -> None:
    with pytest.raises(BadData, match=r"can't be read: .* in line 2"):
        parameters.check(notebook("a = 1\nb = = 2"), {"a": 1})


def test_the_cell_is_never_run(tmp_path: Path) -> None:
    file = tmp_path / "ran"
    parameters.check(notebook(f"a = open({str(file)!r}, 'w')"), {"a": "1"})
    assert not file.exists()


def test_another_language_is_taken_as_it_is() -> None:
    assert parameters.check(notebook("x <- 1"), {"x": "2"}, language="r") == {"x": "2"}


def test_a_mistyped_secret_is_not_repeated() -> None:
    with pytest.raises(WrongUsage) as caught:
        parameters.check(notebook("api_token: int = 1"), {"api_token": "hunter22"})
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a: 1\nb: [x]\nday: 2026-01-01\nyes_: 'no'",
            {"a": 1, "b": ["x"], "day": "2026-01-01", "yes_": "no"},
        ),
        ('{"a": 1}', {"a": 1}),
        ("", {}),
    ],
)
def test_file(text: str, expected: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    assert parameters.read_file(file) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "not valid YAML"), ("- 1", "does not hold parameters"), ("1: 2", "does not hold")],
)
def test_bad_file(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    with pytest.raises(WrongUsage, match=said):
        parameters.read_file(file)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="can't be read"):
        parameters.read_file(tmp_path / "none.yaml")


def test_a_yaml_number_for_a_string_is_told() -> None:
    """YAML makes 007 the number 7, which is not what a name means."""
    with pytest.raises(WrongUsage, match=r"'name' is str, and 7 \(int\) is not"):
        read("name", 7)
