"""What a search has found: its best trial trained as a model, and the record of them all."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlops_magics.records import Run, Tuning
from mlops_magics.verbs import objective, trials
from mlops_magics.verbs.tracked import Training

if TYPE_CHECKING:
    from mlops_magics.verbs.objective import Objective
    from mlops_magics.verbs.steps import Step
    from mlops_magics.verbs.studies import Kept
    from mlops_magics.verbs.trial_runs import TrialRuns

#: The tag of a training run that a search ended in.
TUNED_BY = "mlops.tuned_by"

#: Before the names of the trial's parameters among those of the training run.
SUGGESTED = "trial."

#: Of how many completed trials at least something can be said about the parameters.
_ENOUGH = 4

#: Of more than so many the importance is told from some, evenly chosen: it grows with their square.
_MOST = 200


@dataclass
class Result:
    """A search that has ended, in whichever way."""

    step: Step
    kept: Kept
    runs: TrialRuns
    aim: Objective
    engine: str
    warnings: list[str] = field(default_factory=list)
    trained: Run | None = None
    _began: float = field(default_factory=time.monotonic)

    def train_best(self, name: str, options: Mapping[str, Any]) -> None:
        """Run the best trial's code once more on all training rows, as `train` would.

        What is recorded as its source is code that runs by itself: the parameters are in it.
        """
        best = self.kept.best
        if best is None:
            self.warnings.append("No trial was completed, so there is no model.")
            return
        code = self.aim.code
        rows: Mapping[str, Any] = {}
        (valid, _), *_ = objective.HELD
        if self.aim.holdout is not None and valid in code.names:
            # Code that stops early by these rows must not have learned from them.
            rows = self.aim.rows(self.aim.holdout.parts[0], objective.HELD[:1])
            self.warnings.append(
                f"The code uses {valid}, so the best model was trained without these rows too."
            )
        namespace, closed = self.aim.prepared(rows, kept=("X_test", "y_test"))
        optuna = trials.library()
        source = _source(self.aim, best)
        tags = [*options["tag"], f"{TUNED_BY}={self.step.run_id}"]
        training = Training(name, {**options, "tag": tags})
        training.open(namespace, source)
        try:
            training.note(params={f"{SUGGESTED}{k}": v for k, v in best.params.items()})
            fixed = optuna.trial.FixedTrial(best.params, number=best.number)
            returned = code.run(namespace, fixed, closed)
            if code.function is not None and not objective.is_number(returned):
                namespace["model"] = returned
        except BaseException as error:
            training.close(error)
            raise
        self.trained = training.close(
            None, {"raw": source, "written": _cell(name, options, source)}
        )
        self.warnings += self.trained.warnings

    def record(self, status: str) -> Tuning:
        """The record; its facts are stored with the run."""
        best = self.kept.best
        rows = tuple(self._row(t) for t in self._best_first())
        states = [row["state"] for row in rows]
        record = Tuning(
            run_id=self.step.run_id,
            name=self.step.experiment,
            status=status,
            metric=self.aim.metric,
            direction=self.kept.study.direction.name.lower(),
            trials={s: states.count(s) for s in dict.fromkeys(states)},
            best={"number": best.number, "value": best.value, "params": best.params}
            if best
            else {},
            rows=rows,
            importance=self._importance(),
            model=self.trained.model if self.trained else None,
            metrics=self.trained.metrics if self.trained else {},
            engine=self.engine,
            duration=time.monotonic() - self._began,
            study=str(self.kept.file),
            validation=self.aim.holdout.method if self.aim.holdout else "",
            warnings=(*self.warnings, *filter(None, [self.runs.trouble])),
        )
        self._store(record)
        return record

    def _store(self, record: Tuning) -> None:
        facts = record.to_dict()
        self.step.json("mlops/trials.json", facts.pop("rows"))
        self.step.extra["tuning"] = facts
        counted = {f"trials_{state}": count for state, count in record.trials.items()}
        found = {f"best_{record.metric}": record.best["value"]} if record.best else {}
        self.step.metrics({**counted, **found})
        self.step.params(
            {
                "metric": record.metric,
                "direction": record.direction,
                "engine": record.engine,
                **{f"best.{k}": v for k, v in record.best.get("params", {}).items()},
            }
        )
        self.step.summary = {"model": record.model, "trials": len(record.rows), **found}

    def _best_first(self) -> list[Any]:
        sign = -1 if self.kept.study.direction.name == "MAXIMIZE" else 1

        def place(trial: Any) -> tuple[int, float, int]:
            state = trials.state(trial)
            value = sign * trial.value if state == "complete" else 0.0
            return trials.STATES.index(state), value, trial.number

        return sorted(self.kept.ended, key=place)

    def _row(self, trial: Any) -> dict[str, Any]:
        state = trials.state(trial)
        return {
            "number": trial.number,
            "state": state,
            "value": trial.value if state == "complete" else None,
            "params": trial.params,
            "duration": trial.duration.total_seconds() if trial.duration else 0.0,
            "run_id": self.runs.ids.get(trial.number, ""),
            "reason": trial.user_attrs.get(trials.REASON, ""),
        }

    def _importance(self) -> dict[str, float]:
        """By fANOVA (Hutter et al. 2014), of the parameters that every completed trial has."""
        complete = [t for t in self.kept.ended if trials.state(t) == "complete"]
        if len(complete) < _ENOUGH or len({t.value for t in complete}) < 2:
            return {}
        optuna = trials.library()
        with trials.quiet():
            study = optuna.create_study(direction=self.kept.study.direction)
            study.add_trials(complete[:: -(-len(complete) // _MOST)])
            evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=16, seed=0)
            try:
                found = optuna.importance.get_param_importances(study, evaluator=evaluator)
            except (ValueError, RuntimeError):  # nothing varies, or nothing that can be told apart
                return {}
        return {str(k): float(v) for k, v in found.items()}


def _cell(name: str, options: Mapping[str, Any], source: str) -> str:
    """The cell that trains the best model by itself."""
    words = ["%%train", name]
    for option in ("data", "metric", "model"):
        if isinstance(options[option], str) and options[option]:
            words += [f"--{option}", shlex.quote(options[option])]
    return f"{' '.join(words)}\n{source}"


def _source(aim: Objective, trial: Any) -> str:
    """The code of a trial as a cell of its own, with the trial's parameters in it."""
    fixed = f"optuna.trial.FixedTrial({trial.params!r}, number={trial.number})"
    source = f"import optuna\n\ntrial = {fixed}\n\n{aim.code.source.strip()}\n"
    if aim.code.function is not None:
        name = getattr(aim.code.function, "__name__", "objective")
        source += f"\nmodel = {name}(trial)\n"
    return source
