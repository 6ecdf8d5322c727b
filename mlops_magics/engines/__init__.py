"""Where work fans out: this machine's processes, or a cluster.

An engine is one class (`Engine`) and one entry-point line. What it runs are plain functions, and
what it returns are futures, so that a verb does not know where its work is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_magics import plugins
from mlops_magics.errors import UnknownName, WrongUsage

if TYPE_CHECKING:
    from mlops_magics.engines.base import Engine

__all__ = ["find"]


def find(on: str = "local", jobs: int | None = None, *, light: bool = False) -> Engine:
    """The engine that `on` names, not yet opened.

    Parameters
    ----------
    on : str
        An engine's name, or an address (``tcp://127.0.0.1:8786``) whose scheme an engine serves.
    jobs : int, optional
        How many tasks may run at a time; by default what the engine has.
    light : bool
        Whether tasks only drive other processes, so that threads will do on this machine.

    Raises
    ------
    UnknownName
        If there is no such engine; with the nearest that exist.
    WrongUsage
        If `jobs` is less than one, or the engine can't be reached in the way that is asked for.
    """
    if jobs is not None and jobs < 1:
        raise WrongUsage(f"--jobs must be at least 1, not {jobs}.", "1 works in this process.")
    scheme, separator, _ = on.partition("://")
    if not separator:
        made: Engine = plugins.load("engine", on)(jobs, light=light)
        return made
    serving: dict[str, type[Engine]] = {}
    for name in plugins.names("engine"):
        kind: type[Engine] = plugins.load("engine", name)
        serving |= dict.fromkeys(kind.schemes, kind)
    if scheme not in serving:
        raise UnknownName("engine for the address", on, [f"{s}://…" for s in serving])
    return serving[scheme](jobs, on, light=light)
