"""`monitor --alert` and `--watch`: who is told of what over several looks, what is on record."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.alerts import messages, posting
from mlops_magics.drift.report import Rule
from mlops_magics.errors import StoreUnreachable, UnknownName, WrongUsage
from mlops_magics.records import Monitoring
from mlops_magics.verbs import repeating
from tests.alerts.conftest import hooks  # noqa: F401
from tests.alerts.receivers import Hooks

#: Put together, as the source of this file is among what the store keeps.
TOKEN = "".join(("T0", "KEN"))
THRESHOLDS = "drift(Price) <= 0.2\nmissing(Age) <= 10%"


@pytest.fixture
def usual(credit: pd.DataFrame, names: dict[str, Any]) -> pd.DataFrame:
    """The model ``credit/1`` on recorded data, and rows like those of its training."""
    columns = list(names["X_train"].columns)
    data = mlops.prepare(credit[[*columns, "Status"]], name="credit-data", target="Status")
    train = data.bindings
    with mlops.train("credit", data="credit-data"):
        model = names["fresh"]().fit(train["X_train"][columns], train["y_train"])  # noqa: F841
    return store.datasets.frames(data)[1][columns].reset_index(drop=True)


def written(project: Path, text: str) -> list[Path]:
    """The files of the project that hold a text."""
    return [f for f in project.rglob("*") if f.is_file() and text.encode() in f.read_bytes()]


def test_told_of_changes_alone(usual: pd.DataFrame, hooks: Hooks, project: Path) -> None:  # noqa: F811
    place = f"{hooks.url}/{TOKEN}"
    shifted = usual.assign(Price=usual["Price"] * 2)
    worse = shifted.assign(Age=shifted["Age"].where(shifted.index % 2 > 0))

    days = itertools.count(1)

    def look(data: pd.DataFrame, **options: str) -> Monitoring:
        """From another day on each time, which makes it no other question."""
        options |= {"since": f"2026-01-{next(days):02}", "thresholds": THRESHOLDS}
        return mlops.monitor("credit", data=data, alert=[place], **options)  # type: ignore[arg-type]

    assert look(usual).alerts == ()
    assert hooks.bodies == []
    first = look(shifted)
    assert [(a["event"], a["status"], a["detail"]) for a in first.alerts] == [
        ("breach", "sent", "HTTP 200")
    ]
    assert first.broken_since == first.until
    (body,) = map(json.loads, hooks.bodies)
    assert (body["deployment"], body["passed"], body["run_id"]) == ("credit", False, first.run_id)
    assert body["alert"]["title"] == "credit: over a threshold: drift(Price) <= 0.2"
    text = body["alert"]["text"]
    drift = next(g for g in first.goals if not g.passed).value
    for said in (f"{drift:.4g}", "threshold <= 0.2", "credit/1", first.until, first.run_id):
        assert said in text, said

    again = look(shifted)
    assert again.alerts == ()
    assert again.broken_since == first.broken_since
    assert look(shifted, remind="1d").alerts == ()
    assert look(shifted, remind="0.01s").alerts[0]["event"] == "still"
    # Another question of the same deployment has its own answer, and is no news to this one.
    other = mlops.monitor("credit", data=shifted, thresholds="rows >= 1", alert=[place])
    assert (other.passed, other.alerts) == (True, ())
    assert look(worse).alerts[0]["event"] == "breach"
    assert "missing(Age) <= 10%" in json.loads(hooks.bodies[-1])["alert"]["title"]
    last = look(usual)
    assert [a["event"] for a in last.alerts] == ["recovered"]
    assert (last.passed, last.broken_since, last.told) == (True, "", {})
    text = json.loads(hooks.bodies[-1])["alert"]["text"]
    assert f"was broken since: {first.broken_since}" in text
    assert len(hooks.bodies) == 4

    kept = store.runs.read_json(first.run_id, "monitoring.json")
    assert kept["alerts"] == [dict(a) for a in first.alerts]
    assert kept["alerts"][0]["sink"].startswith(f"{hooks.url}/•••")
    assert TOKEN not in first.to_json()
    assert written(project, TOKEN) == []
    assert "told: http://127.0.0.1" in mlops.history("credit").events[-1]["summary"]
    shown = first._repr_html_()
    assert "breach" in shown
    assert TOKEN not in shown


def test_a_sink_that_fails_is_a_warning_and_is_tried_again(
    usual: pd.DataFrame,
    hooks: Hooks,  # noqa: F811
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(posting, "PAUSE", 0.01)
    (project / "mlops.toml").write_text(f'alerts = ["{hooks.url}/{TOKEN}", "pager:{TOKEN}"]')
    hooks.answers = [500, 500]
    shifted = usual.assign(Price=usual["Price"] * 2)
    record = mlops.monitor("credit", data=shifted)
    assert [a["status"] for a in record.alerts] == ["failed"]
    assert record.told == {}
    warnings = " ".join(record.warnings)
    assert "It answered HTTP 500, tried 2 times." in warnings
    assert "No alert can go to pager:" in warnings
    assert TOKEN not in record.to_json()
    assert store.runs.get(record.run_id).info.status == "FINISHED"
    again = mlops.monitor("credit", data=shifted)
    assert [a["status"] for a in again.alerts] == ["sent"]
    title = json.loads(hooks.bodies[-1])["alert"]["title"]
    assert title.startswith("credit: over a threshold: drift(Price)")
    with pytest.raises(UnknownName, match="no alert 'pager'"):
        mlops.monitor("credit", data=shifted, alert=["pager:x"])
    assert Rule().large == messages.DRIFTED


def test_wrong_spans_are_refused(usual: pd.DataFrame) -> None:
    for options in ({"remind": "soon"}, {"watch": True, "every": "0h"}):
        with pytest.raises(WrongUsage, match="is no span of time"):
            mlops.monitor("credit", data=usual, **options)  # type: ignore[arg-type]


class Looks:
    """Looks in a row, each a record or an error; after the last one comes a signal."""

    def __init__(self, *found: Monitoring | Exception, number: int = signal.SIGTERM) -> None:
        self.found, self.number, self.count = list(found), number, 0

    def __call__(self) -> Monitoring:
        if self.count == len(self.found):
            os.kill(os.getpid(), self.number)
            time.sleep(5)
        self.count += 1
        now = self.found[self.count - 1]
        if isinstance(now, Exception):
            raise now
        return now


WELL = Monitoring(deployment="credit", passed=True, until="2026-01-01T00:00:00.000Z", rows=3)
MOMENT = timedelta(milliseconds=10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_looks_go_on_until_stopped(number: int, caplog: pytest.LogCaptureFixture) -> None:
    broken = Monitoring(deployment="credit", passed=False, until=WELL.until)
    looks = Looks(WELL, StoreUnreachable("The store is away."), broken, number=number)
    before = signal.getsignal(signal.SIGTERM)
    with caplog.at_level("INFO", logger="mlops_magics"):
        assert repeating.until_stopped(looks, MOMENT) is broken
    assert signal.getsignal(signal.SIGTERM) is before
    assert caplog.messages[0] == "2026-01-01T00:00:00Z · credit ✓ well · 3 rows"
    assert "The store is away." in caplog.messages[1]
    assert "credit ✗ over threshold" in caplog.messages[2]


def test_a_look_that_can_not_be_is_not_repeated() -> None:
    looks = Looks(UnknownName("deployment", "credti", ["credit"]), WELL)
    with pytest.raises(UnknownName):
        repeating.until_stopped(looks, MOMENT)
    assert looks.count == 1
    gone = Looks(StoreUnreachable("Away."), WELL, UnknownName("deployment", "credit", []), WELL)
    assert repeating.until_stopped(gone, MOMENT) is WELL  # it may be deployed again
    with pytest.raises(KeyboardInterrupt):
        repeating.until_stopped(Looks(StoreUnreachable("Away.")), MOMENT)


def test_whoever_watches_is_shown_each_record(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Monitoring] = []
    token = repeating.shown.set(seen.append)
    try:
        with caplog.at_level("INFO", logger="mlops_magics"):
            repeating.until_stopped(Looks(WELL, WELL), MOMENT)
    finally:
        repeating.shown.reset(token)
    assert seen == [WELL, WELL]
    assert "credit" not in caplog.text


def test_a_watch_looks_in_all_ways_and_tells_what_they_find(
    usual: pd.DataFrame,
    hooks: Hooks,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    when = pd.Timestamp("2026-06-01") + pd.to_timedelta(usual.index * 11, unit="min")
    late = when >= "2026-06-07"
    rows = usual.assign(asked=when, Price=usual["Price"].mask(late, usual["Price"] * 2))
    looks: list[Monitoring] = []

    def see(record: Monitoring) -> None:
        looks.append(record)
        if len(looks) == 2:
            raise KeyboardInterrupt

    caplog.set_level("INFO", logger="mlops_magics")
    caplog.clear()
    token = repeating.shown.set(see)
    try:
        last = mlops.monitor(
            "credit",
            data=rows,
            window="1d",
            time="asked",
            by="Age",
            multivariate=True,
            exact=True,
            alert=[hooks.url],
            watch=True,
            every="0.01s",
        )
    finally:
        repeating.shown.reset(token)
    assert last is looks[1]
    assert caplog.messages == ["Stopped; this is what was seen last."]
    for record in looks:
        assert (len(record.windows), len(record.segments)) == (7, 4)
        assert record.windows[-1]["drifted"] == ["Price"]
        assert record.windows[-1]["estimated"]
        assert record.multivariate["auc"] is not None
    # Of all rows the price has hardly moved, and told it is by the name that it has if it does.
    assert "Price" not in [f["name"] for f in last.features if f["drifted"]]
    assert [len(record.alerts) for record in looks] == [1, 0]
    assert last.broken_since == looks[0].broken_since
    (body,) = map(json.loads, hooks.bodies)
    assert "drift(Price)" in body["alert"]["title"]
    assert "In the newest window, 2026-06-07" in body["alert"]["text"]
    assert "changes: Price changed on 2026-06-07" in body["alert"]["text"]


def test_what_is_looked_at_closer_is_named() -> None:
    window: dict[str, Any] = {"begin": "2026-06-01", "end": "2026-06-02", "reason": ""}
    window |= {"drift": {"Price": 0.5, "Age": 0.3}, "drifted": ["Price", "Age"]}
    few = {**window, "reason": "3 rows are too few."}
    record = Monitoring(
        deployment="credit",
        passed=False,
        features=({"name": "Price", "drifted": True, "drift": 0.4, "reason": "It moved."},),
        multivariate={"drifted": True, "reason": "The rows are told from those of training."},
        windows=(window, few),
        segments=({"segment": "Home = rent", "why": {"Age": "It moved there."}},),
    )
    assert messages.broken(record) == {
        "multivariate_drift": "The rows are told from those of training.",
        "drift(Price)": "Price: drift 0.4, threshold 0.2. It moved.",
        "drift(Age)": "Age: drift 0.3, threshold 0.2. In the newest window, 2026-06-01 to "
        "2026-06-02.",
        "drift(Age) of Home = rent": "Age: It moved there.",
    }


@pytest.mark.slow
def test_a_real_command_that_is_terminated(usual: pd.DataFrame, project: Path) -> None:
    usual.assign(Price=usual["Price"] * 2).to_csv("later.csv", index=False)
    words = ["monitor", "credit", "--data", "later.csv", "--watch", "--every", "1s", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlops_magics.doors.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(2)]
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert all("credit ✗ over threshold: drift(Price)" in line for line in lines), lines
    assert process.returncode == 3
    record = json.loads(out)
    assert record["passed"] is False
    assert record["broken_since"] < record["until"]
    runs = store.runs.find(verb="monitor", experiment="credit")
    assert len(runs) >= 2
    assert record["run_id"] in {str(r.info.run_id) for r in runs}
