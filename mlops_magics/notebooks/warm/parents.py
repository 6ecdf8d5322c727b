"""The parent of warm kernels, from the process that runs the notebooks."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any
from weakref import WeakValueDictionary

from mlops_magics import settings
from mlops_magics.notebooks.kernels import Kernel
from mlops_magics.notebooks.warm import starting
from mlops_magics.notebooks.warm.starting import LAUNCHER

log = logging.getLogger("mlops_magics")

#: Seconds that the parent gets to import, before a kernel is started without it.
LONGEST = 60.0

_open: WeakValueDictionary[str, Parent] = WeakValueDictionary()


class Parent:
    """A process that has imported what notebooks need, and forks kernels, on entry and until exit.

    Threads may share it. Whatever goes wrong with it, a kernel is started the plain way instead.

    Parameters
    ----------
    kernel : Kernel
        Whose interpreter it runs in.
    modules : sequence of str
        What it imports; what can't be imported, or leaves a thread or an open file, is left out.
    environment : mapping
        Variables that all its kernels get beside this process's.
    folder : str or None
        The kernels' working directory.

    Attributes
    ----------
    name : str
        By which `provisioner` finds it.
    forked : int
        How many kernels came of it.
    """

    def __init__(
        self,
        kernel: Kernel,
        modules: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        folder: str | None = None,
    ) -> None:
        self.kernel, self.modules = kernel, list(modules)
        self.environment = {**os.environ, **(environment or {})}
        self.folder = folder or os.getcwd()
        self.name, self.forked = uuid.uuid4().hex, 0
        self._begun: starting.Start | None = None
        self._lock = threading.Lock()
        self._broken = False

    def __enter__(self) -> Parent:
        interpreter = _interpreter(self.kernel)
        if interpreter is None or not possible(self.kernel):
            log.debug("No warm kernels: they can't be forked here")
            return self
        try:
            self._begun = starting.take(interpreter, self.environment)
            self._begun.order(
                modules=self.modules, environment=self.environment, folder=self.folder
            )
        except OSError as error:
            log.debug("No warm kernels: %s", error)
            self._broken = True
        _open[self.name] = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _open.pop(self.name, None)
        if self._begun is not None:
            self._begun.end(at_once=not self.forked)

    def take(self, manager: Any) -> None:
        """Let a jupyter_client manager start its kernel here."""
        if self._begun is not None:
            manager.kernel_spec.metadata["kernel_provisioner"] = {
                "provisioner_name": "mlops-warm",
                "config": {"parent_name": self.name},
            }

    async def fork(
        self, command: Sequence[str], environment: Mapping[str, str], folder: str | None
    ) -> Forked | None:
        """A new kernel; None, with the reason in the log, if it has to be started another way."""
        if self._broken or self._begun is None:
            return self._not("it did not answer")
        begin = [*self._begun.interpreter, *LAUNCHER]
        arguments = list(command)[len(begin) :]
        if list(command) != [*begin, *arguments]:
            return self._not("it is started by another command")
        request: dict[str, Any] = {"command": list(command), "arguments": arguments}
        request |= {"environment": dict(environment), "folder": folder or os.getcwd()}
        ours, theirs = socket.socketpair()
        try:
            with self._lock:  # one byte, and with it the socket over which the rest goes
                socket.send_fds(self._begun.control, [b"k"], [theirs.fileno()])
            theirs.close()
            ours.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(ours, json.dumps(request).encode() + b"\n")
            async with asyncio.timeout(LONGEST):
                answer = (await loop.sock_recv(ours, 4096)).decode().splitlines()
        except (OSError, TimeoutError) as error:
            theirs.close()
            ours.close()
            self._broken = True  # nobody waits for it a second time
            return self._not(str(error) or "it does not answer")
        if not answer or not answer[0].isdigit():
            ours.close()
            return self._not((answer or ["no it is gone"])[0].removeprefix("no "))
        self.forked += 1
        return Forked(int(answer[0]), ours, answer[1:])

    def _not(self, reason: str) -> Forked | None:
        log.debug("A kernel is started afresh, not forked: %s", reason)
        return None


class Forked:
    """A forked kernel, with as much of `subprocess.Popen` as jupyter_client asks of one."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, channel: socket.socket, told: Sequence[str] = ()) -> None:
        self.pid, self.returncode = pid, int(told[0]) if told else None
        self._channel = channel

    def poll(self) -> int | None:
        """Its exit code, the negative number of the signal that killed it, or None: it lives."""
        if self.returncode is None:
            try:
                told = self._channel.recv(64)
            except BlockingIOError:
                return None
            except OSError:
                told = b""
            # Without a word: the parent is gone, and took its kernels along.
            self.returncode = int(told) if told.strip() else -signal.SIGKILL
            self._channel.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired("kernel", timeout or 0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to it, if it lives."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def find(name: str) -> Parent | None:
    """The open parent of that name."""
    return _open.get(name)


def possible(kernel: Kernel) -> bool:
    """Whether kernels like this can be forked, and the settings let them."""
    return kernel.ours and starting.possible()


def _interpreter(kernel: Kernel) -> list[str] | None:
    """The interpreter with the options that the kernel is started with."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    from mlops_magics.notebooks.booting import only

    manager = only(kernel.folder) if kernel.folder else KernelSpecManager()
    try:
        return starting.interpreter_of(manager.get_kernel_spec(kernel.name).argv)
    except NoSuchKernel:
        return None


@contextmanager
def opened(
    kernel: Kernel,
    notebooks: Sequence[Any],
    environment: Mapping[str, str] | None = None,
    folder: str | None = None,
) -> Iterator[Parent | None]:
    """A parent that imports what these notebooks do; None if that would gain nothing.

    Parameters
    ----------
    kernel : Kernel
        In which all of them run.
    notebooks : sequence of NotebookNode
        One that imports nothing gains by it only where a process is on its way.
    environment : mapping, optional
        Variables that all kernels get beside this process's.
    folder : str, optional
        Where they run.
    """
    if not possible(kernel):
        yield None
        return
    from mlops_magics.notebooks.warm import wanted

    modules = [*wanted.modules(notebooks), *settings.load().warm_modules]
    if len(notebooks) == 1 and not modules and not starting.on_its_way():
        yield None
        return
    with Parent(kernel, modules, environment, folder) as parent:
        yield parent
