"""What training code tells while it runs: values by iteration, for the store and for the card."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from mlops_magics.errors import WrongUsage
from mlops_magics.verbs.pulse import Pulse

#: One value as the store takes it: metric, value, step, milliseconds since the epoch.
Point = tuple[str, float, int, int]

#: So many values of one metric are stored one by one; from then on every 2nd, 4th, 8th…
STORED = 10_000
#: So many values of one metric are drawn.
DRAWN = 120


#: What MLflow takes as the name of a metric.
_NAME = re.compile(r"[/\w.\- :]{1,250}")


def check_metric(name: str) -> None:
    """Make sure that a metric may be called so.

    Raises
    ------
    WrongUsage
        If it may not; says what is allowed.
    """
    if not _NAME.fullmatch(name):
        raise WrongUsage(
            f"{name!r} can't be the name of a metric: up to 250 letters, digits and '/_.-: ' are "
            "allowed."
        )


@dataclass
class Series:
    """One metric by iteration: its latest value, and enough values to draw its course.

    Attributes
    ----------
    complete : bool
        Whether the latest value is among those that are stored.
    store_every : int
        Every how many-th value is stored by now.
    """

    last: Point
    count: int = 0
    course: list[float] = field(default_factory=list)
    complete: bool = False
    store_every: int = 1
    _stored: int = 0
    _draw_every: int = 1

    def add(self, point: Point) -> bool:
        """Take the next value; whether it is one of those to store."""
        self.last = point
        place = self.count
        self.count += 1
        if place % self._draw_every == 0:
            self.course.append(point[1])
            if len(self.course) > DRAWN:
                del self.course[1::2]
                self._draw_every *= 2
        self.complete = place % self.store_every == 0
        if self.complete:
            self._stored += 1
            if self._stored % STORED == 0:
                self.store_every *= 2
        return self.complete


@dataclass(frozen=True)
class Now:
    """How running code stands at a moment.

    Attributes
    ----------
    elapsed, cpu_s : float
        Seconds of wall time and of CPU since its start.
    memory_bytes : int
        What the process holds at this moment.
    """

    name: str
    run_id: str
    elapsed: float
    cpu_s: float
    memory_bytes: int
    series: Mapping[str, Series]


#: Who is shown how the code of this context stands, about once a second, from a thread.
watcher: ContextVar[Callable[[Now], None] | None] = ContextVar("watcher", default=None)


@contextmanager
def shown(now: Callable[[Mapping[str, Series]], Now]) -> Iterator[Live]:
    """Take values, and show how it stands to whoever watches, while the block runs."""
    values, watches = Live(), watcher.get()
    if watches is None:
        yield values
        return
    pulse = Pulse(lambda: watches(now(values.series)))
    pulse.start()
    try:
        yield values
    finally:
        pulse.stop()


class Live:
    """Takes values from any thread, at a few microseconds each, in bounded memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[str, Series] = {}
        self._waiting: list[Point] = []

    def report(self, name: str, value: float, step: int | None = None) -> None:
        """Note the value of a metric at an iteration.

        Parameters
        ----------
        name : str
            The metric, as it will be called in the store.
        value : float
            Anything that ``float`` takes: also a NumPy or a torch scalar.
        step : int, optional
            The iteration; by default the one after the metric's last.

        Raises
        ------
        WrongUsage
            If the value is no number, or no metric may be called so.
        """
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise WrongUsage(
                f"The metric {name!r} can't be {value!r}: a number is expected.",
                "Log a text as a parameter, or with --tag.",
            ) from error
        now = time.time_ns() // 1_000_000
        with self._lock:
            series = self._series.get(name)
            if step is None:
                step = series.last[2] + 1 if series else 0
            point = (name, number, int(step), now)
            if series is None:
                check_metric(name)
                series = self._series[name] = Series(point)
            if series.add(point):
                self._waiting.append(point)

    def take(self) -> list[Point]:
        """The values that are still to be stored; they are the caller's from now on."""
        with self._lock:
            points, self._waiting = self._waiting, []
        return points

    def finish(self) -> list[Point]:
        """What is still to be stored, with the last value of each metric in any case."""
        points = self.take()
        return [*points, *(s.last for s in self.series.values() if not s.complete)]

    def notes(self) -> list[str]:
        """A sentence for each metric of which not every value is stored."""
        return [
            f"{name} was reported {series.count} times: the first {STORED} values are stored, from "
            "there on every 2nd, then every 4th and so on, and the last."
            for name, series in self.series.items()
            if series.store_every > 1
        ]

    @property
    def series(self) -> Mapping[str, Series]:
        """Each metric that was reported, in the order of its first report."""
        with self._lock:
            return dict(self._series)
