"""The explanation as evidence of its run, and named at the version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_magics import explanations
from mlops_magics.records import Explanation
from mlops_magics.verbs import keeping

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.store.versions import Version
    from mlops_magics.verbs.steps import Step

#: The artifacts that hold the record, and which rows it rests on.
EXPLANATION, REFERENCE = "explanation.json", "reference.json"

#: The tag of a version that names its explanation's run; set last.
TAG = "mlops.explanation"

#: The most important columns are named in the history.
_NAMED = 3


def keep(
    current: Step, version: Version, found: Explanation, reference: pd.DataFrame | None
) -> None:
    """Put the explanation with its evidence into the step's run."""
    current.json(EXPLANATION, found)
    if reference is not None:
        labels = [explanations.places.plain(label) for label in reference.index]
        current.json(REFERENCE, {**found.reference, "index": labels})
    keeping.show(current, "explanation", found)
    current.params(
        {"rows": found.reference.get("rows"), "dataset": found.reference.get("source")}
        | ({"metric": found.metric} if found.metric else {})
    )
    if found.score is not None:
        current.metrics({found.metric: found.score})
    current.tags({"mlops.model": version.ref})
    top: list[Any] = [f["feature"] for f in found.importances[:_NAMED]]
    current.summary = {
        "model": version.ref,
        "explained": found.about,
        "most important": ", ".join(top),
        "rows explained": ", ".join(str(r["row"]) for r in found.rows),
    }
    current.extra["explanation"] = {
        "about": found.about,
        "metric": found.metric,
        "importances": found.importances,
        "method": found.method,
        "reference": found.reference,
    }


def name_at(version: Version, found: Explanation) -> None:
    """Name the explanation at its version."""
    told = {"model_digest": found.model_digest, "about": found.about, "at": found.at}
    keeping.name_at(version, TAG, found.run_id, told)
