"""Latency, throughput, memory and size: measured once, in order, and told with the machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.errors import BadGoal
from mlops_magics.goals import grammar, judging, latency
from mlops_magics.goals.samples import Undefined
from mlops_magics.goals.subject import Subject
from mlops_magics.records import GoalResult

INPUTS = pd.DataFrame({"a": np.arange(40.0), "b": np.arange(40.0) % 7})


class Model:
    """It counts what it is asked, and answers."""

    def __init__(self) -> None:
        self.asked: list[pd.DataFrame] = []

    def __call__(self, rows: pd.DataFrame) -> Any:
        self.asked.append(rows)
        return np.linalg.inv(np.eye(30)).sum() + rows["a"].to_numpy()


def judged(text: str, model: Any = None, **more: Any) -> tuple[GoalResult, ...]:
    given = Subject(inputs=INPUTS, predict=Model() if model is None else model, **more)
    return judging.judge(grammar.parse(text), given)


def test_percentiles_are_positive_and_in_order_whatever_the_batch() -> None:
    for batch in ("", "(batch=25)", "(batch=100)"):
        goals = "\n".join(f"p{q}_latency{batch} <= 10 s" for q in (50, 95, 99))
        results = judged(goals)
        values = [r.value or 0.0 for r in results]
        assert 0 < values[0] <= values[1] <= values[2]
        assert all(r.passed for r in results)


def test_a_batch_is_asked_for_at_once_and_goes_round() -> None:
    model = Model()
    (result,) = judged("p95_latency(batch=25) <= 10 s", model)
    assert {len(rows) for rows in model.asked} == {25}
    second = model.asked[latency.WARM_UP + 1]["a"]
    assert list(second) == [*range(25, 40), *range(10)]
    assert "answers to 25 rows each" in result.reason


def test_every_figure_tells_the_machine_it_was_measured_on() -> None:
    goals = "p50_latency <= 1 s\np95_latency(batch=10) <= 1 s\nthroughput(batch=10) >= 1"
    for result in judged(goals):
        assert latency.machine() in result.reason
        assert "in this process, warm" in result.reason
    assert "core" in latency.machine()


def test_throughput_is_the_batch_by_its_median_time() -> None:
    results = judged("throughput(batch=20) >= 1\np50_latency(batch=20) <= 10 s\nthroughput >= 1")
    rate, seconds, single = (r.value or 0.0 for r in results)
    assert rate == pytest.approx(20 / seconds)
    assert single > 0
    assert all(r.passed for r in results)
    assert not judged("throughput(batch=20) >= 1e12")[0].passed


def test_each_batch_is_measured_once_for_all_goals() -> None:
    model = Model()
    judged("p50_latency <= 1 s\np99_latency <= 1 s\nthroughput >= 1\np50_latency <= 2 s", model)
    assert len(model.asked) <= latency.WARM_UP + latency.REPEATS
    before = len(model.asked)
    judged("p50_latency <= 1 s\np50_latency(batch=3) <= 1 s", model)
    assert {len(rows) for rows in model.asked[before:]} == {1, 3}


def test_a_slow_model_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0, 1e6, 0.5))  # every look at the clock is half a second later
    monkeypatch.setattr(latency.time, "perf_counter", lambda: float(next(clock)))
    model = Model()
    assert len(latency.measure(model, INPUTS)) == latency.FEWEST
    assert len(model.asked) == latency.WARM_UP + latency.FEWEST


def test_what_the_service_recorded_stands_for_single_rows_only() -> None:
    facts = {"p95_latency": 0.3, "p50_latency": 0.1}
    recorded, batch = judged("p95_latency <= 400 ms\np95_latency(batch=5) <= 10 s", facts=facts)
    assert recorded.value == pytest.approx(300)
    assert batch.value != recorded.value
    assert "answers to 5 rows each" in batch.reason


def test_memory_is_asked_for_once_and_told() -> None:
    asked: list[int] = []

    def footprint() -> float:
        asked.append(1)
        return 250e6

    results = judged("memory <= 300 MB\nmemory <= 0.2 GB\nmodel_size <= 1 KB", footprint=footprint)
    assert [r.value for r in results] == [pytest.approx(250), pytest.approx(0.25), None]
    assert [r.passed for r in results] == [True, False, False]
    assert "250 MB (at most, in a process of its own, libraries included)" in results[0].reason
    assert asked == [1]
    assert "only a saved model" in judged("memory <= 1 GB")[0].reason


def test_a_champion_is_measured_on_the_same_machine() -> None:
    champion = Subject(name="credit/2", inputs=INPUTS, predict=Model(), facts={"memory": 2e8})
    given = Subject(inputs=INPUTS, predict=Model(), facts={"memory": 1e8})
    goals = grammar.parse("p50_latency <= champion + 10 s\nmemory < champion\nmemory >= champion")
    results = judging.judge(goals, given, champion)
    assert [r.passed for r in results] == [True, True, False]
    assert results[0].unit == "s"
    assert results[1].champion == pytest.approx(200)
    assert "the champion credit/2" in results[0].reason


def test_a_model_that_fails_on_a_batch_has_no_throughput() -> None:
    def one_only(rows: pd.DataFrame) -> Any:
        if len(rows) > 1:
            raise ValueError("one row at a time")
        return rows["a"]

    single, many = judged("throughput >= 1\nthroughput(batch=8) >= 1", one_only)
    assert single.passed
    assert not many.passed
    assert "the model raised ValueError on 8 rows at once: one row at a time" in many.reason
    with pytest.raises(Undefined, match="no rows to ask for"):
        latency.measure(Model(), INPUTS.head(0))


@pytest.mark.parametrize(
    ("goal", "says"),
    [
        ("p95_latency(batch=0) <= 1 s", "a whole number of rows from 1, not 0.0"),
        ("throughput(batch=2.5) >= 1", "a whole number of rows from 1, not 2.5"),
        ("throughput(batch=all) >= 1", "batch of throughput is a number"),
        ("memory <= 3", "memory needs a unit here: KB, MB or GB"),
        ("throughput >= 5 ms", "throughput is not measured in ms"),
        ("memory <= 3 MB by Home", "memory is not measured by group"),
        ("p95_latency <= 1 s under noise 10%", "does not depend on the answers"),
        ("p95_latency gap <= 1 s", "p95_latency has no gap"),
    ],
)
def test_what_can_not_be_asked_of_a_measurement_is_said(goal: str, says: str) -> None:
    with pytest.raises(BadGoal, match=says):
        grammar.parse(goal)
