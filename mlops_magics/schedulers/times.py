"""How often: a span of time or a cron expression, and when that is next; all in UTC."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlops_magics.errors import WrongUsage

if TYPE_CHECKING:
    from cronsim import CronSim

MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800
#: The mean one, to compare lengths with; 31 days where nothing may be missed.
MONTH = 2_629_746

_SPAN = re.compile(r"(\d+)\s*(mo|min|m|h|d|w)")
_UNITS = {"m": MINUTE, "min": MINUTE, "h": HOUR, "d": DAY, "w": WEEK, "mo": MONTH}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
#: What all crons read alike: ``*``, ``*/n``, or a list of values and ranges.
_VALUE = r"(?:\d+|[A-Z]{3})"
_RANGE = rf"{_VALUE}(?:-{_VALUE}(?:/\d+)?)?"
_FIELD = re.compile(rf"\*(?:/\d+)?|{_RANGE}(?:,{_RANGE})*")

#: The spans that cron can say, in seconds.
REGULAR = {
    **{f"{n}m": n * MINUTE for n in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)},
    **{f"{n}h": n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)},
    "1d": DAY,
    "1w": WEEK,
    **{f"{n}mo": n * MONTH for n in (1, 2, 3, 4, 6, 12)},
}


@dataclass(frozen=True, kw_only=True)
class When:
    """How often something is to run.

    Attributes
    ----------
    every : str
        As it was asked for.
    cron : str
        Five fields, in UTC; empty where cron can't say it.
    seconds : int
        The span; of an expression, the longest there is between two runs.
    """

    every: str
    cron: str
    seconds: int

    def next(self, after: datetime, anchor: datetime) -> datetime:
        """The first time behind `after`; where there is no expression, counted from `anchor`."""
        from cronsim import CronSim

        if self.cron:
            return next(CronSim(self.cron, after))
        passed = (after - anchor).total_seconds() // self.seconds
        return anchor + timedelta(seconds=(max(passed, 0) + 1) * self.seconds)

    def last(self, before: datetime, anchor: datetime) -> datetime | None:
        """The last time that is not behind `before`; ``None`` if `anchor` is behind it."""
        from cronsim import CronSim

        if self.cron:
            found = next(CronSim(self.cron, before + timedelta(seconds=1), reverse=True))
        else:
            passed = (before - anchor).total_seconds() // self.seconds
            found = anchor + timedelta(seconds=max(passed, 0) * self.seconds)
        return found if found > anchor else None

    @property
    def span(self) -> str:
        """`seconds` as ``monitor --since`` takes it."""
        for unit, size in (("d", DAY), ("h", HOUR)):
            if self.seconds % size == 0:
                return f"{self.seconds // size}{unit}"
        return f"{math.ceil(self.seconds / MINUTE)}m"


def read(every: str, at: str = "") -> When:
    """What ``--every`` and ``--at`` ask for.

    Parameters
    ----------
    every : str
        ``15m``, ``6h``, ``1d``, ``1w``, ``1mo``, or a cron expression of five fields.
    at : str
        ``HH:MM``, of a span of an hour or more; 06:00 by default from a day on.

    Raises
    ------
    WrongUsage
        If either can't be read, or they do not go together.
    """
    text = " ".join(every.split())
    if span := _SPAN.fullmatch(text):
        return _of_span(int(span[1]), span[2], at)
    if len(text.split(" ")) != 5:
        raise WrongUsage(
            f"{every!r} is neither a span of time nor a cron expression of five fields.",
            'For example 15m, 6h, 1d, 1w, 1mo or "0 6 * * 1".',
        )
    if at:
        raise WrongUsage("A cron expression says the time itself.", "Leave --at out.")
    cron = _checked(text)
    return When(every=text, cron=cron, seconds=_longest(cron))


def nearest(seconds: int) -> str:
    """The spans below and above it that cron can say, in words; none of less than a half of it."""
    below = [name for name, size in REGULAR.items() if size <= seconds][-1:]
    above = [name for name, size in REGULAR.items() if size > seconds][:1]
    far = {n: abs(math.log(REGULAR[n] / seconds)) for n in (*below, *above)}
    return " or ".join(n for n in far if far[n] < math.log(2) or far[n] == min(far.values()))


def _of_span(count: int, unit: str, at: str) -> When:
    seconds = count * _UNITS[unit]
    if not 0 < seconds <= 10 * 366 * DAY:
        raise WrongUsage(f"{count}{unit} is no span of time to repeat.", "From 1m to 10 years.")
    hour, minute = _clock(at, seconds)
    every = f"{count}{unit}" + (f" at {hour:02d}:{minute:02d}" if at else "")
    if unit == "mo":
        # A span that must not miss anything is as long as the longest of its months.
        return When(every=every, cron=_monthly(count, hour, minute), seconds=count * 31 * DAY)
    return When(every=every, cron=_regular(seconds, hour, minute), seconds=seconds)


def _regular(seconds: int, hour: int, minute: int) -> str:
    """The expression of a span that divides an hour, a day or a week; else nothing."""
    if seconds < HOUR:
        step = seconds // MINUTE
        return "" if HOUR % seconds else "* * * * *" if step == 1 else f"*/{step} * * * *"
    if seconds < DAY:
        step = seconds // HOUR
        if seconds % HOUR or DAY % seconds:
            return ""
        first = hour % step
        hours = "*" if step == 1 else f"{first}-23/{step}" if first else f"*/{step}"
        return f"{minute} {hours} * * *"
    return {DAY: f"{minute} {hour} * * *", WEEK: f"{minute} {hour} * * 1"}.get(seconds, "")


def _monthly(count: int, hour: int, minute: int) -> str:
    if 12 % count:
        return ""
    months = "*" if count == 1 else "1" if count == 12 else f"*/{count}"
    return f"{minute} {hour} 1 {months} *"


def _clock(at: str, seconds: int) -> tuple[int, int]:
    if not at:
        return (6, 0) if seconds >= DAY else (0, 0)
    found = _CLOCK.fullmatch(at.strip())
    if found is None:
        raise WrongUsage(f"{at!r} is no time of day.", "--at takes HH:MM in UTC: 06:00.")
    if seconds < HOUR:
        raise WrongUsage("What runs several times an hour has no time of day.", "Leave --at out.")
    return int(found[1]), int(found[2])


def _checked(text: str) -> str:
    """The expression if all crons read it alike, with numbers in place of names."""
    from cronsim import CronSim, CronSimError

    fields = text.upper().split(" ")
    bad = next((f for f in fields if not _FIELD.fullmatch(f)), "")
    day, weekday = fields[2], fields[4]
    try:
        if bad:
            raise CronSimError(f"Bad field {bad}")
        found = CronSim(text, datetime.now(UTC))
        next(found)
    except (CronSimError, StopIteration) as error:
        raise WrongUsage(
            f"{text!r} is no cron expression: {str(error) or 'it never comes'}.",
            'Minute, hour, day of the month, month, day of the week: "30 6 * * 1-5".',
        ) from None
    whole = len(found.days) == 31 or len(weekdays(found)) == 7
    if "*" not in (day, weekday) and (whole or "*" in day + weekday):
        raise WrongUsage(
            f"{text!r} means one thing to one cron and another to the next: it has a step from *, "
            "or all days, beside another day.",
            "Say * for all days, and name the others: 1-31/2 for */2.",
        )
    for place, values in ((3, found.months), (4, weekdays(found))):
        if re.search(r"[A-Z7]", fields[place]):  # not all of them know names, or Sunday as 7
            fields[place] = ",".join(map(str, sorted(values)))
    return " ".join(fields)


def weekdays(found: CronSim) -> set[int]:
    """The days of the week of an expression, Sunday as 0."""
    # A pair would be the n-th of its kind in a month, which no expression taken here has.
    return {day % 7 for day in found.weekdays if isinstance(day, int)}


def _longest(cron: str) -> int:
    """Seconds of the longest wait among many."""
    from cronsim import CronSim

    times = list(itertools.islice(CronSim(cron, datetime.now(UTC)), 400))
    waits = (later - earlier for earlier, later in itertools.pairwise(times))
    return round(max(waits, default=timedelta(days=366)).total_seconds())
