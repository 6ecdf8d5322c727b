"""Looking on while a framework trains, without a part in it.

Each framework has one function that it calls after every iteration with what it has measured.
While a training run is open, that function is followed by ours, which reports; what the framework
does and returns is the same. A framework that the code imports only later is met then.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from mlops_magics.flavors.base import Report

log = logging.getLogger("mlops_magics")

#: Trainings of one framework whose metrics are told apart in one run; a search makes hundreds.
MOST_FITS = 20

#: Takes what a function returned and what it was called with.
Follower = Callable[..., None]


class Fits:
    """Reports by training: those of the second are called ``fit_2_…``, and so on."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._count = 0

    def report(self, training: Any, name: str, value: Any, step: int) -> None:
        """Report a metric of one training, which is known by any object that lives with it."""
        number = self._numbers.get(training)
        if number is None:
            self._count += 1
            number = self._numbers[training] = self._count
        if number <= MOST_FITS:
            self._report(name if number == 1 else f"fit_{number}_{name}", float(value), int(step))


@contextmanager
def following(module: str, function: str, follower: Follower) -> Iterator[None]:
    """While it is open, each call of a module's function or method is followed by `follower`.

    Parameters
    ----------
    module : str
        Imported now or later; it is not imported by this.
    function : str
        ``train``, or ``Booster.update`` for a method.
    follower : callable
        Called with what the function returned, then its arguments. What it raises is logged
        and goes no further.
    """
    seam = _seam(module, function)
    seam.followers.append(follower)
    try:
        seam.open()
        yield
    finally:
        seam.followers.remove(follower)
        seam.close()


class _Seam:
    """One function that is followed, by however many; untouched while there are none."""

    def __init__(self, module: str, function: str) -> None:
        self.module = module
        self.function = function
        self.followers: list[Follower] = []
        self._lock = threading.Lock()
        self._hooked = False
        self._original: Any = None
        self._ours: Any = None

    def open(self) -> None:
        if self.module in sys.modules:
            self._patch(sys.modules[self.module])
        elif not self._hooked:
            from wrapt import register_post_import_hook

            self._hooked = True
            register_post_import_hook(self._patch, self.module)

    def close(self) -> None:
        with self._lock:
            if self.followers or self._ours is None:
                return
            owner, name = self._place(sys.modules[self.module])
            # What somebody else has put around it stays; without followers ours does nothing.
            if vars(owner).get(name) is self._ours:
                setattr(owner, name, self._original)
                self._original = self._ours = None

    def _place(self, module: ModuleType) -> tuple[Any, str]:
        *owners, name = self.function.split(".")
        return functools.reduce(getattr, owners, module), name

    def _patch(self, module: ModuleType) -> None:
        with self._lock:
            if self._ours is not None or not self.followers:
                return
            try:
                owner, name = self._place(module)
                original = vars(owner)[name]
            except (AttributeError, KeyError):
                log.debug("%s has no %s; nothing is reported", self.module, self.function)
                return

            @functools.wraps(original)
            def followed(*args: Any, **kwargs: Any) -> Any:
                result = original(*args, **kwargs)
                for follower in tuple(self.followers):
                    try:
                        follower(result, *args, **kwargs)
                    except Exception:
                        log.debug("A report from %s failed", self.module, exc_info=True)
                return result

            self._original, self._ours = original, followed
            setattr(owner, name, followed)


@functools.cache
def _seam(module: str, function: str) -> _Seam:
    return _Seam(module, function)
