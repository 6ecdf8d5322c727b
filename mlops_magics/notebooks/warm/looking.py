"""Hearing of what modules print, and who asks for the shell, while they are imported."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Relay:
    """Stands for a stream that a module keeps when it is imported; leads to the kernel's later."""

    def __init__(self, name: str, asked: Callable[[str], None]) -> None:
        self._name, self._asked = name, asked

    def __getattr__(self, name: str) -> Any:
        stream = getattr(sys, self._name)
        return getattr(getattr(sys, f"__{self._name}__") if stream is self else stream, name)

    def write(self, text: str) -> Any:
        """Write on, telling of it while nothing but imports should run."""
        if getattr(sys, self._name) is self:
            self._asked("write")
        return self.__getattr__("write")(text)


@contextmanager
def streams(asked: Callable[[str], None]) -> Iterator[None]:
    """Hear of what is printed; streams that are kept lead to where the kernel has its own."""
    plain = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Relay("stdout", asked), Relay("stderr", asked)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = plain


class _Shell:
    """As much of a shell as shows that it is a kernel's."""

    kernel = True

    def __init__(self, asked: Callable[[str], None]) -> None:
        self._told = asked

    def __getattr__(self, name: str) -> Any:
        self._told("get_ipython")
        raise AttributeError(name)


@contextmanager
def shell(asked: Callable[[str], None]) -> Iterator[None]:
    """Hear of who asks for the shell; who asks whether it is a terminal's is told: a kernel's."""
    owners = [sys.modules[n] for n in ("IPython", "IPython.core.getipython") if n in sys.modules]
    plain = [owner.get_ipython for owner in owners]

    def passing() -> Any:
        asked("get_ipython")
        return plain[0]()

    passing.stands_for = plain[0] if plain else None  # type: ignore[attr-defined]
    for owner in owners:
        owner.get_ipython = passing  # type: ignore[attr-defined]
    builtins.get_ipython = lambda: _Shell(asked)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del builtins.get_ipython  # type: ignore[attr-defined]
        for owner, original in zip(owners, plain, strict=True):
            owner.get_ipython = original  # type: ignore[attr-defined]
