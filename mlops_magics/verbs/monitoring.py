"""`monitor`: what comes to a model, beside what it was trained on."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlops_magics import drift, evidence, goals, records, store
from mlops_magics.errors import BadGoal, MlopsError, UnknownName
from mlops_magics.records import Dataset, Deployment, Monitoring
from mlops_magics.verbs import evaluation, goal_texts, large, observing, performance, validating
from mlops_magics.verbs.declaration import Data, DeploymentName, verb
from mlops_magics.verbs.evaluation import Asked
from mlops_magics.verbs.observing import Observed
from mlops_magics.verbs.steps import Step, step

if TYPE_CHECKING:
    from mlops_magics.goals.goal import Goal
    from mlops_magics.store.versions import Version

log = logging.getLogger("mlops_magics")

#: Characters that MLflow takes in the name of a metric.
_METRIC_NAME = re.compile(r"[\w\-./: ]+", re.ASCII)


@verb(body="thresholds")
def monitor(
    name: DeploymentName,
    *,
    since: str = "7d",
    data: Data = "",
    labels: Data = "",
    on: str = "",
    thresholds: str = "",
) -> Monitoring:
    """Compare what comes to a model with what it was trained on.

    Drift of each feature and of the predictions, data quality, latency and errors of the service
    and, once labels are given, the measured performance.

    Parameters
    ----------
    name : deployment
        The deployment whose captured requests are looked at; with `data` a model will do.
    since : str
        Where to begin: ``7d``, ``12h``, ``30m`` or a date; empty for all time.
    data : data, optional
        Rows to look at in place of captured requests. A Parquet file of more than a million is
        read in parts.
    labels : data, optional
        The truth, as it is known by now: a column of labels, and one of keys.
    on : str, optional
        The key by which labels belong to rows; ``request_id`` by default.
    thresholds : str, optional
        What must hold, one goal a line, or a file of them: ``drift(Income) <= 0.2``,
        ``p95_latency <= 20 ms``, ``error_rate <= 1%``, ``missing(Income) <= 10%``,
        ``roc_auc >= 0.75``. Without any, no feature may have drifted.

    Returns
    -------
    Monitoring

    Raises
    ------
    UnknownName
        If there is no such deployment, model, data or column.
    BadGoal
        If a threshold can't be read.
    WrongUsage
        If `since` is no time, or labels can't be joined.
    """
    # Only a name comes from the command line; a notebook may hand over a record.
    called = name.name if isinstance(name, Deployment) else str(name)
    asked_for = _thresholds(thresholds)
    begin = observing.beginning(since)
    given = not (isinstance(data, str) and not data)
    deployment, version = observing.find(called, captured=not given)
    training = store.datasets.by_run(version.dataset_run) if version.dataset_run else None
    arguments = {"name": called, "since": since, "data": data, "labels": labels, "on": on}
    arguments |= {"thresholds": thresholds}
    follows = [version.run_id, deployment.run_id if deployment else ""]
    with step("monitor", experiment=version.name, arguments=arguments, follows=follows) as current:
        log.info("Looking at %s", "the given data" if given else f"the requests to {called}")
        look = _Look(version, training)
        if deployment is None or given:
            seen = look.given(data)
        else:
            seen = observing.captured(deployment, begin)
        record = look.judge(seen, labels, on, asked_for)
        record = replace(
            record,
            deployment=called,
            since="" if given or begin is None else begin.isoformat(timespec="seconds"),
            until=records.now(),
            run_id=current.run_id,
        )
        _keep(current, version, record, thresholds)
    return record


def _thresholds(text: str) -> tuple[Goal, ...]:
    asked_for = goals.grammar.parse(goal_texts.read(text)) if text.strip() else ()
    for goal in asked_for:
        if goal.reference:
            raise BadGoal(
                f"{goal.text!r} compares with the {goal.reference}, and nothing else answered the "
                "same requests.",
                "Give a number here; `validate` compares models.",
            )
    return asked_for


class _Look:
    """A version and its training data, beside which anything is looked at."""

    def __init__(self, version: Version, training: Dataset | None) -> None:
        self.version = version
        self.training = training
        self.target = str(training.target or "") if training else ""
        self.warnings: list[str] = []
        self.asked: Asked | None = None
        try:
            self.asked = evaluation.of_version(version)
        except MlopsError as error:
            self.warnings.append(f"The model can't be asked: {error}")
        if training is None:
            self.warnings.append(
                f"{version.ref} was trained on data that `prepare` has not recorded: drift can't "
                "be judged."
            )

    def given(self, data: Any) -> Observed:
        """Rows in place of captured ones, and what the model answers to them."""
        import pandas as pd

        came, warnings = None, tuple[str, ...]()
        if (file := large.file(data)) is not None:
            came, frame = (
                drift.seen.of_parquet(self._profile(), file, only=True),
                large.sample(file),
            )
            warnings = (
                f"Drift and quality are of all {came.rows:,} rows; predictions and performance of "
                f"{len(frame):,} of them, evenly spread.",
            )
        else:
            frame = store.datasets.load(data).frame
        predictions = None
        if self.asked is not None and len(frame):
            try:
                said = self.asked.predict(evaluation.inputs(self.asked, frame, self.target))
                predictions = pd.Series(list(said), index=frame.index)
            except Exception as error:  # the user's model on the user's data
                first = (str(error).splitlines() or [""])[0]
                self.warnings.append(
                    f"{self.version.ref} can't answer this data ({type(error).__name__}: {first}), "
                    "so its predictions were not looked at."
                )
        return Observed(frame=frame, predictions=predictions, came=came, warnings=warnings)

    def judge(self, seen: Observed, labels: Any, on: str, asked_for: Sequence[Goal]) -> Monitoring:
        """All that can be said of it."""
        profile = self._profile()
        masked, came = seen.masked, seen.came
        if came is None:
            known = [c for c in seen.frame.columns if str(c) in profile]
            came = drift.seen.of(profile, seen.frame[known])
        features = drift.report.compare(profile, came, masked=masked) if profile else []
        features += self._predictions(seen)
        quality = drift.quality.find(profile, came, masked) if profile else []
        performed = performance.measure(seen, self.asked, self.training, labels, on)
        self.warnings += performed.notes
        subject = drift.facts.subject(
            name=self.version.ref,
            features=features,
            service=seen.service,
            performance=performed.facts,
            rows=seen.rows,
        )
        if performed.sample is not None:
            subject = replace(subject, sample=performed.sample, features=performed.rows, problem="")
        self._check(asked_for, seen)
        results = goals.judging.judge(asked_for, subject)
        fewest = drift.quality.FEWEST_ROWS
        if 0 < len(seen.frame) < fewest:
            count = "1 row is" if len(seen.frame) == 1 else f"{len(seen.frame)} rows are"
            self.warnings.append(f"{count} too few to judge drift ({fewest} are needed).")
        drifted = any(f["drifted"] for f in features)
        return Monitoring(
            deployment="",
            passed=all(r.passed for r in results) if asked_for else not drifted,
            features=tuple(features),
            service=seen.service,
            performance=performed.facts,
            quality=tuple(quality),
            goals=results,
            model=self.version.ref,
            rows=seen.rows,
            reference_rows=int(self.training.split.get("train_rows", 0)) if self.training else 0,
            warnings=(*seen.warnings, *self.warnings),
        )

    def _profile(self) -> dict[str, Mapping[str, Any]]:
        """The training profile of what the model takes."""
        if self.training is None:
            return {}
        used = self.asked.columns if self.asked else ()
        return {
            name: column
            for name, column in self.training.profile.items()
            if name != self.target and (not used or name in used)
        }

    def _predictions(self, seen: Observed) -> list[dict[str, Any]]:
        """The predictions beside those of the last validation."""
        import pandas as pd

        if seen.predictions is None or not len(seen.predictions):
            return []
        run_id = self.version.tags.get("mlops.verdict")
        if not run_id:
            self.warnings.append(
                f"{self.version.ref} was not validated, so there are no earlier predictions to "
                "compare with."
            )
            return []
        try:
            before = pd.read_parquet(store.runs.fetch(run_id, validating.PREDICTIONS))["prediction"]
        except (MlopsError, OSError):
            self.warnings.append(f"The predictions of its validation ({run_id}) can't be had.")
            return []
        now = seen.predictions
        if self.asked is None or self.asked.task == "classification":
            before, now = before.astype(str), now.astype(str)  # classes, whatever their type
        reference = evidence.profile.profile(before.to_frame("prediction"))
        (found,) = drift.report.compare(reference, now.to_frame("prediction"))
        return [{**found, "role": "prediction"}]

    def _check(self, asked_for: Sequence[Goal], seen: Observed) -> None:
        """Refuse thresholds about columns that neither training nor the data knows."""
        known = {*map(str, seen.frame.columns), *(self.training.profile if self.training else ())}
        for goal in asked_for:
            for column in (goal.by, goal.column):
                if column not in (None, "*") and column not in known:
                    hint = f"(In the goal {goal.text!r}.)"
                    raise UnknownName("column", str(column), known - {"request_id"}, hint)


def _keep(current: Step, version: Version, record: Monitoring, thresholds: str) -> None:
    """Store the record with its run."""
    drifted = [f["name"] for f in record.features if f["drifted"]]
    current.json("monitoring.json", record)
    if thresholds.strip():
        current.text(goal_texts.FILE, goal_texts.read(thresholds))
    figures: dict[str, float] = {
        f"drift/{f['name']}": f["drift"] for f in record.features if f.get("drift") is not None
    }
    figures |= {"rows": record.rows, "drifted": len(drifted)}
    figures |= dict(record.performance.get("metrics", {}))
    figures |= {f"latency_ms/{k}": v for k, v in record.service.get("latency_ms", {}).items()}
    if record.service.get("error_rate") is not None:
        figures["error_rate"] = record.service["error_rate"]
    current.metrics({k: v for k, v in figures.items() if _METRIC_NAME.fullmatch(k)})
    current.tags(
        {
            "mlops.model": version.ref,
            "mlops.deployment": record.deployment,
            "mlops.passed": str(record.passed).lower(),
        }
    )
    current.summary = {
        "model": version.ref,
        "passed": record.passed,
        "rows": record.rows,
        "drifted": ", ".join(drifted) or None,
    }
    current.extra["monitoring"] = {
        "passed": record.passed,
        "rows": record.rows,
        "drifted": drifted,
        "service": record.service,
        "performance": record.performance,
        "goals": record.goals,
    }
