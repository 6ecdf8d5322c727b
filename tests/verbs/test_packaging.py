"""`package`, from a registered version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import settings, store
from mlops_magics.errors import NotIntact, StepFailed, UnknownName, WrongUsage
from mlops_magics.serving import manifest


@pytest.fixture
def trained(names: dict[str, Any]) -> str:
    """A registered version, by its reference."""
    X_test, y_test = names["X_test"], names["y_test"]  # noqa: F841
    with mlops.train("credit") as run:
        model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
    assert run.record is not None
    assert run.record.model is not None
    return run.record.model


def test_a_package_and_its_run(trained: str) -> None:
    record = mlops.package("credit@candidate")
    assert (record.model, record.kind, record.replayed) == (trained, "folder", True)
    place = Path(record.path)
    assert place == settings.load().state / "packages" / "credit-1"
    made = manifest.checked(place)
    version = store.versions.resolve(trained)
    assert made.digest == record.digest
    assert made.model_digest == version.digest
    assert (made.run_id, made.package_run_id) == (version.run_id, record.run_id)
    assert record.size == sum((place / f).stat().st_size for f in record.files)

    run = store.runs.get(record.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlops.verb"] == "package"
    assert run.data.tags["mlops.follows"] == version.run_id
    assert run.data.tags["mlops.package.digest"] == made.digest
    assert store.runs.read_json(record.run_id, "package.json")["files"] == dict(made.files)
    locked = store.runs.fetch(record.run_id, "package/requirements.txt").read_text()
    assert locked == (place / "requirements.txt").read_text()


def test_where_it_is_wanted_and_again_the_same(trained: str, tmp_path: Path) -> None:
    record = mlops.package(trained, as_="folder", output=str(tmp_path / "here"))
    assert record.path == str(tmp_path / "here")
    again = mlops.package(trained, output=str(tmp_path / "here"))
    assert again.digest == record.digest
    assert again.run_id != record.run_id
    (tmp_path / "thesis").mkdir()
    with pytest.raises(WrongUsage, match="is no package"):
        mlops.package(trained, output=str(tmp_path / "thesis"))


def test_it_runs_with_nothing_but_itself(trained: str, tmp_path: Path) -> None:
    record = mlops.package(trained, output=str(tmp_path / "alone"))
    done = subprocess.run(
        [sys.executable, "-m", "mlops_magics.serving", ".", "--replay"],
        cwd=record.path,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ML"))},
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == manifest.answers(Path(record.path)), done.stderr


def test_a_version_that_is_not_there(trained: str) -> None:
    with pytest.raises(UnknownName, match=r"no model 'kredit'\. Did you mean 'credit'"):
        mlops.package("kredit")
    with pytest.raises(UnknownName):
        mlops.package("credit/7")
    with pytest.raises(WrongUsage, match="is no registered version"):
        mlops.package(object())


def test_a_record_in_the_place_of_a_reference(trained: str) -> None:
    promoted = mlops.promote(trained, override="for the test")
    assert mlops.package(promoted).model == trained


def test_a_model_that_was_changed_is_not_packaged(trained: str) -> None:
    path = store.versions.local_path(store.versions.resolve(trained))
    with (path / "MLmodel").open("a") as file:
        file.write("\n# touched\n")
    with pytest.raises(NotIntact, match="are not the ones that were trained"):
        mlops.package(trained)
    assert not (settings.load().state / "packages").exists() or not any(
        (settings.load().state / "packages").iterdir()
    )


def test_a_failed_replay_is_a_failed_run(trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlops_magics.serving.package import lock

    # Without what the server needs, it can't answer; nor can the lock be completed.
    monkeypatch.setattr(lock, "SERVER", ())
    monkeypatch.setattr("mlops_magics.serving.package.assembling.MOST_TRIES", 1)
    with pytest.raises(StepFailed, match="does not answer the input example"):
        mlops.package(trained)
    newest = store.runs.find(experiment="credit", verb="package")[0]
    assert newest.info.status == "FAILED"
    assert not (settings.load().state / "packages" / "credit-1").exists()
