"""`deploy --canary` and `--shadow`, what `status` says of both, and how they end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.doors import cli
from mlops_magics.errors import BadGoal, UnknownName, WrongUsage
from mlops_magics.serving import client, manifest
from mlops_magics.targets import state
from mlops_magics.targets.local import LocalTarget
from mlops_magics.verbs import releasing
from tests.targets.loads import until
from tests.verbs import governed

pytestmark = pytest.mark.usefixtures("nothing_left")


def train(names: dict[str, Any], columns: int = 5, **options: Any) -> None:
    X_test, y_test = names["X_test"].iloc[:, :columns], names["y_test"]  # noqa: F841
    with mlops.train("credit"):
        X = names["X_train"].iloc[:, :columns]
        model = names["fresh"](**options).fit(X, names["y_train"])  # noqa: F841


def ask(url: str, package: str, times: int, key: str = "k") -> None:
    for n in range(times):
        reply = client.ask(url, manifest.example(Path(package)), client_id=f"{key}{n}")
        assert reply.status == 200, reply.message


def test_from_canary_to_the_whole(
    names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    train(names)
    train(names, C=0.001)
    first = mlops.deploy("credit/1")
    both = mlops.deploy("credit/2", canary="30%", goals="error_rate <= 1%\nrequests >= 5")
    assert (both.model, both.url, both.pid) == ("credit/1", first.url, first.pid)
    told = {k: both.canary[k] for k in ("model", "kind", "share", "status", "goals")}
    assert told == {
        "model": "credit/2",
        "kind": "canary",
        "share": 0.3,
        "status": "on",
        "goals": ["error_rate <= 1%"],
    }
    run = store.runs.find(experiment="credit", verb="deploy")[0]
    assert run.data.tags["mlops.canary"] == "canary"
    assert "30% beside credit/1" in run.data.tags["mlops.summary"]
    until(lambda: ask(first.url, first.package, 10) or state.find("credit").canary["other"])
    until(lambda: ask(first.url, first.package, 10) or _seen("other")["requests"] > 5)
    text = str(mlops.status())
    for words in ("canary credit/2 gets 30% of the requests", "credit: credit/1 and credit/2"):
        assert words in text
    assert re.search(r"requests +\d+ +\d+", text), text
    view = state.find("credit")._repr_html_()
    assert "Beside each other" in view
    assert "answers " in view

    # The same version whole: it takes the first one's place, and there is no second one.
    whole = mlops.deploy("credit/2")
    assert (whole.model, whole.url, whole.canary) == ("credit/2", first.url, {})
    assert mlops.predict("credit", names["X_test"].head(1)).model == "credit/2"

    # A shadow, by the command line; ended alone.
    assert cli.main(["deploy", "credit/1", "--shadow"]) == 0
    assert "shadow" in capsys.readouterr().out
    until(lambda: ask(first.url, first.package, 5) or _seen("compared").get("rows"))
    assert "equal answers" in str(state.find("credit"))
    alone = mlops.undeploy("credit", canary=True)
    assert (alone.model, alone.status, alone.canary) == ("credit/2", "up", {})
    with pytest.raises(WrongUsage, match=r"no canary and no shadow\. Leave out --canary to stop"):
        mlops.undeploy("credit", canary=True)
    summary = mlops.history("credit").events[-1]["summary"]
    assert "the shadow ended" in summary
    assert mlops.verify("credit").intact


def _seen(what: str) -> dict[str, Any]:
    return dict(state.find("credit").canary[what])


def test_a_canary_that_was_stopped_stands_in_the_history(names: dict[str, Any]) -> None:
    train(names)
    first = mlops.deploy("credit/1")
    # A goal that nothing holds.
    goals = "p50_latency <= 0.0001 ms\nrequests >= 3"
    mlops.deploy("credit/1", canary="50%", goals=goals)
    until(
        lambda: (
            ask(first.url, first.package, 5) or state.find("credit").canary["status"] == "stopped"
        )
    )
    for _ in range(2):  # said each time, kept once
        text = str(mlops.status())
        assert "canary credit/1 was stopped" in text
    (kept,) = store.runs.find(experiment="credit", verb="undeploy")
    assert kept.data.tags["mlops.canary"] == "canary"
    assert "breaks the goal 'p50_latency <= 0.0001 ms'" in kept.data.tags["mlops.summary"]
    assert store.runs.read_json(kept.info.run_id, "canary.json")["status"] == "stopped"
    # Another one may follow.
    again = mlops.deploy("credit/1", canary="5%")
    assert again.canary["status"] == "on"
    assert list(again.canary["goals"]) == releasing.USUAL.splitlines()


def test_a_rollback_ends_the_canary_of_the_version(names: dict[str, Any]) -> None:
    for strength in (1.0, 0.001):
        version = governed.train(names, C=strength)
        governed.judged(version)
        mlops.promote(version.ref)
    first = mlops.deploy("credit/1")
    mlops.deploy("credit@champion", name="credit", canary="99%")
    row = names["X_test"].head(1)
    until(lambda: mlops.predict("credit", row).model == "credit/2")
    done = mlops.rollback("credit", message="it declines everybody")
    assert [(d["name"], d["from"], d["to"]) for d in done.deployments] == [
        ("credit", "credit/2 (canary)", "credit/1")
    ]
    now = state.find("credit")
    assert (now.model, now.pid, now.canary) == ("credit/1", first.pid, {})
    until(lambda: mlops.predict("credit", row).model == "credit/1")
    (ended,) = store.runs.find(experiment="credit", verb="undeploy")
    assert "it declines everybody" in ended.data.tags["mlops.summary"]


def test_what_can_not_be(names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    train(names)
    with pytest.raises(WrongUsage, match=r"deployment that is up, and 'credit' does not exist"):
        mlops.deploy("credit", canary="10%")
    for options, error, words in (
        ({"canary": "0%"}, WrongUsage, r"0% answers nobody: .* between 0% and 100%"),
        ({"canary": "100%"}, WrongUsage, r"100% is no canary.*Leave out --canary"),
        ({"canary": "0.1"}, WrongUsage, r"'0.1' is no share of the requests\. For example"),
        ({"canary": "some"}, WrongUsage, r"'some' is no share"),
        ({"canary": "-5%"}, WrongUsage, r"'-5%' is no share"),
        ({"canary": "10%", "shadow": True}, WrongUsage, r"Say --canary 10% or --shadow"),
        ({"goals": "error_rate <= 1%"}, WrongUsage, r"are for a second version"),
        ({"shadow": True, "goals": "error_rate <= "}, BadGoal, r"line 1"),
        ({"shadow": True, "goals": "roc_auc >= 0.8"}, WrongUsage, r"'roc_auc >= 0.8' can't be"),
        ({"shadow": True, "goals": "error_rate >= 1%"}, WrongUsage, r"can't be looked at"),
        ({"shadow": True, "goals": "missing.txt"}, UnknownName, r"file of goals"),
    ):
        with pytest.raises(error, match=words):
            mlops.deploy("credit", **options)  # type: ignore[arg-type]
    assert store.runs.find(experiment="credit", verb="deploy") == []

    first = mlops.deploy("credit/1")
    train(names, columns=4)
    with pytest.raises(WrongUsage, match=r"canary of 'credit': it does not know 'Price', which c"):
        mlops.deploy("credit/2", canary="10%")
    with pytest.raises(WrongUsage, match=r"no port of its own: clients ask http"):
        mlops.deploy("credit/1", canary="10%", port=8080)
    with pytest.raises(UnknownName, match=r"no option 'runtim'\. Did you mean 'runtime'"):
        mlops.deploy("credit/1", canary="10%", options={"runtim": "native"})
    with pytest.raises(WrongUsage, match=r"is on local, and so is its shadow\. Leave out --to"):
        mlops.deploy("credit/1", shadow=True, to="moon")
    with monkeypatch.context() as patched:
        patched.setattr(LocalTarget, "can_split", False)
        with pytest.raises(WrongUsage, match=r"local can't share requests between two versions"):
            mlops.deploy("credit/1", shadow=True)
    now = state.find("credit")
    assert (now.pid, now.canary) == (first.pid, {})
    mlops.undeploy("credit")
    with pytest.raises(WrongUsage, match=r"and 'credit' is stopped\. Deploy the present version"):
        mlops.deploy("credit/1", canary="10%")
