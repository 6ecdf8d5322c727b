"""Datasets come back as they were recorded, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_magics import store
from mlops_magics.errors import BadData, MlopsError, NotIntact, UnknownName
from mlops_magics.evidence.data import fingerprint
from mlops_magics.records import Dataset
from mlops_magics.verbs import session
from mlops_magics.verbs.preparing import prepare


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_dataset", None)


@pytest.fixture
def dataset(credit: pd.DataFrame) -> Dataset:
    return prepare(credit, name="credit", target="Status")


def kept(dataset: Dataset, name: str) -> Path:
    """The file as it lies in the store, not a copy of it."""
    folder = store.runs.get(dataset.run_id).info.artifact_uri.removeprefix("file://")
    return Path(folder) / "dataset" / name


def test_found_by_name_and_by_run(dataset: Dataset) -> None:
    found = store.datasets.find("credit")
    assert found == dataset
    assert store.datasets.by_run(dataset.run_id) == dataset
    assert found.bindings == {}
    assert store.datasets.names() == ["credit"]


def test_the_newest_of_a_name_is_found(dataset: Dataset, credit: pd.DataFrame) -> None:
    newer = prepare(credit.head(100), name="credit", target="Status")
    assert store.datasets.find("credit").run_id == newer.run_id
    assert store.datasets.by_run(dataset.run_id).rows == 4454


def test_frames_are_the_split(dataset: Dataset) -> None:
    train, test = store.datasets.frames(store.datasets.find("credit"))
    bound = dataset.bindings
    pd.testing.assert_frame_equal(train.drop(columns="Status"), bound["X_train"])
    pd.testing.assert_series_equal(test["Status"], bound["y_test"])


def test_unknown_names_get_the_nearest(dataset: Dataset) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'credit'"):
        store.datasets.find("credits")
    with pytest.raises(UnknownName, match="no run"):
        store.datasets.by_run("0" * 32)


def test_a_run_without_a_dataset(project: Path) -> None:
    run_id = store.runs.start("credit", name="x", verb="train", tags={})
    with pytest.raises(MlopsError, match="recorded no dataset"):
        store.datasets.by_run(run_id)
    store.runs.finish(run_id, "finished")


def test_changed_rows_are_not_given_back(dataset: Dataset, credit: pd.DataFrame) -> None:
    credit.loc[4000, "Age"] += 1
    credit.to_parquet(kept(dataset, "data.parquet"))
    with pytest.raises(NotIntact, match="fingerprint differs"):
        store.datasets.frames(dataset)


def test_a_changed_split_is_not_given_back(dataset: Dataset) -> None:
    file = kept(dataset, "test_rows.npy")
    rows = np.load(file)
    np.save(file, np.append(rows[1:], np.setdiff1d(np.arange(4454), rows)[0]))
    with pytest.raises(NotIntact, match="split"):
        store.datasets.frames(dataset)


def test_large_files_are_kept_by_reference(
    credit: pd.DataFrame, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_SNAPSHOT_MB", "0")
    credit.to_csv("large.csv", index=False)
    dataset = prepare("large.csv", target="Status")
    assert any("are read again from" in w for w in dataset.warnings)
    train, test = store.datasets.frames(store.datasets.find("large"))
    assert fingerprint(test) == dataset.split["test_digest"]
    assert len(train) == dataset.split["train_rows"]

    credit.head(4000).to_csv("large.csv", index=False)
    with pytest.raises(BadData, match=r"4,000 rows \(recorded: 4,454\) and another fingerprint"):
        store.datasets.frames(dataset)
    Path("large.csv").unlink()
    with pytest.raises(UnknownName, match=r"no file 'large\.csv'"):
        store.datasets.frames(dataset)


def test_large_data_in_memory_is_said_not_to_be_kept(
    credit: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_SNAPSHOT_MB", "0")
    dataset = prepare(credit, target="Status")
    assert any("prepare from a file" in w for w in dataset.warnings)
    with pytest.raises(BadData, match="in memory only"):
        store.datasets.frames(dataset)


def test_load_takes_any_reference(dataset: Dataset, credit: pd.DataFrame, project: Path) -> None:
    digest = fingerprint(credit)
    named = store.datasets.load("credit")
    assert fingerprint(named.frame) == digest
    assert named.dataset is not None
    assert named.dataset.run_id == dataset.run_id
    assert fingerprint(store.datasets.load(dataset).frame) == digest
    assert store.datasets.load(credit).source == "DataFrame in memory"
    credit.head(5).to_csv("a.csv", index=False)
    assert store.datasets.load("a.csv").source == (project / "a.csv").as_posix()
    assert len(store.datasets.load(Path("a.csv")).frame) == 5
    with pytest.raises(
        UnknownName, match=r"no file, prepared dataset or variable 'credi'.*'credit'"
    ):
        store.datasets.load("credi")


def test_a_file_goes_before_a_dataset_of_its_name(dataset: Dataset, project: Path) -> None:
    (project / "credit").write_text("a\n1\n")
    with pytest.raises(MlopsError, match="no suffix"):
        store.datasets.load("credit")


def test_names_with_a_suffix(credit: pd.DataFrame) -> None:
    prepare(credit.head(50), name="credit.v2")
    assert len(store.datasets.load("credit.v2").frame) == 50
