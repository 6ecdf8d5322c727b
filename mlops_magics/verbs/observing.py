"""What came to a deployment in a window of time, or was given in its place."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import store, targets
from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.records import Deployment
from mlops_magics.verbs import service

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.drift.seen import Seen
    from mlops_magics.store.versions import Version

_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)\s*")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}

#: Columns that a capture adds to the features.
KEYS = ("request_id", "request_row", "client_key", "client_id")


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Rows, what the model answered to them, and how the service did.

    Attributes
    ----------
    frame : DataFrame
        Features and whatever else came with them, a key for one.
    predictions : Series or None
        One a row of `frame`; ``None`` where the model was not asked.
    service : mapping
        As `service.figures` gives it; empty where data was given in place of a deployment's.
    masked : tuple of str
        Columns whose values were not kept.
    came : Seen or None
        All rows, counted, where `frame` is a sample of them.
    times : Series or None
        When each row of `frame` came, in UTC, where that is known.
    """

    frame: pd.DataFrame
    predictions: pd.Series | None = None
    service: dict[str, Any] = field(default_factory=dict)
    masked: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    came: Seen | None = None
    times: pd.Series | None = None

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.frame) if self.came is None else self.came.rows


def span(text: str) -> timedelta:
    """A span of time.

    Raises
    ------
    WrongUsage
        If it is none, or nothing.
    """
    found = _SPAN.fullmatch(text)
    try:
        length = timedelta(seconds=float(found[1]) * _SECONDS[found[2]]) if found else timedelta()
    except OverflowError:
        length = timedelta()
    if not length:
        raise WrongUsage(f"{text!r} is no span of time.", "For example 1d, 1h, 30m or 1w.")
    return length


def beginning(since: str) -> datetime | None:
    """The start of a window of time, in UTC; ``None`` for all time.

    Raises
    ------
    WrongUsage
        If it can't be read, or lies in the future.
    """
    if not since.strip():
        return None
    found = _SPAN.fullmatch(since)
    now = datetime.now(UTC)
    try:
        if found:
            return now - timedelta(seconds=float(found[1]) * _SECONDS[found[2]])
        moment = datetime.fromisoformat(since)
    except (ValueError, OverflowError):
        raise WrongUsage(
            f"{since!r} is no span of time and no date.",
            "For example 7d, 12h, 30m or 2026-01-31.",
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise WrongUsage(f"{since} is in the future.", "Give the time at which to begin.")
    return moment


def find(name: str, *, captured: bool) -> tuple[Deployment | None, Version]:
    """The deployment of that name and the version it serves, or the model of that name.

    Parameters
    ----------
    captured : bool
        Whether a deployment is needed, as its requests are to be read.

    Raises
    ------
    UnknownName
        If there is no such deployment (or, with data given, no such model).
    """
    known = targets.state.names()
    if name not in known and captured:
        # One deployment of that model under another name is what must be meant.
        serving = targets.state.serving(name)
        if len(serving) != 1:
            hint = "`mlops deploy MODEL` makes one; with --data DATA none is needed."
            raise UnknownName("deployment", name, known, hint)
        name = serving[0]
    if name not in known:
        return None, store.versions.resolve(name)
    deployment = targets.state.find(name)
    return deployment, store.versions.resolve(deployment.model)


def captured(deployment: Deployment, since: datetime | None) -> Observed:
    """The requests that a deployment captured.

    Raises
    ------
    BadData
        If the capture can't be read.
    """
    import pandas as pd

    from mlops_magics.serving import captured as capture

    path = Path(deployment.capture) if deployment.capture else None
    if path is None or not capture.exists(path):
        why = "has captured nothing yet" if path else "keeps no requests (capture is off)"
        columns = ["status", "latency_ms", "rows", "error"]
        return Observed(
            frame=pd.DataFrame(),
            service=service.figures(pd.DataFrame({c: [] for c in columns})),
            warnings=(f"The deployment {deployment.name!r} {why}, so nothing was judged.",),
        )
    seen = capture.look(path, since)
    requests, rows = seen.requests, seen.rows
    with contextlib.suppress(OSError):  # it is for the next one who reads
        capture.compact(path)
    warnings = []
    if seen.left_out:
        warnings.append(
            f"Of {len(requests) + seen.left_out:,} requests {len(requests):,} were kept "
            "(capture_sample): all are counted, rows and latency are those of the sample."
        )
    if seen.masked:
        warnings.append(f"Masked in what was captured, and not judged: {', '.join(seen.masked)}.")
    warnings += [
        f"{Path(file).name} of the capture is damaged: {size:,} bytes can't be read, and what "
        "was in them is not counted."
        for file, size in seen.damaged
    ]
    if not len(requests):
        warnings.append(f"No request came to {deployment.name!r} in this time: nothing was judged.")
    versions = sorted(set(requests["model"]))
    if len(versions) > 1:
        warnings.append(f"In this time {' and '.join(versions)} answered; all are counted.")
    each = requests.drop_duplicates("request_id").set_index("request_id")
    frame = rows.drop(columns="prediction")
    if "client_id" not in frame.columns:
        frame["client_id"] = frame["request_id"].map(each["client_id"])
    return Observed(
        frame=frame,
        predictions=rows["prediction"],
        service=service.figures(requests, seen.left_out, seen.left_rows),
        masked=seen.masked,
        warnings=tuple(warnings),
        times=frame["request_id"].map(each["time"]) if len(frame) else None,
    )
