"""The end of a kernel's line at which we listen, with room for a cell that says much at once."""

from __future__ import annotations

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient

#: Messages that wait for us before the kernel throws any away, which nobody would notice: not even
#: that the cell has ended, if that is what was lost.
QUEUE = 20_000


class Listener(AsyncKernelClient):
    """jupyter_client's own, with a longer queue."""

    def _context_default(self) -> zmq.asyncio.Context:
        context = super()._context_default()
        context.setsockopt(zmq.RCVHWM, QUEUE)
        return context
