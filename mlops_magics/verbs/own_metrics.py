"""The user's own metrics: functions of the notebook, and of the file that the settings name."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import evidence, goals, settings
from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.verbs import session

if TYPE_CHECKING:
    from mlops_magics.goals.goal import Goal


#: What a notebook imports from these is not its own: of ``max_error`` the goals know already.
_OTHERS = {"IPython", "fairlearn", "mlops_magics", "sklearn"}


@dataclass(frozen=True, kw_only=True)
class Own:
    """Functions that goals may name.

    Attributes
    ----------
    notebook, file : mapping
        Name → function, of the notebook and of the file in the settings.
    path : str
        That file; empty where there is none.
    """

    notebook: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    file: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    path: str = ""

    def find(self, name: str) -> Callable[..., Any] | None:
        """The function of that name."""
        return self.file.get(name) or self.notebook.get(name)

    def used(self, asked_for: Iterable[Goal]) -> dict[str, dict[str, Any]]:
        """What is to be kept of those that the goals name: where they stand, and their source."""
        found = {}
        for name in dict.fromkeys(goal.metric for goal in asked_for):
            function = self.find(name)
            if function is not None:
                in_file = name in self.file
                found[name] = {
                    "where": self.path if in_file else _here(),
                    "file": in_file,
                    "source": source(function),
                }
        return found


@contextmanager
def known(texts: str) -> Iterator[Own]:
    """While this is open, goals may name the user's functions; only those in `texts` are looked at.

    Raises
    ------
    UnknownName, WrongUsage
        If the file in the settings is not there, or can't be run.
    """
    words = set(re.findall(r"[^\W\d]\w*", texts))
    named = settings.load().metrics
    of_file = _of_file(named) if named else {}
    of_notebook = _functions(session.namespace())
    own = Own(
        file={n: f for n, f in of_file.items() if n in words},
        # A notebook can't put its own function in the place of one of the file.
        notebook={n: f for n, f in of_notebook.items() if n in words and n not in of_file},
        path=named,
    )
    with ExitStack() as stack:
        if own.notebook:
            stack.enter_context(goals.metrics.using(own.notebook, _here()))
        if own.file:
            stack.enter_context(goals.metrics.using(own.file, own.path))
        yield own


def source(function: Callable[..., Any]) -> str:
    """The function as it is written; empty where that can't be had."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


def _functions(names: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """The public functions among names, but for those of libraries that have metrics here."""
    return {
        name: value
        for name, value in names.items()
        if isinstance(value, types.FunctionType)
        and not name.startswith("_")
        and (value.__module__ or "").partition(".")[0] not in _OTHERS
    }


def _here() -> str:
    path = evidence.environment.notebook().get("path")
    return f"the notebook {path}" if path else "the session that judged it"


def _of_file(named: str) -> dict[str, Callable[..., Any]]:
    """The functions that are defined in the settings' file."""
    options = settings.load()
    path = options.root / Path(named).expanduser()
    if not path.is_file():
        near = [f.name for f in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise UnknownName("file of metrics", named, near, "(The setting `metrics` names it.)")
    name = f"_mlops_metrics_{abs(hash(str(path)))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise WrongUsage(f"{named} is no Python file.", "The setting `metrics` names it.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as its dataclasses and pickles need it
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        line = getattr(error, "lineno", None) or (last.tb_lineno if last else "?")
        raise WrongUsage(
            f"{named}, line {line}: {type(error).__name__}: {error}.",
            "The setting `metrics` names this file; its functions are metrics.",
        ) from error
    return {n: f for n, f in _functions(vars(module)).items() if f.__module__ == name}
