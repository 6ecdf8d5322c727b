"""Requests for the tests of captures."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mlops_magics.serving import capture_journal as journal
from mlops_magics.serving.capture import Capture, Captured
from mlops_magics.serving.capture_rules import Rules

numbers = itertools.count()


def one(**changes: Any) -> Captured:
    """A request for one row."""
    facts: dict[str, Any] = {
        "request_id": f"r{next(numbers)}",
        "time": time.time_ns() // 1000,
        "status": 200,
        "latency_ms": 1.5,
        "client_id": "",
        "rows": 1,
        "error": "",
        "columns": {"x": [1.0]},
        "outputs": "[1]",
        "size": 500,
    }
    return Captured(**{**facts, **changes})


def keep(path: Path, captured: Iterable[Captured], **rules: Any) -> Capture:
    """What a server writes between its start and its end."""
    made = Capture(path, "credit/1", Rules(**rules))
    made.start()
    for request in captured:
        made.put(request)
        while made.waiting > 5000:
            time.sleep(0.01)
    made.close(30)
    return made


def end(place: Path) -> None:
    """Say of all journals that nothing more will come, as a server does when one is full."""
    for file in place.glob("*.journal"):
        with file.open("ab") as stream:
            stream.write(journal.frame(journal.END, b""))


def until(condition: Callable[[], bool]) -> None:
    for _ in range(800):
        if condition():
            return
        time.sleep(0.025)
    raise AssertionError("it did not happen within 20 s")
