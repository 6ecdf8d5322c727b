"""Whether the notebook, run from its top as it stands, would make the same model again.

The cells that made the model are compared with those that would make it if the notebook were run
once, from the top to the cell that trains. Where both are the same cells in the same order the
model is *clean*; each difference is a reason to call it *stale*.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mlops_magics.evidence import cells, slicing
from mlops_magics.evidence.binding import Transform
from mlops_magics.evidence.cells import Execution, Seen
from mlops_magics.evidence.flow import Flow
from mlops_magics.evidence.slicing import Slice


class Saved(NamedTuple):
    """The code cells of a notebook's file, ``(id, source)`` from the top, and when it was saved."""

    cells: Sequence[tuple[str, str]]
    at: float


@dataclass
class Judgement:
    """How far the cells of a slice can be run again to the same effect.

    Attributes
    ----------
    stamp : str
        ``clean``, ``stale`` or ``unknown`` (a cell does something that can't be told).
    reasons : list of str
        One sentence each, the weightiest first.
    """

    stamp: str
    reasons: list[str] = field(default_factory=list)


class Notebook:
    """The cells as they stand, above and below the one that trains.

    Parameters
    ----------
    executions : sequence of Execution
        All that ran, the last being the one that trains.
    saved : Saved, optional
        The notebook's file. Without it the cells stand in the order in which they first ran.
    """

    def __init__(self, executions: Sequence[Execution], saved: Saved | None) -> None:
        self.saved = saved
        self.executions = [_named(e, at, saved) for at, e in enumerate(executions)]
        target = executions[-1]
        #: Ids are what ties an execution to a cell; terminals and headless runs give none.
        self.identified = target.id is not None
        self.sources = self._sources() if self.identified else {}
        self.order = list(self.sources)
        self.known = saved is not None and target.id in {id for id, _ in saved.cells}

    def _sources(self) -> dict[str, str]:
        """The cells' present content by id, from the top."""
        latest = {e.id: e for e in self.executions if e.id is not None}
        saved = self.saved.cells if self.saved else ()
        at = self.saved.at if self.saved else 0.0
        found = {}
        for id, source in saved:
            run = latest.get(id)
            # What ran after the file was saved is newer than the file.
            found[id] = run.source if run is not None and run.started >= at else source
        order = list(found)
        previous: str | None = None
        for execution in self.executions:
            if execution.id is None:
                continue
            new = execution.started >= at or execution.id.startswith(_BEFORE)
            if execution.id not in found and new:
                # A cell made since: it stands where it was run, below the one before.
                below = order.index(previous) + 1 if previous in order else 0
                below = below if self.saved else len(order)
                order.insert(below, execution.id)
                found[execution.id] = latest[execution.id].source
            if execution.id in found:
                previous = execution.id
        return {id: found[id] for id in order}

    def position(self, execution: Execution) -> int | None:
        """Where a cell stands among the code cells of the file, from 1."""
        standing = [id for id in self.order if not id.startswith(_BEFORE)]
        if not self.known or execution.id not in standing:
            return None
        return standing.index(execution.id) + 1

    def name(self, execution: Execution) -> str:
        """A cell in a sentence: by its place in the notebook, else by its prompt."""
        position = self.position(execution)
        if position is not None:
            return f"cell {position}"
        return f"In [{execution.count}]" if execution.count is not None else "a cell without number"

    def from_the_top(self, transform: Transform | None) -> list[Execution]:
        """What would run if the notebook were run from the top to the cell that trains."""
        ran = {(e.id, e.digest): e for e in self.executions}
        by_content = {e.digest: e for e in self.executions}
        found = []
        for id, source in self.sources.items():
            content = cells.digest(source)
            earlier = ran.get((id, content)) or by_content.get(content)
            if earlier is not None:
                found.append(replace(earlier, id=id, status="finished", outside={}))
            else:
                code = transform(source) if transform else source
                found.append(Execution(source=source, code=code, id=id, status="finished"))
            if id == self.executions[-1].id:
                break
        return found


#: Marks a cell that ran before the log began, whose id is not known.
_BEFORE = "<before "


def _named(execution: Execution, at: int, saved: Saved | None) -> Execution:
    """A cell that ran before the log began, with the id of the cell of the file that equals it."""
    if execution.id is not None or execution.seen is not None:
        return execution
    same = [id for id, source in (saved.cells if saved else ())
            if cells.digest(source) == execution.digest]  # fmt: skip
    return replace(execution, id=same[0] if len(same) == 1 else f"{_BEFORE}{at}>")


