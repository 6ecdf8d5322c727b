"""What makes a function a verb, and how the doors find it.

A verb is declared once: a typed function with a numpydoc docstring, marked by `verb`. Magic,
command line and form are made from its signature; nothing about it stands anywhere else.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from mlops_magics.errors import UnknownName

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Reference:
    """Marks a parameter that a notebook may also fill with a variable, by its name.

    ``kind`` is what a name stands for elsewhere, which is what completion offers.
    """

    kind: Literal["data", "model", "deployment", "dataset", "notebook", "record", "figure"]


#: A DataFrame, an array, ``(X, y)``, a path, a URI, or the name of a prepared dataset.
Data = Annotated[Any, Reference("data")]


def is_given(data: Any) -> bool:
    """Whether there is an argument of this kind: anything but an empty name."""
    return not (isinstance(data, str) and not data)


#: ``credit``, ``credit@champion``, ``credit/3``, ``runs:/…``, ``models:/…``, or a fitted model.
Model = Annotated[Any, Reference("model")]
#: The name of a deployment.
DeploymentName = Annotated[str, Reference("deployment")]


@dataclass(frozen=True)
class Declaration:
    """A verb as the doors see it.

    Attributes
    ----------
    body : str or None
        The parameter that a cell's body fills, if the verb takes one.
    code : bool
        Whether the body is code that runs in the user's namespace as a tracked run.
    """

    name: str
    function: Callable[..., Any]
    body: str | None = None
    code: bool = False

    @property
    def runs_code(self) -> bool:
        """Whether the user's own code is run, so that an exception may be theirs."""
        return self.code or self.body == "code"

    @property
    def summary(self) -> str:
        """The docstring's first line."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


_declared: dict[str, Declaration] = {}


def verb(*, body: str | None = None, code: bool = False) -> Callable[[F], F]:
    """Declare a function to be a verb; it stays the plain function that it is."""

    def mark(function: F) -> F:
        name = function.__name__.rstrip("_")
        _declared[name] = Declaration(name, function, body, code)
        return function

    return mark


@cache
def _import_all() -> None:
    from mlops_magics import verbs

    for module in pkgutil.iter_modules(verbs.__path__):
        importlib.import_module(f"{verbs.__name__}.{module.name}")


def _import_home(name: str) -> None:
    """Import the module whose text declares the verb: to import all of them takes 0.1 s longer."""
    from mlops_magics import verbs

    declares = re.compile(rf"^@verb\(.*\)\ndef {re.escape(name)}_?\(", re.MULTILINE)
    for folder in verbs.__path__:
        for file in sorted(Path(folder).glob("*.py")):
            if declares.search(file.read_text(encoding="utf-8")):
                importlib.import_module(f"{verbs.__name__}.{file.stem}")
                return


def declarations() -> dict[str, Declaration]:
    """Every verb by name, in alphabetical order."""
    _import_all()
    return dict(sorted(_declared.items()))


def find(name: str) -> Declaration:
    """The verb of that name.

    Raises
    ------
    UnknownName
        If there is none.
    """
    if name not in _declared:
        _import_home(name)
    if name not in _declared and name not in declarations():
        raise UnknownName("verb", name, declarations())
    return _declared[name]
