"""What was kept comes back as it was, or was never said to be kept."""

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
import pyarrow.parquet as pq
import pytest

from mlops_magics.evidence import snapshots
from mlops_magics.evidence.data import fingerprint

BERLIN = ZoneInfo("Europe/Berlin")


def kept(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    snapshots.write(frame, folder / "data.parquet", fingerprint(frame))
    return snapshots.read(folder / "data.parquet")


def test_credit(credit: pd.DataFrame, tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(kept(credit, tmp_path), credit)


@pytest.mark.parametrize(
    "values",
    [
        pd.array([1, None], dtype="Int8"),
        pd.array([True, None], dtype="boolean"),
        pd.array(["a", None], dtype="string"),
        pd.array(["a", None], dtype=pd.ArrowDtype(pa.string())),
        pd.Categorical(["a", None]),
        pd.Categorical([1.5, None]),
        pd.to_datetime(["2020-01-01", None]).tz_localize("Europe/Berlin"),
        pd.to_timedelta([1, None], unit="ns"),
        pd.period_range("2020-01", periods=2, freq="M"),
        pd.interval_range(0, 2),
        pd.cut([1, 5], 2),
        pd.arrays.SparseArray([0, 3]),
        np.array([1 + 2j, 3]),
        [1, "a"],
        ["1", 1],
        [1, 2.5],
        [1.0, 2],
        [True, 0],
        [True, None],
        ["a", b"a"],
        ["\ud800", None],
        [2**70, -1],
        [float("inf"), "x"],
        [Decimal("1.10"), Decimal("1e400")],
        [dt.date(2020, 1, 1), None],
        [dt.date(2020, 1, 1), dt.datetime(2020, 1, 1)],
        [dt.datetime(2020, 7, 1, tzinfo=BERLIN), dt.datetime(2020, 7, 1, tzinfo=dt.UTC)],
        [dt.datetime(2020, 7, 1, tzinfo=dt.timezone(dt.timedelta(hours=5))), "x"],
        [pd.Timestamp(1), "x"],
        [pd.Timedelta(1), dt.timedelta(days=-3)],
        [np.datetime64(1, "s"), np.timedelta64(1, "s")],
        [dt.time(12, 30), uuid.UUID(int=5)],
        [[1, [2, None]], (1, "a")],
        [np.array([1.5, 2.5]), np.array([[1, 2]])],
        [{"a": 1, 2: [3]}, None],
        [{"a": {"b": {1, 2}}}, frozenset(["x"])],
        [{"float": "inf"}, {}],
    ],
    ids=str,
)
def test_every_kind_of_column(values: Any, tmp_path: Path) -> None:
    objects = isinstance(values, list)
    column = pd.Series(values, dtype=object) if objects else pd.Series(values)
    again = kept(pd.DataFrame({"a": column, "b": [1, 2]}).set_axis([7, 3]), tmp_path)
    assert list(again.index) == [7, 3]
    assert again["b"].tolist() == [1, 2]
    assert fingerprint(again[["a"]].reset_index(drop=True)) == fingerprint(
        pd.DataFrame({"a": column})
    )


def test_categories_stay_categories(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": pd.cut([1, 5, 9], 3)})
    assert kept(frame, tmp_path)["a"].dtype == "category"


def test_named_index_is_kept(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="who"))
    pd.testing.assert_frame_equal(kept(frame, tmp_path), frame)


def test_nothing_is_pickled(tmp_path: Path) -> None:
    kept(pd.DataFrame({"a": [{"k": [1]}, "x"]}), tmp_path)
    stored = pq.read_table(tmp_path / "data.parquet")["a"].to_pylist()
    assert stored == ['{"mapping": [["k", [1]]]}', '"x"']


def test_what_can_not_be_kept_is_said(tmp_path: Path) -> None:
    class Colour(enum.Enum):
        RED = 1

    with pytest.raises(snapshots.NotKeptError, match="column 'a' holds Colour objects"):
        kept(pd.DataFrame({"a": [Colour.RED]}), tmp_path)
    with pytest.raises(snapshots.NotKeptError, match="another form"):
        snapshots.write(pd.DataFrame({"a": [1]}), tmp_path / "data.parquet", "sha256:0")
