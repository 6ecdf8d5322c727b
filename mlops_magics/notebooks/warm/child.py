"""A fork of the parent becomes a kernel, as if it had been started by itself."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_magics.notebooks.warm import leaving, preloading

#: What `prctl` calls "send me this signal when my parent dies".
_PDEATHSIG = 1

#: Seconds that the thread which heard of the kernel's end gets to answer.
PARTING = 2.0


def become(
    request: Mapping[str, Any],
    channel: socket.socket,
    variables: Mapping[str, str],
    generators: Sequence[Any],
) -> None:
    """Take on what a process of its own would have, and tell that it is there.

    Parameters
    ----------
    request : mapping
        ``command``, ``environment`` and ``folder`` of the kernel.
    channel : socket
        Over which its process's number is told.
    variables : mapping
        That a kernel sets itself on its way up.
    generators : sequence
        Of random numbers, which begin anew.
    """
    parent = os.getppid()
    os.setsid()
    die_with(parent)  # no kernel outlives the parent
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP) and callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update({**request["environment"], **variables})
    time.tzset()
    os.chdir(request["folder"])
    sys.argv[:] = [_launcher(), *request["arguments"]]
    sys.orig_argv[:] = request["command"]
    random.seed()
    preloading.reseed(generators)
    _renew_multiprocessing()
    channel.sendall(f"{os.getpid()}\n".encode())
    channel.close()


def run() -> None:
    """Be the kernel until it ends."""
    from ipykernel.kernelapp import IPKernelApp

    # By the number in the environment, our executor's, it would miss its parent at once.
    app: Any = IPKernelApp.instance(parent_handle=os.getppid())
    app.initialize()
    app.start()
    # ipykernel closes the outputs while the thread that heard of the end may still flush them,
    # which then takes ten seconds: seen in one of twenty.
    app.control_thread.join(timeout=PARTING)
    leaving.leave(app.shell.user_ns)


def die_with(parent: int) -> None:
    """End when the process of that number does, however it ends."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it was gone before that


def _launcher() -> str:
    from importlib.util import find_spec

    spec = find_spec("ipykernel_launcher")
    return str(spec.origin) if spec is not None else "ipykernel_launcher"


def _renew_multiprocessing() -> None:
    """The key by which processes trust each other is this kernel's alone."""
    if (process := sys.modules.get("multiprocessing.process")) is not None:
        process.current_process().authkey = os.urandom(32)
