"""`promote` and `history`: no alias moves without a verdict or a named reason."""

from __future__ import annotations

import json
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.errors import Refused, UnknownName, WrongUsage


@pytest.fixture
def trained(names: dict[str, Any]) -> Any:
    """A function that trains one more version and returns it."""

    def train(**options: Any) -> store.versions.Version:
        with mlops.train("credit", data=(names["X_test"], names["y_test"])) as run:
            model = names["fresh"](**options).fit(names["X_train"], names["y_train"])  # noqa: F841
        assert run.record is not None
        assert run.record.model is not None
        return store.versions.resolve(run.record.model)

    return train


def judged(version: store.versions.Version, passed: bool, digest: str = "") -> None:
    """Leave a verdict as `validate` does, with nothing judged."""
    verdict = {"model": version.ref, "passed": passed, "model_digest": digest or version.digest}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "verdict.json"
        file.write_text(json.dumps(verdict), encoding="utf-8")
        store.runs.write_file(version.run_id, file)
    store.versions.tag(version, "mlops.verdict.passed", passed)
    store.versions.tag(version, "mlops.verdict", version.run_id)


def test_without_a_verdict_it_refuses(trained: Any) -> None:
    trained()
    with pytest.raises(Refused, match=r"credit/1 is not promoted: it has not been validated"):
        mlops.promote("credit@candidate")
    assert store.versions.resolve("credit").aliases == ("candidate",)


def test_with_a_failed_verdict_it_refuses(trained: Any) -> None:
    judged(trained(), passed=False)
    with pytest.raises(Refused, match="its verdict is failed"):
        mlops.promote("credit/1")


def test_a_verdict_on_other_content_does_not_count(trained: Any) -> None:
    version = trained()
    judged(version, passed=True, digest="sha256:of-something-else")
    with pytest.raises(Refused, match="stale: the model was changed since"):
        mlops.promote("credit/1")


def test_with_a_passing_verdict_the_alias_moves_and_the_history_tells(trained: Any) -> None:
    judged(trained(), passed=True)
    first = mlops.promote("credit@candidate", message="first")
    judged(trained(C=0.1), passed=True)
    second = mlops.promote("credit@candidate")

    assert (first.version, first.previous) == ("credit/1", None)
    assert (second.version, second.previous) == ("credit/2", "credit/1")
    assert store.versions.resolve("credit@champion").number == 2
    events = mlops.history("credit").events
    assert [e["verb"] for e in events] == ["train", "promote", "train", "promote"]
    assert events[1]["model"] == "credit/1"
    assert "reason: first" in events[1]["summary"]
    assert all(e["actor"] and e["host"] and e["run_id"] for e in events)


def test_an_override_is_recorded_as_one(trained: Any) -> None:
    trained()
    record = mlops.promote("credit", override="the regulator asked for it")
    assert record.overridden
    assert record.reason == "the regulator asked for it"
    assert "overridden" in mlops.history("credit").events[-1]["summary"]


def test_an_override_without_a_reason_is_none(trained: Any) -> None:
    trained()
    with pytest.raises(Refused):
        mlops.promote("credit", override="   ")


def test_names_that_do_not_exist(trained: Any) -> None:
    trained()
    with pytest.raises(UnknownName, match=r"no model 'credti'\. Did you mean 'credit'"):
        mlops.promote("credti")
    with pytest.raises(UnknownName, match=r"Did you mean 'candidate'"):
        mlops.promote("credit@candidat")
    with pytest.raises(UnknownName, match=r"version of model credit '7'"):
        mlops.promote("credit/7")
    with pytest.raises(WrongUsage, match="is no reference to a model"):
        mlops.promote("credit@@x")
    with pytest.raises(WrongUsage, match="can't be an alias"):
        mlops.promote("credit", to="v2", override="x")


def test_two_promotions_at_once_each_know_what_was_before(trained: Any) -> None:
    for version in (trained(), trained(C=0.1)):
        judged(version, passed=True)
    moved: list[Any] = []
    threads = [
        threading.Thread(target=lambda r=r: moved.append(mlops.promote(r)))
        for r in ("credit/1", "credit/2")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_time = sorted(moved, key=lambda p: p.at)
    assert by_time[0].previous is None
    assert by_time[1].previous == by_time[0].version
    assert store.versions.resolve("credit@champion").ref == by_time[1].version


def test_a_changed_model_file_is_not_loaded(trained: Any) -> None:
    from mlops_magics.errors import NotIntact

    version = trained()
    path = store.versions.local_path(version)
    file = next(f for f in path.iterdir() if f.name.startswith("model."))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(NotIntact, match="not the ones that were trained"):
        store.versions.local_path(version)
