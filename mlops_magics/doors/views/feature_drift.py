"""Features beside their training: in a table, and as figures."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlops_magics.doors.views.card import (
    Axis,
    Bars,
    Chart,
    Figure,
    Fold,
    Panel,
    Ranges,
    Series,
    Span,
    Spans,
    Status,
    Table,
    percent,
    show,
)

Feature = Mapping[str, Any]

#: So many features are shown each with its distribution; all others in a compact table.
DETAILED = 12
#: So many bars a figure has at most.
BARS = 60
#: Less drift than this has no bar.
SEEN = 0.005
#: So many distributions are drawn large.
LARGE = 6
#: From where on drift is moderate, and where it counts (`mlops_magics.drift.report.Rule`).
MARKS = ((0.1, "moderate"), (0.2, "drifted"))


def level(feature: Feature) -> Status:
    """How far a feature has moved, in the words of the drift report."""
    if feature.get("drifted"):
        return Status("drift", "bad")
    level = str(feature.get("level", "none"))
    return Status("stable", "good") if level == "none" else Status(level, "warn")


def bars(feature: Feature) -> Any:
    """How the values of a feature lie, before and now."""
    histogram = feature.get("histogram") or {}
    was, now = histogram.get("reference") or [], histogram.get("current") or []
    if not was or not now:
        return "–"
    labels = histogram.get("labels")
    if not labels:
        edges = [float(e) for e in histogram.get("edges", [])]
        labels = [f"{show(a)} to {show(b)}" for a, b in itertools.pairwise(edges)]
    return Bars([str(v) for v in labels], _shares(was), _shares(now))


def _shares(counts: Any) -> list[float]:
    total = float(sum(counts)) or 1.0
    return [float(c) / total for c in counts]


def most_drifted(features: Iterable[Feature]) -> list[Feature]:
    """Those that drifted first, and by how much they moved."""
    return sorted(features, key=lambda f: (not f.get("drifted"), -(f.get("psi") or 0)))


def detailed(features: Sequence[Feature]) -> Table:
    """The most drifted, with their distributions."""
    rows = [
        (level(f), f["name"], f.get("psi"), f.get("ks"), bars(f), f.get("reason", ""))
        for f in most_drifted(features)[: _count(features)]
    ]
    heads = ("", "feature", "PSI", "KS", "distribution: training (line), now (bars)", "why")
    few = f"The {len(rows)} most drifted of {len(features)} features"
    return Table(heads, rows, few if len(rows) < len(features) else "Features")


def others(features: Sequence[Feature]) -> list[Fold]:
    """All others, a short line each."""
    rest = most_drifted(features)[_count(features) :]
    if not rest:
        return []
    rows = [
        (
            level(f),
            f["name"],
            f.get("psi"),
            f.get("ks"),
            f.get("p_corrected"),
            _percent(f.get("missing")),
            f.get("reason", "") if f.get("level") in ("changed", "not judged") else "",
        )
        for f in rest
    ]
    drifted = sum(bool(f.get("drifted")) for f in rest)
    status = Status(f"{drifted} drifted", "bad") if drifted else None
    heads = ("", "feature", "PSI", "KS", "p", "missing", "why")
    return [Fold(f"The other {len(rest)} features", [Table(heads, rows)], status)]


def _count(features: Sequence[Feature]) -> int:
    # A fold for two or three would hide more than it saves.
    return len(features) if len(features) <= DETAILED + 3 else DETAILED


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(share)


def overview(features: Iterable[Feature]) -> list[Panel]:
    """The drift of each that shows any, the largest on top."""
    known = sorted(
        (f for f in features if (f.get("drift") or 0) >= SEEN), key=lambda f: -f["drift"]
    )
    rows = [
        Span(f["name"], 0.0, float(f["drift"]), f"{level(f).sign} {float(f['drift']):.2f}")
        for f in known[:BARS]
    ]
    title = f"The {BARS} largest of {len(known)}" if len(known) > BARS else ""
    axis = Axis("drift (PSI less what chance gives)", low=0.0)
    return [Panel(title, [Spans("", axis, rows, MARKS)])] if rows else []


def missing(features: Iterable[Feature]) -> list[Panel]:
    """Shares of missing values: a bar from what it was in training to what it is now."""
    moved = [
        (f["name"], float(f["reference_missing"]), float(f["missing"]))
        for f in features
        if f.get("missing") is not None and f.get("reference_missing") is not None
    ]
    moved = [found for found in moved if found[1] or found[2]]
    moved.sort(key=lambda found: -abs(found[2] - found[1]))
    rows = [
        Span(name, was, now, f"{percent(now)} ({percent(was)} in training)")
        for name, was, now in moved[:BARS]
    ]
    axis = Axis("share of rows without a value: from training to now")
    return [Panel("", [Spans("", axis, rows, signed=True)])] if rows else []


def distributions(features: Iterable[Feature]) -> list[Panel]:
    """How values lie in training and now, drawn large: numbers as lines, categories as a list."""
    drawn: list[tuple[Feature, Figure]] = []
    for feature in features:
        histogram = feature.get("histogram") or {}
        was, now = histogram.get("reference"), histogram.get("current")
        if not was or not now:
            continue
        sides = _shares(was), _shares(now)
        labels = histogram.get("labels")
        figure = (
            _categories(feature["name"], labels, *sides)
            if labels
            else _numbers(feature["name"], [float(e) for e in histogram["edges"]], *sides)
        )
        drawn.append((feature, figure))
    numbers = [figure for _, figure in drawn if isinstance(figure, Chart)]
    lists = [figure for _, figure in drawn if isinstance(figure, Ranges)]
    panels = [Panel("Numbers", numbers)] if numbers else []
    return [
        *panels,
        *([Panel("Categories: from training (line) to now (dot)", lists)] * bool(lists)),
    ]


def _numbers(name: str, edges: list[float], was: list[float], now: list[float]) -> Chart:
    def steps(shares: list[float]) -> list[tuple[float, float]]:
        inner = [
            (edge, share)
            for (low, high), share in zip(itertools.pairwise(edges), shares, strict=False)
            for edge in (low, high)
        ]
        return [(edges[0], 0.0), *inner, (edges[-1], 0.0)]

    lines = [Series("training", steps(was)), Series("now", steps(now))]
    return Chart(name, Axis(name), Axis("share of rows", low=0.0), lines)


def _categories(name: str, labels: Sequence[Any], was: list[float], now: list[float]) -> Ranges:
    rows = [
        (str(label), after, (min(before, after), max(before, after)), Status("", "plain"))
        for label, before, after in zip(labels, was, now, strict=False)
    ]
    return Ranges(name, Axis("share of rows", low=0.0), rows)
