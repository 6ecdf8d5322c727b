"""One open training run: opened before the code, closed with what the code left."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from mlops_magics import flavors, store
from mlops_magics.errors import MlopsError, StoreUnreachable, WrongUsage
from mlops_magics.records import Run
from mlops_magics.verbs import blocks, fitted, iterations, lineage, session, unseen
from mlops_magics.verbs.live import Live, Now
from mlops_magics.verbs.options import pair
from mlops_magics.verbs.pulse import Pulse
from mlops_magics.verbs.steps import Step

if TYPE_CHECKING:
    from mlops_magics.flavors import Flavor


_open: list[Training] = []


def current() -> Training | None:
    """The training run that is open in this process, the innermost of several."""
    return _open[-1] if _open else None


class Training:
    """One open training run; what ``with mlops.train("credit") as run:`` gives.

    Attributes
    ----------
    run_id : str
        The MLflow run, empty before it is opened; the user's own `mlflow.log_*` calls land in it.
    record : Run or None
        What became of it, once it is closed.
    live : Live
        Takes metrics by iteration: ``training.live.report("loss", 0.3, step=4)``.
    shown : callable or None
        Where it is set, it is given a `Now` about once a second, from a thread.
    """

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = store.versions.check_name(name)
        self.options = dict(options)
        self.record: Run | None = None
        self.run_id = ""
        self.live = Live()
        self.shown: Callable[[Now], None] | None = None
        self._pulse = Pulse(self._beat)
        self._watching = ExitStack()
        self._frame: FrameType | None = None
        self._source = ""
        self._line = 0
        self._namespace: Mapping[str, Any] = {}
        self._before: dict[str, int] = {}
        self._step: Step | None = None
        self._outer = ""
        self._noted: dict[str, Any] = {}

    # A door that owns the code (a cell, a script) opens and closes; `with` does it by frame.

    def open(self, namespace: Mapping[str, Any], source: str = "") -> None:
        """Open the run, before the code has run in `namespace`.

        Raises
        ------
        WrongUsage
            If an option makes no sense; nothing is opened then.
        StoreUnreachable
            If the store does not answer.
        """
        self._namespace, self._source = namespace, source
        self._before = {k: id(v) for k, v in namespace.items()}
        self._unseen = unseen.find(self.options["data"], self.options["metric"])
        tags = dict(pair(t) for t in self.options["tag"])
        step = Step("train", self.name, self.options)
        follows = [self._unseen.dataset.run_id] if self._unseen.dataset else []
        note = {"mlflow.note.content": self.options["message"]} if self.options["message"] else {}
        step.open(self.name, follows, {**tags, **note})
        try:
            self._outer = store.runs.activate(step.run_id)
        except StoreUnreachable as error:
            step.close("failed", error)
            raise
        self._step, self.run_id = step, step.run_id
        _open.append(self)
        self._pulse.start()
        self._watching.enter_context(flavors.watching(self.live.report))

    def close(
        self, error: BaseException | None = None, cell: Mapping[str, Any] | None = None
    ) -> Run:
        """Close the run with what the code left in its namespace, or with how it failed."""
        step = self._step
        if step is None:
            raise WrongUsage("This training run was not opened.", "Use it as a context manager.")
        status = "finished"
        if error is not None:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        # The code's own time and memory; what follows is our part.
        step.used = used = step.meter.read()
        self._watching.close()
        self._pulse.stop()
        learned: dict[str, Any] = {"status": status}
        trouble: BaseException | None = error
        try:
            step.points(self.live.finish())
            if self._source:
                step.text("mlops/source.py", self._source)
            step.extra["cell"] = {**(cell or {}), "source": self._source}
            made = lineage.trace(self._source, cell)
            step.json(lineage.CELLS, made.body())
            step.tags(made.tags)
            if error is None:
                learned |= self._learn(step, made)
        except BaseException as own:
            # The user's code succeeded and our part did not: the run must not look complete.
            status, trouble = "failed", own
            raise
        finally:
            self._step = None
            _open.remove(self)
            step.summary = {k: learned.get(k) for k in ("estimator", "metrics")}
            try:
                step.close(status, trouble)
            finally:
                store.runs.deactivate(step.run_id, self._outer, status)
        delivered = step.delivered.notes if step.delivered else ()
        notes = [*self.live.notes(), *delivered, *filter(None, [step.kept])]
        self.record = Run(
            run_id=step.run_id,
            name=self.name,
            model=step.version.ref if step.version else None,
            duration=used["wall_s"],
            resources=used,
            **{**learned, "warnings": (*learned.get("warnings", ()), *notes)},
        )
        session.remember_run(step.run_id, self.name)
        return self.record

    def note(
        self,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        files: Sequence[tuple[Path, str]] = (),
        step: int | None = None,
    ) -> None:
        """Add to the open run; `files` are places on this machine, by folder in the run."""
        for name, value in (metrics or {}).items():
            self.live.report(name, value, step)
        if self._step is None:
            return
        for key, value in (params or {}).items():
            if self._noted.setdefault(key, value) != value:
                raise WrongUsage(
                    f"The parameter {key!r} was logged as {self._noted[key]!r}; a parameter does "
                    "not change.",
                    "Log it by another name, or what changes as a metric.",
                )
        if params:
            self._step.params(params)
        if tags:
            self._step.tags(tags)
        for place, folder in files:
            self._step.file(place, f"{folder}/{place.name}" if place.is_dir() else folder)

    def failed(self, error: MlopsError) -> Run:
        """The record of a run that could not be recorded whole, because of `error`."""
        warnings = (str(error),)
        return Run(run_id=self.run_id, name=self.name, status="failed", warnings=warnings)

    def _beat(self) -> None:
        """Show how it stands, and store the metrics reported since."""
        step = self._step
        if step is None:
            return
        now = step.now(self.live.series)
        if self.shown is not None:
            self.shown(now)
        step.stream(self.live.take())

    def _learn(self, step: Step, made: lineage.Lineage) -> dict[str, Any]:
        """Find the model, measure it on unseen rows, save and register it."""
        own = blocks.inside(self._source, self._line)
        chosen = fitted.find(self._namespace, self._before, own, wanted=self.options["model"])
        warnings = [*chosen.notes, *step.git.get("diff_notes", ())]
        data = self._unseen.bind(self._namespace, changed=self._before)
        trust = {"cells": made.trust, **_trust_of_code(step), **data.trust}
        if data.dataset:
            step.tags({"mlops.dataset": data.dataset.name, "mlops.digest": data.dataset.digest})
            step.uses(data.dataset, "training")
        facts: dict[str, Any] = {
            "dataset": data.dataset.name if data.dataset else "",
            "digest": data.dataset.digest if data.dataset else "",
            "trust": trust,
        }
        if chosen.model is None or chosen.flavor is None:
            return {**facts, "warnings": (*warnings, *data.notes)}

        params = chosen.flavor.params(chosen.model)
        step.params({**params, **self._noted})
        measured = data.measure(chosen.model, chosen.flavor, self.options["metric"])
        step.metrics(measured.metrics)
        step.points(iterations.kept(chosen.flavor, chosen.model, self.live))
        for path, text in iterations.tables(chosen.flavor, chosen.model).items():
            step.text(path, text)
        if measured.curves:
            step.json("mlops/curves.json", measured.curves)
        warnings += [*data.notes, *measured.notes]
        estimator = chosen.flavor.describe(chosen.model)
        self._keep_model(step, chosen.model, chosen.flavor, data, measured, warnings, made.tags)
        step.extra |= {"estimator": estimator, "metrics": measured.metrics, "trust": trust}
        step.extra["warnings"] = warnings
        return {
            **facts,
            "params": params,
            "metrics": measured.metrics,
            "estimator": estimator,
            "warnings": tuple(warnings),
        }

    def _keep_model(
        self,
        step: Step,
        model: Any,
        flavor: Flavor,
        data: unseen.Unseen,
        measured: unseen.Measured,
        warnings: list[str],
        stamp: Mapping[str, str],
    ) -> None:
        tags = {
            **stamp,
            "mlops.estimator": flavor.describe(model),
            "mlops.flavor": flavor.name,
            "mlops.task": measured.task,
            **({"mlops.metric": self.options["metric"]} if self.options["metric"] else {}),
            **({"mlops.notebook": step.notebook["path"]} if step.notebook else {}),
            **({"mlops.headless": True} if step.notebook.get("headless") else {}),
        }
        if data.dataset:
            tags |= {
                "mlops.dataset": data.dataset.name,
                "mlops.dataset_run": data.dataset.run_id,
                "mlops.dataset_digest": data.dataset.digest,
            }
        if data.positive is not None:
            tags["mlops.positive"] = data.positive

        def save(folder: Path) -> Mapping[str, str]:
            return store.models.save(
                folder,
                model,
                flavor,
                signature=measured.signature,
                input_example=measured.example,
                facts=measured.facts,
            )

        try:
            noted = step.model(self.name, save, tags)
        except MlopsError:
            raise
        except Exception as error:  # whatever a framework raises while it saves
            warnings.append(fitted.unsaved(model, error))
            return
        if reason := noted.get("mlops.cloudpickle_because"):
            warnings.append(f"Saved with cloudpickle: {reason}")

    def __enter__(self) -> Training:
        self._frame = sys._getframe(1)
        self._line = self._frame.f_lineno
        self.open(_names(self._frame), "")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        frame, self._frame = self._frame, None
        if frame is not None:
            self._namespace = _names(frame)
            self._source = "".join(linecache.getlines(frame.f_code.co_filename))
        self.close(error)

    def __repr__(self) -> str:
        state = self.record.status if self.record else ("running" if self._step else "not open")
        return f"<Training {self.name!r} run {self.run_id or '–'} {state}>"


def _names(frame: FrameType) -> dict[str, Any]:
    return {**frame.f_globals, **frame.f_locals}


def _trust_of_code(step: Step) -> dict[str, Any]:
    git = step.git
    if not git:
        return {"code": "not under version control"}
    if not git["commit"]:
        return {"code": "no commit yet"}
    return {"code": "committed" if not git["dirty"] else "uncommitted changes (kept with the run)"}
