"""Rows that came to a model, beside what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlops_magics import drift, evidence, goals, store
from mlops_magics.errors import MlopsError, UnknownName, WrongUsage
from mlops_magics.records import Dataset, Monitoring
from mlops_magics.verbs import closely, estimating, evaluation, large, performance, validating
from mlops_magics.verbs.closely import Trained, Ways
from mlops_magics.verbs.evaluation import Asked
from mlops_magics.verbs.observing import Observed

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.goals.goal import Goal
    from mlops_magics.store.versions import Version


class Look:
    """A version and its training data, beside which anything is looked at."""

    def __init__(self, version: Version, training: Dataset | None) -> None:
        self.version = version
        self.training = training
        self.target = str(training.target or "") if training else ""
        self.warnings: list[str] = []
        self.asked: Asked | None = None
        self.trained = Trained(training, store.datasets.frames)
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
            came, frame = large.count(file, self._profile()), large.sample(file)
            warnings = (
                f"Drift and quality are of all {came.rows:,} rows; predictions, performance and "
                f"what else is asked for of {len(frame):,} of them, evenly spread.",
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

    def judge(
        self,
        seen: Observed,
        labels: Any,
        on: str,
        asked_for: Sequence[Goal],
        *,
        exact: bool,
        ways: Ways,
    ) -> Monitoring:
        """All that can be said of it."""
        profile = self._profile()
        masked, came = seen.masked, seen.came
        if came is None:
            known = [c for c in seen.frame.columns if str(c) in profile]
            came = drift.seen.of(profile, seen.frame[known])
        rows = self._rows(seen) if exact else None
        features = drift.report.compare(profile, came, masked=masked, exact=rows) if profile else []
        answers = self._answers(seen)
        features += _predictions(*answers) if answers else []
        closer = closely.look(ways, asked_for, seen, profile, self.trained, self.training, answers)
        quality = drift.quality.find(profile, came, masked) if profile else []
        performed = performance.measure(seen, self.asked, self.training, labels, on)
        self.warnings += [*closer.notes, *performed.notes]
        measured = dict(performed.facts)
        estimator = self._estimator(asked_for)
        windows = closer.windows
        if estimated := estimating.beside(estimator, seen, performed, asked_for, closer.placed):
            over_time = estimated.pop("over_time", [{}] * len(windows))
            windows = tuple({**w, "estimated": e} for w, e in zip(windows, over_time, strict=True))
            measured["estimated"] = estimated
        subject = drift.facts.subject(
            name=self.version.ref,
            features=features,
            service=seen.service,
            performance=measured,
            rows=seen.rows,
            multivariate=closer.multivariate,
        )
        if performed.sample is not None:
            subject = replace(subject, sample=performed.sample, features=performed.rows, problem="")
        self._check(asked_for, seen)
        results = goals.judging.judge(asked_for, subject)
        if 0 < len(seen.frame) < drift.quality.FEWEST_ROWS:
            self.warnings.append(f"{drift.quality.too_few(len(seen.frame), 'judge drift')}.")
        drifted = any(f["drifted"] for f in features) or closer.drifted
        return Monitoring(
            deployment="",
            passed=all(r.passed for r in results) if asked_for else not drifted,
            features=tuple(features),
            service=seen.service,
            performance=measured,
            quality=tuple(quality),
            goals=results,
            multivariate=closer.multivariate,
            windows=windows,
            changes=closer.changes,
            segments=closer.segments,
            model=self.version.ref,
            rows=seen.rows,
            reference_rows=int(self.training.split.get("train_rows", 0)) if self.training else 0,
            warnings=(*seen.warnings, *self.warnings),
        )

    def _estimator(self, asked_for: Sequence[Goal]) -> estimating.Estimator | None:
        if self.asked is None:
            return None
        names = estimating.wanted(asked_for)
        return estimating.Estimator(self.version, self.asked, self.training, names)

    def _rows(self, seen: Observed) -> tuple[pd.DataFrame, pd.DataFrame] | None:
        """Training's and those that came, for exact figures."""
        if self.training is None:
            return None
        if seen.came is not None:
            raise WrongUsage(
                f"Exact figures need all rows in memory, and {seen.rows:,} are too many.",
                "Leave --exact out, or give a part of them.",
            )
        try:
            return self.trained.rows(), seen.frame
        except MlopsError as error:
            self.warnings.append(f"Figures are those of the profile: {error}")
            return None

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

    def _answers(self, seen: Observed) -> tuple[Mapping[str, Any], pd.Series] | None:
        """The profile of the predictions of the last validation, and those that were seen."""
        import pandas as pd

        if seen.predictions is None or not len(seen.predictions):
            return None
        run_id = self.version.tags.get("mlops.verdict")
        if not run_id:
            self.warnings.append(
                f"{self.version.ref} was not validated, so there are no earlier predictions to "
                "compare with."
            )
            return None
        try:
            before = pd.read_parquet(store.runs.fetch(run_id, validating.PREDICTIONS))["prediction"]
        except (MlopsError, OSError):
            self.warnings.append(f"The predictions of its validation ({run_id}) can't be had.")
            return None
        now = seen.predictions
        if self.asked is None or self.asked.task == "classification":
            before, now = before.astype(str), now.astype(str)  # classes, whatever their type
        return evidence.profile.profile(before.to_frame("prediction"))["prediction"], now

    def _check(self, asked_for: Sequence[Goal], seen: Observed) -> None:
        """Refuse thresholds about columns that neither training nor the data knows."""
        known = {*map(str, seen.frame.columns), *(self.training.profile if self.training else ())}
        for goal in asked_for:
            for column in (goal.by, goal.column if goal.metric != "estimated" else None):
                if column not in (None, "*") and column not in known:
                    hint = f"(In the goal {goal.text!r}.)"
                    raise UnknownName("column", str(column), known - {"request_id"}, hint)


def _predictions(before: Mapping[str, Any], now: pd.Series) -> list[dict[str, Any]]:
    """Predictions beside those of the last validation."""
    (found,) = drift.report.compare({"prediction": before}, now.to_frame("prediction"))
    return [{**found, "role": "prediction"}]
