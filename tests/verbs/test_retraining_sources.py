"""What `retrain` trains with: rows that came since, the notebook from the store, recorded cells."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock

import mlops_magics as mlops
from mlops_magics import settings, store, targets
from mlops_magics.errors import BadData, MlopsError
from mlops_magics.notebooks import files, parameters
from mlops_magics.records import Deployment
from mlops_magics.serving.capture import Capture, Captured
from mlops_magics.verbs import gathering, retraining, trained_by
from mlops_magics.verbs.gathering import Window

COLUMNS = ["Seniority", "Age", "Income", "Amount", "Price"]


@pytest.fixture
def version(credit: pd.DataFrame, project: Path, ip: Any) -> store.versions.Version:
    """Trained by cells of a notebook, on a file."""
    credit[[*COLUMNS, "Status"]].to_csv(project / "loans.csv", index=False)
    for cell in (
        "%prepare loans.csv --name credit --target Status --positive bad --seed 3",
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.pipeline import make_pipeline",
        "strength = 0.5",
        "%%train credit --metric roc_auc\n"
        "model = make_pipeline(features, LogisticRegression(C=strength)).fit(X_train, y_train)",
    ):
        ip.run_cell(cell, store_history=True).raise_error()
    return store.versions.resolve("credit")


def test_the_recorded_cells_take_other_data(version: store.versions.Version) -> None:
    made = trained_by.cells(version)
    assert made is not None
    notebook = files.read(made)
    known = parameters.declared(notebook)
    assert known["data"].default == "loans.csv"
    assert known["strength"].default == 0.5
    source = "\n".join(cell["source"] for cell in notebook["cells"])
    assert '%prepare "{data}" --name credit' in source


def test_it_trains_by_them(
    version: store.versions.Version, credit: pd.DataFrame, project: Path
) -> None:
    mlops.validate("credit@candidate", goals="roc_auc >= 0.6")
    mlops.promote("credit@candidate")
    credit[[*COLUMNS, "Status"]].head(2000).to_csv(project / "new loans.csv", index=False)
    done = mlops.retrain("credit", data="new loans.csv", params={"strength": 0.1}, promote=True)
    assert (done.outcome, done.champion) == ("promoted", "credit/2")
    new = store.versions.resolve("credit/2")
    assert store.datasets.by_run(new.dataset_run).rows == 2000
    # Made headlessly, it is trained again by that very notebook, which the store keeps too.
    path, had = trained_by.notebook(new)
    assert path == settings.load().state / "recipes" / "credit-1.ipynb"
    assert had["strength"] == "0.1"
    path.unlink()
    path, had = trained_by.notebook(new)
    assert path == settings.load().state / "recipes" / "credit-2.ipynb"
    assert had["strength"] == "0.1"
    assert "data" in parameters.declared(files.read(path))


@pytest.fixture
def captured(version: store.versions.Version, credit: pd.DataFrame) -> pd.DataFrame:
    """100 requests to a deployment, and the labels of the first 60."""
    rows = credit[COLUMNS].dropna().head(100)
    folder = targets.state.folder("scoring") / "capture"
    capture = Capture(folder, version.ref, None)
    capture.start()
    for number in range(len(rows)):
        capture.put(
            Captured(
                request_id=f"r{number}",
                time=int(datetime.now(UTC).timestamp() * 1e6),
                status=200,
                latency_ms=1.0,
                client_id="c",
                rows=1,
                error="",
                columns=rows.iloc[number : number + 1],
                outputs=json.dumps(["good"]),
                size=1,
                client_key="",
            )
        )
    capture.close()
    targets.state.save(
        Deployment(
            name="scoring",
            model=version.ref,
            target="local",
            url="http://127.0.0.1:1",
            status="stopped",
            capture=str(folder),
        )
    )
    truth = credit.loc[rows.index, "Status"].head(60)
    return pd.DataFrame({"request_id": [f"r{i}" for i in range(60)], "truth": truth.to_numpy()})


def test_rows_that_came_with_their_labels(
    version: store.versions.Version, captured: pd.DataFrame, credit: pd.DataFrame
) -> None:
    file = gathering.gather("credit", version, Window(since="1h", labels=captured))
    rows = pd.read_parquet(file)
    assert list(rows.columns) == [*COLUMNS, "Status"]
    assert len(rows) == 60
    assert rows["Status"].tolist() == captured["truth"].tolist()
    window = Window(since="1h", labels=captured, append=True)
    assert len(pd.read_parquet(gathering.gather("credit", version, window))) == 60 + len(credit)
    few = Window(since="1h", labels=captured.head(5))
    with pytest.raises(BadData, match=r"Of 100 rows that came since 1h, 5 have labels"):
        gathering.gather("scoring", version, few)
    shutil.rmtree(targets.state.folder("scoring") / "capture")
    with pytest.raises(BadData, match="No request came to 'scoring'"):
        gathering.gather("scoring", version, Window(labels=captured))


@pytest.fixture
def held(project: Path) -> Iterator[FileLock]:
    """Another retraining at work."""
    state = settings.load().state
    state.mkdir(parents=True, exist_ok=True)
    with FileLock(state / "retrain-credit.lock", thread_local=False) as lock:
        yield lock


def test_the_second_one_waits(held: FileLock) -> None:
    begun = time.monotonic()
    threading.Timer(0.5, held.release).start()
    with retraining._alone("credit", 30):
        assert time.monotonic() - begun >= 0.4


def test_the_second_one_waits_no_longer_than_asked(held: FileLock) -> None:
    with (
        pytest.raises(MlopsError, match=r"has not ended in 0.2 seconds"),
        retraining._alone("credit", 0.2),
    ):
        pass
