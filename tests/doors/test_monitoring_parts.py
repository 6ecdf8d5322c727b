"""A monitoring record part by part: what each shows, also of nothing, and of hostile names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlops_magics.doors import views
from mlops_magics.doors.views import feature_drift, monitoring_parts
from mlops_magics.drift.report import Rule
from mlops_magics.errors import UnknownName
from mlops_magics.records import GoalResult, Monitoring

PARTS = sorted(monitoring_parts._PARTS)
HOSTILE = "<b onclick=x>&amp;"


def feature(name: str, drift: float, **more: Any) -> dict[str, Any]:
    drifted = drift >= 0.2
    found = {"name": name, "type": "number", "drifted": drifted, "drift": drift, "psi": drift}
    found |= {"level": "large" if drifted else "none", "ks": drift / 2, "p_corrected": 0.01}
    found |= {"missing": 0.25, "reference_missing": 0.05, "reason": f"{name} moved."}
    numbers = {"edges": [0.0, 1.0, 2.0], "reference": [0.5, 0.5], "current": [0.1, 0.9]}
    return {**found, "histogram": numbers, **more}


def buckets(count: int, hours: int = 1) -> list[dict[str, Any]]:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        {
            "start": (begin + timedelta(hours=hours * i)).isoformat(),
            "hours": hours,
            "requests": 10 + i,
            "errors": i % 2,
            "refused": 0,
            "p50": None if i == 1 else 4.0 + i,
            "p95": None if i == 1 else 9.0 + i,
        }
        for i in range(count)
    ]


def window(day: int, estimated: Any = None) -> dict[str, Any]:
    begin = datetime(2026, 1, day, tzinfo=UTC)
    found = {"begin": begin.isoformat(), "end": (begin + timedelta(days=1)).isoformat()}
    found |= {"rows": 40, "drift": {HOSTILE: day / 10}, "drifted": [HOSTILE], "reason": ""}
    return {**found, "estimated": {"roc_auc": estimated} if estimated else {}}


def record(**more: Any) -> Monitoring:
    words = {"labels": [HOSTILE, "b"], "reference": [0.5, 0.5], "current": [0.9, 0.1]}
    features = [feature(f"number {i:02d}", i / 100) for i in range(40)]
    features += [feature(HOSTILE, 0.9, histogram=words)]
    features += [feature("prediction", 0.3, role="prediction", histogram=words)]
    estimated = {"value": 0.7, "interval": [0.6, 0.8], "spread": 0.05}
    guess = {"metrics": {"roc_auc": estimated}, "reference": {"roc_auc": 0.75}, "rows": 99}
    guess |= {"method": "CBPE", "assumption": "It assumes a lot.", "calibrated": True}
    guess |= {"reference_rows": 50, "reference_source": HOSTILE, "warnings": [HOSTILE]}
    known = {
        "features": tuple(features),
        "service": {
            "requests": 100,
            "error_rate": 0.02,
            "latency_ms": {"p95": 12.0},
            "refused": {f"400 {HOSTILE}": 3},
            "over_time": buckets(30),
        },
        "performance": {"rows": 9, "coverage": 0.5, "metrics": {"roc_auc": 0.8, "rmse": 7.5}},
        "goals": (GoalResult(text="rows >= 9", value=8, bound=9, passed=False, unit="rows"),),
        "multivariate": {
            "auc": 0.8,
            "interval": [0.7, 0.9],
            "drifted": True,
            "reason": HOSTILE,
            "drivers": [{"feature": HOSTILE, "lost": 0.2, "share": 0.9}],
        },
        "windows": tuple(window(day, estimated if day != 2 else None) for day in range(1, 5)),
        "changes": ({"feature": HOSTILE, "at": window(3)["begin"], "reason": "It changed."},),
        "segments": tuple(
            {
                "segment": HOSTILE,
                "rows": 40,
                "share": 0.4,
                "reference_share": 0.5,
                "drift": {HOSTILE: drift},
                "drifted": [HOSTILE],
                "why": {HOSTILE: HOSTILE},
                "reason": "",
            }
            for drift in (0.4, 0.1)
        ),
    }
    known["performance"] |= {"estimated": guess}
    return Monitoring(deployment="credit", passed=False, **{**known, **more})


@pytest.mark.parametrize("name", PARTS)
def test_nothing_from_data_becomes_markup(name: str) -> None:
    html = views.part(record(), name)._repr_html_()
    assert "<b " not in html
    assert "<script" not in html
    assert "<svg" in html or name == "segments"
    assert str(views.part(record(), name))


@pytest.mark.parametrize("name", PARTS)
def test_of_nothing_there_is_a_sentence(name: str) -> None:
    shown = views.part(Monitoring(deployment="credit", passed=True), name)
    assert shown.card.lead.endswith(".")
    assert "<svg" not in shown._repr_html_()


def test_most_is_shown_large_and_the_rest_small() -> None:
    card = views.html(record())
    assert "The 12 most drifted of 42 features" in card
    assert "The other 30 features" in card
    assert "10 drifted" in card  # in the fold too it is said
    assert card.index("&lt;b onclick") < card.index("number 39") < card.index("number 00")
    few = views.html(record(features=record().features[:15]))
    assert "most drifted of" not in few
    assert len(feature_drift.distributions(record().features[-2:])[0].figures) == 2
    assert {place for place, _ in feature_drift.MARKS} == {Rule().moderate, Rule().large}


def test_the_service_over_time() -> None:
    (panel,) = views.part(record(), "service").card.below
    counted, waited = panel.figures  # type: ignore[union-attr]
    assert counted.title == "Requests and errors an hour"
    assert counted.x.label == "hours since 2026-01-01 00:00 UTC"  # type: ignore[union-attr]
    assert [len(s.points) for s in counted.series] == [30, 30, 30]  # type: ignore[union-attr]
    assert [len(s.points) for s in waited.series] == [29, 29]  # type: ignore[union-attr]
    assert waited.series[0].points[1] == (2.0, 6.0)  # type: ignore[union-attr]
    weeks = views.part(record(service={"over_time": buckets(5, 168)}), "service").card.below[0]
    assert weeks.figures[0].series[0].points[-1] == (28.0, 14)  # type: ignore[union-attr]


def test_estimates_are_called_so_and_have_their_interval() -> None:
    card = views.part(record(), "performance").card
    titles = ["Measured", "Estimated, with 95 % intervals, of 99 rows"]
    assert [p.title for p in card.below] == titles
    assert card.below[1].figures[0].rows[0][:3] == ("roc auc", 0.7, (0.6, 0.8))  # type: ignore[union-attr]
    assert "It assumes a lot." in card.words[0]
    drift, over_time, fold = views.part(record(), "windows").card.below
    (chart,) = over_time.figures  # type: ignore[union-attr]
    assert [s.label for s in chart.series] == ["estimated", "95 % interval"]
    assert [x for x, _ in chart.series[0].points] == [0.0, 2.0, 3.0]
    assert chart.series[1].points[0] == chart.series[1].points[-1] == (0.0, 0.6)
    assert chart.guide == [(-0.5, 0.75), (3.5, 0.75)]
    assert drift.figures[0].marks == [(1.5, "01-03")]  # type: ignore[union-attr]
    (table,) = fold.parts  # type: ignore[union-attr]
    assert "estimated roc auc" in table.columns
    assert [row[4] for row in table.rows][:2] == ["0.7 (0.6 to 0.8)", "–"]
    without = record(windows=tuple(window(day) for day in (1, 2)))
    assert len(views.part(without, "windows").card.below) == 2


def test_the_answer_leaves_the_details_to_the_other_parts() -> None:
    card = views.part(record(), "answer").card
    assert card.big
    assert [t.title for t in card.tables if t.rows] == ["Thresholds"]
    assert not card.below
    assert len(views.html(record())) > 2 * len(views.part(record(), "answer")._repr_html_())


def test_an_unknown_part() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'missing'"):
        views.part(record(), "missin")
