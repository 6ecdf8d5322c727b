"""`validate`: a model judged against goals, and the verdict kept with its version."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mlops_magics import drift, store
from mlops_magics import goals as language
from mlops_magics.errors import MlopsError
from mlops_magics.records import Verdict
from mlops_magics.verbs import evaluation, goal_texts, judged_rows
from mlops_magics.verbs.declaration import Data, Model, verb
from mlops_magics.verbs.evaluation import Asked
from mlops_magics.verbs.judged_rows import Rows
from mlops_magics.verbs.steps import Step, step

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.goals.goal import Goal
    from mlops_magics.goals.subject import Subject
    from mlops_magics.store.versions import Version

log = logging.getLogger("mlops_magics")

#: The artifact that holds what the model answered, row by row.
PREDICTIONS = "predictions.parquet"


@verb(body="goals")
def validate(
    model: Model,
    *,
    goals: str = "",
    on: Data = "",
    vs: str = "champion",
    allow_small: bool = False,
    seed: int = 0,
) -> Verdict:
    """Judge a model against goals and keep the verdict with its version.

    Goals are written one a line, for example ``roc_auc >= 0.80``,
    ``roc_auc >= champion - 0.005``, ``recall >= 0.60 by Home``, ``p95_latency <= 20 ms``. What
    cannot be measured counts as failed. A comparison with the champion holds if it does with
    95 % confidence, by a paired bootstrap on the same rows; it passes where there is no champion
    yet.

    Parameters
    ----------
    model : model
        The version, for example ``credit@candidate``, or a fitted model in memory, whose verdict
        is not stored.
    goals : str, optional
        The goals, or the path of a file that holds them. By default those that this model was
        judged by last, else the file named in the settings.
    on : data, optional
        The rows to judge on. By default the test rows of the dataset it was trained with.
    vs : str
        The alias, or the version, that ``champion`` stands for.
    allow_small : bool
        Judge groups of under 30 rows too.
    seed : int
        Of the bootstrap; the same seed gives the same verdict.

    Returns
    -------
    Verdict

    Raises
    ------
    BadGoal
        If a goal can't be read; names every such line.
    UnknownName
        If there is no such version, data, file or column.
    WrongUsage
        If there are no goals, or no rows to judge on.
    """
    reference = evaluation.reference_of(model)
    version = store.versions.resolve(reference) if reference is not None else None
    name = version.ref if version else type(model).__name__
    text = goal_texts.read(goals) if goals.strip() else ""
    if not text and version:
        text = goal_texts.usual(version.name)
    if not text:
        raise goal_texts.none_given(name)
    asked_for = language.grammar.parse(text)
    training = judged_rows.training_data(version)
    rows = judged_rows.rows_of(on, training, name)
    goal_texts.check_columns(asked_for, rows.frame)
    arguments = {"model": reference or model, "goals": text, "on": on, "vs": vs, "seed": seed}
    judge = _Judge(asked_for, rows, vs, allow_small=allow_small, seed=seed)
    if version is None:
        return judge.verdict(evaluation.of_object(model), None)
    champion = evaluation.champion_of(version, vs) if judge.needs("champion") else None
    follows = [version.run_id, version.dataset_run, champion.run_id if champion else ""]
    with step("validate", experiment=version.name, arguments=arguments, follows=follows) as current:
        verdict = judge.verdict(evaluation.of_version(version), champion, current)
        _keep(current, version, verdict, text, judge.answers)
    return verdict


class _Judge:
    """Goals, rows and manner, with which any model is judged alike."""

    def __init__(
        self, goals: Sequence[Goal], rows: Rows, vs: str, *, allow_small: bool, seed: int
    ) -> None:
        self.goals = goals
        self.rows = rows
        self.vs = vs
        self.allow_small = allow_small
        self.seed = seed
        #: The model's answers, once it was judged.
        self.answers: Subject | None = None

    def needs(self, reference: str) -> bool:
        """Whether a goal compares with the champion, or the baseline."""
        return any(goal.reference == reference for goal in self.goals)

    def verdict(
        self, asked: Asked, champion: Version | None, current: Step | None = None
    ) -> Verdict:
        """Ask the model, and what it is compared with, and judge."""
        log.info("Judging %s on %s rows", asked.name, f"{len(self.rows.frame):,}")
        known, unknown = self._drift(asked)
        subject = evaluation.subject(asked, self.rows, known, unknown)
        self.answers = subject
        results = language.judging.judge(
            self.goals,
            subject,
            self._champion(champion),
            self._baseline(subject),
            allow_small=self.allow_small,
            seed=self.seed,
        )
        warnings = list(self.rows.warnings)
        if champion is not None and asked.version is not None:
            same = champion.ref == asked.version.ref
            warnings += [f"{champion.ref} is itself the {self.vs} it is compared with."] * same
        return Verdict(
            model=asked.name,
            passed=all(result.passed for result in results),
            goals=results,
            run_id=current.run_id if current else "",
            against=champion.ref if champion else None,
            dataset=self.rows.source,
            dataset_digest=self.rows.digest,
            model_digest=asked.version.digest if asked.version else "",
            rows=len(self.rows.frame),
            warnings=tuple(warnings),
        )

    def _champion(self, champion: Version | None) -> Subject | None:
        if champion is None:
            return None
        log.info("Asking the %s %s for the same rows", self.vs, champion.ref)
        try:
            return evaluation.subject(evaluation.of_version(champion), self.rows)
        except MlopsError as error:
            # It exists and can't be had: that is no reason to pass.
            return language.subject.Subject(name=champion.ref, problem=str(error).rstrip("."))

    def _baseline(self, subject: Subject) -> Subject | None:
        training = self.rows.training
        if not self.needs("baseline") or subject.sample is None or training is None:
            return None
        if "y_train" in training.bindings:
            seen = training.bindings["y_train"]
        else:
            seen = store.datasets.frames(training)[0][training.target]
        nothing = language.baselines.knowing_nothing(subject.sample, seen)
        name = "that knows nothing of the features"
        return language.subject.Subject(name=name, sample=nothing, features=self.rows.frame)

    def _drift(self, asked: Asked) -> tuple[dict[str, float], dict[str, str]]:
        """What goals ask about the data itself, beside the training data."""
        if not any(goal.metric in ("drift", "missing") for goal in self.goals):
            return {}, {}
        training = self.rows.training
        features = self.rows.features
        if training is None:
            gaps = {f"missing({c})": float(features[c].isna().mean()) for c in features.columns}
            return gaps, {"drift": "there is no training data to compare with"}
        used = asked.columns or tuple(map(str, features.columns))
        profile = {n: p for n, p in training.profile.items() if n in used}
        return drift.facts.of_features(drift.report.compare(profile, features))


def _keep(
    current: Step, version: Version, verdict: Verdict, text: str, answers: Subject | None
) -> None:
    """Store the verdict with its evidence, and name it at the version for `promote`."""
    current.json("verdict.json", verdict)
    current.text(goal_texts.FILE, text)
    if answers is not None and answers.sample is not None:
        with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            current.file(_predictions(answers, Path(folder)))
        current.metrics(_metrics(answers))
    met = sum(goal.passed for goal in verdict.goals)
    current.params({"rows": verdict.rows, "goals": len(verdict.goals), "dataset": verdict.dataset})
    current.tags({"mlops.model": version.ref, "mlops.passed": str(verdict.passed).lower()})
    current.summary = {
        "model": version.ref,
        "passed": verdict.passed,
        "goals": f"{met} of {len(verdict.goals)} met",
    }
    current.extra["verdict"] = verdict
    store.versions.tag(version, "mlops.verdict", current.run_id)
    store.versions.tag(version, "mlops.verdict.passed", str(verdict.passed).lower())
    store.versions.tag(version, "mlops.verdict.model_digest", verdict.model_digest)
    store.versions.tag(version, "mlops.verdict.dataset_digest", verdict.dataset_digest)


def _predictions(answers: Subject, folder: Path) -> Path:
    """One row a judged row: its index, truth, prediction and scores."""
    import pandas as pd

    sample = cast(Any, answers.sample)
    columns: dict[str, Any] = {
        "row": answers.features.index if answers.features is not None else range(sample.rows),
        "truth": sample.y_true,
        "prediction": sample.predictions,
    }
    if sample.scores is not None and sample.scores.ndim == 1:
        columns[f"score {sample.positive}"] = sample.scores
    elif sample.scores is not None:
        columns |= {f"score {c}": s for c, s in zip(sample.classes, sample.scores.T, strict=True)}
    return _as_file(pd.DataFrame(columns), folder)


def _metrics(answers: Subject) -> dict[str, float]:
    """The usual metrics of these answers, for whoever looks at the run."""
    sample = cast(Any, answers.sample)
    found = {}
    for name in language.metrics.default_metrics(sample.task):
        try:
            found[name] = language.metrics.find(name).value(sample)
        except language.metrics.Undefined:
            continue
    return found


def _as_file(frame: pd.DataFrame, folder: Path) -> Path:
    """The frame as a Parquet file; columns of mixed values become text."""
    import pyarrow as pa

    path = folder / PREDICTIONS
    try:
        frame.to_parquet(path, index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError):
        frame.astype(str).to_parquet(path, index=False)
    return path
