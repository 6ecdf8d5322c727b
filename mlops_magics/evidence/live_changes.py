"""What was changed on disk after this process had imported it: packages, and modules of one's own.

What runs is then not what a lock or a file shows. Python does not notice; here the installed
versions are noted when the extension is loaded and looked at again when a model is recorded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from mlops_magics.evidence import installed, names
from mlops_magics.evidence.cells import Execution
from mlops_magics.evidence.installed import Distribution

_noted: dict[str, Distribution] = {}
_imported_then: frozenset[str] = frozenset()

#: Folders of installed packages, which `installed` answers for.
_SITES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


@dataclass(frozen=True)
class Change:
    """One package or module whose file is no longer what runs."""

    name: str
    loaded: str
    on_disk: str
    reason: str

    def body(self) -> dict[str, Any]:
        """For a record."""
        return {"name": self.name, "loaded": self.loaded, "on_disk": self.on_disk}


def note() -> None:
    """Remember what is installed and imported now."""
    global _noted, _imported_then
    _noted = installed.distributions()
    _imported_then = frozenset(sys.modules)


def found(executions: Sequence[Execution] = ()) -> list[Change]:
    """What has changed since `note`, packages first; modules by the cells that import them."""
    return [*_packages(), *_modules(executions)]


def _packages() -> list[Change]:
    now = installed.distributions()
    changes = []
    for name, before in _noted.items():
        after = now.get(name)
        if after is not None and after.version == before.version:
            continue
        tops = installed.details(after).modules if after else {name.replace("-", "_")}
        module = next((sys.modules[top] for top in sorted(tops) if top in sys.modules), None)
        if module is None:
            continue
        told = getattr(module, "__version__", None)
        loaded = told if isinstance(told, str) else before.version
        on_disk = after.version if after else "gone"
        if loaded == on_disk or (told is None and module.__name__ not in _imported_then):
            continue  # imported after it had changed, as far as can be told
        what = f"{on_disk} is installed now" if after else "it has been uninstalled since"
        changes.append(Change(name, loaded, on_disk, f"{name} {loaded} was loaded, but {what}."))
    return changes


def _modules(executions: Sequence[Execution]) -> list[Change]:
    if any("%autoreload" in execution.source for execution in executions):
        return []  # IPython loads what was edited
    imported: dict[str, float] = {}
    for execution in executions:
        facts = names.analyse(execution.code)
        reloads = "reload(" in execution.source
        for path in (*facts.imports.values(), *facts.stars):
            top = path.partition(":")[0].partition(".")[0]
            if execution.started and (reloads or top not in imported):
                imported[top] = execution.started
        if reloads:
            imported = dict.fromkeys(imported, execution.started)
    own = {top: at for top, at in imported.items() if _own_file(sys.modules.get(top))}
    changes = []
    for name, module in list(sys.modules.items()) if own else ():
        since = own.get(name.partition(".")[0])
        file = _own_file(module)
        if since is None or not file:
            continue
        try:
            edited = os.stat(file).st_mtime > since
        except OSError:
            continue
        if edited:
            shown = os.path.basename(file)
            reason = f"{shown} was edited after it had been imported as {name}."
            changes.append(Change(name, "as it was when it was imported", "edited since", reason))
    return changes


def _own_file(module: ModuleType | None) -> str:
    """The source of a module that is no installed package and not Python's own; else empty."""
    file = getattr(module, "__dict__", {}).get("__file__")
    if not isinstance(file, str) or any(site in file for site in _SITES):
        return ""
    return "" if file.startswith((os.path.dirname(os.__file__), sys.prefix)) else file
