"""`execute --resume`: which run is gone on with, and what a record says of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import settings
from mlops_magics.errors import WrongUsage
from mlops_magics.records import now

if TYPE_CHECKING:
    from mlops_magics.notebooks.cards import Card, Place
    from mlops_magics.notebooks.keeping import Keeper
    from mlops_magics.notebooks.running import Outcome, Plan
    from mlops_magics.verbs.jobs import Job


@contextmanager
def keeping(plan: Plan, job: Job, *, resume: bool) -> Iterator[Keeper | None]:
    """What keeps the state of a run while it lasts; ``None`` where the settings want none kept.

    Raises
    ------
    WrongUsage
        If there is nothing to resume.
    """
    from mlops_magics.evidence import keys
    from mlops_magics.notebooks import cards, keeping

    options = settings.load()
    if not options.checkpoints:
        if resume:
            raise WrongUsage(
                "There is nothing to resume: the setting `checkpoints` is false, so no state is "
                "kept.",
                "Leave --resume out.",
            )
        yield None
        return
    secret = frozenset(plan.hidden)
    place = cards.Place(options.state, job.source)
    card = cards.Card(
        event=job.event,
        notebook=str(job.source),
        output=job.remote.uri if job.remote else str(job.target),
        key=cards.parameters_key(plan.params, secret),
        params=plan.written,
        started=now(),
        process=f"process {os.getpid()} on {socket.gethostname()}",
    )
    earlier = find(place, place.cards(keys.signer(options.keys)), card) if resume else None
    try:
        place.make()
    except OSError:  # a notebook can run where nothing can be kept
        yield None
        return
    with place.running(job.event):
        yield keeping.Keeper(
            place, card, plan, secret=secret, most=options.checkpoint_mb * 1e6, earlier=earlier
        )


def find(place: Place, known: list[Card], card: Card) -> Card:
    """The run to go on from: the last one with these parameters, if it did not finish.

    Where that one had come to no state that could be kept, an earlier one that had still counts.

    Parameters
    ----------
    known : list of Card
        The runs of the notebook, the newest first.
    card : Card
        The run that is about to begin.

    Raises
    ------
    WrongUsage
        If there is none, it finished, or it still runs.
    """
    name = Path(card.notebook).name
    same = [other for other in known if other.key == card.key]
    if not same:
        if known:
            raise WrongUsage(
                f"There is nothing to resume: {name} was last run with "
                f"{_listed(known[0].params)}, and never with {_listed(card.params)}.",
                "Give the same parameters, or leave --resume out.",
            )
        raise WrongUsage(
            f"There is nothing to resume: no run of {name} is known here.", "Leave --resume out."
        )
    last = same[0]
    if last.status == "finished":
        raise WrongUsage(
            f"There is nothing to resume: the last run of {name} finished, begun {last.started}; "
            f"its result is {last.output}.",
            "Leave --resume out to run it again.",
        )
    if last.status == "running" and place.runs(last.event):
        raise WrongUsage(
            f"The last run of {name}, begun {last.started}, still goes on ({last.process}).",
            "Wait for it, or stop it first.",
        )
    for other in same:
        if other.status == "finished":
            break
        if other.checkpoint is not None and not place.runs(other.event):
            return other
    return last


def _listed(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{n} = {v!r}" for n, v in params.items()) or "no parameters of its own"


def told(keeper: Keeper | None, outcome: Outcome, *, resume: bool) -> dict[str, Any]:
    """How the run went on from another, and where another could go on from it.

    Returns
    -------
    dict
        ``resumed`` and ``checkpoint`` of an `Execution`, and ``warnings``.
    """
    if keeper is None:
        return {"resumed": None, "checkpoint": None, "warnings": []}
    keeper.end(outcome.status, outcome.reason)
    warnings: list[str] = []
    resumed = _resumed(keeper, warnings) if resume else None
    kept = keeper.card.checkpoint
    checkpoint = {
        "cell": kept["number"] if kept else 0,
        **({"state_digest": kept["digest"], "bytes": kept["size"]} if kept else {}),
        **({"why": keeper.card.lost} if keeper.card.lost else {}),
    }
    return {
        "resumed": resumed,
        "checkpoint": None if outcome.status == "finished" else checkpoint,
        "warnings": warnings,
    }


def _resumed(keeper: Keeper, warnings: list[str]) -> dict[str, Any]:
    earlier = keeper.before
    ended = "killed" if earlier.status == "running" else earlier.status
    why = f"{ended}: {earlier.reason}" if earlier.reason else ended
    found: dict[str, Any] = {"event": earlier.event, "output": earlier.output, "why": why}
    if keeper.why_not:
        warnings.append(
            f"The notebook ran from the top: the run begun {earlier.started} could not be gone on "
            f"with, because {keeper.why_not}."
        )
        return {**found, "from_cell": 1, "kept": [], "again": [], "not_kept": keeper.why_not}
    kept = [place + 1 for place in keeper.places[: keeper.first]]
    rest = keeper.places[keeper.first :]
    again = [place + 1 for place in rest if place < earlier.done]
    if again:
        reason = f" ({earlier.lost})" if earlier.lost else ""
        them = "Cell" if len(again) == 1 else "Cells"
        had = "its" if len(again) == 1 else "their"
        warnings.append(
            f"{them} {', '.join(map(str, again))} had run well too, but {had} state was not kept"
            f"{reason}: run again."
        )
    return {
        **found,
        "from_cell": rest[0] + 1 if rest else 0,
        "kept": kept,
        "again": again,
    }
