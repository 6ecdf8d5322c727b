"""One server under a supervisor: started, looked after, started again, ended."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlops_magics.serving import handover
from mlops_magics.targets import ports, processes
from mlops_magics.targets.plans import Server

#: Seconds before the first restart; each further one waits twice as long, up to `LONGEST`.
FIRST, LONGEST = 0.2, 20.0
#: Seconds after which a server that stayed up counts as healthy again.
HEALTHY = 30.0
#: Crashes in a row after which it is given up.
MOST_CRASHES = 5
#: Seconds in which a server must have loaded its model.
PATIENCE = 300.0
#: Seconds that an ending server gets before it is killed: told to stop, and told to let go.
STOPPING, LETTING_GO = 5.5, 45.0

Tell = Callable[[str], None]


class Hand:
    """A server and its process.

    Parameters
    ----------
    common : socket
        What clients connect to.
    new_log : callable
        Makes the name of a log.
    tell : callable
        Takes a sentence about what happened.

    Attributes
    ----------
    state : str
        ``starting``, ``ready``, ``waiting`` (for its restart), ``ending``, ``failed``, ``gone``.
    reason : str
        Why it failed or waits.
    """

    def __init__(
        self, server: Server, common: socket.socket, new_log: Callable[[], Path], tell: Tell
    ) -> None:
        self.server = server
        self.common = common
        self.new_log = new_log
        self.tell = tell
        self.own = ports.listen(0)
        self.port = int(self.own.getsockname()[1])
        self.restarts = 0
        self.crashes = 0
        self.is_deployed = False
        self.is_tested = False  # whether it was deployed once, so that it is worth a restart
        self.state = "waiting"
        self.reason = ""
        self.since = 0.0
        self.next_at = 0.0
        self.kill_at = 0.0
        self.started: processes.Started | None = None
        self.start()

    def start(self) -> None:
        """Start the process."""
        descriptors = (self.common.fileno(), self.own.fileno())
        sockets = ["--fd", str(descriptors[0]), "--own-fd", str(descriptors[1])]
        self.state, self.since, self.started = "starting", time.time(), None
        try:
            self.started = processes.start(
                ["-m", "mlops_magics.serving", ".", *self.server.arguments, *sockets],
                folder=Path(self.server.folder),
                log=self.new_log(),
                descriptors=descriptors,
            )
        except OSError as error:  # its package is gone, or the disk is full
            self._failed(f"{self._called()} can't be started: {error}.")

    def deploy(self) -> None:
        """Let it answer clients."""
        self.is_deployed = self.is_tested = True
        self._signal(handover.TAKE_UP)

    def let_go(self) -> None:
        """Let it end what it has in work, while another one answers clients."""
        self._end(handover.LET_GO, LETTING_GO)

    def stop(self) -> None:
        """Let it end."""
        self._end(signal.SIGTERM, STOPPING)

    def tend(self) -> None:
        """See how it is, and do what is due."""
        now = time.time()
        if self.state == "waiting" and now >= self.next_at:
            self.restarts += 1
            self.start()
            if self.state == "starting":
                self.tell(f"{self._called()} was started again.")
        elif self.state in ("starting", "ready", "ending") and (how := self._ended()):
            self._gone(how)
        elif self.state == "starting":
            self._starting(now)
        elif self.state == "ending" and now > self.kill_at:
            self._signal(signal.SIGKILL)
        elif self.state == "ready" and self.crashes and now - self.since > HEALTHY:
            self.crashes = 0

    def facts(self) -> dict[str, Any]:
        """For the report."""
        started = self.started
        return {
            "model": self.server.model,
            "state": self.state,
            "pid": started.pid if started else 0,
            "created": started.created if started else 0.0,
            "log": started.log if started else "",
            "port": self.port,
            "since": self.since,
            "restarts": self.restarts,
            "reason": self.reason,
        }

    def figures(self, path: str, timeout: float = 1.0) -> bytes | None:
        """What it says of itself; ``None`` if it says nothing."""
        asking = http.client.HTTPConnection(ports.HOST, self.port, timeout=timeout)
        try:
            token = os.environ.get("MLOPS_SERVING_TOKEN", "")
            asking.request("GET", path, headers={"authorization": f"Bearer {token}"})
            reply = asking.getresponse()
            return reply.read() if reply.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            asking.close()

    def _starting(self, now: float) -> None:
        if self.figures("/ping", 0.2) is not None:
            self.state, self.since, self.reason = "ready", now, ""
            if self.is_deployed:
                self._signal(handover.TAKE_UP)
        elif now - self.since > PATIENCE:
            self._signal(signal.SIGKILL)

    def _ended(self) -> str:
        """How the process ended; empty while it runs."""
        return processes.outcome(self.started) if self.started else ""

    def _gone(self, how: str) -> None:
        if self.state == "ending":
            self.state = "gone"
            self.own.close()
        else:
            self._failed(f"{self._called()} ended {how}{processes.last_words(self.started)}.")

    def _failed(self, reason: str) -> None:
        """It is not up: started again after a while, or given up."""
        self.crashes += 1
        self.reason = reason
        if not self.is_tested:
            self.state = "failed"
        elif self.crashes >= MOST_CRASHES:
            self.state = "failed"
            self.reason = f"It was given up after {self.crashes} crashes in a row. {reason}"
        else:
            wait = min(LONGEST, FIRST * 2 ** (self.crashes - 1))
            self.state, self.next_at = "waiting", time.time() + wait
        self.tell(self.reason)

    def _end(self, number: int, patience: float) -> None:
        if self.state in ("waiting", "failed"):
            self.state = "gone"
            self.own.close()
        elif self.state not in ("ending", "gone") or number == signal.SIGTERM:
            # One that does not listen to signals yet is ended by any.
            self._signal(number if self.state != "starting" else signal.SIGTERM)
            self.state, self.kill_at = "ending", time.time() + patience
        self.is_deployed = False

    def _signal(self, number: int) -> None:
        started = self.started
        if started is not None and not processes.outcome(started):
            os.kill(started.pid, number)

    def _called(self) -> str:
        process = f" (process {self.started.pid})" if self.started else ""
        return f"The server of {self.server.model}{process}"
