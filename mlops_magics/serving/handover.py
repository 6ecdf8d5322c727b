"""One listening socket, several servers in turn: how one takes it up, and how it lets it go.

Whoever starts servers holds the socket clients connect to, and gives it to each. A server listens
on a socket of its own from the start, where it is tested, and takes up the common one when it is
told to (`TAKE_UP`). Told that another has it now (`LET_GO`), it accepts no more there, and says
with each further answer that the connection ends with it. Connections that are idle are left
open for a while: a client that reuses one must find somebody there.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn

    from mlops_magics.serving.connections import Connections

TAKE_UP, LET_GO = signal.SIGUSR1, signal.SIGUSR2
#: Seconds that an idle connection is left open once the socket was let go: longer than most
#: clients keep one that they don't use.
LINGER = 6.0
#: ... and that requests in work have to end after that.
DRAIN = 30


class Handover:
    """What a server has of the common socket.

    Parameters
    ----------
    common : socket
        What clients connect to.
    own : int
        The number of this server's own one.
    """

    def __init__(self, common: socket.socket, own: int) -> None:
        self.common = common
        self.own = socket.socket(fileno=own)
        self.let_go_at = 0.0
        self._taking: asyncio.Task[None] | None = None
        self._accepting: asyncio.Server | None = None

    async def open(self, server: uvicorn.Server, connections: Connections) -> None:
        """Accept on the own socket, without TLS as it is of this machine only; be told the rest."""
        loop = asyncio.get_running_loop()

        def take_up() -> None:
            self._taking = loop.create_task(self._take_up(server, connections))

        loop.add_signal_handler(TAKE_UP, take_up)
        loop.add_signal_handler(LET_GO, self._let_go, server, connections)
        # Last, as whoever gets an answer here may send signals from then on.
        server.servers.append(await self._accept(server, connections, self.own, tls=False))

    def tick(self, server: uvicorn.Server) -> None:
        """End when everybody has gone elsewhere."""
        if not self.let_go_at:
            return
        since = time.monotonic() - self.let_go_at
        if since > LINGER or (since > 1 and not server.server_state.connections):
            server.config.timeout_graceful_shutdown = DRAIN
            server.should_exit = True

    async def _take_up(self, server: uvicorn.Server, connections: Connections) -> None:
        if self._accepting is None and not self.let_go_at:
            self._accepting = await self._accept(server, connections, self.common, tls=True)
            server.servers.append(self._accepting)

    def _let_go(self, server: uvicorn.Server, connections: Connections) -> None:
        self.let_go_at = self.let_go_at or time.monotonic()
        connections.last_answers = True
        if self._accepting is not None:
            server.servers.remove(self._accepting)
            self._accepting.close()
            self._accepting = None

    async def _accept(
        self,
        server: uvicorn.Server,
        connections: Connections,
        listening: socket.socket,
        *,
        tls: bool,
    ) -> asyncio.Server:
        config = server.config
        return await asyncio.get_running_loop().create_server(
            lambda: connections.protocol(
                config=config,
                server_state=server.server_state,
                app_state=server.lifespan.state,
            ),
            sock=listening,
            ssl=config.ssl if tls else None,
            backlog=config.backlog,
        )
