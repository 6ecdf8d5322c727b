"""The end of a kernel's line at which we listen: room for much, and nothing read in vain."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient

from mlops_magics.notebooks.bounding import CUT, LIMIT

#: Messages that wait for us before the kernel throws any away, which nobody would notice: not even
#: that the cell has ended, if that is what was lost.
QUEUE = 20_000

#: How a message with a piece of a stream begins, as ipykernel writes it.
_STREAM = re.compile(rb'\{"name": ?"(stdout|stderr)", ?"text": ?"')
#: The end of a line within it, and not a backslash before an n.
_LINE = re.compile(rb"(?<!\\)(?:\\\\)*\\n")


class Listener(AsyncKernelClient):
    """jupyter_client's own, with a longer queue, and sparing with what is far too long."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.session.unpack = sparing(self.session.unpack)

    def _context_default(self) -> zmq.asyncio.Context:
        context = super()._context_default()
        context.setsockopt(zmq.RCVHWM, QUEUE)
        return context


def sparing(unpack: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Like `unpack`, but of a very long piece of a stream only what is kept of it anyway.

    What a cell prints at a stretch comes as one message, whose text would be in memory four times.
    """

    def read(content: bytes) -> Any:
        begin = _STREAM.match(content) if len(content) > 2 * LIMIT else None
        if begin is None:
            return unpack(content)
        ends = [found.end() for found in _LINE.finditer(content, begin.end(), LIMIT)]
        cut = ends[-1] if ends else begin.end()
        body = dict(json.loads(content[:cut] + b'"}'))
        # Each line's end and each quote is written with a backslash before it.
        return {**body, CUT: len(content) - len('"}') - cut - content.count(b"\\", cut)}

    return read
