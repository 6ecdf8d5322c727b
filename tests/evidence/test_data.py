"""The fingerprint: equal data gives equal digests, and nothing else does."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_magics.errors import BadData
from mlops_magics.evidence import data, tables
from mlops_magics.evidence.data import Fingerprint, fingerprint

quick = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def of(values: Any, dtype: Any = None) -> str:
    return fingerprint(pd.DataFrame({"a": pd.Series(values, dtype=dtype)}))


BERLIN = ZoneInfo("Europe/Berlin")
moments = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))

#: A strategy for values, and the containers that must all give the same digest.
FAMILIES: dict[str, tuple[st.SearchStrategy[Any], list[Any]]] = {
    "integer": (st.integers(-100, 100), ["int8", "int16", "int64", "Int32", "category", object]),
    "unsigned": (st.integers(0, 200), ["uint8", "uint64", "int64", pd.ArrowDtype(pa.uint16())]),
    "float": (st.floats(allow_nan=False), ["float64", "Float64", pd.ArrowDtype(pa.float64())]),
    "boolean": (st.booleans(), ["bool", "boolean", object, pd.ArrowDtype(pa.bool_())]),
    "text": (
        st.text(st.characters(codec="utf-8"), max_size=8),
        [object, "str", "string", "category", pd.ArrowDtype(pa.string())],
    ),
    "datetime": (moments, ["datetime64[us]", object, pd.ArrowDtype(pa.timestamp("us"))]),
    "zoned": (
        moments.map(lambda m: m.replace(tzinfo=BERLIN)),
        ["datetime64[us, Europe/Berlin]", object],
    ),
    "duration": (
        st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999)),
        ["timedelta64[us]", object, pd.ArrowDtype(pa.duration("us"))],
    ),
    "decimal": (
        st.decimals(-999, 999, places=2),
        [object, pd.ArrowDtype(pa.decimal128(10, 4))],
    ),
    "date": (st.dates(), [object, pd.ArrowDtype(pa.date32())]),
    "bytes": (st.binary(max_size=8), [object, pd.ArrowDtype(pa.binary())]),
    "list": (
        st.lists(st.integers(-9, 9), max_size=3),
        [object, pd.ArrowDtype(pa.list_(pa.int64()))],
    ),
    "mapping": (st.dictionaries(st.text(max_size=2), st.integers(), max_size=3), [object]),
    "mixed": (
        st.one_of(st.integers(), st.text(max_size=3), st.booleans(), st.floats(allow_nan=False)),
        [object],
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@quick
@given(drawn=st.data())
def test_containers_do_not_count_but_every_cell_does(family: str, drawn: st.DataObject) -> None:
    strategy, dtypes = FAMILIES[family]
    values = drawn.draw(st.lists(strategy, min_size=1, max_size=12))
    frames = [pd.DataFrame({"k": 1, "a": pd.Series(values, dtype=d)}) for d in dtypes]
    digests = {fingerprint(f) for f in frames}
    assert len(digests) == 1

    row = drawn.draw(st.integers(0, len(values) - 1))
    other = drawn.draw(st.one_of(strategy.filter(lambda v: v != values[row]), st.none()))
    changed = [*values[:row], other, *values[row + 1 :]]
    frame = frames[-1].assign(a=pd.Series(changed, dtype=object))
    assert fingerprint(frame) not in digests


@pytest.mark.parametrize("family", FAMILIES)
@quick
@given(drawn=st.data())
def test_chunks_do_not_count(family: str, drawn: st.DataObject) -> None:
    strategy, _ = FAMILIES[family]
    values = drawn.draw(st.lists(st.one_of(strategy, st.none()), min_size=1, max_size=20))
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object), "b": range(len(values))})
    cuts = sorted(drawn.draw(st.lists(st.integers(0, len(values)), max_size=4)))
    chunked = Fingerprint()
    for start, end in zip([0, *cuts], [*cuts, len(values)], strict=True):
        chunked.update(frame.iloc[start:end])
    assert chunked.hexdigest() == fingerprint(frame)


def test_blocks_do_not_count(monkeypatch: pytest.MonkeyPatch, credit: pd.DataFrame) -> None:
    whole = fingerprint(credit)
    monkeypatch.setattr(data, "BLOCK", 7)
    assert fingerprint(credit) == whole


def test_where_texts_end_counts() -> None:
    assert of(["ab", "c"]) != of(["a", "bc"])
    assert of([["a", "b"]]) != of([["ab"]])
    assert of(["", None]) != of([None, ""])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], [1.0, 2.0]),
        ([1, 0], [True, False]),
        (["1"], [1]),
        (["a"], [b"a"]),
        ([None], [""]),
        ([0.0], [5e-324]),
        ([2**63], [2**63 + 1]),
        ([2**63], [-(2**63)]),
        ([Decimal(1)], [1]),
        ([dt.date(2020, 1, 1)], [dt.datetime(2020, 1, 1)]),
        ([pd.Timestamp(1)], [pd.Timestamp(2)]),  # a nanosecond
        ([pd.Timestamp(1)], [pd.Timestamp(1000)]),
        ([pd.Timedelta(1)], [pd.Timedelta(2)]),
        ([pd.Timestamp("2020-01-01T12:00", tz="UTC")], [pd.Timestamp("2020-01-01T12:00")]),
        (
            [pd.Timestamp("2020-01-01T12:00", tz="UTC")],
            [pd.Timestamp("2020-01-01T13:00", tz="Europe/Berlin")],
        ),
        ([[1, 2]], [[2, 1]]),
        ([[1, [2]]], [[[1], 2]]),
        ([{"a": None}], [{}]),
        ([{"a": 1}], [{"b": 1}]),
        ([{1}], [[1]]),
        ([1 + 2j], [2 + 1j]),
        ([pd.Interval(0, 1)], [pd.Interval(0, 1, closed="left")]),
    ],
)
def test_different_values_differ(one: list[Any], other: list[Any]) -> None:
    assert of(one, object) != of(other, object)
    assert of(one) != of(other)


def test_text_without_a_utf8_form_counts() -> None:
    assert of(["\ud800"], object) != of(["\ud801"], object)
    assert of(["a", "\ud800"], object) != of(["b", "\ud800"], object)


def test_long_doubles_count_to_the_last_bit() -> None:
    values = np.array(["0.1", "0.5"], dtype=np.longdouble)
    assert of(values) == of(list(values), object)
    assert of(values[:1]) != of([0.1])
    assert of(values[1:]) == of([0.5])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([None, 1.5], [np.nan, 1.5]),
        ([None, "a"], [pd.NA, "a"]),
        ([pd.NaT, "a"], [Decimal("nan"), "a"]),
        ([0.0], [-0.0]),
        ([Decimal("1.0")], [Decimal("1.00")]),
        ([Decimal("100")], [Decimal("1e2")]),
        ([(1, 2.5, None)], [[1, 2.5, np.nan]]),
        ([[0.5, 1.5]], [np.array([0.5, 1.5], dtype=np.float32)]),
        ([[[1, 2], [3, 4]]], [np.array([[1, 2], [3, 4]])]),
        ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]),
        ([{"x", "y", "z"}], [frozenset(["z", "y", "x"])]),
        ([np.datetime64("2020-01-01", "D")], [dt.datetime(2020, 1, 1)]),
        ([np.timedelta64(3, "s")], [dt.timedelta(seconds=3)]),
        ([pd.Timestamp("2020-01-01", tz="UTC")], [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)]),
        (
            [pd.Timestamp("2020-01-01", tz="Europe/Berlin")],
            [dt.datetime(2020, 1, 1, tzinfo=BERLIN)],
        ),
        ([float("inf"), None], [np.float32("inf"), np.float16("nan")]),
    ],
)
def test_equal_values_are_equal(one: list[Any], other: list[Any]) -> None:
    assert of(one, object) == of(other, object)
    assert of(one) == of(other)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "+05:30"])
def test_the_unit_of_a_time_does_not_count(unit: str, zone: str | None) -> None:
    moments = pd.Series(pd.to_datetime(["2020-03-29T01:30:00", None, "1969-12-31T23:59:59"]))
    zoned = moments.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else moments
    assert of(zoned.dt.as_unit(unit)) == of(zoned.dt.as_unit("us"))  # type: ignore[arg-type]
    assert of(zoned.dt.as_unit(unit)) == of(list(zoned), object)  # type: ignore[arg-type]
    spans = moments - moments[0]
    assert of(spans.dt.as_unit(unit)) == of(list(spans), object)  # type: ignore[arg-type]


def test_names_order_and_rows_count(credit: pd.DataFrame) -> None:
    digest = fingerprint(credit)
    assert digest.startswith("sha256:")
    assert len(digest) == len("sha256:") + 64
    assert fingerprint(credit.copy()) == digest
    assert fingerprint(credit.rename(columns={"Age": "age"})) != digest
    assert fingerprint(credit[credit.columns[::-1]]) != digest
    assert fingerprint(credit.iloc[::-1]) != digest
    assert fingerprint(credit.iloc[:-1]) != digest
    assert fingerprint(credit.drop(columns="Age")) != digest


def test_columns_without_rows_still_have_names() -> None:
    assert fingerprint(pd.DataFrame({"a": []})) != fingerprint(pd.DataFrame({"b": []}))
    assert fingerprint(pd.DataFrame({"a": []})) != fingerprint(pd.DataFrame())


def test_two_columns_of_one_name_are_two() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert fingerprint(frame) != fingerprint(pd.DataFrame([[2, 1]], columns=["a", "a"]))


def test_index_counts_only_when_it_says_something(credit: pd.DataFrame) -> None:
    digest = fingerprint(credit)
    assert fingerprint(credit.set_axis(range(5, 5 + len(credit)))) == digest
    assert fingerprint(credit.rename_axis("row")) != digest
    assert fingerprint(credit.set_axis(credit.index.map(str))) != digest
    assert fingerprint(credit.set_index(["Home", "Age"])) != digest


def test_file_formats_agree(credit: pd.DataFrame, credit_csv: Path, tmp_path: Path) -> None:
    digest = fingerprint(credit)
    credit.to_parquet(tmp_path / "a.parquet")
    credit.to_feather(tmp_path / "a.feather")
    credit.to_json(tmp_path / "a.jsonl.gz", orient="records", lines=True)
    credit.to_csv(tmp_path / "a.csv.gz", index=False)
    for file in [credit_csv, *tmp_path.glob("a.*")]:
        assert fingerprint(tables.read(file)) == digest, file


def test_sees_what_mlflow_does_not() -> None:
    """MLflow's digest covers 10,000 rows, and neither dates nor truth values."""
    import mlflow.data

    rows = 12_000
    frame = pd.DataFrame(
        {
            "number": np.arange(rows, dtype=float),
            "date": pd.date_range("2020-01-01", periods=rows, freq="min"),
            "flag": np.arange(rows) % 3 == 0,
        }
    )
    late = frame.assign(number=frame["number"].where(frame.index != rows - 1, -1.0))
    moved = frame.assign(date=frame["date"] + pd.Timedelta(days=1))
    turned = frame.assign(flag=~frame["flag"])
    theirs = {mlflow.data.from_pandas(f).digest for f in (frame, late, moved, turned)}
    assert len(theirs) == 1
    assert len({fingerprint(f) for f in (frame, late, moved, turned)}) == 4


