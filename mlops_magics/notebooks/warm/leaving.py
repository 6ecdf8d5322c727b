"""The end of a forked kernel, without taking down what it shares with its parent.

Python takes every module apart when it ends. In a fork that means a copy of each page of memory
first, which takes longer than a small notebook. All that can be noticed is done: threads are
waited for, what is registered for the end is called, the notebook's objects go, files are flushed.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import io
import sys
import threading
from contextlib import suppress
from typing import Any


def leave(namespace: dict[str, Any]) -> None:
    """End this process; does not return.

    Parameters
    ----------
    namespace : dict
        The notebook's variables.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # what Python itself begins with
    atexit._run_exitfuncs()
    namespace.clear()
    gc.collect()  # what came with the parent is frozen, and not looked at
    for thing in gc.get_objects():
        if isinstance(thing, io.TextIOWrapper | io.BufferedWriter | io.BufferedRandom):
            with suppress(OSError, ValueError):
                thing.flush()
    for stream in (sys.__stdout__, sys.__stderr__):
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
    # With Python's lock held: no other thread runs on while libraries written in C end.
    ctypes.PyDLL(None).exit(0)
