"""The parent's process, which may be on its way before it is known what it is to import."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from mlops_magics import settings

#: How a kernel is started that may as well be forked.
LAUNCHER = ["-m", "ipykernel_launcher"]

#: Seconds that the process gets to take its order.
PROMPT = 10.0


class Start:
    """Starts the process, which imports what every kernel does and then waits for an order.

    Parameters
    ----------
    interpreter : sequence of str
        A Python, with its options.
    environment : mapping, optional
        Its variables; this process's by default.

    Attributes
    ----------
    control : socket
        By which the order goes, and what is asked later.

    Raises
    ------
    OSError
        If there can be no process more.
    """

    def __init__(
        self, interpreter: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.interpreter, self.taken = list(interpreter), False
        self._empty = tempfile.TemporaryDirectory(prefix="mlops-parent-")
        self.control, theirs = socket.socketpair()
        told = json.dumps({"start": self._empty.name, "asker": os.getpid()})
        try:
            self.process = subprocess.Popen(
                [*interpreter, "-m", __package__, str(theirs.fileno()), told],
                env=environment,
                cwd=self._empty.name,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C at the terminal is ours to handle
            )
        except OSError:
            self.control.close()
            self._empty.cleanup()
            raise
        finally:
            theirs.close()

    def order(self, **told: Any) -> None:
        """Tell it what to be the parent of.

        Raises
        ------
        OSError
            If it is gone.
        """
        content = json.dumps({**told, "without": []}).encode()
        self.control.settimeout(PROMPT)
        self.control.sendall(len(content).to_bytes(8, "big") + content)
        self.control.settimeout(None)

    def end(self, *, at_once: bool = True) -> None:
        """Let it end all its kernels, then itself; or end it in the middle of an import."""
        self.control.close()
        if at_once:
            self.process.kill()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._empty.cleanup()


_ahead: ContextVar[Start | None] = ContextVar("ahead", default=None)


@contextmanager
def ahead() -> Iterator[None]:
    """Within, a process is on its way that a parent may be made of; else it ends with this.

    What runs a notebook has a third of a second to spend before it knows in which kernel, and what
    that needs; most of them run in this interpreter's own.
    """
    interpreter = _usual() if possible() else None
    try:
        begun = Start(interpreter) if interpreter else None
    except OSError:
        begun = None
    token = _ahead.set(begun)
    try:
        yield
    finally:
        _ahead.reset(token)
        if begun is not None and not begun.taken:
            begun.end()


def on_its_way() -> bool:
    """Whether there is one that nobody has taken."""
    begun = _ahead.get()
    return begun is not None and not begun.taken


def take(interpreter: Sequence[str], environment: Mapping[str, str]) -> Start:
    """The process that is on its way, if it is started like this; else a new one."""
    begun = _ahead.get()
    if begun is None or begun.taken or begun.interpreter != list(interpreter):
        begun = Start(interpreter, environment)
    begun.taken = True
    return begun


def _usual() -> list[str] | None:
    """How this interpreter's own kernel starts; None where that is not written where it usually is.

    Not by jupyter_client, whose import takes as long as all of this.
    """
    try:
        written = Path(sys.prefix, "share/jupyter/kernels/python3/kernel.json").read_bytes()
        return interpreter_of(json.loads(written)["argv"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def interpreter_of(words: Sequence[str]) -> list[str] | None:
    """This Python with the options of a kernel's command; None if that starts something else."""
    if "-m" not in words or list(words[words.index("-m") :][:2]) != LAUNCHER:
        return None
    return [sys.executable, *words[1 : words.index("-m")]]


def possible() -> bool:
    """Whether a process of this interpreter can be forked here, and the settings let it.

    Only on Linux: macOS's own libraries do not survive a fork, and Windows has none; and only
    where threads and open files can be counted. Not where threads run free of a lock.
    """
    return (
        sys.platform.startswith("linux")
        and os.path.isdir("/proc/self/task")
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and settings.load().warm_kernels
        and all(os.path.isabs(p) for p in os.environ.get("PYTHONPATH", "/").split(os.pathsep))
    )
