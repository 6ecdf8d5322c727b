"""The rows that a model is judged on: given ones, else those kept unseen for testing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_magics import evidence, store
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Dataset
from mlops_magics.verbs import session

if TYPE_CHECKING:
    import pandas as pd


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
        What they are, for the record.
    training : Dataset or None
        What the model was trained on: its profile and its training rows are the reference.
    """

    frame: pd.DataFrame
    target: str
    source: str
    digest: str
    training: Dataset | None = None
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
    """
    if on is None or (isinstance(on, str) and not on):
        return _test_rows(training, name)
    found = store.datasets.load(on)
    if found.dataset is not None and found.dataset.split.get("test_rows"):
        frame, source = store.datasets.frames(found.dataset)[1], found.dataset.name
    else:
        frame, source = found.frame, found.source
    target = next(
        (
            str(d.target)
            for d in (training, found.dataset)
            if d is not None and d.target in frame.columns
        ),
        "",
    )
    if not target and isinstance(on, tuple):
        target = str(frame.columns[-1])
    digest = evidence.data.fingerprint(frame)
    warnings = []
    if training is not None and digest == training.split.get("train_digest"):
        warnings.append("These are the rows that the model was trained on: its figures flatter it.")
    return _labelled(frame, target, source, digest, training or found.dataset, warnings)


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
    if "X_test" in training.bindings:
        bound = training.bindings
        frame = bound["X_test"].assign(**{training.target: bound["y_test"]})
    else:
        frame = store.datasets.frames(training)[1]
    digest = evidence.data.fingerprint(frame[[c.name for c in training.schema]])
    return _labelled(frame, training.target, training.name, digest, training, [])


def _labelled(
    frame: pd.DataFrame,
    target: str,
    source: str,
    digest: str,
    training: Dataset | None,
    warnings: list[str],
) -> Rows:
    if target and frame[target].isna().any():
        known = frame[target].notna()
        warnings.append(
            f"{int((~known).sum())} of {len(frame)} rows have no value in {target!r} and were "
            "left out."
        )
        frame = frame[known]
    return Rows(
        frame=frame,
        target=target,
        source=source,
        digest=digest,
        training=training,
        warnings=tuple(warnings),
    )


def training_data(version: store.versions.Version | None) -> Dataset | None:
    """What a version was trained on; for a model in memory, what was prepared last here."""
    if version is None:
        return session.latest()
    return store.datasets.by_run(version.dataset_run) if version.dataset_run else None
