"""Reading data from wherever it is, and saying plainly when it can't be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlops_magics.errors import BadData, MlopsError, UnknownName, WrongUsage
from mlops_magics.evidence import tables

SMALL = pd.DataFrame({"a": [1, 2], "b": ["x", "ü"]})


@pytest.mark.parametrize(
    "name",
    [
        "a.csv",
        "a.CSV",
        "a.csv.gz",
        "a.tsv",
        "a.tsv.bz2",
        "a.parquet",
        "a.feather",
        "a.jsonl",
        "a.ndjson.gz",
        "a.json",
        "a.v2.json.xz",
    ],
)
def test_reads_files(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if ".parquet" in name:
        SMALL.to_parquet(file)
    elif ".feather" in name:
        SMALL.to_feather(file)
    elif ".json" in name and ".jsonl" not in name:
        SMALL.to_json(file, orient="records")
    elif "json" in name:
        SMALL.to_json(file, orient="records", lines=True)
    else:
        SMALL.to_csv(file, index=False, sep="\t" if ".tsv" in name else ",")
    pd.testing.assert_frame_equal(tables.read(file), SMALL)
    pd.testing.assert_frame_equal(tables.read(str(file)), SMALL)
    pd.testing.assert_frame_equal(tables.read(f"file://{file}"), SMALL)


def test_reads_any_fsspec_uri() -> None:
    with fsspec.open("memory://folder/a.csv.gz", "wb", compression="gzip") as file:
        file.write(SMALL.to_csv(index=False).encode())
    pd.testing.assert_frame_equal(tables.read("memory://folder/a.csv.gz"), SMALL)
    with pytest.raises(UnknownName, match=r"Did you mean 'a\.csv\.gz'"):
        tables.read("memory://folder/a.csv")


def test_a_column_of_a_csv_has_one_type_from_the_first_row_to_the_last(tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    file.write_text("code\n" + "1\n" * 600_000 + "x\n")
    assert tables.read(file)["code"].map(type).unique().tolist() == [str]


@pytest.mark.parametrize(
    ("ref", "columns"),
    [
        (SMALL, ["a", "b"]),
        (SMALL["a"], ["a"]),
        (pd.Series([1, 2]), ["x0"]),
        (np.arange(4).reshape(2, 2), ["x0", "x1"]),
        (np.arange(2), ["x0"]),
        ((SMALL, SMALL["a"].rename("t")), ["a", "b", "t"]),
        ((SMALL, np.array([0, 1])), ["a", "b", "y"]),
        ((np.eye(2), [0, 1]), ["x0", "x1", "y"]),
        ((SMALL.set_axis([7, 7]), pd.Series([1, 2], index=[3, 4])), ["a", "b", "y"]),
        (pd.DataFrame(np.eye(2)), ["0", "1"]),
        (pd.DataFrame(np.eye(2), columns=pd.MultiIndex.from_tuples([("a", 1), ("b", "")])),
         ["a 1", "b"]),
        ({"a": [1, 2]}, ["a"]),
        ([{"a": 1}, {"a": 2}], ["a"]),
        (pa.table({"a": [1, 2]}), ["a"]),
        (np.array([(1, 2.5)], dtype=[("u", "i4"), ("v", "f8")]), ["u", "v"]),
    ],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_reads_memory(ref: Any, columns: list[str]) -> None:
    assert list(tables.read(ref).columns) == columns


def test_leaves_the_users_frame_as_it_is() -> None:
    frame = pd.DataFrame(np.eye(2))
    tables.read(frame)
    assert list(frame.columns) == [0, 1]


@pytest.mark.parametrize(
    ("content", "name", "error", "message"),
    [
        (b"", "a.csv", BadData, "is empty"),
        (b"", "a.parquet", BadData, "is empty"),
        (b"", "a.jsonl", BadData, "is empty"),
        (b"a,b\n", "a.csv", BadData, "no rows, only the columns 'a', 'b'"),
        (b"a,b,a\n1,2,3\n", "a.csv", BadData, "more than one column named 'a'"),
        (b'"a","a"\n1,2\n', "a.csv", BadData, "more than one column named 'a'"),
        (b"a,b\n1,2\n1,2,3\n", "a.csv", BadData, "Expected 2 fields in line 3, saw 3"),
        (b"a\n\xff\n", "a.csv", BadData, "not UTF-8"),
        (b"PK\x03\x04", "a.parquet", BadData, r"can't be read as \.parquet"),
        (b"plain", "a.csv.gz", BadData, r"can't be read as \.csv"),
        (b'{"a": 1', "a.json", BadData, r"can't be read as \.json"),
        (b"a\n1\n", "a.xls", WrongUsage, r"no suffix that is known here\. Known: \.csv"),
        (b"a\n1\n", "a", WrongUsage, "no suffix"),
    ],
)
def test_bad_files(
    content: bytes, name: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(error, match=message):
        tables.read(file)


@pytest.mark.parametrize(
    ("ref", "error", "message"),
    [
        (pd.DataFrame(), BadData, "has no columns"),
        (SMALL[:0], BadData, "DataFrame in memory has no rows"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), BadData, "more than one column named 'a'"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), BadData, "more than one column named '1'"),
        ((SMALL, [1]), BadData, "X has 2 rows and y has 1"),
        ((1, 2, 3), WrongUsage, "tuple of 3"),
        (np.zeros((2, 2, 2)), BadData, "3 dimensions"),
        ({"a": [1], "b": [1, 2]}, BadData, "no table"),
        (7, WrongUsage, "type int is no data"),
        ("nowhere://a.csv", WrongUsage, "Protocol not known"),
    ],
    ids=str,
)
def test_bad_references(ref: Any, error: type[MlopsError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        tables.read(ref)
    assert caught.value.exit_code == 2


def test_missing_files_name_the_nearest(project: Path) -> None:
    (project / "credit_data.csv").write_text("a\n1\n")
    with pytest.raises(UnknownName, match=r"no file 'credit_dta\.csv'.*mean 'credit_data\.csv'"):
        tables.read("credit_dta.csv")
    (project / "data").mkdir()
    with pytest.raises(UnknownName, match=r"no folder 'dat'.*Did you mean 'data'"):
        tables.read("dat/a.csv")
    with pytest.raises(WrongUsage, match="is a folder"):
        tables.read("data")


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        (SMALL, "DataFrame in memory"),
        ((SMALL, SMALL["a"]), "(DataFrame, Series) in memory"),
        ("s3://key:secret@bucket/a.csv", "s3://bucket/a.csv"),
        ("https://host/a.csv?X-Signature=abc", "https://host/a.csv"),
        ("gs://bucket/a.csv", "gs://bucket/a.csv"),
    ],
)
def test_sources_are_shown_without_secrets(ref: Any, text: str) -> None:
    assert tables.describe_source(ref) == text


def test_paths_are_shown_whole(project: Path) -> None:
    assert tables.describe_source("a.csv") == (project / "a.csv").as_posix()
    assert tables.describe_source(Path("~/a.csv")) == (Path.home() / "a.csv").as_posix()
