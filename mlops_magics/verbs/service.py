"""How a service did: requests, errors, refused inputs and latency, in all and over time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: How many of the commonest error messages, and reasons of a refusal, are kept.
MESSAGES = 5
#: Up to so many hours a bucket is an hour, up to so many days a day, and else a week.
HOURS, DAYS = 72, 90
_SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
#: What differs from request to request in a reason that is the same.
_NUMBERS = re.compile(r"(?<![\w'\"])-?\d[\d.,]*")


def figures(requests: pd.DataFrame, left_out: int = 0, left_rows: int = 0) -> dict[str, Any]:
    """Figures of the service; what was left out was answered, as errors are always kept.

    Parameters
    ----------
    requests : DataFrame
        As `mlops_magics.serving.captured.read` gives them.

    Returns
    -------
    dict
        ``requests``, ``rows``, ``errors``, ``server_errors``, ``error_rate``, ``latency_ms``
        (``p50``, ``p95``, ``p99``, of what was answered), ``messages`` (the commonest), ``refused``
        (4xx: reason → requests) and ``over_time``, oldest first: ``start`` (UTC), ``hours``,
        ``requests``, ``errors``, ``refused``, ``p50``, ``p95``. Where a sample of the requests was
        kept, ``kept`` says how many, which is what ``over_time`` counts.
    """
    count = len(requests) + left_out
    failed = requests[requests["status"] >= 400]
    latency = requests.loc[requests["status"] < 400, "latency_ms"]
    shares = _SHARES if len(latency) else {}
    messages = failed["error"].value_counts().head(MESSAGES)
    return {
        "requests": count,
        "rows": int(requests["rows"].sum()) + left_rows,
        "errors": len(failed),
        "server_errors": int((failed["status"] >= 500).sum()),
        "error_rate": len(failed) / count if count else None,
        "latency_ms": {name: float(latency.quantile(share)) for name, share in shares.items()},
        "messages": {str(text): int(times) for text, times in messages.items()},
        "refused": _refused(failed[failed["status"] < 500]),
        "over_time": over_time(requests),
        **({"kept": len(requests)} if left_out else {}),
    }


def _refused(refused: pd.DataFrame) -> dict[str, int]:
    """The commonest reasons, with the row and the value left out, and the number of all others."""
    if not len(refused):
        return {}
    texts = refused["status"].astype(str) + " " + refused["error"].map(reason)
    counts = texts.value_counts()
    found = {str(text): int(times) for text, times in counts.head(MESSAGES).items()}
    others = int(counts.iloc[MESSAGES:].sum())
    return {**found, **({"other reasons": others} if others else {})}


def reason(message: str) -> str:
    """What a refusal has in common with others of its kind.

    Examples
    --------
    >>> reason("Column 'Age' needs a number and row 17 has 'old'.")
    "Column 'Age' needs a number and row … has …."
    """
    text = _NUMBERS.sub("…", message)
    return re.sub(r"(?<=\bhas )(?:'[^']*'|\"[^\"]*\")", "…", text)


def over_time(requests: pd.DataFrame) -> list[dict[str, Any]]:
    """The same by hour, day or week, as the window is long; those without requests too."""
    import pandas as pd

    if not len(requests):
        return []
    times = requests["time"]
    reach = times.max() - times.min()
    hours = 1 if reach <= pd.Timedelta(hours=HOURS) else 24 * (1 if reach.days <= DAYS else 7)
    # Weeks begin on Mondays: the epoch was a Thursday.
    origin = "epoch" if hours < 168 else pd.Timestamp("1970-01-05", tz="UTC")
    failed = requests["status"] >= 400
    table = pd.DataFrame(
        {
            "time": times,
            "errors": failed,
            "refused": failed & (requests["status"] < 500),
            "latency": requests["latency_ms"].where(~failed),
        }
    )
    groups = table.set_index("time").resample(f"{hours}h", origin=origin)
    counted = {
        "requests": groups.size(),
        "errors": groups["errors"].sum(),
        "refused": groups["refused"].sum(),
    }
    latency = {name: groups["latency"].quantile(_SHARES[name]) for name in ("p50", "p95")}
    starts = pd.DatetimeIndex(counted["requests"].index)
    return [
        {
            "start": start.isoformat(),
            "hours": hours,
            **{name: int(column.iloc[at]) for name, column in counted.items()},
            **{name: _figure(column.iloc[at]) for name, column in latency.items()},
        }
        for at, start in enumerate(starts)
    ]


def _figure(value: Any) -> float | None:
    return None if value != value else float(value)
