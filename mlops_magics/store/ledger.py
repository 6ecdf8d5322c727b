"""The history of a model as a chain: each step that ends appends one entry to it.

An entry (`mlops_magics.evidence.chain`) is kept as a tag of the step's own run. The head of the
chain, its newest entry, is kept as a tag of the experiment and, so that a chain whose end was cut
off is found, on each machine that has appended to it or verified it, outside the store.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import evidence, records, settings
from mlops_magics.errors import BadData, MlopsError, StoreUnreachable
from mlops_magics.store import locks, outbox, runs

if TYPE_CHECKING:
    from mlflow.entities import Run as Run  # also for those who may not import mlflow
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    from mlops_magics.evidence.chain import Entry

log = logging.getLogger("mlops_magics")

#: Tags of a run, and of the experiment.
ENTRY, NUMBER, HEAD = "mlops.entry", "mlops.entry.number", "mlops.head"
#: Tags of a run that an entry holds; none of them is changed once the step has ended.
_TAGS = (
    "mlops.verb",
    "mlops.status",
    "mlops.actor",
    "mlops.host",
    "mlops.arguments",
    "mlops.model",
    "mlops.summary",
    "mlops.notebook",
    "mlops.follows",
    "mlops.passed",
    "mlops.alias",
    "mlops.request",
    "mlflow.source.git.commit",
)
#: So many of a step's files an entry holds: the uppermost first.
_FILES = 40


@dataclass(frozen=True)
class Head:
    """The newest entry of a chain; number 0 where there is none."""

    number: int = 0
    hash: str = evidence.chain.START

    @classmethod
    def read(cls, text: str | None) -> Head:
        """As a tag or a file has it; none if it has nothing that can be read."""
        number, _, digest = (text or "").partition(" ")
        return cls(int(number), digest) if number.isdigit() and digest else cls()

    def __str__(self) -> str:
        return f"{self.number} {self.hash}"


def append(run_id: str, folder: Path) -> Entry | None:
    """Append the step's entry; nothing if it has one.

    Parameters
    ----------
    folder : Path
        What the step has written: its files are read here rather than from the store.
    """
    run = runs.get(run_id)
    if ENTRY in run.data.tags or "mlops.verb" not in run.data.tags:
        return None
    files = {str(f.relative_to(folder)): _digest(f) for f in _uppermost(folder)}
    experiment = str(run.info.experiment_id)
    with locks.alone(f"history-{experiment}"):
        head = _head(experiment)
        entry = evidence.chain.made(head.number + 1, head.hash, facts(run), files, _signer())
        runs.log(run_id, tags={ENTRY: entry.to_text(), NUMBER: str(entry.number)})
        _advance(experiment, Head(entry.number, entry.hash))
    return entry


def _uppermost(folder: Path) -> list[Path]:
    written = [f for f in folder.rglob("*") if f.is_file()]
    return sorted(written, key=lambda f: (len(f.parts), f))[:_FILES]


def _signer() -> CryptoSigner | None:
    """The key that signs; a key that can't be used must not lose the step."""
    try:
        return evidence.keys.signer(settings.load().keys)
    except MlopsError as error:
        log.warning("The step's entry in the history is not signed: %s", error)
        return None


def _head(experiment: str) -> Head:
    """Where the chain ends; an entry whose process died before it was named head counts."""
    with runs.reaching("give the head of the history") as client:
        head = Head.read(client.get_experiment(experiment).tags.get(HEAD))
        while True:
            following = client.search_runs(
                [experiment], f"tags.`{NUMBER}` = '{head.number + 1}'", max_results=1
            )
            if not following:
                return head
            entry = evidence.chain.read(following[0].data.tags[ENTRY])
            head = Head(entry.number, entry.hash)


def head_of(experiment: str) -> Head:
    """The head as the store has it."""
    with runs.reaching("give the head of the history") as client:
        return Head.read(client.get_experiment(experiment).tags.get(HEAD))


def _advance(experiment: str, head: Head) -> None:
    with runs.reaching("take the head of the history") as client:
        client.set_experiment_tag(experiment, HEAD, str(head))
    remember(experiment, head)


def remember(experiment: str, head: Head) -> None:
    """Keep on this machine how far the chain went."""
    file = _remembered(experiment)
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    aside.write_text(str(head), encoding="utf-8")
    aside.replace(file)


