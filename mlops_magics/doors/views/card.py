"""What every view is made of, and how values are written for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Tone = Literal["good", "bad", "warn", "plain"]


@dataclass(frozen=True)
class Status:
    """A word and its tone; the word alone says it all, colour is never the only sign."""

    word: str
    tone: Tone = "plain"

    @property
    def sign(self) -> str:
        """A sign that is told apart without colour."""
        return {"good": "✓", "bad": "✗", "warn": "!", "plain": "·"}[self.tone]


@dataclass(frozen=True)
class Bars:
    """Two histograms over the same bins, as shares of their rows (each sums to 1)."""

    labels: Sequence[str]
    reference: Sequence[float]
    current: Sequence[float]


@dataclass(frozen=True)
class Meter:
    """A value with its interval against a threshold, all in one unit.

    `at_least` says which side of the threshold is the right one; ``None`` where neither is.
    """

    value: float
    threshold: float | None = None
    interval: tuple[float, float] | None = None
    low: float = 0.0
    high: float = 1.0
    at_least: bool | None = None


@dataclass(frozen=True)
class Said:
    """What is recorded of something and where; where nothing is, what would record it."""

    text: str = ""
    source: str = ""
    command: str = ""

    @property
    def plain(self) -> str:
        """All of it in one line."""
        if self.text:
            return f"{self.text} ({self.source})" if self.source else self.text
        return f"not recorded; to record it: {self.command}" if self.command else "not recorded"


@dataclass(frozen=True)
class Spark:
    """The course of a value, as a small line; values that are no finite numbers are left out."""

    values: Sequence[float]


@dataclass(frozen=True)
class Table:
    """Rows of cells; a cell is text, a number, a `Status`, or a picture.

    With `notes`, one a row, there stands a sentence below each row that is too long for a cell.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Axis:
    """What an axis shows, its unit in the label; its reach is that of the points by default.

    With `names` it is one of categories: the value 0 is the first name's place. One without a
    letter has a place and no tick.
    """

    label: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Series:
    """Points that belong together; `tips` are shown when one is pointed at."""

    label: str
    points: Sequence[tuple[float, float]]
    drawn: Literal["line", "dots", "both"] = "line"
    tips: Sequence[str] = ()


@dataclass(frozen=True)
class Chart:
    """Lines or dots over two axes; the `guide` is a thin line to compare them with.

    `marks` are upright lines with a name.
    """

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    guide: Sequence[tuple[float, float]] = ()
    marks: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class Parallel:
    """Parallel coordinates: one line a row through its values, ``None`` where it has none.

    The rows without a label stand behind, faint.
    """

    title: str
    axes: Sequence[Axis]
    rows: Sequence[tuple[str, Sequence[float | None]]]


@dataclass(frozen=True)
class Ranges:
    """Values with their intervals, a line each, over one axis; `bound` is what they are held to.

    Attributes
    ----------
    rows : sequence of (str, float or None, (float, float) or None, Status)
        What it is, its value, its interval, and how it is judged.
    """

    title: str
    axis: Axis
    rows: Sequence[tuple[str, float | None, tuple[float, float] | None, Status]]
    bound: float | None = None
    at_least: bool | None = None


@dataclass(frozen=True)
class Span:
    """One bar, from one value to another, with what is written at its end."""

    label: str
    start: float
    end: float
    note: str = ""
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Spans:
    """Bars over one axis, a line each; `marks` are upright lines with a name.

    With `signed`, bars to the left and to the right differ in colour; their notes bear the sign.
    """

    title: str
    axis: Axis
    rows: Sequence[Span]
    marks: Sequence[tuple[float, str]] = ()
    signed: bool = False


Figure = Chart | Parallel | Ranges | Spans


@dataclass(frozen=True)
class Panel:
    """Figures side by side under one heading, with one legend for all."""

    title: str
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Diff:
    """A unified diff, shown line by line."""

    title: str
    text: str


@dataclass(frozen=True)
class Fold:
    """Figures and tables that unfold at a click, without a script."""

    title: str
    parts: Sequence[Panel | Table]
    status: Status | None = None
    opened: bool = False


@dataclass(frozen=True)
class Card:
    """One record as it is shown; figures, diffs and what unfolds stand `below` its tables.

    What `words` say in sentences stands before them all, a line each.

    A `big` one is what a report begins with; its `sections` are cards of their own.
    """

    kind: str
    title: str
    status: Status | None = None
    lead: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    small: str = ""
    big: bool = False
    below: Sequence[Panel | Diff | Fold] = ()
    sections: Sequence[Card] = ()
    words: Sequence[str] = ()


def show(value: Any) -> str:
    """A value for people: numbers to four significant digits, nothing for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return show(int(value)) if abs(value) >= 10 else f"{value:.1f}"
        if 1e4 <= abs(value) < 1e5:  # which has no fraction to four digits, and no exponent
            return show(round(value))
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, Status):
        return f"{value.sign} {value.word}"
    if isinstance(value, Said):
        return value.plain
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {show(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(show(v) for v in value)
    return str(value)


def size(count: float) -> str:
    """Bytes with a unit."""
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def seconds(value: float) -> str:
    """A duration."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def moment(text: str) -> str:
    """An ISO time to the second, in UTC as it was recorded."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return text


def short(digest: str) -> str:
    """The first figures of a digest; the whole one stands in the record."""
    kind, colon, figures = digest.partition(":")
    return f"{kind}:{figures[:12]}…" if colon and len(figures) > 12 else digest


def percent(share: float) -> str:
    """A share of one."""
    return f"{share * 100:.1f} %"
