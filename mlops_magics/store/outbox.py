"""The outbox: what a step writes lies on this machine's disk until the store has taken it.

There is one way for all of it. A step puts its parameters, metrics, tags, files and model into its
parcel, a folder of its own, and the parcel is delivered when the step closes. If the store does
not answer then, the parcel stays and is delivered later; if the process dies, the parcel tells
what the step had written so far. Delivering twice, or going on after half of it, changes nothing.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import records, settings
from mlops_magics.errors import MlopsError

if TYPE_CHECKING:
    from filelock import FileLock
    from mlflow.entities import Run as MlflowRun

    from mlops_magics.store.versions import Version

log = logging.getLogger("mlops_magics")

_LINES, _FILES, _MODEL, _CLOSED = "written.jsonl", "files", "model", "closed"

#: The artifact in which a step tells everything that is common to all of them.
RECORD = "mlops/record.json"


@dataclass
class Content:
    """What a parcel holds, apart from files."""

    name: str = ""
    tracking_uri: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)
    points: list[Sequence[Any]] = field(default_factory=list)
    inputs: list[Mapping[str, str]] = field(default_factory=list)
    model: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    ended: int = 0

    def add(self, line: Mapping[str, Any]) -> None:
        """Take in one line; of one key the last counts."""
        for key, value in line.items():
            if key in ("params", "metrics", "tags"):
                getattr(self, key).update(value)
            elif key in ("points", "inputs"):
                getattr(self, key).extend(value)
            else:
                setattr(self, key, value)


@dataclass(frozen=True)
class Delivered:
    """What became of a parcel.

    Attributes
    ----------
    version : Version or None
        The version that its model became.
    notes : tuple of str
        What the store would not take, and why.
    """

    run_id: str
    name: str
    version: Version | None = None
    notes: tuple[str, ...] = ()


class Parcel:
    """What one run has written and the store has not taken yet."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.folder = folder() / run_id
        #: So many of the points, from the first on, the store has been sent.
        self._sent = 0
        self._streams = True
        self._writing = threading.Lock()

    @classmethod
    def start(cls, run_id: str, name: str) -> Parcel:
        """The empty parcel of a run that was just opened."""
        parcel = cls(run_id)
        (parcel.folder / _FILES).mkdir(parents=True, exist_ok=True)
        parcel.add(name=name, tracking_uri=settings.load().tracking_uri)
        return parcel

    def add(self, **line: Any) -> None:
        """Put parameters, metrics, tags, points or inputs in; a line is written whole or not."""
        with self._writing, open(self.folder / _LINES, "a", encoding="utf-8") as lines:
            # Numbers that are none stay what they are: a loss of NaN is a finding.
            lines.write(json.dumps(line, default=records.jsonable, ensure_ascii=False) + "\n")

    def stream(self, points: Sequence[tuple[str, float, int, int]]) -> None:
        """Put values by iteration in, and show them in the store as long as it answers.

        After the first failure nothing more is sent ahead: all of it goes with the rest.
        """
        from mlops_magics.store import values

        self.add(points=points)
        if not self._streams:
            return
        try:
            values.log_history(self.run_id, points)
            self._sent += len(points)
        except MlopsError:
            self._streams = False

    def add_text(self, path: str, text: str) -> None:
        """Put a text in, to be kept as an artifact."""
        target = self._place(path)
        target.write_text(text, encoding="utf-8")

    def add_file(self, local: Path, inside: str = "") -> None:
        """Put a file or a folder's content in, as it is now."""
        for file in [p for p in local.rglob("*") if p.is_file()] if local.is_dir() else [local]:
            target = self._place(
                Path(inside) / (file.relative_to(local) if local.is_dir() else file.name)
            )
            shutil.copy2(file, target)

    def add_model(
        self, name: str, save: Callable[[Path], Mapping[str, str]], tags: Mapping[str, Any]
    ) -> Mapping[str, str]:
        """Put a model in that `save` writes to a folder, to become `name`'s next ``@candidate``."""
        target = self.folder / _MODEL
        shutil.rmtree(target, ignore_errors=True)
        noted = save(target)
        self.add(model={"name": name, "tags": {**noted, **{k: str(v) for k, v in tags.items()}}})
        return noted

    def _place(self, path: str | Path) -> Path:
        target = self.folder / _FILES / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def content(self) -> Content:
        """All that was put in; a last line that a dying process left unfinished is left out."""
        content = Content()
        for line in (self.folder / _LINES).read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                content.add(json.loads(line))
        return content

    def close(self, status: str) -> Delivered:
        """Nothing more is put in: deliver it, with how the run ended.

        Raises
        ------
        StoreUnreachable
            If the store did not take it; it is kept, and is no open run any more.
        """
        from mlops_magics.store import journal

        with self.alone(timeout=60):
            self.add(status=status, ended=_now())
            (self.folder / _CLOSED).touch()
            # From here on the parcel tells how the run ended, whenever the store hears of it.
            journal.closed(self.run_id)
            return self._deliver(late=False)

    def deliver(self) -> Delivered | None:
        """Deliver a closed parcel that was kept; nothing if another process is at it.

        Raises
        ------
        StoreUnreachable
            If the store does not take it; it stays.
        """
        try:
            with self.alone(timeout=0):
                return self._deliver(late=True) if self.folder.is_dir() else None
        except TimeoutError:  # filelock's own derives from it
            return None

    def alone(self, timeout: float) -> FileLock:
        """Held by whoever delivers it."""
        from filelock import FileLock

        return FileLock(self.folder.with_suffix(".lock"), timeout=timeout)

    def _deliver(self, *, late: bool) -> Delivered:
        from mlops_magics.store import ledger, models, opening, runs, values

        content = self.content()
        version, model_id, notes = None, None, []
        params = {k: runs.short_param(v) for k, v in content.params.items()}
        with runs.reaching("take what the run has written"):
            opening.check()
            if content.model:
                version, model_id = models.register(
                    self.run_id,
                    content.model["name"],
                    self.folder / _MODEL,
                    tags=content.model["tags"],
                    params=params,
                    again=late,
                )
                notes += _make_candidate(version, content.ended if late else None)
                self._name(content, version)
            notes += values.log_params(self.run_id, params)
            # A metric measured at the end goes behind the values of its iterations.
            steps = {name: step for name, _, step, _ in content.points}
            final = [(k, v, steps.get(k, 0), content.ended) for k, v in content.metrics.items()]
            values.log_history(self.run_id, content.points[self._sent :])
            values.log_history(self.run_id, final, model_id)
            for source in content.inputs:
                runs.log_input(self.run_id, **source)
            self._seal_figures(runs.get(self.run_id))
            if any((self.folder / _FILES).iterdir()):
                runs.write_file(self.run_id, self.folder / _FILES)
            runs.log(self.run_id, tags=content.tags)
            runs.finish(self.run_id, content.status, content.ended)
            ledger.append(self.run_id, self.folder / _FILES)
        shutil.rmtree(self.folder)
        self.folder.with_suffix(".lock").unlink(missing_ok=True)
        return Delivered(self.run_id, content.name, version, tuple(notes))

    def _name(self, content: Content, version: Version) -> None:
        """Write the version's number, known only now, into what the run tells of itself."""
        content.tags["mlops.model"] = version.ref
        if summary := content.tags.get("mlops.summary", ""):
            content.tags["mlops.summary"] = f"model: {version.ref} · {summary}"
        self._record(model={"ref": version.ref, "digest": version.digest})

    def _seal_figures(self, run: MlflowRun) -> None:
        """Write all that the store has of parameters and metrics, the user's own ones too, into
        the record, whose digest the history holds."""
        self._record(
            logged=records.jsonable({"params": run.data.params, "metrics": run.data.metrics})
        )

    def _record(self, **more: Any) -> None:
        file = self.folder / _FILES / RECORD
        if file.exists():
            body = {**json.loads(file.read_text(encoding="utf-8")), **more}
            file.write_text(json.dumps(body, indent=1, ensure_ascii=False), encoding="utf-8")


