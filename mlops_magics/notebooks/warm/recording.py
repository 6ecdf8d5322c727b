"""What is noted while modules are imported ahead: who needs whom, and what they looked at.

A module that was imported in the parent may be handed to a kernel only with all it brought along,
and only if it kept nothing that belongs to one process.
"""

from __future__ import annotations

import builtins
import importlib._bootstrap as bootstrap  # where all imports pass
import os
import random
import sys
import uuid
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import ExtensionFileLoader
from types import ModuleType
from typing import Any

from mlops_magics.notebooks.warm import known, looking

#: What tells one process from another. Who asks for it while it is imported may keep the answer.
_PERSONAL = ((os, "getpid"), (uuid, "uuid1"), (uuid, "uuid4"))

_FUNCTION = type(lambda: None)


@dataclass
class Added:
    """What the import of a module put before, and behind, what the filters of warnings were."""

    first: list[Any] = field(default_factory=list)
    last: list[Any] = field(default_factory=list)

    def to(self, held: list[Any]) -> None:
        """Put it there again."""
        first = [item for item in self.first if item not in held]
        last = [item for item in self.last if item not in held]
        held[:] = [*first, *held, *last]


@dataclass
class Effects:
    """What importing one module did beside making it.

    Attributes
    ----------
    filters : Added
        To the filters of warnings.
    variables : dict
        Environment variables that it set; None: removed.
    """

    filters: Added = field(default_factory=Added)
    variables: dict[str, str | None] = field(default_factory=dict)


class Recording:
    """The notes.

    Parameters
    ----------
    variables : mapping
        Those that were set by what every kernel imports.

    Attributes
    ----------
    needs : dict
        Module → the modules that were imported while it was.
    effects : dict
        Module → what else its import did.
    personal : dict
        The modules that asked what differs between processes → for what.
    unseeded : list
        Generators of random numbers that no one gave a seed.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.needs: dict[str, set[str]] = defaultdict(set)
        self.effects: dict[str, Effects] = defaultdict(Effects)
        self.personal: dict[str, str] = {}
        self.unseeded: list[random.Random] = []
        self._stack: list[str] = []
        self._filters = list(warnings.filters)
        self._variables: dict[Any, Any] = dict(os.environ._data)  # type: ignore[attr-defined]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Note what is imported while it is open."""
        with (
            _patched(bootstrap, "_find_and_load", self._load),
            _patched(builtins, "__import__", self._import),
            _patched(random.Random, "seed", self._seed),
            _patched(warnings, "_showwarnmsg", self._asked),
            looking.streams(self.asked),
            looking.shell(self.asked),
        ):
            undo = [_patch(owner, name, self._asked) for owner, name in _PERSONAL]
            try:
                yield
            finally:
                for step in undo:
                    step()

    @property
    def importing(self) -> str:
        """The module whose code runs now; empty outside of an import."""
        return self._stack[-1] if self._stack else ""

    def closure(self, name: str) -> set[str]:
        """The module, its packages, and all that it needs."""
        found: set[str] = set()
        todo = [name]
        while todo:
            module = todo.pop()
            if module in found:
                continue
            found.add(module)
            todo += self.needs.get(module, ())
            if "." in module:
                todo.append(module.rpartition(".")[0])
        return found

    def dependents(self, names: set[str]) -> set[str]:
        """These modules, and all that need one of them."""
        users: dict[str, set[str]] = defaultdict(set)
        for module in (*self.needs, *sys.modules):
            for needed in (*self.needs.get(module, ()), module.rpartition(".")[0]):
                users[needed].add(module)
        found: set[str] = set()
        todo = list(names)
        while todo:
            module = todo.pop()
            if module not in found:
                found.add(module)
                todo += users.get(module, ())
        return found

    def _load(self, plain: Any, name: str, import_: Any) -> Any:
        new = name not in sys.modules
        self._note(name)
        self._settle()
        self._stack.append(name)
        try:
            module = plain(name, import_)
        finally:
            self._settle()
            self._stack.pop()
        if new:
            self._look_inside(name, module)
        return module

    def _import(
        self,
        plain: Any,
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        found = plain(name, globals, locals, fromlist, level)
        if self._stack:
            package = (globals or {}).get("__package__") or "" if level else ""
            for _ in range(level - 1):
                package = package.rpartition(".")[0]
            whole = f"{package}.{name}".strip(".")
            self._note(whole)
            for part in fromlist or ():
                if f"{whole}.{part}" in sys.modules:
                    self._note(f"{whole}.{part}")
        return found

    def _note(self, name: str) -> None:
        if self._stack and self._stack[-1] != name:
            self.needs[self._stack[-1]].add(name)

    def _look_inside(self, name: str, module: Any) -> None:
        """What compiled modules have imported: they pass by `__import__` for what is there."""
        spec = getattr(module, "__spec__", None)
        if not isinstance(getattr(spec, "loader", None), ExtensionFileLoader):
            return
        for value in list(vars(module).values()):
            owner = value.__name__ if isinstance(value, ModuleType) else None
            owner = owner or getattr(value, "__module__", None)
            if isinstance(owner, str) and owner in sys.modules and owner != name:
                self.needs[name].add(owner)

    def _settle(self) -> None:
        """Put down the filters that were added, and what was set, to the module that ran until now.

        Finders of modules are left where imports put them: some take the place of Python's own.
        """
        before, now = self._filters, warnings.filters
        if before != now:
            self._filters = list(now)
            new = [item for item in now if item not in before]
            start = next((i for i, item in enumerate(now) if item in before), len(now))
            added = self.effects[self.importing].filters
            added.first[:0] = [item for item in now[:start] if item in new]
            added.last += [item for item in now[start:] if item in new]
        if self._variables != os.environ._data:  # type: ignore[attr-defined]  # in a microsecond
            told, self._variables = self._variables, dict(os.environ._data)  # type: ignore[attr-defined]
            self.effects[self.importing].variables |= {
                os.fsdecode(name): os.environ.get(os.fsdecode(name))
                for name in {*told, *self._variables}
                if told.get(name) != self._variables.get(name)
            }

    def asked(self, what: str) -> None:
        """Note that the module that is imported asks for what differs between kernels."""
        if self._stack and not known.harmless(self._stack[-1], what):
            self.personal.setdefault(self._stack[-1], what)

    def _asked(self, plain: Any, *arguments: Any, **options: Any) -> Any:
        self.asked(plain.__name__)
        return plain(*arguments, **options)

    def _seed(self, plain: Any, generator: Any, seed: Any = None, *rest: Any, **more: Any) -> Any:
        if seed is None and generator not in self.unseeded:
            self.unseeded.append(generator)
        return plain(generator, seed, *rest, **more)

    def heal(self, modules: Iterable[Any]) -> None:
        """Give modules that took one of our functions with them the one that it stood for."""
        for module in modules:
            for name, value in list(getattr(module, "__dict__", {}).items()):
                if type(value) is _FUNCTION and hasattr(value, "stands_for"):
                    setattr(module, name, value.stands_for)


def _patch(owner: Any, name: str, ours: Callable[..., Any]) -> Callable[[], None]:
    plain = getattr(owner, name)

    def passing(*arguments: Any, **options: Any) -> Any:
        return ours(plain, *arguments, **options)

    passing.stands_for = plain  # type: ignore[attr-defined]
    setattr(owner, name, passing)
    return lambda: setattr(owner, name, plain)


@contextmanager
def _patched(owner: Any, name: str, ours: Callable[..., Any]) -> Iterator[None]:
    undo = _patch(owner, name, ours)
    try:
        yield
    finally:
        undo()
