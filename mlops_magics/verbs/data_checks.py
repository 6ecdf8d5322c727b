"""What is looked at in the data before a model is judged on it, and what of it is waived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mlops_magics import drift
from mlops_magics.errors import UnknownName
from mlops_magics.records import DataCheck

if TYPE_CHECKING:
    from mlops_magics.verbs.judged_rows import Rows


def check(
    rows: Rows, needed: Sequence[str], waived: Sequence[str], actor: str
) -> tuple[DataCheck, ...]:
    """Look at the rows beside those that the model was trained on.

    Parameters
    ----------
    needed : sequence of str
        The columns that the model takes.
    waived : sequence of str
        Names of checks whose failure is let pass, by `actor`.

    Raises
    ------
    UnknownName
        If there is no check of a name in `waived`.
    """
    found = drift.checks.check(
        rows.frame, rows.learned, rows.training, target=rows.target, needed=needed
    )
    names = {_plain(c.name): c.name for c in found}
    wanted = set()
    for name in waived:
        if _plain(name) not in names:
            raise UnknownName("check of the data", name, names.values())
        wanted.add(names[_plain(name)])
    return tuple(
        replace(c, status="waived", waived_by=actor)
        if c.name in wanted and c.status == "failed"
        else c
        for c in found
    )


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", " ").replace("_", " ")
