"""One column of a request, by type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.flavors import Input
from mlops_magics.serving.columns import convert
from mlops_magics.serving.refusals import BadRequest
from mlops_magics.serving.table import Table, framed


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("long", [1, 2], np.array([1, 2])),
        ("long", [1.0, "3"], np.array([1, 3])),
        ("long", [True, 5], np.array([1, 5])),
        ("integer", [1, -1], np.array([1, -1], dtype=np.int32)),
        ("double", [1, None, "2.5", float("nan")], np.array([1.0, np.nan, 2.5, np.nan])),
        ("float", [0.5], np.array([0.5], dtype=np.float32)),
        ("boolean", [True, False], np.array([True, False])),
        ("boolean", [1, 0.0], np.array([True, False])),
        ("binary", ["aGk="], np.array([b"hi"], dtype=object)),
        ("datetime", ["2026-01-31"], np.array(["2026-01-31"], dtype="datetime64[ns]")),
        ("datetime", ["2026-01-31T12:00:00.5", None], None),
    ],
)
def test_fits(kind: str, values: list[Any], expected: Any) -> None:
    converted = convert(Input("x", kind), values)
    assert len(converted) == len(values)
    if expected is not None:
        np.testing.assert_array_equal(converted, expected)
        assert converted.dtype == expected.dtype


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("long", [1, 2.5], "row 2 has 2.5"),
        ("long", ["1", "x"], "row 2 has 'x'"),
        ("long", [1, None], "has no value in row 2: the model learned it without missing values"),
        ("long", [[1], [2]], r"row 1 has \[1\]"),
        ("long", [1, [2, 3]], r"row 2 has \[2, 3\]"),
        ("long", [2**63], "row 1 has 9223372036854775808"),
        ("long", [float("inf")], "row 1 has Infinity"),
        ("integer", [1, 2**31], "row 2 has 2147483648"),
        ("double", [1, "abc"], "row 2 has 'abc'"),
        ("double", [{"a": 1}], r"row 1 has \{\"a\": 1\}"),
        ("double", [10**400], "row 1 has 1000"),
        ("boolean", ["false"], "row 1 has 'false'"),
        ("boolean", [True, 2], "row 2 has 2"),
        ("boolean", [True, None], "has no value in row 2"),
        ("string", ["a", 5], "row 2 has 5"),
        ("string", [["a"]], r"row 1 has \[\"a\"\]"),
        ("datetime", ["soon"], "row 1 has 'soon'"),
        ("datetime", ["2026-01-31T12:00:00Z"], "row 1 has '2026"),
        ("datetime", [True], "row 1 has true"),
        ("binary", ["?"], "row 1 has"),
    ],
)
def test_does_not_fit(kind: str, values: list[Any], words: str) -> None:
    with pytest.raises(BadRequest, match=f"Column 'x' needs .*{words}"):
        convert(Input("x", kind), values)


def test_a_long_value_is_shown_short() -> None:
    with pytest.raises(BadRequest) as caught:
        convert(Input("x", "double"), ["y" * 10_000])
    assert len(str(caught.value)) < 200


def test_words_are_what_pandas_makes_of_words() -> None:
    for values in (["a", "b"], ["a", None], [None, float("nan")]):
        table = Table({"x": convert(Input("x", "string"), values)}, {"x": "string"}, len(values))
        converted = framed(table)["x"]
        assert converted.dtype == pd.Series(["a"]).dtype
        assert converted.isna().tolist() == [v != "a" and v != "b" for v in values]


def test_missing_truth_stays_missing_where_it_may() -> None:
    converted = convert(Input("x", "boolean", required=False), [True, None, False])
    assert list(converted) == [True, None, False]


def test_types_of_the_models_own_go_through() -> None:
    assert list(convert(Input("x", "array"), [[1, 2], [3]])) == [[1, 2], [3]]
