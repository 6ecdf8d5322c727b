"""`deploy`, `undeploy` and `predict`, from a registered version to a stopped server."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

import mlops_magics as mlops
from mlops_magics import settings, store
from mlops_magics.errors import BadData, StepFailed, UnknownName, WrongUsage
from mlops_magics.serving import captured, client, manifest
from mlops_magics.targets import state


def until(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 10 s")


def train(names: dict[str, Any], **options: Any) -> Any:
    X_test, y_test = names["X_test"], names["y_test"]  # noqa: F841
    with mlops.train("credit") as run:
        model = names["fresh"](**options).fit(names["X_train"], names["y_train"])
    assert run.record is not None
    assert run.record.model
    return model


@pytest.fixture
def model(names: dict[str, Any]) -> Any:
    return train(names)


pytestmark = pytest.mark.usefixtures("nothing_left")


def test_from_a_version_to_answers_to_stopped(model: Any, names: dict[str, Any]) -> None:
    deployed = mlops.deploy("credit@candidate")
    assert (deployed.name, deployed.model, deployed.status) == ("credit", "credit/1", "up")
    assert deployed.url.startswith("http://127.0.0.1:")
    run = store.runs.get(deployed.run_id)
    package = store.runs.find(experiment="credit", verb="package")[0]
    version = store.versions.resolve("credit/1")
    assert run.data.tags["mlops.follows"].split() == [version.run_id, package.info.run_id]
    assert store.runs.read_json(deployed.run_id, "deployment.json")["url"] == deployed.url

    X = names["X_test"].head(20)
    answer = mlops.predict("credit", X)
    assert list(answer.predictions) == model.predict(X).tolist()
    assert (answer.deployment, answer.model) == ("credit", "credit/1")
    assert answer.latency_ms > 0

    likely = mlops.predict("credit", X.head(2), probabilities=True).predictions
    expected = model.predict_proba(X.head(2))
    for row, wanted in zip(likely, expected, strict=True):
        assert row == pytest.approx(dict(zip(model.classes_, wanted, strict=True)))

    file = Path(deployed.capture)
    assert len(captured.read(file)) == 2  # at once: the next cell may be %monitor
    assert captured.read(file)["request_id"][0] == answer.request_id
    kept = captured.features(file)
    pd.testing.assert_frame_equal(
        kept[list(X.columns)].head(20), X.reset_index(drop=True), check_dtype=False
    )
    assert kept["prediction"].head(20).tolist() == list(answer.predictions)

    stopped = mlops.undeploy("credit")
    assert (stopped.status, stopped.pid) == ("stopped", None)
    assert not client.ping(deployed.url)
    assert mlops.undeploy("credit") == stopped  # once more is no error and no second run
    assert len(store.runs.find(experiment="credit", verb="undeploy")) == 1
    with pytest.raises(StepFailed, match=r"is stopped\. Bring it up: mlops deploy credit/1"):
        mlops.predict("credit", X)
    assert captured.read(file)["rows"].tolist() == [20, 2]  # what was captured stays
    verbs = [e["verb"] for e in mlops.history("credit").events]
    assert verbs == ["train", "package", "deploy", "undeploy"]


def test_data_in_every_form(model: Any, names: dict[str, Any], tmp_path: Path) -> None:
    mlops.deploy("credit")
    X = names["X_test"].head(3)
    expected = model.predict(X).tolist()
    X.assign(Status="?").to_csv(tmp_path / "rows.csv", index=False)
    row = {k: float(v) for k, v in X.iloc[0].items()}
    assert list(mlops.predict("credit", str(tmp_path / "rows.csv")).predictions) == expected
    assert list(mlops.predict("credit", json.dumps(row)).predictions) == expected[:1]
    assert list(mlops.predict("credit", row).predictions) == expected[:1]
    rows = X.to_dict("records")
    assert list(mlops.predict("credit", json.dumps(rows)).predictions) == expected
    assert list(mlops.predict("credit", X.to_dict("list")).predictions) == expected
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mlops_magics.doors.cli",
            "predict",
            "credit",
            json.dumps(row),
            "--json",
        ],
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["predictions"] == expected[:1], done.stderr


def test_a_prepared_dataset_gives_its_test_rows(names: dict[str, Any], credit_csv: Path) -> None:
    columns = [*names["X_train"].columns, "Status"]
    prepared = mlops.prepare(pd.read_csv(credit_csv)[columns], name="loans", target="Status")
    train(names)
    mlops.deploy("credit")
    _, test = store.datasets.frames(prepared)
    assert len(mlops.predict("credit", "loans").predictions) == len(test)


def test_data_that_does_not_fit(model: Any, names: dict[str, Any], tmp_path: Path) -> None:
    mlops.deploy("credit")
    X = names["X_test"].head(2)
    for data, words in (
        (X.drop(columns=["Age"]), "The column 'Age' is missing"),
        (X.rename(columns={"Age": "age"}), "You sent 'age': is that 'Age'?"),
        (X.assign(Age="old"), "Column 'Age' needs a number .* row 1 has 'old'"),
        (X.assign(Age=float("inf")), "Column 'Age' is infinite in row 1"),
        ('{"Age": 1', "is not valid JSON"),
    ):
        with pytest.raises(BadData, match=words):
            mlops.predict("credit", data)
    with pytest.raises(UnknownName):
        mlops.predict("credit", str(tmp_path / "none.csv"))
    with pytest.raises(UnknownName, match="Did you mean 'credit'"):
        mlops.predict("kredit", X)


def test_down_predict_says_so(model: Any, names: dict[str, Any]) -> None:
    deployed = mlops.deploy("credit")
    assert deployed.pid is not None
    os.kill(deployed.details["supervisor"], signal.SIGKILL)
    os.kill(deployed.pid, signal.SIGKILL)
    why = (
        f"Its supervisor (process {deployed.details['supervisor']}) is gone. "
        f"Process {deployed.pid} is gone."
    )
    until(lambda: state.find("credit").reason == why)
    with pytest.raises(StepFailed) as caught:
        mlops.predict("credit", names["X_test"].head(1))
    assert caught.value.message == f"The deployment 'credit' is down: {why}"
    assert caught.value.hint == "Bring it up: mlops deploy credit/1 --name credit."
    assert [d.status for d in mlops.status().deployments] == ["down"]
    # The hint works, and clients find it where it was.
    assert mlops.deploy("credit/1", name="credit").url == deployed.url
    assert mlops.predict("credit", names["X_test"].head(1)).predictions


def test_the_port_is_taken(model: Any) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(WrongUsage, match=r"Port \d+ is taken by process"):
            mlops.deploy("credit", port=holder.getsockname()[1])
    assert store.runs.find(experiment="credit", verb="deploy")[0].info.status == "FAILED"
    assert state.names() == []


def test_two_at_once(model: Any, names: dict[str, Any]) -> None:
    one, two = mlops.deploy("credit"), mlops.deploy("credit", name="shadow")
    assert one.url != two.url
    X = names["X_test"].head(5)
    assert mlops.predict("credit", X).predictions == mlops.predict("shadow", X).predictions
    mlops.undeploy("credit")
    assert state.find("shadow").status == "up"
    # The second took the package of the first.
    assert len(store.runs.find(experiment="credit", verb="package")) == 1


def test_a_new_version_takes_over_without_a_gap(names: dict[str, Any]) -> None:
    train(names)
    first = mlops.deploy("credit/1")
    train(names, C=0.001)
    X = names["X_test"].head(1)
    answers: list[str] = []
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            answers.append(mlops.predict("credit", X).model)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    second = mlops.deploy("credit/2", name="credit")
    until(lambda: answers[-1:] == ["credit/2"])
    done.set()
    asking.join()
    assert second.url == first.url
    assert set(answers) == {"credit/1", "credit/2"}
    # One history of requests, told apart by the version.
    until(lambda: len(captured.read(Path(second.capture))) >= len(answers))
    mlops.predict("credit", X)
    assert set(captured.read(Path(second.capture))["model"]) == {"credit/1", "credit/2"}


#: As if typed into a notebook: answers where it was trained, and fails where it is served.
FICKLE = """
from sklearn.base import BaseEstimator

