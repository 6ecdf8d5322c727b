"""A store that goes away while a step is open: everything is kept, and delivered later, once."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.errors import StoreUnreachable
from mlops_magics.store import opening, outbox


def fit(names: dict[str, Any]) -> Any:
    return names["fresh"]().fit(names["X_train"], names["y_train"])


def assert_whole(run_id: str, number: int = 1) -> None:
    """The run in the store is what it would be had the store been there."""
    import mlflow

    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlops.status"] == "finished"
    assert run.data.tags["mlops.model"] == f"credit/{number}"
    assert run.data.tags["mlops.summary"].startswith(f"model: credit/{number} · ")
    assert run.data.params["logisticregression__max_iter"] == "500"
    assert 0.5 < run.data.metrics["accuracy"] < 1
    assert [m.value for m in client.get_metric_history(run_id, "loss")] == [3.0, 2.0, 1.0]
    body = store.runs.read_json(run_id, "mlops/record.json")
    version = store.versions.resolve("credit@candidate")
    assert (version.number, version.run_id) == (number, run_id)
    assert body["model"] == {"ref": f"credit/{number}", "digest": version.digest}
    assert store.versions.local_path(version).is_dir()  # which proves the digest
    assert len(store.versions.of("credit")) == number
    assert [o.model_id for o in run.outputs.model_outputs]
    assert outbox.kept() == []


def lose(run: Any) -> None:
    for step, loss in enumerate((3.0, 2.0, 1.0)):
        run.live.report("loss", loss, step)


@pytest.fixture
def away(project: Path) -> Iterator[Any]:
    """Takes the embedded store's file away, and puts it back."""

    class Away:
        file = project / "mlflow.db"

        def go(self) -> None:
            shutil.move(self.file, self.file.with_suffix(".away"))

        def back(self) -> None:
            shutil.move(self.file.with_suffix(".away"), self.file)

    return Away()


def data(names: dict[str, Any]) -> Any:
    return names["X_test"], names["y_test"]


def kept_run(names: dict[str, Any], away: Any) -> Any:
    with mlops.train("credit", data=data(names)) as run:
        lose(run)
        model = fit(names)  # noqa: F841
        away.go()
    return run.record


def test_a_file_that_is_gone(names: dict[str, Any], away: Any) -> None:
    record = kept_run(names, away)

    assert record.status == "finished"
    assert record.model is None
    assert record.metrics["accuracy"] > 0.5
    assert "is gone" in record.warnings[-1]
    assert "kept whole" in record.warnings[-1]
    assert not away.file.exists()  # no empty file was begun in its place
    assert [p.run_id for p in outbox.kept()] == [record.run_id]
    assert list(store.journal.abandoned()) == []

    away.back()
    with mlops.train("credit") as run:  # the next step that reaches the store
        assert_whole(record.run_id)
    assert run.record is not None


