"""How well a model does on rows whose truth is not known yet: always marked as estimated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mlops_magics import drift, goals
from mlops_magics.records import Dataset
from mlops_magics.verbs import evaluation, held_rows, observing, over_time, performance
from mlops_magics.verbs.evaluation import Asked

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.drift.estimation import ConfidenceBased, Estimate, Estimates
    from mlops_magics.drift.loss_model import LossModel
    from mlops_magics.goals.goal import Goal
    from mlops_magics.goals.samples import Sample
    from mlops_magics.store.versions import Version
    from mlops_magics.verbs.held_rows import Held
    from mlops_magics.verbs.observing import Observed
    from mlops_magics.verbs.performance import Performance

#: Rows that are looked at, evenly spread over more; doubt comes from the held-out rows by then.
MOST = 20_000
#: A measured figure so many spreads outside the interval of its estimate, about three off the
#: estimate, is no accident.
FAR = 1.0
#: A share of rows with scores beyond all those held out that is worth a word.
BEYOND = 0.05

_METRICS = {
    "classification": (
        *("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1"),
        *("roc_auc", "average_precision", "log_loss", "brier"),
    ),
    "regression": ("mae", "rmse", "mse"),
}


class Estimator:
    """A version's estimates: fitted once, at the first rows, for any others.

    Parameters
    ----------
    wanted : iterable of str
        Metrics beside the usual ones.
    """

    def __init__(
        self,
        version: Version,
        asked: Asked,
        training: Dataset | None,
        wanted: Iterable[str] = (),
    ) -> None:
        self.version = version
        self.asked = asked
        self.training = training
        self.names = tuple(dict.fromkeys((*_METRICS.get(asked.task, ()), *wanted)))

    @cached_property
    def held(self) -> Held:
        """Rows that it was not trained on, whose truth is known."""
        return held_rows.find(self.version, self.asked, self.training)

    @cached_property
    def fitted(self) -> ConfidenceBased | LossModel:
        """What estimates."""
        if self.asked.task == "classification":
            return drift.estimation.ConfidenceBased(self.held.sample)
        assert self.held.features is not None
        return drift.loss_model.LossModel(self.held.sample, self.held.features)

    def facts(self, frame: pd.DataFrame, predictions: pd.Series | None) -> dict[str, Any]:
        """Estimates for rows, or the reason why there are none; see `beside`."""
        try:
            return Rows(self, frame, predictions).facts()
        except ValueError as error:
            return {"reason": _reason(error)}


class Rows:
    """Rows without truth, what was answered, and what is estimated of them.

    Raises
    ------
    Undefined
        If nothing can be estimated of them; says why.
    """

    def __init__(
        self, estimator: Estimator, frame: pd.DataFrame, predictions: pd.Series | None
    ) -> None:
        asked = estimator.asked
        if asked.task not in _METRICS:
            raise goals.samples.Undefined(f"{asked.name} neither classifies nor predicts numbers")
        if predictions is None:
            raise goals.samples.Undefined("the model's answers are not known")
        if len(frame) < drift.quality.FEWEST_ROWS:
            count = "1 row is" if len(frame) == 1 else f"{len(frame)} rows are"
            fewest = drift.quality.FEWEST_ROWS
            raise goals.samples.Undefined(f"{count} too few to estimate from ({fewest} are needed)")
        absent = [str(c) for c in asked.columns or () if c not in frame.columns]
        if absent:
            raise goals.samples.Undefined(f"{', '.join(absent)} was not kept")
        self.estimator = estimator
        self.of = len(frame)
        self.step = -(-len(frame) // MOST)
        chosen = frame.iloc[:: self.step]
        self.index = chosen.index
        training = estimator.training
        target = str(training.target or "") if training else ""
        features = chosen.drop(columns=list(observing.KEYS), errors="ignore")
        self.inputs = evaluation.inputs(asked, features, target)
        self.said = predictions.iloc[:: self.step].to_numpy()
        self.scores: Any = None
        fitted = estimator.fitted  # before the model is asked: there may be nothing to fit on
        if isinstance(fitted, drift.estimation.ConfidenceBased):
            self.scores = self._scores(fitted.held)
        elif lost := [str(c) for c in fitted.features if c not in self.inputs.columns]:
            raise goals.samples.Undefined(f"{', '.join(lost)} was not kept")

    def _scores(self, held: Sample) -> Any:
        import numpy as np

        asked, notes = self.estimator.asked, list[str]()
        self.said = performance.as_classes(self.said, np.asarray(asked.classes))
        scores = performance.scores_of(asked, self.inputs, self.said, notes)
        if scores is None:
            told = "".join(notes) or f"{asked.name} gives no probabilities"
            raise goals.samples.Undefined(told.rstrip("."))
        made = goals.samples.sample(
            "classification", self.said, self.said, scores, asked.classes, held.positive
        )
        return made.scores

    def estimate(self, names: Iterable[str], chosen: Any = slice(None)) -> Estimates:
        """Of all of the rows, or of some."""
        fitted = self.estimator.fitted
        if isinstance(fitted, drift.estimation.ConfidenceBased):
            return fitted.estimate(self.said[chosen], self.scores[chosen], names)
        return fitted.estimate(self.said[chosen], self.inputs.iloc[chosen], names)

    def facts(self) -> dict[str, Any]:
        """In plain JSON types; see `beside`."""
        held = self.estimator.held
        fitted = self.estimator.fitted
        found = self.estimate(self.estimator.names)
        if not found:
            raise goals.samples.Undefined(
                next(iter(found.undefined.values()), "there is nothing to estimate")
            )
        before = performance.values(held.sample, found)
        how = drift.loss_model if self.scores is None else drift.estimation
        facts: dict[str, Any] = {
            "metrics": {
                name: {"value": e.value, "interval": list(e.interval), "spread": e.spread}
                for name, e in found.items()
            },
            "method": how.METHOD,
            "assumption": how.ASSUMPTION,
            "rows": len(self.index),
            "reference": dict(before),
            "reference_rows": held.sample.rows,
            "reference_source": held.source,
            "warnings": self._warnings(),
        }
        if isinstance(fitted, drift.estimation.ConfidenceBased):
            facts["calibrated"] = fitted.calibrated
        if found.undefined:
            facts["not_estimated"] = found.undefined
        return facts

    def _warnings(self) -> list[str]:
        told = []
        if len(self.index) < self.of:
            told.append(
                f"Estimated from {len(self.index):,} of {self.of:,} rows, which are evenly spread."
            )
        fitted = self.estimator.fitted
        if isinstance(fitted, drift.estimation.ConfidenceBased):
            share = fitted.beyond(self.scores)
            if share >= BEYOND:
                told.append(
                    f"{share:.0%} of the rows have probabilities beyond all those of the rows held "
                    "out, so their calibration is a guess."
                )
        return told

    def beside(self, measured: Performance, names: Iterable[str]) -> dict[str, Any]:
        """Measured figures of the rows that have labels, and estimates of the very same rows."""
        import numpy as np

        sample, rows = measured.sample, measured.rows
        if sample is None or rows is None or not self.index.is_unique:
            return {}
        mine = np.flatnonzero(self.index.isin(rows.index))
        if len(mine) < drift.quality.FEWEST_ROWS:
            return {}
        theirs = rows.index.get_indexer(self.index[mine])
        found = self.estimate(names, mine)
        real = performance.values(sample.take(theirs), found)
        return {
            "rows": len(mine),
            "metrics": {
                name: {
                    "measured": real[name],
                    "estimated": found[name].value,
                    "interval": list(found[name].interval),
                    "difference": real[name] - found[name].value,
                    "far": _is_far(real[name], found[name]),
                }
                for name in found
                if name in real
            },
        }


def beside(
    estimator: Estimator | None,
    seen: Observed,
    measured: Performance,
    asked_for: Iterable[Goal],
    placed: Any = None,
) -> dict[str, Any]:
    """What is estimated of all rows, while some have no label; empty where all have one.

    Parameters
    ----------
    placed : array of int, optional
        The number of the window in which each row lies.

    Returns
    -------
    dict
        ``reason`` where nothing can be estimated, else ``metrics`` (name → ``value``,
        ``interval``, ``spread``), ``method``, ``assumption``, ``rows``, of the rows held out
        ``reference`` (name → measured value), ``reference_rows`` and ``reference_source``,
        ``calibrated``, ``not_estimated`` (name → reason), ``warnings``; and where some labels are
        known, ``labelled``: ``rows`` and for each metric what was ``measured`` and ``estimated``
        of the same rows, their ``difference``, and whether it is ``far``; with `placed`
        ``over_time``, as `over_time.estimate` gives it.
    """
    if not len(seen.frame) or (measured.facts.get("coverage") == 1.0 and not wanted(asked_for)):
        return {}
    if estimator is None:
        return {"reason": "the model can't be asked"}
    try:
        rows = Rows(estimator, seen.frame, seen.predictions)
        facts = rows.facts()
    except ValueError as error:
        return {"reason": _reason(error)}
    labelled = rows.beside(measured, facts["metrics"])
    if labelled:
        facts["labelled"] = labelled
        facts["warnings"] += _far(labelled)
    if placed is not None:
        names = wanted(asked_for)
        facts["over_time"] = over_time.estimate(rows, placed, facts["metrics"], names)
    return facts


def wanted(asked_for: Iterable[Goal]) -> list[str]:
    """The metrics of which goals ask an estimate."""
    return [str(goal.column) for goal in asked_for if goal.metric == "estimated"]


def _reason(error: ValueError) -> str:
    """Why there is no estimate; values that are no numbers are no failure of the program."""
    if isinstance(error, goals.samples.Undefined):
        return str(error)
    return f"nothing could be estimated: {evaluation.first_line(error)}"


def _is_far(measured: float, estimate: Estimate) -> bool:
    low, high = estimate.interval
    reach = FAR * estimate.spread
    return not low - reach <= measured <= high + reach


def _far(labelled: Mapping[str, Any]) -> list[str]:
    """That labels contradict the estimates, which a change of the world does."""
    off = [
        f"{name} was measured at {found['measured']:.4g} and estimated at {found['estimated']:.4g}"
        for name, found in labelled["metrics"].items()
        if found["far"]
    ]
    if not off:
        return []
    return [
        f"Of the {labelled['rows']:,} rows whose labels are known {'; '.join(off[:3])}: more than "
        "chance explains. What the inputs mean for the outcome may have changed (concept drift), "
        "so trust what was measured and not the estimate."
    ]
