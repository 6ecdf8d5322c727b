"""Looking again every so often, until someone stops it."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from types import FrameType

from mlops_magics.errors import WrongUsage
from mlops_magics.records import Monitoring

log = logging.getLogger("mlops_magics")

#: Who is shown each record of this context in place of the one before; else a line is logged.
shown: ContextVar[Callable[[Monitoring], None] | None] = ContextVar("shown", default=None)


def until_stopped(look: Callable[[], Monitoring], every: timedelta) -> Monitoring:
    """Look, wait, look again; the last record, once Ctrl-C or SIGTERM stops it.

    A look that fails is logged and the next one goes on. A look that takes longer than `every` is
    followed by the next at once.

    Raises
    ------
    WrongUsage
        If the first look finds that nothing can come of any.
    KeyboardInterrupt
        If it is stopped before any look succeeded.
    """
    last: Monitoring | None = None
    with _sigterm_interrupts():
        try:
            while True:
                begun = time.monotonic()
                try:
                    last = look()
                except Exception as error:
                    if last is None and isinstance(error, WrongUsage):
                        raise
                    log.debug("a look failed", exc_info=True)
                    why = f"{type(error).__name__}: {error}"
                    log.warning("This look failed, the next is in %s: %s", every, why)
                else:
                    _tell(last)
                time.sleep(max(0.0, begun + every.total_seconds() - time.monotonic()))
        except KeyboardInterrupt:
            if last is None:
                raise
            log.info("Stopped; this is what was seen last.")
    return last


def _tell(record: Monitoring) -> None:
    if (show := shown.get()) is not None:
        show(record)
    else:
        log.info(line(record))


def line(record: Monitoring) -> str:
    """A look in one line."""
    from mlops_magics import alerts

    found = ", ".join(alerts.messages.broken(record))
    state = f"✗ over threshold: {found}" if found else "✓ well"
    sent = [a["sink"] for a in record.alerts if a["status"] == "sent"]
    parts = [f"{record.until[:19]}Z", f"{record.deployment} {state}", f"{record.rows} rows"]
    parts += [f"told {', '.join(sent)}"] if sent else []
    parts += [w for w in record.warnings if w.startswith(("The alert to", "No alert can"))]
    return " · ".join(parts)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM stop it as Ctrl-C does; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
