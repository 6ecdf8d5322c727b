"""The verdict on a training that was run again: what was compared, what differs, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import flavors, store
from mlops_magics.errors import BadData, MlopsError, NotIntact, StepFailed
from mlops_magics.evidence import secrets
from mlops_magics.records import Dataset, Reproduction
from mlops_magics.verbs import agreement, answering
from mlops_magics.verbs.agreement import Difference
from mlops_magics.verbs.originals import Original
from mlops_magics.verbs.rerunning import Again, Task

if TYPE_CHECKING:
    from mlops_magics.notebooks.fresh import Fresh
    from mlops_magics.store.seeding import Aside


#: Hyperparameters that make a training repeatable, and how the store writes that one is not set.
_SEED = re.compile(r"(^|_)(random_state|random_seed|seed)$")
_UNSET = ("None", "null")


class CantRunError(StepFailed):
    """The recorded cells did not run through; says why in one sentence."""

    def __init__(self, message: str, warnings: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.warnings = warnings


def compare(task: Task, again: Again, aside: Aside, fresh: Fresh | None) -> Reproduction:
    """Compare a training with its rerun in the store `aside`.

    Raises
    ------
    CantRunError
        If the rerun did not come to its end, or there is nothing to compare.
    """
    original, tolerance = task.original, task.tolerance
    if again.outcome.status != "finished":
        raise CantRunError(_why(original, again, fresh))
    if not again.run_id:
        raise CantRunError(f"The cells ran, and none of them trained {original.name}.")
    run = aside.run(again.run_id)
    record = aside.json(again.run_id, "mlops/record.json") or {}
    compared: dict[str, Any] = {}
    differences = _parameters(task)
    warnings: list[str] = []

    dataset = original.dataset
    if dataset is not None:
        differences += agreement.data(dataset, _dataset_of(aside, run))
        compared["data"] = f"{dataset.rows:,} rows of {dataset.name}"
    else:
        warnings.append("No dataset was recorded by `prepare`, so the data was not compared.")
    differences += agreement.hyperparameters(original.params, run.data.params)
    compared["hyperparameters"] = len(original.params)
    differences += agreement.metrics(original.metrics, run.data.metrics, tolerance)
    names = agreement.comparable(original.metrics, run.data.metrics)
    compared["metrics"] = len(names)
    if timed := sorted({*original.metrics, *run.data.metrics} - {*names}):
        warnings.append(f"Times differ in any two runs and were not compared: {', '.join(timed)}.")
    if original.version is not None:
        rows, what, note = _rows(original, dataset)
        warnings += note
        if rows is not None:
            found, problem = _predictions(original, again, aside, rows, tolerance, fresh)
            differences += found
            warnings += problem
            if not problem:
                compared["predictions"] = what
    if not compared["metrics"] and "predictions" not in compared:
        raise CantRunError(
            "The cells ran, and there is neither a metric nor a prediction to compare.",
            tuple(warnings),
        )
    around = agreement.environments(original.record, record)
    outcome = "differs" if differences else "reproduced"
    return Reproduction(
        ref=original.ref,
        outcome=outcome,
        differences=(*differences, *(around if differences else ())),
        compared={**compared, **({"environment": around} if around else {})},
        reason=_reason(task, differences, around, compared),
        warnings=tuple(warnings),
    )


def _why(original: Original, again: Again, fresh: Fresh | None) -> str:
    """The failing cell and its error, in one sentence, and what is known to have led to it."""
    from mlops_magics.notebooks import slices

    outcome = again.outcome
    if not outcome.failed_cell:
        return f"The run ended early: {outcome.reason}."
    failed = outcome.failed_cell
    number = slices.number_of(outcome.notebook, int(failed["index"]))
    cell = f"Cell {number}" if number is not None else "The cell that was put before them"
    error, message = str(failed.get("error", "")), str(failed.get("message", "")).strip()
    first = (message.splitlines() or [""])[0].rstrip(".")
    if error == "ModuleNotFoundError" and fresh is None:
        text = f"{cell} needs a package that is not installed here ({first}); --env installs it."
    elif error == "FileNotFoundError":
        text = f"{cell} needs a file that is not there ({first})."
    elif error:
        text = f"{cell} raised {error}: {first}."
    else:
        text = f"{cell} was stopped: {first or outcome.reason}."
    outside = [n for n in original.slice.get("outside", ()) if f"'{n}'" in first]
    if error == "NameError" and outside:
        text += f" {outside[0]!r} came from outside the notebook."
    return f"{text} {original.stale}".strip()


def _parameters(task: Task) -> list[Difference]:
    """The parameters that were given other values; secrets by their names only."""
    from mlops_magics.notebooks import parameters

    known = parameters.declared(task.notebook) if task.params else {}
    changed = {n: v for n, v in task.params.items() if known[n].default != v}
    before = secrets.mask({n: known[n].default for n in changed})
    after = secrets.mask(changed)
    return [agreement.difference(f"parameter {n}", before[n], after[n]) for n in changed]


def _dataset_of(aside: Aside, run: Any) -> Dataset | None:
    """The dataset that measured the rerun, as its store has it."""
    for run_id in run.data.tags.get("mlops.follows", "").split():
        body = aside.json(run_id, f"{store.datasets.FOLDER}/{store.datasets.RECORD}")
        if body is not None:
            return store.datasets.from_json(body)
    return None


def _rows(
    original: Original, dataset: Dataset | None
) -> tuple[answering.Rows | None, str, list[str]]:
    """The rows to predict, what they are, and why they are not the recorded test rows."""
    assert original.version is not None
    path = store.versions.local_path(original.version)
    note = []
    if dataset is not None and dataset.target is not None:
        try:
            test = store.datasets.frames(dataset)[1].drop(columns=[dataset.target])
        except (BadData, NotIntact) as error:
            note.append(f"The recorded test rows can't be had: {error}")
        else:
            wanted = [c.name for c in flavors.folder.read(path).inputs if c.name]
            if all(name in test.columns for name in wanted):
                rows = test[wanted] if wanted else test
                return rows, f"{len(rows):,} recorded test rows", []
            note.append("The model takes columns that the recorded dataset has not.")
    example = answering.example(path)
    if example is None:
        return None, "", [*note, "There are no rows to predict, so predictions were not compared."]
    what = f"{len(example)} rows of the input example"
    return example, what, [*note, f"Predictions were compared on the {what} only."]


def _predictions(
    original: Original,
    again: Again,
    aside: Aside,
    rows: answering.Rows,
    tolerance: float,
    fresh: Fresh | None,
) -> tuple[list[Difference], list[str]]:
    """The differences of both models' answers, or why they could not be compared."""
    assert original.version is not None
    made = aside.model(again.run_id)
    if made is None:
        return [agreement.difference("model", original.ref, None, "the training left no model")], []

    def answer(model: Path) -> answering.Answers:
        if fresh is None:
            return answering.answer(model, rows)
        return answering.answer_in(fresh.python, fresh.environment, model, rows)

    try:
        recorded = answer(store.versions.local_path(original.version))
        return agreement.predictions(recorded, answer(made), tolerance), []
    except MlopsError as error:
        return [], [f"Predictions were not compared: {error}"]
    except Exception as error:  # the model is the user's code
        first = (str(error).splitlines() or [""])[0]
        return [], [f"Predictions were not compared ({type(error).__name__}: {first})."]