def judge(
    slice: Slice,
    notebook: Notebook,
    *,
    transform: Transform | None = None,
    known: Mapping[str, Seen] | None = None,
    present: Iterable[str] | None = None,
) -> Judgement:
    """Whether the executions of a slice are what the notebook as it stands would run.

    Parameters
    ----------
    slice : Slice
        What the last of its executions depends on.
    """
    executions = notebook.executions
    reasons: list[str] = []
    runs = Counter((executions[at].id, executions[at].digest) for at in slice.order)
    told: set[tuple[str | None, str]] = set()
    for at in reversed(slice.order[:-1]):  # of several runs of a cell, the last is named
        key = executions[at].id, executions[at].digest
        why = "" if key in told else _wrong_with(at, executions, slice, notebook, runs)
        if why:
            reasons.append(why)
        if notebook.identified:
            told.add(key)
    reasons.reverse()
    if slice.outside:
        names = _listed([f"`{name}`" for name in slice.outside])
        them = "it" if len(slice.outside) == 1 else "them"
        reasons.append(f"{names} came from outside the notebook: no cell that ran binds {them}")
    if notebook.identified and not reasons:
        top = notebook.from_the_top(transform)
        again = Flow(top, known=known, present=present, transform=transform)
        reasons += _differences(
            executions, slice, notebook, top, slicing.slice_of(again, len(top) - 1)
        )
    if reasons:
        return Judgement("stale", [f"{r}." for r in reasons])
    unclear = [
        f"{notebook.name(executions[at])} {why}; what it read can't be told."
        for at, why in slice.unclear
    ]
    return Judgement("unknown" if unclear else "clean", [_capital(u) for u in unclear])


def _wrong_with(
    at: int,
    executions: Sequence[Execution],
    slice: Slice,
    notebook: Notebook,
    runs: Mapping[tuple[str | None, str], int],
) -> str:
    """What is wrong with one execution of a slice; empty if nothing."""
    execution = executions[at]
    cell = notebook.name(execution)
    users = [(user, name) for user, name in slice.users(at) if not name.startswith("<")]
    name = f"`{users[0][1]}`" if users else "what it set"
    left = f"Read {name} as {cell} left it" if users else f"It rests on what {cell} set"
    something = name if users else "A setting"
    if execution.status == "failed":
        return f"{left}, but {cell} had failed half-way"
    if not notebook.identified:
        return ""
    if execution.id is None:
        return f"{something} came from a console on the same kernel ({cell}), not from a cell"
    if execution.id not in notebook.sources:
        prompt = f" (In [{execution.count}])" if execution.count is not None else ""
        return f"{something} came from a cell that has since been deleted{prompt}"
    if execution.digest != cells.digest(notebook.sources[execution.id]):
        later = [e for e in executions[at + 1 :] if e.id == execution.id]
        if any(e.digest != execution.digest for e in later):
            return f"{left}, but {cell} has since been run with other code"
        return f"{left}, but {cell} has since been edited and not run again"
    times = runs[execution.id, execution.digest]
    if times > 1:
        rests = (
            f"Read {name} as {times} runs of {cell} left it"
            if users
            else (f"It rests on {times} runs of {cell}")
        )
        return f"{rests}, each of which builds on the one before"
    place = notebook.order.index(execution.id)
    for user, used in users:
        reader = executions[user]
        if reader.id in notebook.sources and notebook.order.index(reader.id) < place:
            return (
                f"Read `{used}` as {cell} left it, which stands below "
                f"{notebook.name(reader)} that read it"
            )
    return ""


def _differences(
    executions: Sequence[Execution],
    slice: Slice,
    notebook: Notebook,
    top: Sequence[Execution],
    again: Slice,
) -> list[str]:
    """Where the cells that made the model and those that would make it now are not the same."""
    real = [executions[at].id for at in slice.order]
    would = [top[at].id for at in again.order]
    if real == would:
        return []
    reasons = []
    for at in again.order:
        execution = top[at]
        if execution.id in real:
            continue
        users = [(u, n) for u, n in again.users(at) if not n.startswith("<")]
        ran = any(e.id == execution.id for e in executions)
        state = "had not run since" if ran else "has not run"
        name = f"`{users[0][1]}`" if users else "settings"
        reasons.append(
            f"From the top, {name} would be made by {notebook.name(execution)}, which {state}"
        )
    if reasons:
        return reasons
    left_out = [at for at in slice.order if executions[at].id not in would]
    for at in left_out:
        users = slice.users(at)
        name = f"`{users[0][1]}`" if users else "settings"
        reasons.append(
            f"Read {name} as {notebook.name(executions[at])} left it, which would not be so from "
            "the top"
        )
    return reasons


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
