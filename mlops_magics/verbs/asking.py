"""A model's answers to rows whose truth is known, as goals judge them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from mlops_magics import evidence, goals
from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.verbs import evaluation, faults

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.goals.samples import Sample
    from mlops_magics.goals.subject import Subject
    from mlops_magics.verbs.evaluation import Asked
    from mlops_magics.verbs.judged_rows import Rows

#: Rows that a process of its own answers when the memory it needs is measured.
_FOOTPRINT_ROWS = 1000


def subject(
    asked: Asked,
    rows: Rows,
    facts: Mapping[str, float] | None = None,
    unknown: Mapping[str, str] | None = None,
) -> Subject:
    """The model's answers to the rows, as goals judge them; what goes wrong is said in it.

    `facts` and `unknown` are what else is known and not known, as `Subject` has them.
    """
    size = _size(asked)
    base: dict[str, Any] = {
        "name": asked.name,
        "features": rows.frame,
        "facts": {"rows": float(len(rows.frame)), **size, **(facts or {})},
        "unknown": {
            **({} if size else {"model_size": "only a saved model has files"}),
            **(unknown or {}),
        },
    }
    lacking = [c for c in asked.columns if c not in rows.frame.columns]
    if lacking:
        what = "column" if len(lacking) == 1 else "columns"
        return _subject(
            **base,
            problem=f"the data lacks the {what} {', '.join(lacking[:5])}, which {asked.name} needs",
        )
    X = evaluation.inputs(asked, rows.frame, rows.target)
    base |= {"inputs": X, "predict": asked.predict}
    if asked.path is not None:
        base["footprint"] = functools.partial(_footprint, asked, X)
    if rows.learned is not None:
        base["training"] = rows.learned.drop(columns=[rows.target], errors="ignore")
    if not rows.target:
        return _subject(**base, problem=_no_target(rows))
    try:
        sample = _answers(asked, X, rows)
    except MlopsError as error:
        return _subject(**base, problem=str(error).rstrip("."))
    except Exception as error:  # the model is the user's code, and so is the data
        where = faults.where(asked.answers, X)
        told = f"{asked.name} raised {type(error).__name__}: {evaluation.first_line(error)}"
        return _subject(**base, problem=f"{told}{where}")
    problem = sample.problem()
    if problem:
        problem += faults.places(sample, X.index)
    return _subject(
        **base, sample=sample, problem=problem, ask=functools.partial(_ask, asked, rows)
    )


def _subject(**fields: Any) -> Subject:
    from mlops_magics.goals.subject import Subject

    return Subject(**fields)


def _size(asked: Asked) -> dict[str, float]:
    if asked.path is None:
        return {}
    files = [f for f in asked.path.rglob("*") if f.is_file()]
    return {"model_size": float(sum(f.stat().st_size for f in files))}


def _footprint(asked: Asked, X: pd.DataFrame) -> float:
    from mlops_magics.flavors import footprint  # which is also a program of its own

    return float(footprint.measure(cast(Any, asked.path), X.head(_FOOTPRINT_ROWS)))


def _no_target(rows: Rows) -> str:
    wanted = rows.training.target if rows.training is not None else None
    named = f": there is no column {wanted!r}" if wanted else ""
    return f"the data has no target to compare with{named}"


def _ask(asked: Asked, rows: Rows, X: pd.DataFrame) -> Sample:
    """The answers to other inputs of the same rows.

    Raises
    ------
    Undefined
        If the model has none; says why.
    """
    try:
        return _answers(asked, X, rows)
    except MlopsError as error:
        raise goals.samples.Undefined(str(error).rstrip(".")) from error
    except Exception as error:
        raise goals.samples.Undefined(
            f"{asked.name} raised {type(error).__name__}: {evaluation.first_line(error)}"
        ) from error


def _answers(asked: Asked, X: pd.DataFrame, rows: Rows) -> Sample:
    import numpy as np

    if asked.task not in ("classification", "regression"):
        raise WrongUsage(f"{asked.name} neither classifies nor predicts numbers")
    given, scores = asked.answers(X)
    said = np.asarray(given)
    if said.shape[:1] != (len(X),) or said.size != len(X):
        raise WrongUsage(f"{asked.name} answered {len(X)} rows with an array of shape {said.shape}")
    truth = rows.frame[rows.target]
    if asked.task == "regression" and evidence.columns.type_of(truth) not in ("integer", "number"):
        raise WrongUsage(
            f"{asked.name} predicts numbers, and the target {rows.target!r} holds none"
        )
    return goals.samples.sample(
        cast(Any, asked.task),
        truth,
        said,
        scores if asked.task == "classification" else None,
        asked.classes,
        rows.positive,
    )


def comparable(reference: Subject, subject: Subject) -> Subject:
    """The reference, with its `problem` where its answers are of another kind than the subject's.

    Figures of models that tell other classes apart, or of one that predicts numbers and one that
    predicts classes, can't be compared.
    """
    its, mine = reference.sample, subject.sample
    if its is None or mine is None or reference.problem:
        return reference
    if its.task != mine.task:
        kinds = {"classification": "classes", "regression": "numbers"}
        return replace(
            reference,
            problem=f"it predicts {kinds[its.task]}, and {subject.name} {kinds[mine.task]}",
        )
    if mine.classes is None or its.classes is None:
        return reference
    own, other = (set(map(goals.samples.shown, c)) for c in (mine.classes, its.classes))
    if own == other:
        return reference
    listed = [", ".join(sorted(c)[:5]) for c in (other, own)]
    return replace(
        reference, problem=f"it knows the classes {listed[0]}, and {subject.name} {listed[1]}"
    )


def baseline(subject: Subject, rows: Rows) -> Subject | None:
    """A model that knows nothing of the features, on the same rows.

    ``None`` where no targets are known that it could learn.
    """
    if subject.sample is None or subject.problem or rows.learned is None:
        return None
    if rows.target not in rows.learned.columns:
        return None
    nothing = goals.baselines.knowing_nothing(subject.sample, rows.learned[rows.target])
    name = "that knows nothing of the features"
    return _subject(name=name, sample=nothing, features=rows.frame)