def remembered(experiment: str) -> Head:
    """How far the chain went when this machine last looked."""
    try:
        return Head.read(_remembered(experiment).read_text(encoding="utf-8"))
    except OSError:
        return Head()


def _remembered(experiment: str) -> Path:
    options = settings.load()
    # Stores are told apart: the same experiment's number stands for another one elsewhere.
    store = hashlib.sha256(options.tracking_uri.encode()).hexdigest()[:12]
    return options.state / "heads" / f"{store}-{experiment}"


def facts(run: Run) -> dict[str, Any]:
    """What an entry holds of a run."""
    tags = run.data.tags
    return {
        "run": str(run.info.run_id),
        "started": int(run.info.start_time or 0),
        "ended": int(run.info.end_time or 0),
        **{name.removeprefix("mlops."): tags[name] for name in _TAGS if name in tags},
    }


def files(run: Run, names: Mapping[str, str]) -> dict[str, str | None]:
    """The digests of a run's files as they are now; ``None`` for one that is gone."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = _digest(_fetch(run, name, anew=True))
        except (StoreUnreachable, OSError):
            found[name] = None
    return found


def _fetch(run: Run, file: str, *, anew: bool = False) -> Path:
    uri = str(run.info.artifact_uri or "")
    return runs.fetch(str(run.info.run_id), file, uri=uri, anew=anew)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def entry_of(run: Run) -> Entry | None:
    """The entry of a run; ``None`` if it has none, or none that can be read."""
    text = run.data.tags.get(ENTRY)
    try:
        return evidence.chain.read(text) if text else None
    except BadData:
        return None


def figures_altered(run: Run) -> list[str]:
    """Parameters and metrics that are not as the step's record has them, one phrase each.

    What was added after the step had ended alters nothing: of a metric its values stay beside the
    new ones.
    """
    record = read(run, outbox.RECORD)
    told = record.get("logged") if isinstance(record, Mapping) else None
    if not isinstance(told, Mapping):
        return []
    params, metrics = run.data.params, records.jsonable(run.data.metrics)
    found = [
        f"the parameter {name!r} was changed"
        for name, was in told["params"].items()
        if params.get(name) != was
    ]
    return found + [
        f"the metric {name!r} was changed"
        for name, was in told["metrics"].items()
        if metrics.get(name) != was and not _goes_on(run, name, was)
    ]


def _goes_on(run: Run, metric: str, was: Any) -> bool:
    """Whether a metric has the recorded value still, and its present one is a later one."""
    with runs.reaching("give the values of a metric") as client:
        values = client.get_metric_history(str(run.info.run_id), metric)
    if all(records.jsonable(m.value) != was for m in values):
        return False
    latest = max(values, key=lambda m: (m.step, m.timestamp, m.value))
    return bool(latest.value == run.data.metrics.get(metric))


def objection(run_id: str) -> str:
    """Why a step's record can't be relied on; empty when it is as it was when it ended."""
    run = runs.get(run_id)
    entry = entry_of(run)
    if entry is None:
        return "it stands in no entry of the history"
    if not evidence.chain.is_signed(entry):
        return "its entry in the history was altered"
    changed = altered(run, entry)
    return f"its record was altered ({changed[0]})" if changed else ""


def altered(run: Run, entry: Entry, *, deep: bool = True) -> list[str]:
    """What of a step is not as its entry has it, one phrase each; `deep`, its files too."""
    if not deep:
        return evidence.chain.altered(replace(entry, files={}), facts(run), {})
    changed = evidence.chain.altered(entry, facts(run), files(run, entry.files))
    return changed or figures_altered(run)


def steps(name: str, *verbs: str) -> list[Run]:
    """The runs of an experiment that these verbs have left, in order of time.

    By default those of every verb, but for the trials of a search.
    """
    found = [
        run
        for only in verbs or ("",)
        for run in runs.find(
            experiment=name, verb=only or None, but=None if only else "trial", limit=50_000
        )
        if "mlops.verb" in run.data.tags
    ]
    found.reverse()  # each search gives the newest first; of one instant the order stays
    return sorted(found, key=lambda run: int(run.info.start_time or 0))


def read(run: Run, file: str) -> Any:
    """A JSON file of a step; ``None`` where it can't be had."""
    try:
        return json.loads(_fetch(run, file).read_text(encoding="utf-8"))
    except (StoreUnreachable, OSError, ValueError):
        return None
