"""A store aside: it has the recorded dataset, and the user's store stays as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest

import mlops_magics as mlops
from mlops_magics import settings, store


@pytest.fixture
def prepared(credit: pd.DataFrame) -> str:
    """A `prepare` run that builds on an earlier one of the same data."""
    mlops.prepare(credit, name="credit", target="Status")
    return str(mlops.prepare("credit", name="by-time", target="Status", seed=7).run_id)


def test_the_datasets_are_found_there(prepared: str, tmp_path: Path) -> None:
    before = mlflow.get_tracking_uri()
    aside = store.seeding.Aside(tmp_path / "aside")
    run = store.runs.get(prepared)
    (earlier,) = store.seeding.prepared(run)
    assert store.runs.get(earlier).data.tags["mlops.dataset"] == "credit"
    ids = [aside.seed(run_id) for run_id in (earlier, prepared)]
    assert mlflow.get_tracking_uri() == before == settings.load().tracking_uri
    assert {str(r.info.run_id) for r in store.runs.find()} == {prepared, earlier}
    code = (
        "from mlops_magics import store\n"
        "for name in ('credit', 'by-time'):\n"
        "    d = store.datasets.find(name)\n"
        "    train, test = store.datasets.frames(d)\n"
        "    print(d.run_id, len(train), len(test), d.split['seed'])\n"
        "from mlops_magics.verbs import session\n"
        "print(session.latest().name)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **aside.environment, "MLOPS_PREPARED": ids[1]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines() == [
        f"{ids[0]} 3563 891 0", f"{ids[1]} 3563 891 7", "by-time",
    ]  # fmt: skip
    assert aside.json(ids[0], "dataset/dataset.json")["run_id"] == ids[0]
    assert aside.json(ids[0], "no/such.json") is None
    assert aside.model(ids[0]) is None
    assert store.datasets.by_run(prepared).run_id == prepared
