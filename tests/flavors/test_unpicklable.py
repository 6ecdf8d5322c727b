"""Which part of a model can't be saved."""

from __future__ import annotations

import threading
from typing import Any

from mlops_magics.flavors import unpicklable


class Box:
    def __init__(self, held: Any) -> None:
        self.held = held


def test_nothing_where_everything_can_be_saved() -> None:
    assert unpicklable.culprit(Box(lambda rows: rows)) == ""


def test_the_innermost_part_is_named() -> None:
    lock = threading.Lock()
    deep = Box({"a": 1, "b": [2, Box(lock)]})
    assert unpicklable.culprit(deep) == "model.held['b'][1].held (a _thread.lock)"
    assert unpicklable.culprit(Box(n for n in "ab"), "net") == "net.held (a generator)"


def test_a_function_is_blamed_for_what_it_closes_over() -> None:
    lock = threading.Lock()

    def guarded() -> None:
        with lock:
            pass

    assert unpicklable.culprit(Box(guarded)) == "model.held → lock (a _thread.lock)"


class Refusing:
    def __reduce__(self) -> Any:
        raise RuntimeError("never")


def test_an_object_that_refuses_by_itself_is_the_culprit() -> None:
    assert unpicklable.culprit(Box(Refusing())).startswith("model.held (a ")


def test_it_ends_where_things_hold_each_other() -> None:
    one, other = Box(None), Box(threading.Lock())
    one.held, other.back = other, one  # type: ignore[attr-defined]
    assert unpicklable.culprit(one) == "model.held.held (a _thread.lock)"
