"""The view of runs side by side: leaderboard, parameters that differ, data, cost and origin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlops_magics.doors.views import figures
from mlops_magics.doors.views.card import Card, Status, Table, moment, seconds, show, size
from mlops_magics.records import Comparison

Row = Mapping[str, Any]

#: How many columns a table has for metrics and parameters; the record has all.
_METRICS, _OTHERS, _PARAMS = 3, 6, 6
#: How much of a parameter's text is shown.
_LETTERS = 40
_TONES: dict[str, Any] = {
    "passed": "good",
    "failed": "bad",
    "clean": "good",
    "stale": "warn",
    "reproduced": "good",
    "differs": "bad",
    "can't run": "warn",
}


def comparison(record: Comparison) -> Card:
    """The leaderboard, the parameters that differ, what each cost, and the plots."""
    shown = record.varying[:_PARAMS]
    metrics = _metrics(record)
    tables = (
        _ranking(record, metrics[:_METRICS]),
        _others(record, metrics[_METRICS : _METRICS + _OTHERS]),
        _parameters(record.rows, shown),
        _origins(record.rows),
    )
    notes = list(record.warnings)
    if len(record.varying) > len(shown):
        more = len(record.varying) - len(shown)
        notes.append(f"{more} more parameters differ; `--json` has all.")
    left_out = [
        *([_count(record.trials, "trial") + " of searches"] if record.trials else []),
        *([_count(record.failed, "failed run")] if record.failed else []),
    ]
    some = "at least " if record.total is None else ""  # the others were not looked at
    sources = {(row.get("resources") or {}).get("energy_source") for row in record.rows}
    facts = {
        **({"left out": f"{some}{' and '.join(left_out)}; --all shows them"} if left_out else {}),
        **({"energy": "; ".join(sorted(filter(None, sources)))} if any(sources) else {}),
    }
    return Card(
        "Comparison",
        ", ".join(record.names),
        None,
        _lead(record),
        facts,
        tables,
        notes,
        below=[
            p for p in (*figures.against(record), *figures.over_each_other(record)) if p.figures
        ],
    )


def _count(number: int, noun: str) -> str:
    return f"{show(number)} {noun}{'' if number == 1 else 's'}"


def _lead(record: Comparison) -> str:
    if not record.rows:
        return "nothing to compare"
    first, last = record.offset + 1, record.offset + len(record.rows)
    which = _count(len(record.rows), "run")
    if record.total is None:
        which = f"{show(first)} to {show(last)} of more than {_count(last, 'run')}"
    elif record.total > len(record.rows):
        which = f"{show(first)} to {show(last)} of {_count(record.total, 'run')}"
    if not record.by:
        return f"{which}, the newest first"
    return f"{which} by {record.by}, {'more' if record.greater_is_better else 'less'} is better"


# --- Tables ---------------------------------------------------------------------------------------


def _table(
    rows: Sequence[Row], columns: Sequence[tuple[str, Callable[[Row], Any]]], title: str
) -> Table:
    """The columns in which any row has something."""
    filled = [(name, [value(row) for row in rows]) for name, value in columns]
    used = [(n, values) for n, values in filled if any(v not in (None, "") for v in values)]
    cells = [
        tuple(None if values[i] == "" else values[i] for _, values in used)
        for i in range(len(rows))
    ]
    return Table(tuple(n for n, _ in used), cells, title)


def _metrics(record: Comparison) -> list[str]:
    """The one that is sorted by, then those that most rows have."""
    counts: dict[str, int] = {}
    for row in record.rows:
        for name in row.get("metrics", ()):
            counts[name] = counts.get(name, 0) + 1
    others = sorted((n for n in counts if n != record.by), key=lambda n: (-counts[n], n))
    return [*([record.by] if record.by else []), *others]


def _others(record: Comparison, metrics: Sequence[str]) -> Table:
    if not metrics:
        return Table((), ())
    return _table(
        record.rows,
        [
            ("rank", lambda row: row.get("rank")),
            ("model", _name),
            *((m, _metric(m)) for m in metrics),
        ],
        "Other metrics",
    )


def _ranking(record: Comparison, metrics: Sequence[str]) -> Table:
    return _table(
        record.rows,
        [
            ("rank", lambda row: row.get("rank")),
            ("model", _name),
            ("estimator", figures.estimator),
            *((_heading(m, record), _metric(m)) for m in metrics),
            ("verdict", _word("verdict")),
            ("cells", _word("trust")),
            ("reproduction", _word("reproduction")),
            ("status", lambda row: row["status"] if row.get("status") != "finished" else ""),
        ],
        "Leaderboard",
    )


def _heading(metric: str, record: Comparison) -> str:
    if metric != record.by:
        return metric
    return f"{metric} {'↑' if record.greater_is_better else '↓'}"


def _metric(name: str) -> Callable[[Row], Any]:
    def value(row: Row) -> Any:
        found = row.get("metrics", {}).get(name)
        if isinstance(found, float) and not math.isfinite(found):
            return "NaN" if math.isnan(found) else str(found).replace("inf", "∞")
        return found

    return value


def _word(field: str) -> Callable[[Row], Any]:
    def value(row: Row) -> Any:
        word = row.get(field) or ""
        return Status(word, _TONES.get(word, "plain")) if word else ""

    return value


def _name(row: Row) -> str:
    aliases = "".join(f" @{a}" for a in row.get("aliases", ()))
    if row.get("model"):
        return f"{row['model']}{aliases}"
    return f"{row.get('name', '')} (run {row.get('run_id', '')[:8]})".strip()


def _parameters(rows: Sequence[Row], names: Sequence[str]) -> Table:
    titles = figures.short_names(names)
    if not names:
        return Table((), ())
    return _table(
        rows,
        [
            ("rank", lambda row: row.get("rank")),
            ("model", _name),
            *((titles[n], _parameter(n)) for n in names),
        ],
        "Parameters that differ",
    )


def _parameter(name: str) -> Callable[[Row], Any]:
    def value(row: Row) -> Any:
        params = row.get("params", {})
        if name not in params:
            return ""
        found = "None" if params[name] is None else params[name]
        return f"{found[:_LETTERS]}…" if isinstance(found, str) and found[_LETTERS:] else found

    return value


def _origins(rows: Sequence[Row]) -> Table:
    def used(key: str, form: Callable[[float], str]) -> Callable[[Row], str]:
        def value(row: Row) -> str:
            found = (row.get("resources") or {}).get(key)
            return form(found) if isinstance(found, int | float) else ""

        return value

    return _table(
        rows,
        [
            ("rank", lambda row: row.get("rank")),
            ("model", _name),
            ("data", _data),
            ("took", lambda row: "" if row.get("duration") is None else seconds(row["duration"])),
            ("CPU", used("cpu_s", seconds)),
            ("memory", used("peak_memory_bytes", size)),
            ("GPU memory", used("gpu_peak_memory_bytes", size)),
            ("energy", used("energy_wh", lambda wh: f"{wh * 1000:.3g} mWh")),
            ("CO₂", used("co2_g", lambda grams: f"{grams:.2g} g")),
            ("cost", _cost),
            ("size", lambda row: "" if row.get("size") is None else size(row["size"])),
            ("when (UTC)", lambda row: moment(row.get("started", ""))[:16]),
            ("who", lambda row: row.get("actor", "")),
        ],
        "Data, cost and origin",
    )


def _cost(row: Row) -> str:
    used = row.get("resources") or {}
    return f"{used['cost']:.2g} {used.get('currency', '')}".strip() if used.get("cost") else ""


def _data(row: Row) -> Any:
    digest = str(row.get("digest", "")).removeprefix("sha256:")[:8]
    text = " ".join(filter(None, (row.get("dataset", ""), digest)))
    if row.get("comparable") is False:
        return Status(f"{text}: other rows" if text else "other rows", "warn")
    return text
