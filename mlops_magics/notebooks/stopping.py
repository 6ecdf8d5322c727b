"""Asking a run to stop: by a signal, or from another thread."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StoppedError(Exception):
    """The run ended before the notebook did.

    Attributes
    ----------
    status : str
        ``interrupted``, ``timed out`` or ``killed``.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class NotRestoredError(Exception):
    """An earlier state could not be read back; the kernel is not what it should be."""


class Stopper:
    """Where anyone asks a run to stop, and the run hears of it."""

    def __init__(self) -> None:
        self.reason = ""
        self._wake: Callable[[], object] | None = None

    def stop(self, reason: str) -> None:
        """Ask; the running cell is interrupted, and no further one begins."""
        # No lock: a signal may come while this very thread holds it. Reason first, then the
        # call, and the other way round in `listen`: one of the two sees the other.
        self.reason = self.reason or reason
        if (wake := self._wake) is not None:
            wake()

    def listen(self, wake: Callable[[], object] | None) -> None:
        """Whom to wake when someone asks."""
        self._wake = wake
        if wake is not None and self.reason:
            wake()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Stop on SIGINT, SIGTERM and SIGHUP, in the main thread; a second one breaks through."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may handle signals; it decides for its threads
            return

        def handle(number: int, _frame: FrameType | None) -> None:
            if self.reason:
                raise KeyboardInterrupt
            self.stop(f"{signal.Signals(number).name} was received")

        names = ("SIGINT", "SIGTERM", "SIGHUP")
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        # What is ignored on purpose (nohup) stays ignored.
        before = {n: h for n in numbers if (h := signal.getsignal(n)) is not signal.SIG_IGN}
        for number in before:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
