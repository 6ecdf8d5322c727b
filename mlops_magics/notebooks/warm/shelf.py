"""Imported modules laid aside, so that nothing seems imported until it is.

Left in ``sys.modules``, what the parent imported would be recorded as used by each notebook, hooks
that wait for an import would not fire, and a notebook that forgot an import would run. So they lie
on a shelf, and an import takes them from there with all they had brought along.
"""

from __future__ import annotations

import copy
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from mlops_magics.notebooks.warm import known
from mlops_magics.notebooks.warm.recording import Recording


class Shelf:
    """A finder of modules, before all others.

    Parameters
    ----------
    modules : mapping
        Module by name, in the order in which they were imported.
    """

    def __init__(self, modules: Mapping[str, ModuleType], recording: Recording) -> None:
        self.modules = dict(modules)
        self._all = tuple(modules)
        self._order = {name: number for number, name in enumerate(modules)}
        self._recording = recording
        self._given: set[str] = set()
        self._checked: set[str] = set()

    def install(self) -> None:
        """Lay the modules aside; imports ask here first from now on."""
        for name in self._all:  # those that were dropped too
            sys.modules.pop(name, None)
        sys.meta_path.insert(0, self)  # the rest of it is optional

    def drop(self, names: set[str]) -> None:
        """Take modules, and all that need them, off the shelf: they are imported anew."""
        for name in self._recording.dependents(names):
            if name not in self._given:
                self.modules.pop(name, None)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where an import gets a module from; None: not from here."""
        if target is not None or not self._has(name):
            return None
        if name not in self._given:
            self._check(name)
            if not self._has(name):
                return None
        return self._spec(name)

    def _has(self, name: str) -> bool:
        if name not in self.modules:
            return False
        # Taken out of `sys.modules` on purpose, one that was given is imported anew.
        return name not in self._given or sys.modules.get(name) is self.modules[name]

    def _spec(self, name: str) -> ModuleSpec:
        module = self.modules[name]
        own = getattr(module, "__spec__", None)
        loader: Any = _Loader(self, name, own)
        if own is None:
            return ModuleSpec(name, loader)
        spec: ModuleSpec = copy.copy(own)
        spec.name, spec.loader = name, loader  # compiled modules go by two names
        return spec

    def _check(self, name: str) -> None:
        """Whether an import would find the same files now; what it would not is dropped."""
        tops = {needed.partition(".")[0] for needed in self._recording.closure(name)}
        for top in tops - self._checked:
            if top not in self.modules:
                continue
            self._checked.add(top)
            if not self._found_there(top):
                self.drop({top})

    def _found_there(self, top: str) -> bool:
        own = getattr(self.modules[top], "__spec__", None)
        if own is None or own.name != top or own.origin in ("built-in", "frozen"):
            return True  # not from a file, or by another name of a compiled module
        behind = sys.meta_path[sys.meta_path.index(self) + 1 :]
        found = next((s for f in behind if (s := f.find_spec(top, None)) is not None), None)
        return found is not None and found.origin == own.origin

    def restore(self, name: str) -> None:
        """Give out a module, which is being imported, and what it had brought along."""
        names = self._recording.closure(name) - self._given
        for needed in sorted(names & self.modules.keys(), key=self._order.__getitem__):
            module = self.modules[needed]
            if needed != name and needed in sys.modules:
                continue
            # First there, then given: another thread that asks in between finds it either way.
            sys.modules[needed] = module
            self._given.add(needed)
            self._repeat(needed)
            if needed != name:
                self._tell_others(needed, module)

    def _repeat(self, name: str) -> None:
        """Do again what the import of a module did beside making it."""
        effects = self._recording.effects.get(name)
        if effects is not None:
            effects.filters.to(warnings.filters)  # type: ignore[arg-type]
            warnings._filters_mutated()  # type: ignore[attr-defined]  # as its own functions do
            for variable, value in effects.variables.items():
                if value is None:
                    os.environ.pop(variable, None)
                else:
                    os.environ[variable] = value
        if name in known.AFTERWARDS:
            getattr(self.modules[name], known.AFTERWARDS[name])()

    def _tell_others(self, name: str, module: ModuleType) -> None:
        """Let those that wait for the import of a module have it: finders before this one."""
        before = sys.meta_path[: sys.meta_path.index(self)]
        for finder in before:
            spec = finder.find_spec(name, None)
            if spec is not None and spec.loader is not None:
                spec.loader.exec_module(module)
                return


class _Loader:
    """Gives a module out; in all else it is the one that had loaded it."""

    def __init__(self, shelf: Shelf, name: str, own: ModuleSpec | None) -> None:
        self._shelf, self._name, self._own = shelf, name, own

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module, as it was."""
        return self._shelf.modules[self._name]

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is run: it had been."""
        if self._own is not None:
            module.__spec__ = self._own
        self._shelf.restore(self._name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "load_module":
            raise AttributeError(name)
        return getattr(getattr(self._own, "loader", None), name)
