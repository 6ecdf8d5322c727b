"""Meeting a kernel, and parting from it, without pauses.

jupyter_client waits 0.2 s for silence once a kernel has answered, looks for its end every 0.1 s,
and its sockets try again every 0.1 s until the kernel has made its own. A forked kernel is up in
less than that.
"""

from __future__ import annotations

import asyncio
import time
from queue import Empty
from typing import Any

import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type, default

from mlops_magics.notebooks.listening import Listener

#: Seconds between two looks for what is not told.
PAUSE = 0.01

#: Seconds in which a kernel that answers is heard on the channel of outputs too.
HEARD = 0.2


class Meeting(Listener):
    """A client that begins as soon as the kernel is heard on both channels."""

    def _context_default(self) -> zmq.asyncio.Context:
        return _eager(super()._context_default())

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers and what it puts out arrives.

        Raises
        ------
        RuntimeError
            If it dies before, or does not answer in time.
        """
        until = time.monotonic() + (float("inf") if timeout is None else timeout)
        answer = None
        while True:
            asked = self.kernel_info()
            answer = await self._answer() or answer
            if answer is not None and await self._idle(asked):
                self._handle_kernel_info_reply(answer)
                return
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > until:
                raise RuntimeError(f"Kernel didn't respond in {timeout or 0:.0f} seconds")

    async def _answer(self) -> dict[str, Any] | None:
        """The kernel's description of itself, if it comes within a second."""
        try:
            while True:
                told: dict[str, Any] = await self.get_shell_msg(timeout=1)
                if told["msg_type"] == "kernel_info_reply":
                    return told
        except Empty:
            return None

    async def _idle(self, asked: str) -> bool:
        """Whether the last of what answers the question has come on the channel of outputs."""
        try:
            async with asyncio.timeout(HEARD):
                while True:
                    told = await self.get_iopub_msg(timeout=HEARD)
                    mine = told["parent_header"].get("msg_id") == asked
                    if mine and told["content"].get("execution_state") == "idle":
                        return True
        except (Empty, TimeoutError):
            return False


class Manager(AsyncKernelManager):
    """jupyter_client's, which notices the end of a kernel sooner."""

    client_factory = Type(Meeting, klass=AsyncKernelClient)

    @default("context")
    def _eager_context(self) -> zmq.asyncio.Context:
        self._created_context = True
        return _eager(zmq.asyncio.Context())

    async def _async_wait(self, pollinterval: float = PAUSE) -> None:
        await super()._async_wait(PAUSE)


def _eager(context: zmq.asyncio.Context) -> zmq.asyncio.Context:
    context.setsockopt(zmq.RECONNECT_IVL, int(PAUSE * 1000))  # of the sockets that it makes
    return context
