"""Goals, rows and manner, with which any model is judged alike."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_magics import drift, evidence, records, settings
from mlops_magics import goals as language
from mlops_magics.errors import MlopsError
from mlops_magics.records import GoalResult, Verdict
from mlops_magics.verbs import asking, data_checks, evaluation
from mlops_magics.verbs import gates as gating
from mlops_magics.verbs.own_metrics import Own

if TYPE_CHECKING:
    from mlops_magics.goals.goal import Goal
    from mlops_magics.goals.subject import Subject
    from mlops_magics.store.versions import Version
    from mlops_magics.verbs.evaluation import Asked
    from mlops_magics.verbs.gates import Gates
    from mlops_magics.verbs.judged_rows import Rows

log = logging.getLogger("mlops_magics")


def together(gates: Iterable[Gates], given: Iterable[Goal]) -> tuple[Goal, ...]:
    """All goals, those of gates first, each once."""
    found: dict[str, Goal] = {}
    for goal in (*(goal for g in gates for goal in g.goals), *given):
        found.setdefault(gating.plain(goal.text), goal)
    return tuple(found.values())


@dataclass(kw_only=True)
class Judgement:
    """What is asked of a model.

    Attributes
    ----------
    waived : tuple of str
        Checks of the data whose failure is let pass.
    own : Own
        The user's functions among the metrics.
    answers : Subject or None
        The model's answers, once it was judged.
    """

    asked_for: Sequence[Goal]
    gates: Sequence[Gates]
    rows: Rows
    vs: str
    allow_small: bool
    seed: int
    waived: tuple[str, ...]
    own: Own
    answers: Subject | None = None

    @property
    def compares(self) -> bool:
        """Whether a goal compares with the champion."""
        return any(goal.reference == "champion" for goal in self.asked_for)

    def verdict(
        self, asked: Asked, champion: Version | None, run_id: str = "", actor: str = ""
    ) -> Verdict:
        """Look at the data, ask the model and what it is compared with, and judge."""
        rows = self.rows
        checks = data_checks.check(rows, asked.columns, self.waived, actor or settings.load().actor)
        log.info("Judging %s on %s rows", asked.name, f"{len(rows.frame):,}")
        subject = self.answers = asking.subject(asked, rows, *self._drift(asked))
        reference = self._champion(champion, subject)
        results = language.judging.judge(
            self.asked_for,
            subject,
            reference,
            asking.baseline(subject, rows),
            allow_small=self.allow_small,
            seed=self.seed,
        )
        results = self._marked(results)
        warnings = list(rows.warnings)
        if champion is not None and asked.version is not None and champion.ref == asked.name:
            warnings.append(f"{champion.ref} is itself the {self.vs} it is compared with.")
        held = [c.name for c in checks if c.status == "failed"]
        return Verdict(
            model=asked.name,
            passed=all(result.passed for result in results) and not held,
            goals=results,
            run_id=run_id,
            against=champion.ref if champion else None,
            vs=self.vs if self.compares else "",
            dataset=rows.source,
            origin=rows.origin,
            dataset_digest=rows.digest,
            model_digest=asked.version.digest if asked.version else "",
            rows=len(rows.frame),
            checks=checks,
            multiplicity=language.judging.multiplicity(results),
            gates=", ".join(g.file for g in self.gates),
            gates_digest=", ".join(g.digest for g in self.gates),
            functions=self.own.used(self.asked_for),
            machine=_machine(),
            curves=_curves(subject, reference, self.vs),
            at=records.now(),
            warnings=tuple(warnings),
        )

    def _marked(self, results: Sequence[GoalResult]) -> tuple[GoalResult, ...]:
        """The results, those of gates marked as such."""
        gates = {gating.plain(goal.text) for g in self.gates for goal in g.goals}
        return tuple(
            dataclasses.replace(r, gate=True) if gating.plain(r.text) in gates else r
            for r in results
        )

    def _champion(self, champion: Version | None, subject: Subject) -> Subject | None:
        if champion is None:
            return None
        log.info("Asking the %s %s for the same rows", self.vs, champion.ref)
        try:
            found = asking.subject(evaluation.of_version(champion), self.rows)
        except MlopsError as error:
            # It exists and can't be had: that is no reason to pass.
            problem = str(error).rstrip(".")
            return language.subject.Subject(name=champion.ref, problem=problem)
        return asking.comparable(found, subject)

    def _drift(self, asked: Asked) -> tuple[dict[str, float], dict[str, str]]:
        """What goals ask about the data itself, beside the training data."""
        if not any(goal.metric in ("drift", "missing") for goal in self.asked_for):
            return {}, {}
        training = self.rows.training
        features = self.rows.features
        if training is None:
            gaps = {f"missing({c})": float(features[c].isna().mean()) for c in features.columns}
            return gaps, {"drift": "there is no training data to compare with"}
        used = asked.columns or tuple(map(str, features.columns))
        profile = {n: p for n, p in training.profile.items() if n in used}
        return drift.facts.of_features(drift.report.compare(profile, features))


def _curves(subject: Subject, champion: Subject | None, vs: str) -> dict[str, Any]:
    """Kind of curve → model → points, of the model and of the champion."""
    found: dict[str, dict[str, Any]] = {}
    for who in (subject, champion):
        if who is None or who.sample is None or who.problem:
            continue
        label = who.name if who is subject else f"{vs} {who.name}"
        for kind, points in language.curves.of_sample(who.sample).items():
            if kind != "rows":
                found.setdefault(kind, {})[label] = points
    return found


def _machine() -> str:
    """Where it ran, in words."""
    of = evidence.environment.describe()
    memory = float(of["memory"]) / 2**30
    parts = [of["processor"] or of["machine"], f"{of['cores']} cores", f"{memory:.0f} GiB memory"]
    return ", ".join([*map(str, parts), str(of["os"])])
