"""A pulse beside running code: about once a second, from a thread of its own."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable

#: Seconds from beat to beat; code that runs shorter than that knows none.
EVERY = 1.0
#: Seconds that the end waits for a beat that hangs, as one does whose store does not answer.
PATIENCE = 2.0

log = logging.getLogger("mlops_magics")


class Pulse:
    """Calls `beat` about once a second, from `start` to `stop`."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._stopped = threading.Event()
        # In the context of the code beside it: a kernel looks there for the cell to display in.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="mlops-pulse", daemon=True
        )

    def start(self) -> None:
        """Begin; the first beat comes after a second."""
        self._thread.start()

    def stop(self) -> None:
        """No beat begins after this."""
        self._stopped.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._stopped.wait(EVERY):
            try:
                self._beat()
            except Exception:  # whatever fails here must not disturb the code beside it
                log.debug("a beat failed", exc_info=True)
