"""Which cells made a model, and whether the notebook as it stands would make it again.

Every training run keeps the answer: the cells it depends on as ``mlops/cells.json``, its stamp as
tags of run and version.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlops_magics import evidence
from mlops_magics.records import SCHEMA_VERSION
from mlops_magics.verbs import session

if TYPE_CHECKING:  # the analysis is loaded when a training asks for it, not with the extension
    from mlops_magics.evidence.cells import Execution, Log
    from mlops_magics.evidence.flow import Flow
    from mlops_magics.evidence.slicing import Slice
    from mlops_magics.evidence.staleness import Judgement, Notebook, Saved

#: The artifact that holds a run's cells.
CELLS = "mlops/cells.json"


@dataclass(frozen=True)
class Lineage:
    """What made a model.

    Attributes
    ----------
    stamp : str
        ``clean``, ``stale`` or ``unknown``.
    reasons : tuple of str
        Why it is not clean, one sentence each.
    cells : tuple of mapping
        The cells it depends on in an order that runs; the last is the one that trains.
    outside : tuple of str
        Names that came from outside the notebook.
    packages_changed : tuple of mapping
        What was changed on disk since it was imported: ``name``, ``loaded``, ``on_disk``.
    notes : tuple of str
        What the cells do outside Python.
    """

    stamp: str
    reasons: tuple[str, ...] = ()
    cells: tuple[Mapping[str, Any], ...] = ()
    outside: tuple[str, ...] = ()
    packages_changed: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    script: str = ""

    def body(self) -> dict[str, Any]:
        """The artifact's content."""
        return {
            "schema_version": SCHEMA_VERSION,
            "stamp": self.stamp,
            "reasons": list(self.reasons),
            "cells": [dict(cell) for cell in self.cells],
            "outside": list(self.outside),
            "packages_changed": [dict(p) for p in self.packages_changed],
            "notes": list(self.notes),
            **({"script": self.script} if self.script else {}),
        }

    @property
    def tags(self) -> dict[str, str]:
        """Tags of run and version."""
        return {
            "mlops.trust": self.stamp,
            **({"mlops.trust_reason": self.reasons[0]} if self.reasons else {}),
        }

    @property
    def trust(self) -> str:
        """The stamp with its reasons, for people."""
        return f"{self.stamp}: {' '.join(self.reasons)}" if self.reasons else self.stamp


def trace(source: str = "", cell: Mapping[str, Any] | None = None) -> Lineage:
    """The lineage of the training code that has just run.

    Parameters
    ----------
    source : str
        The code, for a script or a block outside a notebook.
    cell : mapping, optional
        What its door knows of it: ``raw`` (as typed), ``script`` (a path), or ``written``: code
        that stands for the cell which has run, such as the best trial's for a search.
    """
    known = dict(cell or {})
    log = session.cells()
    try:
        if "script" in known or log is None or not log.executions:
            return _of_one(known.get("raw") or source, str(known.get("script", "")))
        found = _of_notebook(log)
        return _ending(found, str(known["written"])) if "written" in known else found
    except Exception as error:  # code that this analysis is not ready for must not cost the run
        return Lineage(
            "unknown",
            (f"The cells could not be traced ({type(error).__name__}: {error}).",),
            script=str(known.get("script", "")),
        )


def _of_one(source: str, script: str) -> Lineage:
    """A script, or a block outside a notebook: one cell that holds all."""
    execution = evidence.cells.Execution(source=source, code=source, status="finished")
    facts = evidence.names.analyse(source)
    changes = evidence.live_changes.found()
    reasons = tuple(change.reason for change in changes)
    return Lineage(
        "stale" if reasons else "clean",
        reasons,
        (_cell(execution, 1, facts.reads, facts.writes),),
        packages_changed=tuple(change.body() for change in changes),
        script=script,
    )


def _of_notebook(log: Log) -> Lineage:
    executions = log.executions
    if log.current is not None:  # a `with` block: its cell still runs
        log.observe(log.current)
    last = len(executions) - 1
    present = log.namespace.keys()
    flow = evidence.flow.Flow(
        executions, known=log.initial, present=present, transform=log.transform
    )
    slice = evidence.slicing.slice_of(flow, last)
    notebook = evidence.staleness.Notebook(executions, _saved())
    judgement = evidence.staleness.judge(
        slice, notebook, transform=log.transform, known=log.initial, present=present
    )
    changes = evidence.live_changes.found(executions)
    judged = _with_changes(judgement, [change.reason for change in changes])
    return Lineage(
        judged.stamp,
        tuple(judged.reasons),
        tuple(_cells(flow, slice, notebook)),
        tuple(sorted(slice.outside)),
        tuple(change.body() for change in changes),
        tuple(_notes(flow, slice, notebook)),
    )


def _ending(found: Lineage, source: str) -> Lineage:
    """With other code in the place of the cell that has run."""
    written = evidence.cells.Execution(source=source, code=source, status="finished")
    last = {
        **found.cells[-1],
        "source": evidence.secrets.Masker()(source),
        "digest": written.digest,
        "writes": sorted(evidence.names.analyse(source.partition("\n")[2]).writes),
    }
    return replace(found, cells=(*found.cells[:-1], last))


def _with_changes(judgement: Judgement, changed: Sequence[str]) -> Judgement:
    if not changed:
        return judgement
    others = judgement.reasons if judgement.stamp == "stale" else []
    return evidence.staleness.Judgement("stale", [*others, *changed])


def _saved() -> Saved | None:
    """The code cells of the notebook's file, where it is known and can be read.

    Only two fields of each cell are wanted, so its whole form is not checked.
    """
    path = evidence.environment.notebook().get("path", "")
    try:
        at = os.stat(path).st_mtime
        with open(path, encoding="utf-8") as file:
            cells = json.load(file)["cells"]
        found = [(c["id"], "".join(c["source"])) for c in cells if c["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return evidence.staleness.Saved(found, at)


def _cells(flow: Flow, slice: Slice, notebook: Notebook) -> list[dict[str, Any]]:
    found = []
    for at in slice.order:
        execution = flow.executions[at]
        number = notebook.position(notebook.executions[at]) or execution.count or at + 1
        reads = {n for n, by in slice.ties[at].items() if by}
        found.append(_cell(execution, number, reads, flow.made[at]))
    return found


def _cell(execution: Execution, number: int, reads: set[str], writes: set[str]) -> dict[str, Any]:
    return {
        "number": number,
        "execution_count": execution.count,
        "id": execution.id,
        "source": evidence.secrets.Masker()(execution.source),
        "digest": execution.digest,
        "reads": sorted(n for n in reads if not n.startswith("<")),
        "writes": sorted(n for n in writes if not n.startswith("<")),
        "status": "failed" if execution.status == "failed" else "finished",
    }


def _notes(flow: Flow, slice: Slice, notebook: Notebook) -> list[str]:
    """What cells did that no analysis of names can follow, in the slice and beside it."""
    found = []
    for at, facts in enumerate(flow.facts):
        for what in facts.notes:
            where = "" if at in slice.order else "; it is not among the cells that made the model"
            said = f"{notebook.name(notebook.executions[at])} {what}{where}."
            found.append(said[:1].upper() + said[1:])
    return list(dict.fromkeys(found))