class Fickle(BaseEstimator):
    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        import sys
        if "--port" in sys.argv:
            raise RuntimeError("not here")
        return [0] * len(X)
"""


def test_what_fails_its_smoke_test_leaves_the_old_one(model: Any, names: dict[str, Any]) -> None:
    first = mlops.deploy("credit/1")
    typed: dict[str, Any] = {"__name__": "__main__"}
    exec(FICKLE, typed)
    X_test, y_test = names["X_test"], names["y_test"]  # noqa: F841
    with mlops.train("credit"):
        fickle = typed["Fickle"]().fit(names["X_train"], names["y_train"])  # noqa: F841
    port = int(first.url.rpartition(":")[2])
    for wanted in (0, port):
        with pytest.raises(StepFailed, match="failed its smoke test: The model failed"):
            mlops.deploy("credit/2", name="credit", port=wanted)
        now = state.find("credit")
        assert (now.model, now.status, now.url) == ("credit/1", "up", first.url)
        assert mlops.predict("credit", names["X_test"].head(1)).model == "credit/1"


def test_a_package_as_it_is(model: Any, names: dict[str, Any], tmp_path: Path) -> None:
    record = mlops.package("credit", output=str(tmp_path / "mine"))
    deployed = mlops.deploy(record)
    assert (deployed.package, deployed.model) == (record.path, "credit/1")
    assert mlops.deploy(record.path, name="other").status == "up"
    assert mlops.predict("other", names["X_test"].head(1)).predictions


def test_without_capture(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_CAPTURE", "false")
    deployed = mlops.deploy("credit")
    assert deployed.capture == ""
    assert not (settings.load().state / "deployments" / "credit" / "capture").exists()


def test_what_settings_mask_is_masked(
    model: Any, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CAPTURE_MASK", "Age")
    deployed = mlops.deploy("credit")
    mlops.predict("credit", names["X_test"].head(3))
    seen = captured.look(Path(deployed.capture))
    assert seen.masked == ("Age",)
    assert len(seen.rows) == 3
    assert {"Age", "Price"} & set(seen.rows) == {"Price"}


def test_a_package_of_another_kind(model: Any, tmp_path: Path) -> None:
    record = mlops.package("credit", output=str(tmp_path / "mine"))
    made = dataclasses.replace(record, kind="image")
    with pytest.raises(WrongUsage, match="is an image, and the target takes a folder with a serv"):
        mlops.deploy(made)
    shutil.rmtree(tmp_path / "mine" / "model")
    files = manifest.hashes(tmp_path / "mine")
    written = manifest.read(tmp_path / "mine")
    dataclasses.replace(written, files=files, digest=manifest.overall(files)).write(
        tmp_path / "mine"
    )
    with pytest.raises(WrongUsage, match=r"is an ONNX graph .* Deploy credit/1, or package it"):
        mlops.deploy(str(tmp_path / "mine"))


def test_options_that_are_none(model: Any) -> None:
    with pytest.raises(UnknownName, match=r"no option 'time-out'\. Did you mean 'timeout'"):
        mlops.deploy("credit", options={"time-out": "10"})
    for option, value, words in (
        ("timeout", "soon", "timeout is a number, and not 'soon'"),
        ("log-format", "xml", r"log-format can't be 'xml'\. It is one of text, json"),
        ("batching", "no", r"batching is on or off, and not 'no'\. Say -o batching off"),
    ):
        with pytest.raises(WrongUsage, match=words):
            mlops.deploy("credit", options={option: value})
    assert store.runs.find(experiment="credit", verb="package") == []
    deployed = mlops.deploy("credit", options={"batching": "off", "log-format": "json"})
    assert "--no-batching --log-format json" in " ".join(psutil.Process(deployed.pid).cmdline())
    assert state.find("credit").options == {"batching": "off", "log-format": "json"}


def test_with_a_token(model: Any, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_SERVING_TOKEN", "a secret")
    deployed = mlops.deploy("credit")
    assert mlops.predict("credit", names["X_test"].head(1)).predictions
    assert state.find("credit").status == "up"
    monkeypatch.delenv("MLOPS_SERVING_TOKEN")
    assert client.ask(deployed.url, b"{}").status == 401


def test_names_that_are_none(model: Any) -> None:
    with pytest.raises(UnknownName, match="There is no target 'moon'"):
        mlops.deploy("credit", to="moon")
    with pytest.raises(WrongUsage, match="can't be a name"):
        mlops.deploy("credit", name="../x")
    with pytest.raises(UnknownName):
        mlops.undeploy("credit")