def test_values_without_a_form_are_named() -> None:
    class Shape:
        pass

    with pytest.raises(BadData, match=r"Column 'a' .* holds Shape objects"):
        of([Shape()])
    chunked = Fingerprint()
    chunked.update(pd.DataFrame({"a": [1]}))
    with pytest.raises(BadData, match="same columns"):
        chunked.update(pd.DataFrame({"b": [1]}))


def test_rarer_containers() -> None:
    class Colour(enum.Enum):
        RED = 1
        BLUE = 2

    bins = pd.cut(pd.Series(range(10)), 3)
    assert of(bins) == of(list(bins), object)
    assert of(pd.Series([0, 0, 3]).astype("Sparse[int]")) == of([0, 0, 3])
    assert of(pd.Series(pd.period_range("2020", periods=2, freq="M"))) == of(
        list(pd.period_range("2020", periods=2, freq="M")), object
    )
    assert of([Colour.RED]) != of([Colour.BLUE])
    assert of([Path("a")]) != of([Path("b")])
    assert of([uuid.UUID(int=1)]) == of([uuid.UUID(int=1)])
    assert of(np.array([1.5, 2.5], dtype=np.float16)) == of([1.5, 2.5])
    mixed = pd.Series([1, "a", None]).astype("category")
    assert of(mixed) == of([1, "a", None], object)
    assert of(pd.Series(["x", "y"], dtype="category").iloc[[1]].reset_index(drop=True)) == of(["y"])