def _make_candidate(version: Version, ended: int | None) -> list[str]:
    """Point ``@candidate`` at a version, unless (delivered late) a newer one has it by now."""
    from mlops_magics.store import versions

    others = versions.of(version.name) if ended is not None else []
    newer = [v for v in others if v.created > (ended or 0) and v.run_id != version.run_id]
    if holder := next((v for v in newer if "candidate" in v.aliases), None):
        return [f"{version.ref} was trained before {holder.ref}, which stays @candidate."]
    versions.set_alias(version.name, "candidate", version.number)
    return []


def _now() -> int:
    return time.time_ns() // 1_000_000


def folder() -> Path:
    """Where parcels lie."""
    return settings.load().state / "outbox"


def kept() -> list[Parcel]:
    """The closed parcels that the store has not taken, oldest first; looking costs no MLflow."""
    if not folder().is_dir():
        return []
    closed = sorted(folder().glob(f"*/{_CLOSED}"), key=lambda mark: mark.stat().st_mtime)
    return [Parcel(mark.parent.name) for mark in closed]


def find(run_id: str) -> Parcel | None:
    """The parcel of a run that has ended and that the store has not taken."""
    parcel = Parcel(run_id)
    return parcel if (parcel.folder / _CLOSED).exists() else None


def deliver_kept() -> list[Delivered]:
    """Deliver what was kept for the store that the settings name; what stays is said."""
    delivered = []
    for parcel in kept():
        if parcel.content().tracking_uri != settings.load().tracking_uri:
            continue  # it waits for the store that its run was opened in
        try:
            done = parcel.deliver()
        except MlopsError as error:
            log.warning("Run %s is still kept in %s: %s", parcel.run_id, parcel.folder, error)
            continue
        if done is not None:
            delivered.append(done)
            log.info(
                "Run %s of %s, kept while the store was away, is delivered%s.",
                done.run_id,
                done.name,
                f" as {done.version.ref}" if done.version else "",
            )
    return delivered


def sweep() -> list[str]:
    """Close the runs whose process is gone as killed, with what they had written.

    Returns
    -------
    list of str
        Their ids.
    """
    from mlops_magics.store import journal, runs

    closed = []
    for entry in journal.abandoned():
        if entry.tracking_uri != settings.load().tracking_uri:
            continue
        parcel = Parcel(entry.run_id)
        if not runs.is_running(entry.run_id):  # deleted meanwhile: nothing is left to close
            journal.closed(entry.run_id)
            shutil.rmtree(parcel.folder, ignore_errors=True)
            continue
        if not parcel.folder.is_dir():
            parcel = Parcel.start(entry.run_id, entry.name)
        reason = f"process {entry.pid} on {entry.host} ended without closing the run"
        parcel.add(tags={"mlops.reason": reason})
        parcel.close("killed")
        closed.append(entry.run_id)
    return closed