def test_a_file_that_is_locked(
    names: dict[str, Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PATIENCE", 0.2)
    with mlops.train("credit", data=data(names)) as run:
        lose(run)
        model = fit(names)  # noqa: F841
        lock = sqlite3.connect(project / "mlflow.db")
        lock.execute("BEGIN EXCLUSIVE")
    assert run.record is not None
    assert "locked" in run.record.warnings[-1]
    lock.rollback()
    lock.close()

    overview = mlops.status()
    assert overview.delivered == (run.record.run_id,)
    assert_whole(run.record.run_id)


def test_a_full_disk_of_the_artifacts(
    names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, mlops.train("credit", data=data(names)) as run:
        lose(run)
        model = fit(names)  # noqa: F841
        patch.setattr(LocalArtifactRepository, "log_artifacts", full)
    assert run.record is not None
    assert "No space left" in run.record.warnings[-1]
    mlops.status()
    assert_whole(run.record.run_id)


@pytest.mark.parametrize(
    "stage",
    ["log_outputs", "log_model_artifacts", "create_model_version", "log_batch", "set_terminated"],
)
def test_a_delivery_that_breaks_off_is_taken_up(
    names: dict[str, Any], away: Any, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    from mlflow import MlflowClient

    record = kept_run(names, away)
    away.back()
    whole = getattr(MlflowClient, stage)

    def breaks(*arguments: Any, **options: Any) -> Any:
        whole(*arguments, **options)
        raise ConnectionError("the line went dead")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, stage, breaks)
        assert outbox.deliver_kept() == []
    assert [d.run_id for d in outbox.deliver_kept()] == [record.run_id]
    assert_whole(record.run_id)


def test_one_delivery_at_a_time(names: dict[str, Any], away: Any) -> None:
    record = kept_run(names, away)
    away.back()
    parcel = outbox.kept()[0]
    with parcel.alone(timeout=0):
        code = "import mlops_magics as m; print(m.store.outbox.deliver_kept())"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert other.stdout.strip() == "[]", other.stderr
    assert [d.run_id for d in outbox.deliver_kept()] == [record.run_id]


def test_loading_the_extension_delivers_and_says_so(
    names: dict[str, Any], away: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    record = kept_run(names, away)
    away.back()
    shell = InteractiveShell(colors="nocolor")
    shell.run_line_magic("load_ext", "mlops_magics")
    shell.run_line_magic("unload_ext", "mlops_magics")
    assert "is delivered as credit/1" in capsys.readouterr().out
    assert_whole(record.run_id)


def test_a_newer_candidate_stays(names: dict[str, Any], away: Any) -> None:
    record = kept_run(names, away)
    parcel = outbox.kept()[0]
    hidden = shutil.move(parcel.folder, parcel.folder.parent.parent / "hidden")
    away.back()
    with mlops.train("credit"):
        model = fit(names)  # noqa: F841
    shutil.move(hidden, parcel.folder)

    (delivered,) = outbox.deliver_kept()
    assert delivered.version is not None
    assert (delivered.version.run_id, delivered.version.number) == (record.run_id, 2)
    assert store.versions.resolve("credit@candidate").number == 1
    assert "stays @candidate" in delivered.notes[0]


def test_values_are_seen_in_the_store_before_the_end_and_none_is_lost_or_doubled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow

    from mlops_magics.store import values

    def refuse(*_: Any) -> None:
        raise StoreUnreachable("away for a moment")

    def seen() -> list[float]:
        return [m.value for m in mlflow.MlflowClient().get_metric_history(run.run_id, "loss")]

    with mlops.train("credit") as run:
        run.live.report("loss", 4.0)
        run._beat()
        assert seen() == [4.0]
        with monkeypatch.context() as patch:
            patch.setattr(values, "log_history", refuse)
            run.live.report("loss", 3.0)
            run._beat()
        run.live.report("loss", 2.0)
        run._beat()
        run.live.report("loss", 1.0)
    assert seen() == [4.0, 3.0, 2.0, 1.0]


def test_a_failed_run_is_kept_as_failed(away: Any) -> None:
    run = mlops.train("credit")

    def fail() -> None:
        with run:
            away.go()
            raise KeyError("mine")

    with pytest.raises(KeyError):
        fail()
    away.back()
    outbox.deliver_kept()
    assert store.runs.get(run.run_id).data.tags["mlops.status"] == "failed"


def test_a_killed_process_leaves_what_it_had_written(project: Path) -> None:
    code = (
        "import os, mlops_magics as mlops\n"
        "with mlops.train('credit') as run:\n"
        "    run.live.report('loss', 0.5, 0)\n"
        "    run._beat()\n"
        "    print(run.run_id, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    run_id = killed.stdout.strip()
    assert run_id, killed.stderr
    assert mlops.status().closed_runs == (run_id,)
    run = store.runs.get(run_id)
    assert run.info.status == "KILLED"
    assert run.data.metrics["loss"] == 0.5
    assert run.data.tags["mlops.reason"].startswith("process ")


def test_away_at_the_start_runs_nothing(away: Any) -> None:
    mlops.status()
    away.go()
    ran = []
    with pytest.raises(StoreUnreachable, match="gone"), mlops.train("credit"):
        ran.append(True)
    assert ran == []


def test_a_parameter_that_the_cell_logged_differently_stays(names: dict[str, Any]) -> None:
    import mlflow

    with mlops.train("credit") as run:
        model = fit(names)  # noqa: F841
        mlflow.log_param("logisticregression__max_iter", "many")
    assert run.record is not None
    assert run.record.model == "credit/1"
    assert "logged as 'many' before" in run.record.warnings[-1]
    stored = store.runs.get(run.record.run_id).data.params
    assert stored["logisticregression__max_iter"] == "many"
    assert stored["logisticregression__C"] == "1.0"


def test_a_metric_of_nan_is_stored_as_it_is() -> None:
    with mlops.train("credit") as run:
        run.live.report("loss", float("nan"))
        run.live.report("loss", float("inf"))
    import mlflow

    values = [m.value for m in mlflow.MlflowClient().get_metric_history(run.run_id, "loss")]
    assert values[0] != values[0]
    assert values[1] > 1e300


@pytest.mark.slow
def test_a_server_that_is_stopped_during_the_cell(ip: Any, server: Any) -> None:
    ip.user_ns["server"] = server
    began = time.monotonic()
    result = ip.run_cell(
        "%%train credit\nimport mlops_magics as mlops\nmodel = fresh().fit(X_train, y_train)\n"
        "for step, loss in enumerate((3.0, 2.0, 1.0)):\n"
        "    mlops.log({'loss': loss}, step=step)\n"
        "server.stop()\n"
    )
    assert result.success
    assert time.monotonic() - began < 60  # the store was not asked for minutes
    (parcel,) = outbox.kept()
    with pytest.raises(StoreUnreachable):
        mlops.status()

    server.start()
    assert mlops.status().delivered == (parcel.run_id,)
    assert_whole(parcel.run_id)
