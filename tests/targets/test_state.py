"""The deployments' files."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_magics.errors import MlopsError, UnknownName, WrongUsage
from mlops_magics.records import Deployment
from mlops_magics.targets import state


def deployment(**changes: object) -> Deployment:
    facts = Deployment(
        name="credit",
        model="credit/1",
        target="local",
        url="http://127.0.0.1:1",
        status="stopped",
        warnings=("a note",),
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def test_saved_and_found() -> None:
    state.save(deployment())
    state.save(deployment(name="other"))
    assert state.find("credit") == deployment()
    assert [d.name for d in state.all()] == ["credit", "other"]
    assert state.names() == ["credit", "other"]


def test_one_that_is_not_there() -> None:
    with pytest.raises(UnknownName, match=r"There is no deployment 'credit'\. None exist yet"):
        state.find("credit")
    state.save(deployment())
    with pytest.raises(UnknownName, match="Did you mean 'credit'"):
        state.find("cerdit")
    with pytest.raises(UnknownName):
        state.find("../deployments/credit")


def test_a_target_that_is_not_there() -> None:
    with pytest.raises(UnknownName, match=r"no target 'lokal'\. Did you mean 'local'"):
        state.target("lokal")


def test_a_place_of_a_target_that_has_none() -> None:
    assert state.target("local").to == "local"
    with pytest.raises(WrongUsage, match=r"local has no places .* 'here'\. Say --to local"):
        state.target("local:here")


def test_an_interrupted_write_leaves_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    state.save(deployment())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        state.save(deployment(model="credit/2"))
    assert state.find("credit").model == "credit/1"
    assert [p.name for p in state.folder("credit").iterdir()] == [state.FILE]


def test_a_damaged_file() -> None:
    state.save(deployment())
    (state.folder("credit") / state.FILE).write_text("{")
    with pytest.raises(MlopsError, match="can't be read"):
        state.find("credit")


def test_a_field_of_a_later_version_is_no_trouble() -> None:
    state.save(deployment())
    file: Path = state.folder("credit") / state.FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), "bandit": 10}))
    assert state.find("credit") == deployment()


def test_one_change_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "PATIENCE", 0.2)
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with state.changing("credit"):
            inside.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(10)
    with pytest.raises(WrongUsage, match="Someone else is changing"), state.changing("credit"):
        pass
    with state.changing("other"):
        pass
    done.set()
    holder.join()
    with state.changing("credit"):
        pass
