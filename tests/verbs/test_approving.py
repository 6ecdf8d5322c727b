"""Two people: a promotion that is held, and who may let it through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.doors import cli
from mlops_magics.errors import NotIntact, Refused, WrongUsage
from tests.verbs import governed


@pytest.fixture
def version(names: dict[str, Any], project: Path) -> store.versions.Version:
    """A version with a passing verdict, where it takes two to promote one."""
    (project / "mlops.toml").write_text("approval = 2\n")
    made = governed.train(names)
    governed.judged(made)
    return made


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A function that makes whoever acts from here on another person, with a key of their own."""

    def be(name: str, key: str = "") -> None:
        monkeypatch.setenv("MLOPS_ACTOR", name)
        monkeypatch.setenv("MLOPS_KEYS", str(tmp_path / f"keys-{key or name}"))

    be("ada")
    return be


def test_another_person_lets_it_through(
    version: store.versions.Version, somebody: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    held = mlops.promote("credit/1", message="it meets every goal")
    assert (held.status, held.exit_code, held.needed) == ("held", 4, 2)
    assert [a["actor"] for a in held.approvals] == ["ada"]
    assert "champion" not in store.versions.resolve("credit").aliases
    assert "Nothing has moved" in str(held)
    (waits,) = mlops.status().models[0]["held"]
    assert waits == {"version": "credit/1", "alias": "champion", "agreed": 1, "needed": 2}

    somebody("bea")
    assert cli.main(["promote", "credit/1", "--approve", "-m", "read it, agreed"]) == 0
    capsys.readouterr()
    assert store.versions.resolve("credit@champion").number == 1
    events = mlops.history("credit").events
    assert [e["actor"] for e in events[-2:]] == ["ada", "bea"]
    assert "approved by: bea" in events[-1]["summary"]
    assert mlops.status().models[0]["held"] == []
    with pytest.raises(WrongUsage, match="No promotion of credit/1 to champion waits"):
        mlops.promote("credit/1", approve=True)


@pytest.mark.parametrize("known", [False, True])
def test_a_key_that_is_not_known_here_is_said(
    version: store.versions.Version, somebody: Any, tmp_path: Path, known: bool
) -> None:
    mlops.promote("credit/1")
    somebody("bea")
    if known:
        trusted = tmp_path / "keys-bea" / "trusted"
        trusted.mkdir(parents=True)
        (trusted / "ada.pub").write_text((tmp_path / "keys-ada" / "signing.pub").read_text())
    done = mlops.promote("credit/1", approve=True)
    assert done.status == "promoted"
    assert any("signed the request of ada is not known" in w for w in done.warnings) is not known


def test_holding_is_exit_code_4(
    version: store.versions.Version, somebody: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["promote", "credit/1"]) == 4
    capsys.readouterr()


def test_nobody_approves_what_they_have_asked_for(
    version: store.versions.Version, somebody: Any
) -> None:
    mlops.promote("credit/1")
    with pytest.raises(Refused, match=r"You \(ada\) have asked for .* another person"):
        mlops.promote("credit/1", approve=True)
    somebody("ada the second", key="ada")
    with pytest.raises(Refused, match="signs with the same key as ada"):
        mlops.promote("credit/1", approve=True)
    with pytest.raises(WrongUsage, match="is held already"):
        mlops.promote("credit/1")
    assert store.versions.resolve("credit").aliases == ("candidate",)


def test_three_people(version: store.versions.Version, somebody: Any, project: Path) -> None:
    (project / "mlops.toml").write_text("approval = 3\n")
    mlops.promote("credit/1")
    somebody("bea")
    second = mlops.promote("credit/1", approve=True)
    assert (second.status, len(second.approvals)) == ("held", 2)
    with pytest.raises(Refused, match=r"You \(bea\) have approved"):
        mlops.promote("credit/1", approve=True)
    # Fewer in the settings by now do not make the request a smaller one.
    (project / "mlops.toml").write_text("approval = 1\n")
    somebody("cy")
    third = mlops.promote("credit/1", approve=True)
    assert (third.status, [a["actor"] for a in third.approvals]) == (
        "promoted",
        ["ada", "bea", "cy"],
    )


def test_an_override_needs_the_others_too(
    names: dict[str, Any], somebody: Any, project: Path
) -> None:
    (project / "mlops.toml").write_text("approval = 2\n")
    governed.train(names)
    held = mlops.promote("credit/1", override="the regulator asked for it")
    assert (held.status, held.overridden) == ("held", True)
    somebody("bea")
    done = mlops.promote("credit/1", approve=True)
    assert (done.status, done.overridden) == ("promoted", True)
    assert done.reason == "the regulator asked for it"


def test_a_request_lapses_when_what_was_asked_for_has_changed(
    version: store.versions.Version, somebody: Any, names: dict[str, Any]
) -> None:
    mlops.promote("credit/1")
    governed.judged(version, passed=False)
    somebody("bea")
    with pytest.raises(Refused, match="has lapsed: its verdict is failed"):
        mlops.promote("credit/1", approve=True)
    governed.judged(version)
    other = governed.train(names, C=0.1)
    store.versions.set_alias("credit", "champion", other.number)
    with pytest.raises(Refused, match="has lapsed: champion is credit/2 by now"):
        mlops.promote("credit/1", approve=True)
    assert store.versions.resolve("credit@champion").number == 2


def test_a_request_is_withdrawn_with_a_reason(
    version: store.versions.Version, somebody: Any
) -> None:
    mlops.promote("credit/1")
    somebody("bea")
    with pytest.raises(WrongUsage, match="needs its reason"):
        mlops.promote("credit/1", withdraw=True)
    gone = mlops.promote("credit/1", withdraw=True, message="the data is from last year")
    assert (gone.status, gone.exit_code) == ("withdrawn", 0)
    with pytest.raises(WrongUsage, match="No promotion"):
        mlops.promote("credit/1", approve=True)
    assert mlops.promote("credit/1").status == "held"


def test_a_request_that_was_altered_is_not_approved(
    version: store.versions.Version, somebody: Any
) -> None:
    held = mlops.promote("credit/1")
    file = store.runs.fetch(held.run_id, "promotion.json")
    file.write_text(file.read_text().replace('"ada"', '"eve"'))
    somebody("bea")
    with pytest.raises(NotIntact, match="can't be relied on"):
        mlops.promote("credit/1", approve=True)


def test_senseless_combinations(version: store.versions.Version, somebody: Any) -> None:
    with pytest.raises(WrongUsage, match="exclude each other"):
        mlops.promote("credit/1", approve=True, override="because it is late")
