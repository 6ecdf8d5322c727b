"""The card under a running cell: one display that shows how it stands, and then what became of it.

Knows no IPython, only the publisher of displays that a kernel's shell has.
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_magics.records import Record
    from mlops_magics.verbs.live import Now


def under_cell(shell: Any) -> LiveCard | None:
    """A card for the cell that is about to run; ``None`` where what was shown can't be replaced."""
    publisher = shell.display_pub
    return LiveCard(publisher) if hasattr(publisher, "register_hook") else None


class LiveCard:
    """Updated from the pulse's thread; made and ended in the cell's own."""

    def __init__(self, publisher: Any) -> None:
        # Taken now: `%%capture` in the cell puts another one in its place.
        self._publisher = publisher
        self._publisher.register_hook(self._notice)
        self._id = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._last: Now | None = None
        self._there = False
        self._ended = False

    def update(self, now: Now) -> None:
        """Show how the cell stands."""
        from mlops_magics.doors.views import progress

        bundle = progress.bundle(now)
        with self._lock:
            self._last = now
            if not self._ended:  # a thread that is late shows nothing any more
                self._publish(bundle)

    def show(self, record: Record) -> None:
        """Show a record in the place of the one before it."""
        with self._lock:
            if not self._ended:
                self._publish(_bundle(record))

    def end(self, record: Record | None) -> bool:
        """Put the record's own card in its place, or where there is none that it failed.

        Returns
        -------
        bool
            Whether there was a card.
        """
        from mlops_magics.doors.views import progress

        self._publisher.unregister_hook(self._notice)
        with self._lock:
            self._ended = True
            if self._there and record is not None:
                self._publish(_bundle(record))
            elif self._there and self._last is not None:
                self._publish(progress.bundle(self._last, failed=True))
            return self._there

    def _publish(self, bundle: dict[str, str]) -> None:
        self._publisher.publish(
            data=bundle, metadata={}, transient={"display_id": self._id}, update=self._there
        )
        self._there = True

    def _notice(self, message: dict[str, Any]) -> dict[str, Any]:
        """The cell's own thread publishes: if it clears its outputs, the next card is a new one."""
        if message["header"]["msg_type"] == "clear_output":
            self._there = False
        return message


def _bundle(record: Record) -> dict[str, str]:
    from mlops_magics.doors import views

    return {"text/plain": views.text(record), "text/html": views.html(record)}
