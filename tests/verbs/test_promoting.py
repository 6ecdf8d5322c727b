"""`promote` and `history`: no alias moves without a verdict or a named reason."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.errors import Refused, UnknownName, WrongUsage
from tests.verbs import governed
from tests.verbs.governed import judged


@pytest.fixture
def trained(names: dict[str, Any]) -> Any:
    """A function that trains one more version and returns it."""
    return lambda **options: governed.train(names, **options)


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
    verbs = [e["verb"] for e in events]
    assert verbs == ["train", "validate", "promote"] * 2
    assert events[2]["model"] == "credit/1"
    assert "reason: first" in events[2]["summary"]
    assert all(e["actor"] and e["host"] and e["run_id"] for e in events)


def test_an_override_is_recorded_as_one(trained: Any) -> None:
    trained()
    record = mlops.promote("credit", override="the regulator asked for it")
    assert record.overridden
    assert record.reason == "the regulator asked for it"
    assert "overridden" in mlops.history("credit").events[-1]["summary"]


def test_an_override_needs_a_reason_that_says_something(trained: Any) -> None:
    trained()
    with pytest.raises(Refused):
        mlops.promote("credit", override="   ")
    with pytest.raises(WrongUsage, match="'ok' is no reason that anybody will understand"):
        mlops.promote("credit", override="ok")
    assert store.versions.resolve("credit").aliases == ("candidate",)


def test_a_verdict_that_was_flipped_by_hand_counts_for_nothing(trained: Any) -> None:
    version = trained()
    run_id = judged(version, passed=False)
    store.versions.tag(version, "mlops.verdict.passed", "true")
    with pytest.raises(Refused, match="its verdict is failed"):
        mlops.promote("credit/1")
    file = store.runs.fetch(run_id, "verdict.json")
    file.write_text(file.read_text().replace("false", "true"))
    with pytest.raises(Refused, match=r"can't be relied on: .*verdict.json was changed"):
        mlops.promote("credit/1")


def test_names_that_do_not_exist(trained: Any) -> None:
    trained()
    with pytest.raises(UnknownName, match=r"no model 'credti'\. Did you mean 'credit'"):
        mlops.promote("credti")
    with pytest.raises(UnknownName, match=r"Did you mean 'candidate'"):
        mlops.promote("credit@candidat")
    with pytest.raises(UnknownName, match=r"no version 'credit/7'. There is credit/1 only"):
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


def test_two_processes_at_the_same_instant_each_know_what_was_before(trained: Any) -> None:
    for version in (trained(), trained(C=0.1)):
        judged(version, passed=True)
    code = "import sys, mlops_magics as m; print(m.promote(sys.argv[1]).to_json(None))"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, ref], stdout=subprocess.PIPE, text=True)
        for ref in ("credit/1", "credit/2")
    ]
    moved = [json.loads(p.communicate(timeout=120)[0]) for p in processes]
    first, second = sorted(moved, key=lambda p: p["at"])
    assert first["previous"] is None
    assert second["previous"] == first["version"]
    assert store.versions.resolve("credit@champion").ref == second["version"]
    found = mlops.verify("credit")
    assert found.intact, found.problems


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
