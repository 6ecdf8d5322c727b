"""Small requests that came within one turn of the event loop, answered by one call of the graph."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mlops_magics.serving.hot import Asked, Hot

log = logging.getLogger("mlops_magics.serving")

#: Requests that wait for each other at the most.
MOST_TOGETHER = 64


class Asking(Protocol):
    """Whoever asked."""

    def answer(self, pending: Pending, body: bytes, outputs: str) -> None:
        """Take the answer."""

    def fail(self, pending: Pending) -> None:
        """Take that there is none, unless there was one."""


@dataclass(slots=True)
class Pending:
    """A small request that waits for the end of this turn.

    Attributes
    ----------
    head : mapping
        The request's heads.
    started : float
        As `served.Request` has it.
    """

    asking: Asking
    hot: Hot
    asked: Asked
    head: Mapping[bytes, bytes]
    body: bytes
    started: float


class Turns:
    """What waits for the end of the turn."""

    def __init__(self) -> None:
        self.waiting: list[Pending] = []

    def put(self, pending: Pending, loop: asyncio.AbstractEventLoop) -> None:
        """Answer it when nothing more comes in."""
        self.waiting.append(pending)
        if len(self.waiting) == 1:
            loop.call_soon(self._next, loop, 0)

    def _next(self, loop: asyncio.AbstractEventLoop, before: int) -> None:
        """Answer, unless more came in: one more turn costs next to nothing."""
        count = len(self.waiting)
        if before < count < MOST_TOGETHER:
            loop.call_soon(self._next, loop, count)
        else:
            self.flush()

    def flush(self) -> None:
        """Answer all that wait, with one call for those that ask the same of the same graph."""
        waiting, self.waiting = self.waiting, []
        groups: dict[tuple[int, str], list[Pending]] = {}
        for pending in waiting:
            groups.setdefault((id(pending.hot), pending.asked.method), []).append(pending)
        for group in groups.values():
            try:
                _answer(group)
            except Exception:
                log.exception("Small requests failed")
                for pending in group:
                    pending.asking.fail(pending)


def _answer(group: list[Pending]) -> None:
    hot, method = group[0].hot, group[0].asked.method
    raw = hot.run([row for pending in group for row in pending.asked.rows], method)
    at = 0
    for pending in group:
        rows = len(pending.asked.rows)
        body, outputs = hot.written(pending.asked, raw[at : at + rows])
        at += rows
        pending.asking.answer(pending, body, outputs)
