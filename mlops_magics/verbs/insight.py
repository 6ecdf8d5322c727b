"""What is asked about a model, and its answer: importance, dependence, contributions, words."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlops_magics import explanations, records
from mlops_magics.errors import MlopsError
from mlops_magics.records import Explanation
from mlops_magics.verbs import explained, explained_groups, explained_rows, losses
from mlops_magics.verbs.explained import Explained

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.explanations.contributions import Contributions, Explainer
    from mlops_magics.explanations.dependence import Dependence
    from mlops_magics.explanations.questions import Question
    from mlops_magics.verbs.evaluation import Asked
    from mlops_magics.verbs.judged_rows import Rows
    from mlops_magics.verbs.losses import Measure

log = logging.getLogger("mlops_magics")


@dataclass(kw_only=True)
class Insight:
    """What is asked about a model.

    Attributes
    ----------
    rows : Rows
        Those that it is explained on.
    places : sequence of int
        The rows that are explained one by one, by their place from 0.
    by, outcome, metric : str
        A column of groups, a class and a metric; empty for none, and the usual ones.
    features : int
        How many columns get a partial dependence.
    reference : DataFrame or None
        The rows that it rests on, once it was answered.
    """

    rows: Rows
    places: Sequence[int]
    by: str
    outcome: str
    metric: str
    features: int
    repeats: int
    seed: int
    reference: pd.DataFrame | None = None
    _warnings: list[str] = field(default_factory=list)

    def explanation(self, asked: Asked, run_id: str = "") -> Explanation:
        """Ask the model and put its explanation together."""
        import numpy as np

        self._warnings = list(self.rows.warnings)
        every = self.rows.frame
        most = explained.most(every.shape[1], self.repeats)
        chosen = np.random.default_rng(self.seed).permutation(len(every))[:most]
        model = Explained.of(asked, self.rows, every.iloc[chosen])
        self.reference = model.frame
        usual = model.answered.usual(self.rows.positive)
        outcome = model.answered.named(self.outcome) if self.outcome else usual
        question = model.answered.question(outcome)
        answers = question.read(model.said)
        measure = losses.measure(model, question, self.metric)
        self._warnings += measure.notes
        log.info("Shuffling %s columns of %s", model.inputs.shape[1], asked.name)
        importances = losses.importances(model, measure, self.repeats, self.seed)
        log.info("Contributions and partial dependence")
        explainer = explained_rows.explainer(model, self.seed)
        parts, shared = self._shared(explainer, model, question)
        dependence = self._dependence(model, importances, question)
        self._describe(importances, model, parts, dependence)
        importances.sort(key=lambda f: -f["permutation"])
        single = explained_rows.explain(
            explainer, model, every, self.places, question, bool(self.outcome)
        )
        self._warnings += dict.fromkeys(explainer.notes)
        groups = self._groups(asked, question, measure) if self.by else {}
        words = [
            *explanations.words.importance(importances, measure.metric, question),
            *(explanations.words.dependence(*d, question) for d in dependence.items()),
            *explanations.words.groups(self.by, groups, question),
            *(told for _, told in single),
            explanations.words.CAUTION,
        ]
        return Explanation(
            model=asked.name,
            about=question.about,
            outcome="" if question.outcome is None else str(question.outcome),
            average=float(answers.mean()),
            metric=measure.metric,
            score=measure.score,
            importances=tuple(importances),
            unit=parts.unit if parts else "",
            dependence={name: _told(found) for name, found in dependence.items()},
            rows=tuple(found for found, _ in single),
            by=self.by,
            groups=groups,
            words=tuple(words),
            method=self._method(model, measure.metric, parts, shared, explainer),
            reference={
                "source": self.rows.source,
                "digest": self.rows.digest,
                "rows": len(model.frame),
                "sampled": len(every) > most,
                "seed": self.seed,
            },
            model_digest=asked.version.digest if asked.version else "",
            run_id=run_id,
            at=records.now(),
            warnings=tuple(self._warnings),
        )

    def _shared(
        self, explainer: Explainer, model: Explained, question: Question
    ) -> tuple[Contributions | None, int]:
        """The contributions of some rows for the global picture, and how many rows."""
        count = min(explainer.rows, len(model.inputs))
        if not count:
            self._warnings.append(
                f"Contributions of {model.inputs.shape[1]} columns would take too long to sample "
                "for many rows: they are given for single rows only."
            )
            return None, 0
        try:
            walks = explanations.contributions.GLOBAL
            return explainer.explain(model.inputs.iloc[:count], question, walks), count
        except MlopsError as error:
            self._warnings.append(f"There are no contributions: {error}")
            return None, 0

    def _dependence(
        self, model: Explained, importances: Sequence[dict[str, Any]], question: Question
    ) -> dict[str, Dependence]:
        """Of the most important columns."""
        order = sorted(range(len(importances)), key=lambda j: -importances[j]["permutation"])
        top = [j for j in order if not importances[j]["constant"]][: max(self.features, 0)]

        try:
            found = explanations.dependence.dependences(
                model.inputs, top, model.answer, question.read
            )
        except MlopsError as error:
            self._warnings.append(f"There is no partial dependence: {error}")
            return {}
        return {str(model.inputs.columns[j]): one for j, one in found.items()}

    def _describe(
        self,
        importances: Sequence[dict[str, Any]],
        model: Explained,
        parts: Contributions | None,
        dependence: dict[str, Dependence],
    ) -> None:
        """Add what contributions and dependence say of each column."""
        import numpy as np

        for j, told in enumerate(importances):
            if parts is not None:
                told["shap"] = float(np.abs(parts.values[:, j]).mean())
            if told["constant"]:
                continue
            if told["feature"] in dependence:
                found = dependence[told["feature"]]
                told["direction"] = explanations.directions.of_dependence(found)
            elif parts is not None:
                told["direction"] = explanations.directions.of_contributions(
                    model.inputs.iloc[: len(parts.values), j], parts.values[:, j]
                )

    def _groups(self, asked: Asked, question: Question, measure: Measure) -> dict[str, Any]:
        log.info("Shuffling within the groups of %s", self.by)
        return explained_groups.explain(
            asked, self.rows, self.by, question, measure, self.repeats, self.seed
        )

    def _method(
        self,
        model: Explained,
        metric: str,
        parts: Contributions | None,
        shared: int,
        explainer: Explainer,
    ) -> dict[str, Any]:
        count = len(model.inputs)
        what = f"loss of {metric}" if metric else "mean absolute change"
        repeats = f"{self.repeats} shuffle{'s' * (self.repeats != 1)} of each column"
        return {
            "importance": f"permutation: {what}, {repeats} over {count:,} rows",
            "dependence": f"average over {min(count, explanations.dependence.ROWS):,} rows",
            **(
                {
                    "contributions": f"{parts.method}; {shared:,} rows",
                    "explainer": explainer.kind,
                    "exact": parts.exact,
                }
                if parts
                else {}
            ),
            "repeats": self.repeats,
        }


def _told(found: Dependence) -> dict[str, Any]:
    """A partial dependence as the record has it."""
    return {
        "kind": found.places.kind,
        "values": list(found.places.values),
        "average": list(found.average),
        "shares": list(found.places.shares),
    }
