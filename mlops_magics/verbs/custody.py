"""Whether the history of a model is whole: nothing altered, removed, put in or moved by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_magics import evidence, settings, store
from mlops_magics.verbs import moves

if TYPE_CHECKING:
    from mlops_magics.evidence.chain import Entry
    from mlops_magics.store.ledger import Run

#: How an MLflow run ends; another one is still at it.
_ENDED = ("FINISHED", "FAILED", "KILLED")


@dataclass(frozen=True, kw_only=True)
class Custody:
    """What was found.

    Attributes
    ----------
    entries : int
        How many there are.
    problems : tuple of str
        What is not as it was recorded, one sentence each.
    unknown : tuple of str
        Signers that are not known here, one sentence each.
    head : str
        The hash of the newest entry.
    signers : tuple of str
        What those who signed are called here.
    """

    entries: int
    problems: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    head: str = ""
    signers: tuple[str, ...] = ()


def check(name: str, *, deep: bool = True) -> Custody:
    """Look through all that is recorded under a name; `deep`, through the files of each step too.

    On a server the files of every step have to be fetched for that.
    """
    runs = store.ledger.steps(name)
    entries = [(run, entry) for run in runs if (entry := store.ledger.entry_of(run)) is not None]
    entries.sort(key=lambda pair: pair[1].number)
    problems = [
        *_unreadable(runs),
        *_links([entry for _, entry in entries], runs),
        *(told for pair in entries for told in _entry(*pair, deep)),
        *(_versions(name, {str(run.info.run_id): run for run, _ in entries}) if deep else ()),
        *_left_out(runs, entries),
        *moves.misplaced(name),
    ]
    trusted = evidence.keys.trusted(settings.load().keys)
    known = {e.key: evidence.chain.signer_of(e, trusted) for _, e in entries if e.key}
    head = entries[-1][1] if entries else None
    if head is not None and runs and not problems:
        found = store.ledger.Head(head.number, head.hash)
        store.ledger.remember(str(runs[0].info.experiment_id), found)
    return Custody(
        entries=len(entries),
        problems=tuple(problems),
        unknown=tuple(
            _unknown(key, [e.number for _, e in entries if e.key == key])
            for key, owner in known.items()
            if not owner
        ),
        head=head.hash if head else "",
        signers=tuple(sorted({owner for owner in known.values() if owner})),
    )


def _unknown(key: str, numbers: Sequence[int]) -> str:
    which = f"entry {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} entries"
    return (
        f"The key {key[:16]}… that signed {which} of the history is not known here: put its "
        "owner's signing.pub into the folder trusted/ of your keys."
    )


def _unreadable(runs: Sequence[Run]) -> list[str]:
    return [
        f"The entry of run {run.info.run_id} ({run.data.tags['mlops.verb']}) can't be read: it was "
        "altered."
        for run in runs
        if store.ledger.ENTRY in run.data.tags and store.ledger.entry_of(run) is None
    ]


def _links(entries: Sequence[Entry], runs: Sequence[Run]) -> list[str]:
    """Gaps, copies, breaks, and an end that was cut off."""
    problems: list[str] = []
    before, number = evidence.chain.START, 0
    for entry in entries:
        if entry.number == number:
            problems.append(f"There are two entries {number}: one was put in by hand.")
            continue
        if entry.number > number + 1:
            problems.append(f"{_which(number + 1, entry.number - 1)} removed.")
        elif entry.previous != before:
            problems.append(
                f"Entry {entry.number} does not follow entry {number} as it is now: one of the "
                "two was altered."
            )
        before, number = entry.hash, entry.number
    if runs:
        problems += _end(str(runs[0].info.experiment_id), entries)
    return problems


def _which(first: int, last: int) -> str:
    return f"Entry {first} was" if first == last else f"The entries {first} to {last} were"


def _end(experiment: str, entries: Sequence[Entry]) -> list[str]:
    by_number = {entry.number: entry for entry in entries}
    last = max(by_number, default=0)
    known = {
        "the head of the history": store.ledger.head_of(experiment),
        "what this machine has seen of it": store.ledger.remembered(experiment),
    }
    problems: list[str] = []
    for source, head in known.items():
        if head.number > last:
            told = f"{_which(last + 1, head.number)} removed from the end ({source} shows it)."
            if not any(p.partition(" (")[0] == told.partition(" (")[0] for p in problems):
                problems.append(told)
        elif head.number and head.number in by_number and by_number[head.number].hash != head.hash:
            problems.append(f"Entry {head.number} is not the one that was there: {source} differs.")
    return problems


def _entry(run: Run, entry: Entry, deep: bool) -> list[str]:
    """What was changed of one step."""
    tags = run.data.tags
    called = f"Entry {entry.number} ({tags.get('mlops.verb', '?')}, {_when(run)})"
    if entry.key and not evidence.chain.is_signed(entry):
        return [f"{called} was altered: its signature does not fit."]
    if not entry.key:
        return [f"{called} is not signed."]
    changed = store.ledger.altered(run, entry, deep=deep)
    return [f"{called} was altered: {', '.join(changed)}."] if changed else []


def _versions(name: str, trained: Mapping[str, Run]) -> list[str]:
    """Versions whose digest in the registry is not that of the model that was trained."""
    problems = []
    for version in store.versions.of(name):
        run = trained.get(version.run_id)
        record = store.ledger.read(run, store.outbox.RECORD) if run else None
        model = record.get("model") if isinstance(record, Mapping) else None
        if isinstance(model, Mapping) and model.get("digest") not in (None, version.digest):
            problems.append(
                f"The digest of {version.ref} in the registry is not that of the model that run "
                f"{version.run_id} has trained: it was changed."
            )
    return problems


def _when(run: Run) -> str:
    return store.history.moment(run.info.start_time)[:16].replace("T", " ")


def _left_out(runs: Sequence[Run], entries: Sequence[tuple[Run, Entry]]) -> list[str]:
    """Steps that ended after the first entry was made and stand in none."""
    if not entries:
        return []
    first = int(entries[0][0].info.end_time or 0)
    chained = {str(run.info.run_id) for run, _ in entries}
    kept = {parcel.run_id for parcel in store.outbox.kept()}
    return [
        f"Run {run.info.run_id} ({run.data.tags['mlops.verb']}, {_when(run)}) stands in no entry: "
        "it was put in by hand, or its entry was removed."
        for run in runs
        if str(run.info.run_id) not in chained | kept
        and run.info.status in _ENDED
        and int(run.info.end_time or 0) > first
        and store.ledger.ENTRY not in run.data.tags
    ]
