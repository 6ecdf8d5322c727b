"""What an alert says: what broke, with value and threshold, since when, and how to look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlops_magics.alerts.base import Message
from mlops_magics.alerts.occasions import RECOVERED, STILL
from mlops_magics.records import GoalResult, Monitoring

#: The drift from which a feature has drifted (`mlops_magics.drift.report.Rule`).
DRIFTED = 0.2
#: So many things are named in a title.
NAMED = 3


def broken(record: Monitoring) -> dict[str, str]:
    """What was found wanting: its name, which stays from look to look, and a line about it."""
    if record.passed:
        return {}
    found = {g.text: _of_goal(g) for g in record.goals if not g.passed}
    if not record.goals:
        drifted = [f for f in record.features if f.get("drifted")]
        found |= {f"drift({f['name']})": _of_feature(f) for f in drifted}
        found = {**_closer(record), **found}
    return found or {"monitoring": "It was judged and found wanting; the record says why."}


def _closer(record: Monitoring) -> dict[str, str]:
    """Of all columns together, of what came last, and by segment."""
    found = {}
    if record.multivariate.get("drifted"):
        found["multivariate_drift"] = str(record.multivariate["reason"])
    for window in [w for w in record.windows if not w["reason"]][-1:]:
        for name in window["drifted"]:
            # By the name that it has once all of it drifts: that would be no news.
            feature = {"name": name, "drift": window["drift"].get(name)}
            reason = f"In the newest window, {window['begin']} to {window['end']}."
            found[f"drift({name})"] = _of_feature({**feature, "reason": reason})
    for segment in record.segments:
        why = segment.get("why") or {}
        found |= {f"drift({n}) of {segment['segment']}": f"{n}: {why.get(n, '')}" for n in why}
    return found


def _of_goal(goal: GoalResult) -> str:
    if goal.value is None:
        return f"{goal.text}: {goal.reason}"
    bound = "" if goal.bound is None else f", threshold {goal.comparator} {_figure(goal.bound)}"
    found = _figure(goal.value, goal.unit)
    if goal.metric == "estimated" and goal.interval:
        low, high = (_figure(end, goal.unit) for end in goal.interval)
        found += f" (estimated, {low} to {high})"
    return f"{goal.text}: {found}{bound}{f' {goal.unit}'.rstrip()}"


def _of_feature(feature: Mapping[str, Any]) -> str:
    drift = feature.get("drift")
    figure = "" if drift is None else f"drift {_figure(drift)}, threshold {DRIFTED}. "
    return f"{feature['name']}: {figure}{feature.get('reason', '')}".strip()


def _figure(value: float, unit: str = "") -> str:
    return f"{value:.4g}{f' {unit}' if unit else ''}"


def message(record: Monitoring, event: str, since: str) -> Message:
    """The message about a record.

    Parameters
    ----------
    since : str
        When it was first found broken, or had been.
    """
    lines = broken(record)
    if event == RECOVERED:
        title = f"{record.deployment}: well again"
    else:
        names = ", ".join([*lines][:NAMED]) + (", …" if lines.keys() - [*lines][:NAMED] else "")
        count = f"{len(lines)} thresholds" if len(lines) > 1 else "a threshold"
        state = "still over" if event == STILL else "over"
        title = f"{record.deployment}: {state} {count}: {names}"
    facts = {
        "model": record.model,
        "deployment": record.deployment,
        "broken since" if event != RECOVERED else "was broken since": since,
        "changes": " ".join(str(c["reason"]) for c in record.changes[:NAMED]),
        "seen": f"{record.rows} rows, {record.since or 'the beginning'} to {record.until}",
        "run": record.run_id,
        "to look": f"mlops audit {record.run_id}",
    }
    facts = {name: value for name, value in facts.items() if value}
    made = Message(event=event, title=title, broken=tuple(lines.values()), facts=facts)
    told = {"event": event, "title": title, "text": made.text}
    whole = {**json.loads(record.to_json()), "alert": told}
    return Message(
        event=event,
        title=title,
        broken=made.broken,
        facts=facts,
        record=json.dumps(whole, ensure_ascii=False),
    )
