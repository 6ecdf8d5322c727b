"""`rollback`: alias and deployments go back together, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.doors import cli
from mlops_magics.errors import MlopsError, StepFailed, UnknownName, WrongUsage
from mlops_magics.serving import client
from mlops_magics.targets import state
from mlops_magics.verbs.steps import step
from tests.verbs import governed

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def promoted(names: dict[str, Any]) -> Any:
    """A function that trains, judges and promotes one more version."""

    def promote(**options: Any) -> store.versions.Version:
        version = governed.train(names, **options)
        governed.judged(version)
        mlops.promote(version.ref)
        return version

    return promote


def champion() -> str:
    return store.versions.resolve("credit@champion").ref


def test_alias_and_deployments_go_back_together(promoted: Any, names: dict[str, Any]) -> None:
    promoted()
    promoted(C=0.001)
    X = names["X_test"].head(5)
    deployed = mlops.deploy("credit@champion")
    other = mlops.deploy("credit/1", name="shadow")
    after = mlops.predict("credit", X, probabilities=True).predictions

    done = mlops.rollback("credit", message="it declines everybody over 60")
    assert (done.version, done.previous, done.alias) == ("credit/1", "credit/2", "champion")
    assert [(d["name"], d["from"], d["to"]) for d in done.deployments] == [
        ("credit", "credit/2", "credit/1")
    ]
    assert champion() == "credit/1"
    now = state.find("credit")
    assert (now.model, now.url, now.status) == ("credit/1", deployed.url, "up")
    assert state.find("shadow").run_id == other.run_id  # it was on the earlier version already
    before = mlops.predict("credit", X, probabilities=True).predictions
    assert before == mlops.predict("shadow", X, probabilities=True).predictions != after

    last = mlops.history("credit").events[-1]
    steps = {e["run_id"]: e for e in mlops.history("credit").events}
    assert steps[done.run_id]["verb"] == "rollback"
    assert "reason: it declines everybody over 60" in steps[done.run_id]["summary"]
    assert last["run_id"] != done.run_id  # the deployment is a step of its own, within it
    checked = mlops.verify("credit")
    assert checked.intact, checked.problems
    assert "credit/1 is credit@champion again" in str(done)


def test_each_goes_one_step_further_back_until_there_is_none(promoted: Any) -> None:
    for strength in (1.0, 0.1, 0.01):
        promoted(C=strength)
    assert mlops.rollback("credit", message="too slow by far").version == "credit/2"
    assert mlops.rollback("credit", message="this one as well").version == "credit/1"
    with pytest.raises(StepFailed, match=r"nothing to go back to: .* before credit/1"):
        mlops.rollback("credit", message="and once more")
    # What is promoted after a rollback goes back to what was there then.
    mlops.promote("credit/3")
    assert mlops.rollback("credit", message="no better than before").version == "credit/1"


def test_a_deployment_that_does_not_come_up_leaves_all_as_it_was(
    promoted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted()
    promoted(C=0.001)
    first, second = (mlops.deploy("credit@champion", name=name) for name in ("one", "two"))
    from mlops_magics.verbs import deploying

    real = deploying.deploy

    def broken(model: str, **options: Any) -> Any:
        if (model, options["name"]) == ("credit/1", "two"):
            raise StepFailed("The server ended with exit code 1.", "See its log.")
        return real(model, **options)

    monkeypatch.setattr(deploying, "deploy", broken)
    with pytest.raises(StepFailed, match=r"'two' did not come up with credit/1, so nothing was"):
        mlops.rollback("credit", message="it declines everybody")
    assert champion() == "credit/2"
    for deployment in (first, second):
        now = state.find(deployment.name)
        assert (now.model, now.url) == ("credit/2", deployment.url)
        assert client.ping(now.url)
    assert mlops.history("credit").intact
    assert mlops.verify("credit").intact


def test_an_alias_that_does_not_move_takes_the_deployments_back(
    promoted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted()
    promoted(C=0.001)
    mlops.deploy("credit@champion")

    def refuse(*_: Any) -> None:
        raise MlopsError("The store did not move an alias.")

    with monkeypatch.context() as patched:
        patched.setattr(store.versions, "set_alias", refuse)
        with pytest.raises(MlopsError, match="did not move an alias"):
            mlops.rollback("credit", message="it declines everybody")
    assert state.find("credit").model == "credit/2"
    assert champion() == "credit/2"


def test_deployments_on_other_machines_are_named(
    promoted: Any,
) -> None:
    promoted()
    promoted(C=0.001)
    mlops.deploy("credit@champion", name="here")
    # As other machines would have left them: one still there, one stopped since.
    for verb, name in (("deploy", "elsewhere"), ("deploy", "gone"), ("undeploy", "gone")):
        with step(verb, experiment="credit", arguments={}) as current:
            current.tags({"mlops.model": "credit/2", "mlops.deployment": name})
            current.tags({"mlops.host": "gpu-7"})
    done = mlops.rollback("credit", message="it declines everybody")
    assert [d["name"] for d in done.deployments] == ["here"]
    (warning,) = done.warnings
    assert "'elsewhere' on gpu-7" in warning


def test_bad_calls(promoted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownName, match="no model 'credit'"):
        mlops.rollback("credit", message="there is none yet")
    promoted()
    with pytest.raises(WrongUsage, match=r"needs its reason.*rollback credit -m WHY"):
        mlops.rollback("credit")
    with pytest.raises(UnknownName, match=r"champoin.*Did you mean 'champion'"):
        mlops.rollback("credit", message="because of it", alias="champoin")
    assert cli.main(["rollback", "credit", "-m", "it was the first"]) == 1
    assert "nothing to go back to" in capsys.readouterr().err
