"""The parent's process: ``python -m mlops_magics.notebooks.warm FD JSON``.

It imports what every kernel does, is told what else over the socket that it was given, then waits
for sockets to come over that. Each asks for one kernel, and tells, as long as that lives, how it
ended. When the other end closes, so does all that came of it.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
import warnings
from contextlib import suppress
from typing import Any, NoReturn

# In an empty folder: what lies where the notebooks run must not be taken for Python's own.
if __name__ == "__main__":
    del sys.path[0]

from mlops_magics.notebooks.warm import child, known, preloading
from mlops_magics.notebooks.warm.recording import Recording
from mlops_magics.notebooks.warm.stamps import Stamps

#: Times that the parent begins anew without a module that made it unfit.
ATTEMPTS = 5


class Parent:
    """What has been imported, and the kernels that came of it."""

    def __init__(
        self,
        control: socket.socket,
        environment: dict[str, str],
        recording: Recording,
        stamps: Stamps,
    ) -> None:
        self.control, self.environment, self.folder = control, environment, os.getcwd()
        self.variables, self.stamps = recording.variables, stamps
        self.generators = preloading.generators(recording)
        self.kernels: dict[int, socket.socket] = {}
        self.selector = selectors.DefaultSelector()
        self.selector.register(control, selectors.EVENT_READ)

    def serve(self) -> dict[str, Any] | None:
        """Fork kernels until nobody is left who wants one; in a fork, what it is to become."""
        self.pipe = read, write = os.pipe()
        os.set_blocking(write, False)
        self.selector.register(read, selectors.EVENT_READ, "ended")
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        while True:
            for key, _ in self.selector.select():
                if key.data == "ended":
                    os.read(read, 4096)
                    self._reap()
                elif key.fileobj is self.control:
                    _, numbers, _, _ = socket.recv_fds(self.control, 1, 1)
                    if not numbers:
                        self._end_all()
                        return None
                    request = self._begin(socket.socket(fileno=numbers[0]))
                    if request is not None:
                        return request
                elif key.data in self.kernels:  # nobody asks for it any more
                    self._kill(key.data)
                    self.selector.unregister(key.fileobj)

    def _begin(self, channel: socket.socket) -> dict[str, Any] | None:
        try:
            with channel.makefile("rb") as stream:
                request: dict[str, Any] = json.loads(stream.readline())
        except (OSError, ValueError):
            channel.close()
            return None
        if reason := self._against(request):
            with suppress(OSError):
                channel.sendall(f"no {reason}\n".encode())
            channel.close()
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the threads that there are end by themselves
            pid = os.fork()
        if pid == 0:
            self._abandon()
            child.become(request, channel, self.variables, self.generators)
            return request
        self.kernels[pid] = channel
        self.selector.register(channel, selectors.EVENT_READ, pid)
        return None

    def _abandon(self) -> None:
        """In a fork: close what the parent talks over, which is none of the kernel's business."""
        signal.set_wakeup_fd(-1)
        for number in self.pipe:
            os.close(number)
        self.selector.close()
        self.control.close()
        for channel in self.kernels.values():
            channel.close()

    def _against(self, request: dict[str, Any]) -> str:
        """Why this kernel can't be forked; empty: it can."""
        wanted = request["environment"]
        for name in sorted({*wanted, *self.environment} - known.OWN):
            if wanted.get(name) != self.environment.get(name):
                return f"{name} has another value"
        if request["folder"] != self.folder:
            return "it works in another folder"
        return self.stamps.changed()

    def _reap(self) -> None:
        while self.kernels:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            channel = self.kernels.pop(pid, None)
            if channel is not None:
                with suppress(KeyError):
                    self.selector.unregister(channel)
                with suppress(OSError):
                    channel.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
                channel.close()

    def _kill(self, pid: int) -> None:
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:  # it has no group of its own yet
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def _end_all(self) -> None:
        for pid in self.kernels:
            self._kill(pid)
        for pid in self.kernels:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _told(control: socket.socket) -> dict[str, Any]:
    """What the executor wants; nothing more is wanted of this process once that has closed."""
    size = int.from_bytes(control.recv(8, socket.MSG_WAITALL), "big")
    content = control.recv(size, socket.MSG_WAITALL) if size else b""
    if not content or len(content) < size:
        os._exit(0)
    told: dict[str, Any] = json.loads(content)
    return told


def _set(environment: dict[str, str], plain: dict[str, str], ours: dict[str, str]) -> None:
    """Make the variables what they would be, had this process been started with `environment`."""
    for name in {*plain, *environment} - set(ours):
        if name not in environment:
            os.environ.pop(name, None)
        elif plain.get(name) != environment[name]:
            os.environ[name] = environment[name]


def _begin_anew(
    control: socket.socket, order: dict[str, Any], environment: dict[str, str]
) -> NoReturn:
    """Be the process again that has imported nothing yet, with the order in its hand."""
    os.set_inheritable(control.fileno(), True)
    os.chdir(order["start"])
    options = sys.orig_argv[1 : sys.orig_argv.index("-m")]
    command = [sys.executable, *options, "-m", "mlops_magics.notebooks.warm"]
    program = [*command, str(control.fileno()), json.dumps(order)]
    os.execve(sys.executable, program, environment)  # noqa: S606  # no shell is wanted


def main() -> None:
    """Import, then serve; in a fork, be the kernel."""
    control = socket.socket(fileno=int(sys.argv[1]))
    order, plain = json.loads(sys.argv[2]), dict(os.environ)
    child.die_with(order["asker"])  # even from within an import that never ends
    stamps = Stamps()
    begun = preloading.begin()
    if "modules" not in order:
        order |= _told(control)
    environment = order.pop("environment", plain)
    if environment != plain and "numpy" in sys.modules:  # it has looked at them already
        _begin_anew(control, order, environment)
    _set(environment, plain, begun.variables)
    os.chdir(order["folder"])
    try:
        shelf, recording = preloading.preload(begun, order["modules"], order["without"])
    except preloading.UnfitError as error:
        order["without"].append(error.module)
        if len(order["without"]) > ATTEMPTS:
            order["modules"] = []
        _begin_anew(control, order, environment)
    parent = Parent(control, environment, recording, stamps)
    stamps.take(shelf.modules.values())
    shelf.install()
    gc.freeze()  # a collector that looks at it would copy its pages
    request = parent.serve()
    if request is None:
        os._exit(0)  # nothing is left to do, and taking all modules apart takes its time
    child.run()


if __name__ == "__main__":
    main()
