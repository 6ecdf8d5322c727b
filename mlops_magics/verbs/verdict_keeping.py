"""The verdict as evidence of its run, and named at the version for `promote`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import goals
from mlops_magics.records import Verdict
from mlops_magics.verbs import goal_texts, keeping

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.goals.samples import Sample
    from mlops_magics.goals.subject import Subject
    from mlops_magics.store.versions import Version
    from mlops_magics.verbs.gates import Gates
    from mlops_magics.verbs.steps import Step

#: The artifact that holds what the model answered, row by row.
PREDICTIONS = "predictions.parquet"

#: The tag of a version that names its verdict's run. It is set last, so that whoever finds it
#: finds all of them.
TAG = "mlops.verdict"


def keep(
    current: Step,
    version: Version,
    verdict: Verdict,
    text: str,
    gates: Sequence[Gates],
    answers: Subject | None,
) -> None:
    """Put the verdict with its evidence into the step's run."""
    current.json(goal_texts.VERDICT, verdict)
    current.text(goal_texts.FILE, text)
    if gates:
        lines = [f"# {g.file}\n" + "\n".join(goal.text for goal in g.goals) for g in gates]
        current.text("gates.txt", "\n".join(lines) + "\n")
    for name, told in verdict.functions.items():
        current.text(f"metrics/{name}.py", str(told["source"]))
    if answers is not None and answers.sample is not None:
        with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            current.file(_predictions(answers, answers.sample, Path(folder)))
        current.metrics(_metrics(answers.sample))
    keeping.show(current, "verdict", verdict)
    met = sum(goal.passed for goal in verdict.goals)
    current.params({"rows": verdict.rows, "goals": len(verdict.goals), "dataset": verdict.dataset})
    current.tags({"mlops.model": version.ref, "mlops.passed": str(verdict.passed).lower()})
    failed = [c.name for c in verdict.checks if c.status == "failed"]
    current.summary = {
        "model": version.ref,
        "passed": verdict.passed,
        "goals": f"{met} of {len(verdict.goals)} met",
        "failed checks of the data": ", ".join(failed),
        "waived": ", ".join(c.name for c in verdict.checks if c.status == "waived"),
    }
    current.extra["verdict"] = verdict


def name_at(version: Version, verdict: Verdict) -> None:
    """Name the verdict at its version, with what `promote` asks of it."""
    told = {
        "passed": str(verdict.passed).lower(),
        "model_digest": verdict.model_digest,
        "dataset": verdict.dataset,
        "dataset_digest": verdict.dataset_digest,
        "gates_digest": verdict.gates_digest,
        "at": verdict.at,
    }
    keeping.name_at(version, TAG, verdict.run_id, told)


def _predictions(answers: Subject, sample: Sample, folder: Path) -> Path:
    """One row a judged row: its index, truth, prediction and scores."""
    import pandas as pd

    columns: dict[str, Any] = {
        "row": answers.features.index if answers.features is not None else range(sample.rows),
        "truth": sample.y_true,
        "prediction": sample.predictions,
    }
    if sample.scores is not None and sample.scores.ndim == 1:
        columns[f"score {sample.positive}"] = sample.scores
    elif sample.scores is not None and sample.classes is not None:
        columns |= {f"score {c}": s for c, s in zip(sample.classes, sample.scores.T, strict=True)}
    return _as_file(pd.DataFrame(columns), folder)


def _metrics(sample: Sample) -> dict[str, float]:
    """The usual metrics of these answers, for whoever looks at the run."""
    found = {}
    for name in goals.metrics.default_metrics(sample.task):
        try:
            found[name] = goals.metrics.find(name).value(sample)
        except goals.metrics.Undefined:
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
