"""The card of code that is running."""

from __future__ import annotations

from mlops_magics.doors.views import as_html, as_text
from mlops_magics.doors.views.card import Card, Spark, Status, Table, seconds, size
from mlops_magics.verbs.live import Now


def bundle(now: Now, *, failed: bool = False) -> dict[str, str]:
    """How it stands, or stood when it failed, as HTML and as text."""
    found = card(now, Status("failed", "bad") if failed else Status("running"))
    return {"text/plain": as_text.render(found), "text/html": as_html.render(found)}


def card(now: Now, status: Status) -> Card:
    """Time, processor and memory, and the metrics that were reported so far."""
    rows = [
        (name, series.last[2], series.last[1], Spark([*series.course, series.last[1]]))
        for name, series in now.series.items()
    ]
    used = f"{seconds(now.cpu_s)} of CPU, {size(now.memory_bytes)} of memory now"
    return Card(
        "Run",
        now.name,
        status,
        facts={"elapsed": seconds(now.elapsed), "used": used},
        tables=(Table(("metric", "step", "value", "course"), rows),),
        small=f"run {now.run_id}",
    )