def _reason(
    task: Task,
    differences: list[Difference],
    around: list[Difference],
    compared: Mapping[str, Any],
) -> str:
    if not differences:
        parts = [f"{compared['metrics']} metrics"]
        if "data" in compared:
            parts.insert(0, "the data")
        if "predictions" in compared:
            parts.append(f"the predictions for {compared['predictions']}")
        within = "to the last digit" if task.tolerance == 0 else f"within {task.tolerance:g}"
        return f"The same: {', '.join(parts)} agree {within}."
    text = f"{'A variation' if task.params else 'Not the same'}: {agreement.sentence(differences)}."
    if not task.params:
        text += f" Probable reason: {_cause(task.original, differences, around)}."
    return f"{text} {task.original.stale}".strip()


def _cause(original: Original, differences: list[Difference], around: list[Difference]) -> str:
    """What most likely made the difference."""
    whats = [str(d["what"]) for d in differences]
    if any(w.startswith(("data", "split", "column")) for w in whats):
        return "other data"
    if around:
        others = [str(d["what"]) for d in around]
        more = f" and {len(others) - 4} more" if len(others) > 4 else ""
        return f"{', '.join(others[:4])}{more} changed since"
    unseeded = [k for k, v in original.params.items() if _SEED.search(k) and v in _UNSET]
    if unseeded:
        return f"{unseeded[0]} is not set, so every training draws other random numbers"
    return "the same code on the same data does not always give the same"
