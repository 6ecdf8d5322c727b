"""Requests that waited while the model worked, answered together in one call of it.

A model in Python spends most of a small request on what it does once a call, so that sixteen rows
take little longer than one. Nothing waits for others to come: what waits already goes together.
Each request is read and answered by itself; only what they ask of the model is joined, where it
is alike in columns and types. If the joined call fails, each is asked alone, so that it is told
what is wrong with itself and nothing else.

A model must answer each row for itself for that. Code of the user's own (``pyfunc``) may not, so it
is never asked for several requests at once; of others the input example is the proof.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mlops_magics.serving.refusals import ModelFailed, Refusal
from mlops_magics.serving.service import Answer, Ask, Service, Steps, guarded
from mlops_magics.serving.table import Table, joined

log = logging.getLogger("mlops_magics.serving")

#: Rows that go to the model in one call, unless one request alone has more.
MOST_ROWS = 256


@dataclass(frozen=True, slots=True)
class Work:
    """A request on its way to an answer: its steps, and how its protocol refuses."""

    steps: Steps
    refusing: Callable[[Refusal, str], Answer]
    request_id: str


class Batching:
    """Answers several requests with as few calls of the model as can be.

    Parameters
    ----------
    on : bool
        Whether to join anything at all.
    """

    def __init__(self, service: Service, on: bool = True) -> None:
        self.service = service
        self._on = on and service.predictor.flavor != "pyfunc"
        self._proven: bool | None = None

    def answers(self, works: Sequence[Work]) -> list[Answer]:
        """One answer for each; never raises but for what ends a thread."""
        found: list[Ask | Answer] = [_advance(w, partial(next, w.steps)) for w in works]
        while asks := {i: one for i, one in enumerate(found) if isinstance(one, Ask)}:
            for group in self._groups(asks):
                for at, step in zip(group, self._asked([asks[i] for i in group]), strict=True):
                    found[at] = _advance(works[at], partial(step, works[at].steps))
        return [one for one in found if isinstance(one, Answer)]

    def _groups(self, asks: dict[int, Ask]) -> list[list[int]]:
        """Which go together: by what they ask, in the order in which they came."""
        if len(asks) == 1 or not self._joins():
            return [[i] for i in asks]
        groups: list[list[int]] = []
        newest: dict[Any, tuple[list[int], int]] = {}
        for at, ask in asks.items():
            key = _kind(ask)
            group, rows = newest.get(key, ([], MOST_ROWS))
            if key is None or rows + ask.query.rows > MOST_ROWS:
                group, rows = [], 0
                groups.append(group)
            group.append(at)
            newest[key] = (group, rows + ask.query.rows)
        return groups

    def _asked(self, group: Sequence[Ask]) -> list[Callable[[Steps], Ask]]:
        """For each what to do with its steps: send what the model answered, or throw."""
        if len(group) > 1:
            try:
                return [partial(_send, part) for part in _joined(self.service, group)]
            except Exception as error:  # whose fault it is shows when each is asked alone
                log.debug("Asked alone, as together it failed: %r", error)
        return [self._alone(ask) for ask in group]

    def _alone(self, ask: Ask) -> Callable[[Steps], Ask]:
        try:
            return partial(_send, self.service.ask(ask.query, ask.method, ask.params))
        except Exception as error:
            return partial(_throw, error)
        except BaseException as error:  # SystemExit is no reason to stop either
            return partial(_throw, ModelFailed(f"The model failed ({type(error).__name__})."))

    def _joins(self) -> bool:
        """Whether the model answers the rows of its example together as it does one by one."""
        if self._on and self._proven is None:
            self._proven = _is_rowwise(self.service)
            if not self._proven:
                log.info("Requests are not joined: the model answers rows together differently.")
        return self._on and bool(self._proven)


def _advance(work: Work, step: Callable[[], Ask]) -> Ask | Answer:
    def advanced() -> Ask | Answer:
        try:
            return step()
        except StopIteration as done:
            answer: Answer = done.value
            return answer

    return guarded(advanced, work.refusing, work.request_id)


def _send(value: Any, steps: Steps) -> Ask:
    return steps.send(value)


def _throw(error: Exception, steps: Steps) -> Ask:
    return steps.throw(error)


def _kind(ask: Ask) -> Any:
    """Equal for what can be joined; ``None`` for what can't be."""
    data = ask.query.data
    if ask.params:
        return None
    if isinstance(data, Table):
        return ask.method, data.kind
    if isinstance(data, np.ndarray) and data.ndim:
        return ask.method, data.dtype, data.shape[1:]
    return None


def _joined(service: Service, group: Sequence[Ask]) -> list[np.ndarray]:
    """What the model answers to each, from one call.

    Raises
    ------
    ModelFailed
        If it is not an array with an answer a row.
    """
    parts: list[Any] = [ask.query.data for ask in group]
    data: Any = joined(parts) if isinstance(parts[0], Table) else np.concatenate(parts)
    raw = service.raw(data, group[0].method, {})
    ends = np.cumsum([ask.query.rows for ask in group])
    if not isinstance(raw, np.ndarray) or not raw.ndim or len(raw) != ends[-1]:
        raise ModelFailed("The model did not answer row by row.")
    return np.split(raw, ends[:-1])


def _is_rowwise(service: Service) -> bool:
    try:
        asked = service.exemplary()
        if asked is None:
            return False
        data, rows = asked.data, min(asked.rows, 3)
        if not isinstance(data, Table | np.ndarray):
            return False
        alone = [service.raw(data[i : i + 1], "predict", {}) for i in range(rows)]
        together = service.raw(data[:rows], "predict", {})
        return _same(np.concatenate(alone), together)
    except Exception:
        return False


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=1e-6, atol=1e-9, equal_nan=True))
    return bool((one == other).all())
