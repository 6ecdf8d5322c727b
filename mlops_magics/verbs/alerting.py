"""Since when something is broken, and who is told of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mlops_magics import alerts
from mlops_magics.alerts.sending import Sinks
from mlops_magics.errors import MlopsError
from mlops_magics.records import Monitoring
from mlops_magics.verbs import recipes
from mlops_magics.verbs.steps import Step

#: The tag by which a look finds the one before that asked the same.
QUESTION = "mlops.question"


def told(current: Step, record: Monitoring, sinks: Sinks, remind: timedelta | None) -> Monitoring:
    """The record, with since when it is broken, and who was told of what.

    What was told before stands in the last record that asked the same of the same deployment: two
    schedules with different thresholds do not take each other's alarms for news.
    """
    tags = {"mlops.deployment": record.deployment, QUESTION: _question(current.arguments)}
    current.tags(tags)
    if record.passed and not sinks:
        return record
    last, notes = _last(current.experiment, tags)
    since = str(last.get("broken_since") or "")
    broken = alerts.messages.broken(record)
    if broken:
        since = since or record.until
        record = replace(record, broken_since=since)
    sent = sinks.tell(
        lambda event: alerts.messages.message(record, event, since),
        last.get("told") or {},
        broken,
        remind,
    )
    warnings = (*record.warnings, *notes, *sent.notes)
    return replace(record, alerts=sent.alerts, told=sent.known, warnings=warnings)


def _question(arguments: Mapping[str, Any]) -> str:
    """What is asked, as a short digest; whom to tell, and a date to begin at, is no part of it."""
    asked = {k: v for k, v in arguments.items() if k not in ("alert", "remind")}
    with suppress(ValueError):  # a date, which whoever looks every day moves on
        asked["since"] = datetime.fromisoformat(str(asked.get("since"))) and "a date"
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _last(name: str, tags: Mapping[str, str]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    try:
        found = recipes.last_monitoring(name, tags)
    except (MlopsError, OSError, ValueError) as error:
        why = f"What was told before can't be read, so it may be told again: {error}"
        return {}, (why,)
    return (found[1] if found else {}), ()