def test_schema(credit: pd.DataFrame) -> None:
    columns = {c.name: c for c in data.schema(credit)}
    assert list(columns) == list(credit.columns)
    assert (columns["Home"].type, columns["Home"].missing, columns["Home"].distinct) == (
        "string",
        int(credit["Home"].isna().sum()),
        credit["Home"].nunique(),
    )
    assert columns["Age"].type == "integer"
    assert columns["Income"].type == "number"
    assert columns["Income"].missing == int(credit["Income"].isna().sum()) > 0


def test_schema_of_every_kind() -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.Series([1, None], dtype="Int64"),
            "flag": pd.Series([True, None], dtype=object),
            "day": [dt.date(2020, 1, 1), None],
            "zoned": pd.to_datetime(["2020-01-01", None], utc=True),
            "price": [Decimal("1.5"), None],
            "code": pd.Categorical([1, 2]),
            "word": pd.Categorical(["a", None]),
            "mixed": pd.Series([1, "a"], dtype=object),
            "list": [[1], [1]],
            "none": [None, None],
            "nan": [np.nan, np.nan],
            "arrow": pd.Series(["a", "b"], dtype=pd.ArrowDtype(pa.string())),
        }
    )
    assert {c.name: (c.type, c.missing, c.distinct) for c in data.schema(frame)} == {
        "whole": ("integer", 1, 1),
        "flag": ("boolean", 1, 1),
        "day": ("datetime", 1, 1),
        "zoned": ("datetime", 1, 1),
        "price": ("number", 1, 1),
        "code": ("integer", 0, 2),
        "word": ("string", 1, 1),
        "mixed": ("object", 0, 2),
        "list": ("object", 0, 1),
        "none": ("object", 2, 0),
        "nan": ("number", 2, 0),
        "arrow": ("string", 0, 2),
    }
