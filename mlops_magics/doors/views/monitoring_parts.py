"""A monitoring record part by part, for a report that says something between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlops_magics.doors.views import (
    drifting,
    estimates,
    feature_drift,
    reports,
    service_figures,
)
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


def _answer(record: Monitoring) -> Card:
    whole = reports.monitoring(record)
    tables = [reports.thresholds(record), reports.alerts(record)]
    lead = f"{whole.lead[:1].upper()}{whole.lead[1:]}."
    return replace(whole, lead=lead, tables=tables, below=(), big=True)


def _features(record: Monitoring) -> Card:
    tables = [feature_drift.detailed(record.features)]
    lead = "" if record.features else "No feature could be compared."
    return Card("Features", "", None, lead, {}, tables, below=feature_drift.others(record.features))


def _multivariate(record: Monitoring) -> Card:
    lead = str(record.multivariate.get("reason") or "Nobody asked for it.")
    return Card("All columns together", "", None, lead, below=drifting.together(record))


def _windows(record: Monitoring) -> Card:
    count = len(record.windows)
    lead = "" if count else "The rows were not cut into windows."
    lead = lead or ("" if record.changes else "No feature changed from one to the next.")
    words = [str(change["reason"]) for change in record.changes]
    title = f"{count} windows" if count > 1 else ""
    return Card("Over time", title, None, lead, below=drifting.below(record), words=words)


def _segments(record: Monitoring) -> Card:
    lead = "" if record.segments else "Nobody asked for segments."
    return Card("By segment", "", None, lead, {}, [replace(drifting.segments(record), title="")])


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
    known = (measured.get("metrics") or {}).items()
    metrics = [(k.replace("_", " "), float(v)) for k, v in known if v is not None]
    shares = [
        (name, value, None, Status("", "plain")) for name, value in metrics if 0 <= value <= 1
    ]
    lead = measured.get("reason") or "No labels are known yet, so nothing was measured."
    if metrics:
        coverage = percent(float(measured.get("coverage") or 0))
        lead = f"Measured on {show(measured.get('rows'))} rows: {coverage} have a label by now."
    others = Table(("measured", "value"), [m for m in metrics if not 0 <= m[1] <= 1])
    figures = [Panel("Measured", [Ranges("", Axis("", 0, 1), shares)])] if shares else []
    figures += estimates.figures(measured)
    tables = [others, *estimates.tables(measured)]
    notes, words = estimates.warnings(measured), estimates.words(measured)
    return Card("Performance", "", None, lead, {}, tables, notes, below=figures, words=words)


_PARTS: dict[str, Callable[[Monitoring], Card]] = {
    "answer": _answer,
    "drift": _drift,
    "features": _features,
    "distributions": _distributions,
    "multivariate": _multivariate,
    "windows": _windows,
    "segments": _segments,
    "missing": _missing,
    "predictions": _predictions,
    "service": _service,
    "performance": _performance,
}
