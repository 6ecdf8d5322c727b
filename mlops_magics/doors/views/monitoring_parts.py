"""A monitoring record part by part, for a report that says something between them."""

from __future__ import annotations

from collections.abc import Callable

from mlops_magics.doors.views import feature_drift, service_figures
from mlops_magics.doors.views.card import Axis, Card, Panel, Ranges, Status, Table, percent, show
from mlops_magics.doors.views.verdict_parts import Part
from mlops_magics.errors import UnknownName
from mlops_magics.records import Monitoring


def part(record: Monitoring, name: str) -> Part:
    """One part of a monitoring record.

    Raises
    ------
    UnknownName
        If there is no part of that name.
    """
    if name not in _PARTS:
        raise UnknownName("part of a monitoring record", name, _PARTS)
    return Part(_PARTS[name](record))


def _drift(record: Monitoring) -> Card:
    compared = [f for f in record.features if f.get("drift") is not None]
    drifted = sum(bool(f.get("drifted")) for f in record.features)
    panels = feature_drift.overview(compared)
    still = sum(f["drift"] < feature_drift.SEEN for f in compared)
    lead = f"No drift beyond chance is seen in {still} of them." if still else ""
    lead = lead if compared else "No feature could be compared."
    title = f"{drifted} of {len(record.features)} features drifted" if compared else ""
    return Card("Drift", title, None, lead, below=panels)


def _distributions(record: Monitoring) -> Card:
    features = [f for f in record.features if f.get("role") != "prediction"]
    shown = feature_drift.most_drifted(features)[: feature_drift.LARGE]
    panels = feature_drift.distributions(shown)
    title = f"the {len(shown)} most drifted" if len(shown) < len(features) else ""
    lead = "" if panels else "There is no distribution to compare."
    return Card("Distributions", title, None, lead, below=panels)


def _missing(record: Monitoring) -> Card:
    panels = feature_drift.missing(record.features)
    lead = "" if panels else "No value is missing, now or in training."
    if not any(f.get("missing") is not None for f in record.features):
        lead = "It is not known which values are missing."
    return Card("Missing values", "", None, lead, below=panels)


def _predictions(record: Monitoring) -> Card:
    found = [f for f in record.features if f.get("role") == "prediction"]
    lead = found[0].get("reason", "") if found else "There are no earlier ones to compare with."
    status = feature_drift.level(found[0]) if found else None
    return Card("Predictions", "", status, lead, below=feature_drift.distributions(found))


def _service(record: Monitoring) -> Card:
    panels = service_figures.over_time(record.service)
    lead = "" if record.service else "Data was given in place of requests."
    if record.service and not record.service.get("requests"):
        lead = "No request came in this time."
    refused = service_figures.tables(record.service)[1:] if record.service else []
    return Card("Service", "over time" if panels else "", None, lead, {}, refused, below=panels)


def _performance(record: Monitoring) -> Card:
    measured = record.performance
    metrics = [(k, float(v)) for k, v in (measured.get("metrics") or {}).items() if v is not None]
    shares = [
        (name, value, None, Status("", "plain")) for name, value in metrics if 0 <= value <= 1
    ]
    lead = measured.get("reason") or "No labels are known yet, so nothing was measured."
    if metrics:
        coverage = percent(float(measured.get("coverage") or 0))
        lead = f"Measured on {show(measured.get('rows'))} rows; {coverage} of them have labels."
    others = Table(("metric", "value"), [m for m in metrics if not 0 <= m[1] <= 1])
    figures = [Panel("", [Ranges("", Axis("", 0, 1), shares)])] if shares else []
    return Card("Measured performance", "", None, lead, {}, (others,), below=figures)


_PARTS: dict[str, Callable[[Monitoring], Card]] = {
    "drift": _drift,
    "distributions": _distributions,
    "missing": _missing,
    "predictions": _predictions,
    "service": _service,
    "performance": _performance,
}
