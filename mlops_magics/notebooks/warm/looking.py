"""Hearing of what modules look at while they are imported: variables, streams, the shell."""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Stands for all variables at once.
ALL = "=all"


@contextmanager
def variables(
    read: Callable[[str], None], wrote: Callable[[str, str | None], None]
) -> Iterator[None]:
    """Hear of each look at an environment variable, and of each change."""
    plain: Any = type(os.environ)

    class Watched(plain):  # type: ignore[misc]  # a class of Python's own
        def __getitem__(self, key: str) -> Any:
            read(os.fsdecode(key))
            return super().__getitem__(key)

        def __iter__(self) -> Any:
            read(ALL)
            return super().__iter__()

        def items(self) -> Any:
            read(ALL)
            return {key: plain.__getitem__(self, key) for key in plain.__iter__(self)}.items()

        def copy(self) -> Any:
            return dict(self.items())

        def __setitem__(self, key: str, value: str) -> None:
            wrote(key, value)
            super().__setitem__(key, value)

        def __delitem__(self, key: str) -> None:
            wrote(key, None)
            super().__delitem__(key)

    os.environ.__class__ = Watched
    try:
        yield
    finally:
        os.environ.__class__ = plain


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
    sys.stdout, sys.stderr = Relay("stdout", asked), Relay("stderr", asked)  # type: ignore[assignment]
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
