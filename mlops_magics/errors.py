"""What can go wrong, as one tree.

::

    MlopsError                  exit 1, HTTP 500
    ├── WrongUsage              exit 2, HTTP 400   arguments that make no sense
    │   ├── UnknownName         exit 2, HTTP 404   no such model, column, metric, deployment…
    │   └── BadGoal             exit 2, HTTP 400   a goal that can't be read
    ├── BadData                 exit 2, HTTP 422   data that can't be used as asked
    ├── MissingExtra            exit 1, HTTP 501   an optional package is not installed
    ├── StoreUnreachable        exit 1, HTTP 503   the tracking store does not answer
    ├── StepFailed              exit 1, HTTP 500   a step was started and did not succeed
    ├── Refused                 exit 3, HTTP 409   judged and found wanting
    ├── HeldForApproval         exit 4, HTTP 202   waits for a second person
    └── NotIntact               exit 5, HTTP 409   a record was changed

Every error is one clear sentence (`message`) and, where there is one, the way out
(`hint`). The exit code and the HTTP status stand on the class, so no door decides them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class MlopsError(Exception):
    """The root: anything this package itself has to say.

    Parameters
    ----------
    message : str
        What was wrong and what was expected, in one sentence.
    hint : str, optional
        What to do about it.
    """

    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def _render_traceback_(self) -> list[str]:
        """IPython asks an exception for this; a list of lines replaces the traceback."""
        return [f"{type(self).__name__}: {self}"]


class WrongUsage(MlopsError):
    """Arguments that make no sense."""

    exit_code = 2
    status = 400


class UnknownName(WrongUsage):
    """A name that does not exist, answered with the nearest names that do."""

    status = 404

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        super().__init__(f"There is no {kind} {name!r}.", f"{did_you_mean(name, known)} {hint}")
        self.name = name


class BadGoal(WrongUsage):
    """A goal that can't be read; says where, and what would be valid."""


class BadData(MlopsError):
    """Data that can't be used as asked."""

    exit_code = 2
    status = 422


class MissingExtra(MlopsError):
    """An optional package is needed and not installed."""

    status = 501

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed.", f"pip install 'mlops_magics[{extra}]'")


class StoreUnreachable(MlopsError):
    """The tracking store does not answer."""

    status = 503


class StepFailed(MlopsError):
    """A step was started and did not succeed."""


class Refused(MlopsError):
    """Judged and found wanting: no passing verdict, a threshold broken."""

    exit_code = 3
    status = 409


class HeldForApproval(MlopsError):
    """The step waits for a second person."""

    exit_code = 4
    status = 202


class NotIntact(MlopsError):
    """A record was changed since it was sealed."""

    exit_code = 5
    status = 409


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in a step that keeps what was done until then.

    Beside the tree, as nothing went wrong; as a `KeyboardInterrupt` it also stops what calls it.

    Parameters
    ----------
    message : str
        What was kept, and how to go on.
    record : Record
        The step's record, with the status ``interrupted``.
    """

    def __init__(self, message: str, record: object) -> None:
        super().__init__(message)
        self.record = record

    def _render_traceback_(self) -> list[str]:
        return [f"Interrupted: {self}"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """One sentence with the nearest of the known names, or with all when they are few.

    Examples
    --------
    >>> did_you_mean("roc_aux", ["roc_auc", "f1"])
    "Did you mean 'roc_auc'?"
    """
    names = sorted({str(k) for k in known})
    if not names:
        return "None exist yet."
    folded = {n.lower(): n for n in names}
    near = [folded[m] for m in difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.6)]
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    shown = ", ".join(names[:12]) + (f" … ({len(names)} in all)" if len(names) > 12 else "")
    return f"Known: {shown}."
