"""The model card: what is on record of a version, and what is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_magics import records
from mlops_magics.records import (
    CardFact,
    CardSection,
    Dataset,
    Explanation,
    ModelCard,
    Verification,
)
from mlops_magics.verbs import (
    card_data,
    card_history,
    card_judging,
    card_making,
    card_statements,
    explanation_keeping,
)
from mlops_magics.verbs.card_judging import Judged
from mlops_magics.verbs.card_sources import Sources

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version


def make(version: Version, checked: Verification, events: Sequence[Mapping[str, Any]]) -> ModelCard:
    """Gather what is on record of a version; nothing is computed and nothing is guessed.

    Parameters
    ----------
    checked : Verification
        Whether its files and its history are whole.
    events : sequence of mapping
        The steps of its history.
    """
    sources = Sources(version, events)
    said = card_statements.of(sources)
    judged = card_judging.judged(sources)
    data, dataset = _data(sources)
    explained, explanation = _explained(sources)
    seen, _ = sources.tried(lambda: tuple(card_history.seen(sources)))
    parts: dict[str, Callable[[], CardSection]] = {
        "Model details": lambda: card_making.details(sources, said),
        "Intended use": lambda: CardSection(
            name="Intended use",
            facts=tuple(said[k] for k in ("intended_use", "intended_users", "out_of_scope")),
        ),
        "Limits": lambda: card_judging.limits(sources, judged, said["limits"], dataset, seen or ()),
        "Ethics and caveats": lambda: CardSection(
            name="Ethics and caveats", facts=(said["ethics"], said["caveats"])
        ),
        "Evaluation": lambda: card_judging.evaluation(sources, judged),
        "Metrics by group": lambda: card_judging.groups(judged, said["factors"]),
        "Explanation": lambda: explained,
        "Training data": lambda: data,
        "Inputs and output": lambda: card_making.interface(sources),
        "How it was made": lambda: card_making.making(sources),
        "Approval": lambda: card_history.governance(sources),
        "In operation": lambda: card_history.operation(sources),
        "Versions": lambda: card_history.versions(sources),
        "Integrity and history": lambda: card_history.integrity(sources, checked),
    }
    sections = tuple(_section(sources, name, part) for name, part in parts.items())
    return ModelCard(
        model=version.ref,
        at=sources.made,
        standing=judged.standing,
        lead=_lead(sources, dataset),
        intact=checked.intact,
        sections=sections,
        unsaid=tuple(f.name for f in said.values() if not f.known),
        dataset=dataset,
        verdict=judged.verdict,
        explanation=explanation,
        metadata=_metadata(sources, said, judged, sections),
    )


def _section(sources: Sources, name: str, part: Callable[[], CardSection]) -> CardSection:
    """A section, or why it can't be had: one file that was cut off must not take the card along."""
    found, trouble = sources.tried(part)
    return found or CardSection(name=name, notes=(f"This can't be read: {trouble}",))


def _data(sources: Sources) -> tuple[CardSection, Dataset | None]:
    found, trouble = sources.tried(lambda: card_data.training_data(sources))
    if found is None:
        return CardSection(name="Training data", notes=(f"This can't be read: {trouble}",)), None
    section, dataset = found
    return section, dataset


def _explained(sources: Sources) -> tuple[CardSection, Explanation | None]:
    """What `explain` found of this version; the values of single rows are left out."""
    ref, run_id = sources.version.ref, sources.version.tags.get(explanation_keeping.TAG, "")
    explanation: Explanation | None = None
    trouble = ""
    if run_id:
        body, trouble = sources.json(run_id, explanation_keeping.EXPLANATION)
        if not trouble:
            explanation, trouble = sources.tried(
                lambda: records.read(Explanation, {**body, "rows": ()})
            )
    source = f"{explanation_keeping.EXPLANATION} of run {run_id}" if run_id else ""
    if explanation is None:
        missing = CardFact(
            name="Explanation", source=source, command=f"mlops explain {ref}", trouble=trouble
        )
        return CardSection(name="Explanation", facts=(missing,)), None
    notes = []
    if explanation.model_digest and explanation.model_digest != sources.version.digest:
        notes.append("It explains other files than those that are registered: explain it again.")
    facts = (CardFact(name="Run", value=run_id, source=source),)
    section = CardSection(name="Explanation", facts=facts, notes=tuple(notes))
    return section, explanation


def _lead(sources: Sources, dataset: Dataset | None) -> str:
    version = sources.version
    what = version.estimator or "A model"
    data = version.tags.get("mlops.dataset", "")
    target = f" to predict {dataset.target}" if dataset and dataset.target else ""
    on = f", trained on {data}" if data else ""
    known = f" and known as {', '.join(f'@{a}' for a in version.aliases)}"
    return f"{what}{target}{on}{known if version.aliases else ''}."


def _metadata(
    sources: Sources,
    said: Mapping[str, CardFact],
    judged: Judged,
    sections: Sequence[CardSection],
) -> dict[str, Any]:
    tags = sources.version.tags
    inputs = next((s for s in sections if s.name == "Inputs and output"), None)
    rows = inputs.tables[0].rows if inputs and inputs.tables else ()
    judged_on = judged.verdict.dataset if judged.verdict else ""
    found = {
        "library": tags.get("mlops.flavor"),
        "task": tags.get("mlops.task"),
        "estimator": sources.version.estimator,
        "license": said["license"].value,
        "dataset": judged_on or tags.get("mlops.dataset"),
        "metrics": judged.metrics or {},
        "columns": bool(rows) and all(row[0] != "–" for row in rows),
    }
    return {key: value for key, value in found.items() if value}
