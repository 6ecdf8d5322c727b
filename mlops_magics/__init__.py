"""The whole life of a model from a notebook cell.

>>> import mlops_magics as mlops
>>> mlops.status()  # doctest: +SKIP

Every verb is reached from here, as a magic after ``%load_ext mlops_magics``, and on the command
line as ``mlops VERB``. Nothing is imported before it is used.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics (``%load_ext mlops_magics``)."""
    from mlops_magics.doors import magics

    magics.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away again (``%unload_ext mlops_magics``)."""
    from mlops_magics.doors import magics

    magics.unload(shell)


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    # `from mlops_magics import store` asks here first; a room is no verb.
    if importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    from mlops_magics.verbs import declaration

    try:
        known = declaration.declarations()
    except ImportError as error:  # asked for an attribute, answered in kind
        raise AttributeError(f"mlops_magics can't load its verbs: {error}") from error
    if name in known:
        return known[name].function
    raise AttributeError(f"mlops_magics has no verb {name!r}. Verbs: {', '.join(known)}")


def __dir__() -> list[str]:
    from mlops_magics.verbs import declaration

    return sorted([*globals(), *declaration.declarations()])
