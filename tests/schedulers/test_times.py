"""How often: spans and cron expressions, beside what other crons make of them."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_magics.errors import WrongUsage
from mlops_magics.schedulers import systemd, times
from tests.conftest import need

NOW = datetime(2026, 11, 25, 12, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "at", "cron", "span"),
    [
        ("1m", "", "* * * * *", "1m"),
        ("15m", "", "*/15 * * * *", "15m"),
        ("60m", "", "0 * * * *", "1h"),
        ("1h", "00:20", "20 * * * *", "1h"),
        ("6h", "", "0 */6 * * *", "6h"),
        ("6h", "07:30", "30 1-23/6 * * *", "6h"),
        ("24h", "", "0 6 * * *", "1d"),
        ("1d", "23:05", "5 23 * * *", "1d"),
        ("7d", "", "0 6 * * 1", "7d"),
        ("1w", "6:00", "0 6 * * 1", "7d"),
        ("1mo", "", "0 6 1 * *", "31d"),
        ("3mo", "", "0 6 1 */3 *", "93d"),
        ("0 6 * * 1-5", "", "0 6 * * 1-5", "3d"),
        ("0 6 * * sun", "", "0 6 * * 0", "7d"),
        ("0 6 * * 5-7", "", "0 6 * * 0,5,6", "5d"),
        ("0 6 1 jan,jul *", "", "0 6 1 1,7 *", "184d"),
        ("7h", "", "", "7h"),
        ("90m", "", "", "90m"),
        ("30d", "", "", "30d"),
    ],
)
def test_what_is_asked_for(every: str, at: str, cron: str, span: str) -> None:
    when = times.read(every, at)
    assert (when.cron, when.span) == (cron, span)


@pytest.mark.parametrize(
    ("every", "at", "told"),
    [
        ("sometimes", "", "neither a span of time nor a cron expression"),
        ("0d", "", "no span of time to repeat"),
        ("1d", "25:00", "no time of day"),
        ("15m", "06:00", "no time of day"),
        ("0 6 * * *", "06:00", "says the time itself"),
        ("0 25 * * *", "", "Bad hour"),
        ("0 6 L * *", "", "no cron expression"),
        ("0 6 * * 1#2", "", "no cron expression"),
        ("0 0 31 2 *", "", "no cron expression"),
        ("0 6 */2 * 1", "", "one thing to one cron"),
        ("0 6 1 * 0-6", "", "one thing to one cron"),
        ("0 6 1-31 * mon", "", "one thing to one cron"),
        ("@daily", "", "neither"),
    ],
)
def test_what_no_cron_can_read_is_told(every: str, at: str, told: str) -> None:
    with pytest.raises(WrongUsage, match=told):
        times.read(every, at)


@pytest.mark.parametrize(
    ("seconds", "near"),
    [
        (7 * 3600, "6h or 8h"),
        (90 * 60, "1h or 2h"),
        (30 * 86_400, "1mo"),
        (7 * 60, "6m or 10m"),
        (10 * 86_400, "1w"),
    ],
)
def test_the_nearest_span(seconds: int, near: str) -> None:
    assert times.nearest(seconds) == near


def test_a_span_that_no_cron_can_say_is_counted_from_its_beginning() -> None:
    when = times.read("7h")
    assert when.next(NOW, NOW) == NOW + timedelta(hours=7)
    assert when.next(NOW + timedelta(hours=7), NOW) == NOW + timedelta(hours=14)
    assert when.last(NOW + timedelta(hours=8), NOW) == NOW + timedelta(hours=7)
    assert when.last(NOW + timedelta(hours=6), NOW) is None


def test_the_last_time_is_at_or_before_and_behind_the_beginning() -> None:
    when = times.read("1d")
    six = NOW.replace(hour=6, minute=0)
    early = six - timedelta(days=3)
    assert when.last(NOW, early) == when.last(six, early) == six
    assert when.last(six - timedelta(seconds=1), early) == six - timedelta(days=1)
    assert when.last(NOW, NOW.replace(hour=7)) is None


fields = st.tuples(
    *(
        st.one_of(
            st.just("*"),
            st.integers(2, 7).map(lambda n: f"*/{n}"),
            st.integers(low, high).map(str),
            st.lists(st.integers(low, high), min_size=1, max_size=3).map(
                lambda found: ",".join(map(str, sorted(found)))
            ),
            st.tuples(st.integers(low, high), st.integers(low, high)).map(
                lambda ends: f"{min(ends)}-{max(ends)}"
            ),
        )
        for low, high in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6))
    )
)


@given(fields)
def test_croniter_comes_to_the_same_times(parts: tuple[str, ...]) -> None:
    """By Airflow's reader of expressions, written by others."""
    croniter = need("croniter")
    try:
        when = times.read(" ".join(parts))
    except WrongUsage:  # two days that not all crons read alike
        assert "*" in parts[2] + parts[4] or parts[4] == "0-6"
        return
    theirs = croniter.croniter(when.cron, NOW, ret_type=datetime)
    at = NOW
    for _ in range(3):
        at = when.next(at, NOW)
        assert at == theirs.get_next()
        assert when.last(at, NOW) == at


CALENDARS = ("*/15 * * * *", "30 1-23/6 * * *", "0 6 * * 1-5", "0 6 1 */3 *", "5 4 1,15 * 0")


@pytest.mark.parametrize("cron", CALENDARS)
def test_systemd_comes_to_the_same_times(cron: str) -> None:
    """By its own calendar, over the next twelve times."""
    found: set[datetime] = set()
    events = systemd.calendar(cron)
    base = ["systemd-analyze", "calendar", "--iterations=12", "--base-time=2026-11-25 12:11:00 UTC"]
    done = subprocess.run([*base, *events], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        head, _, moment = line.strip().partition(": ")
        if head.startswith(("Next elapse", "Iter. #", "Iteration #")):
            text = moment.split(" ", 1)[1].removesuffix(" UTC")
            found.add(datetime.fromisoformat(text.strip()).replace(tzinfo=UTC))
    when = times.read(cron)
    ours = list(itertools.islice(_from(when), 12))
    assert sorted(found)[:12] == ours


def _from(when: times.When) -> Iterator[datetime]:
    at = NOW
    while True:
        at = when.next(at, NOW)
        yield at
