"""The rows that a model is judged on: given ones, else those kept unseen for testing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from mlops_magics import evidence, store
from mlops_magics.errors import BadData, MlopsError, WrongUsage
from mlops_magics.records import Dataset
from mlops_magics.verbs import session

if TYPE_CHECKING:
    import pandas as pd

#: Where rows are found again: prepared under a name, in a file, or nowhere.
Origin = Literal["dataset", "file", "memory"]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows to judge on.

    Attributes
    ----------
    frame : DataFrame
        Features and, if it is known, the target.
    target : str
        The target's column; empty when there is none among them.
    source : str
        What they are, for the record: a dataset's name, a file's path, a type.
    training : Dataset or None
        What the model was trained on: its profile is the reference.
    learned : DataFrame or None
        The rows of it that the model was trained on, where they can be had.
    """

    frame: pd.DataFrame
    target: str
    source: str
    digest: str
    origin: Origin = "memory"
    training: Dataset | None = None
    learned: pd.DataFrame | None = None
    warnings: tuple[str, ...] = ()

    @property
    def features(self) -> pd.DataFrame:
        """All columns but the target."""
        return self.frame.drop(columns=[self.target]) if self.target else self.frame

    @property
    def positive(self) -> Any:
        """The class counted as positive, where the training data names one."""
        return self.training.positive if self.training else None


def rows_of(on: Any, training: Dataset | None, name: str) -> Rows:
    """The rows to judge on: those that `on` names, else the test rows of the training data.

    Raises
    ------
    WrongUsage
        If there are none, or their target can't be told.
    BadData
        If no row has a value in the target.
    """
    if on is None or (isinstance(on, str) and not on):
        return _test_rows(training, name)
    warnings: list[str] = []
    learned = None
    dataset = store.datasets.named(on)
    if dataset is not None and dataset.split.get("test_rows"):
        same = training is not None and dataset.run_id == training.run_id
        first, frame = _parts(dataset)
        learned = first if same else None
        source, digest = dataset.name, str(dataset.split.get("test_digest"))
    elif dataset is not None:
        frame, source, digest = store.datasets.frame(dataset), dataset.name, dataset.digest
    else:
        found = store.datasets.load(on)
        frame, source = found.frame, found.source
        digest = evidence.data.fingerprint(frame)
    if learned is None and training is not None:
        learned, reason = _learned(training)
        warnings += [reason] if reason else []
    target = next(
        (str(d.target) for d in (training, dataset) if d is not None and d.target in frame.columns),
        "",
    )
    if not target and isinstance(on, tuple):
        target = str(frame.columns[-1])
    if training is not None and digest == training.split.get("train_digest"):
        warnings.append("These are the rows that the model was trained on: its figures flatter it.")
    kept: Origin = "file" if isinstance(on, str) or hasattr(on, "__fspath__") else "memory"
    origin: Origin = "dataset" if dataset is not None else kept
    return _labelled(
        Rows(
            frame=frame,
            target=target,
            source=source,
            digest=digest,
            origin=origin,
            training=training or dataset,
            learned=learned,
            warnings=tuple(warnings),
        )
    )


def _test_rows(training: Dataset | None, name: str) -> Rows:
    if training is None:
        raise WrongUsage(
            f"{name} was trained on data that `prepare` has not recorded, so there are no unseen "
            "rows to judge it on.",
            "Give them with --on: (X, y), a file or the name of a prepared dataset.",
        )
    if training.target is None:
        raise WrongUsage(
            f"The dataset {training.name!r} has no target.", "Prepare it with --target."
        )
    learned, frame = _parts(training)
    if "X_test" in training.bindings:  # as the notebook has them now, which may be changed
        digest = evidence.data.fingerprint(frame[[c.name for c in training.schema]])
    else:
        digest = str(training.split.get("test_digest"))
    return _labelled(
        Rows(
            frame=frame,
            target=training.target,
            source=training.name,
            digest=digest,
            origin="dataset",
            training=training,
            learned=learned,
        )
    )


def _parts(dataset: Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The training rows and the test rows of a dataset, read once, or as the notebook has them."""
    bound = dataset.bindings
    if not {"X_train", "y_train", "X_test", "y_test"} <= bound.keys():
        return store.datasets.frames(dataset)
    target = str(dataset.target)
    return (
        bound["X_train"].assign(**{target: bound["y_train"]}),
        bound["X_test"].assign(**{target: bound["y_test"]}),
    )


def _learned(training: Dataset) -> tuple[pd.DataFrame | None, str]:
    """The rows that a model was trained on; where they can't be had, why."""
    try:
        if training.split.get("test_rows"):
            return _parts(training)[0], ""
        return store.datasets.frame(training), ""
    except MlopsError as error:
        return None, f"The rows it was trained on can't be had: {error.message}"


def _labelled(rows: Rows) -> Rows:
    """Those with a value in the target."""
    if not rows.target:
        return rows
    known = rows.frame[rows.target].notna()
    if known.all():
        return rows
    without = f"{int((~known).sum())} of {len(known)} rows have no value in {rows.target!r}"
    if not known.any():
        raise BadData(
            f"None of the {len(known):,} rows of {rows.source} has a value in {rows.target!r}.",
            "Judge on rows whose outcome is known.",
        )
    warnings = (*rows.warnings, f"{without} and were left out.")
    return replace(rows, frame=rows.frame[known], warnings=warnings)


def training_data(version: store.versions.Version | None) -> Dataset | None:
    """What a version was trained on; for a model in memory, what was prepared last here."""
    if version is None:
        return session.latest()
    return store.datasets.by_run(version.dataset_run) if version.dataset_run else None
