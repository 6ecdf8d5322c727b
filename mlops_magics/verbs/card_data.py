"""The data a model was trained on, as a card tells it."""

from __future__ import annotations

from mlops_magics import store
from mlops_magics.records import CardFact, CardSection, Dataset
from mlops_magics.verbs.card_sources import Sources

#: So many of the columns with missing values are named.
_MISSING = 6


def training_data(sources: Sources) -> tuple[CardSection, Dataset | None]:
    """The dataset that `prepare` recorded, and what it warned of."""
    version = sources.version
    name = "Training data"
    if not version.dataset_run:
        missing = CardFact(
            name="Dataset",
            source=f"registry, {version.ref}",
            command="mlops prepare DATA --name NAME --target COLUMN, then train with --data NAME",
        )
        return CardSection(name=name, facts=(missing,)), None
    path = f"{store.datasets.FOLDER}/{store.datasets.RECORD}"
    source = f"{path} of run {version.dataset_run}"
    body, trouble = sources.json(version.dataset_run, path)
    dataset: Dataset | None = None
    if not trouble:
        dataset, trouble = sources.tried(lambda: store.datasets.from_json(body))
    if dataset is None:
        called = version.tags.get("mlops.dataset", "")
        gone = CardFact(name="Dataset", value=called, source=source, trouble=trouble)
        return CardSection(name=name, facts=(gone,)), None

    def fact(label: str, value: object, **more: object) -> CardFact:
        return CardFact(name=label, value=value, source=source, **more)  # type: ignore[arg-type]

    target = f"{dataset.target} ({dataset.task})" if dataset.target else "none"
    missing_in = {c.name: c.missing for c in dataset.schema if c.missing}
    facts = (
        fact("Dataset", dataset.name),
        fact("Source", dataset.source),
        fact("Rows", dataset.rows),
        fact("Columns", len(dataset.schema)),
        fact("Target", target),
        *([fact("Positive class", dataset.positive)] if dataset.positive is not None else []),
        fact("Split", _split(dataset)),
        fact("Missing values", _missing(missing_in, dataset.rows)),
        fact("Content", dataset.digest, form="digest"),
        fact("Content of the training rows", dataset.split.get("train_digest"), form="digest"),
        fact("Run", dataset.run_id),
    )
    return CardSection(name=name, facts=facts, notes=dataset.warnings), dataset


def _split(dataset: Dataset) -> str:
    split = dataset.split
    if not split:
        return ""
    kept = [f"{role} {split[role]}" for role in ("group", "time") if split.get(role)]
    more = f" by {' and '.join(kept)}" if kept else ""
    return (
        f"{split.get('method')}{more}: {split.get('train_rows')} rows to train on, "
        f"{split.get('test_rows')} unseen, seed {split.get('seed')}"
    )


def _missing(columns: dict[str, int], rows: int) -> str:
    if not columns:
        return "none"
    shown = sorted(columns.items(), key=lambda c: -c[1])
    told = [f"{name} {count} ({_share(count / rows)})" for name, count in shown[:_MISSING]]
    more = len(shown) - len(told)
    return ", ".join(told) + (f" and {more} more column{'s' if more > 1 else ''}" if more else "")


def _share(part: float) -> str:
    return f"{100 * part:.1f} %" if part >= 0.001 else "under 0.1 %"
