"""New training data: the rows that came to a deployment, with the labels that came later."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import settings, store
from mlops_magics.errors import BadData, MlopsError, WrongUsage
from mlops_magics.records import Dataset
from mlops_magics.verbs import jobs, labelling, observing
from mlops_magics.verbs.declaration import is_given

if TYPE_CHECKING:
    import pandas as pd

    from mlops_magics.store.versions import Version

log = logging.getLogger("mlops_magics")

#: With fewer labelled rows nothing is trained.
FEWEST = 30


@dataclass(frozen=True, kw_only=True)
class Window:
    """What is asked for: rows since a time, their labels, and whether training's rows stay."""

    since: str = ""
    labels: Any = ""
    on: str = ""
    append: bool = False

    @property
    def asked(self) -> bool:
        """Whether rows of a deployment are to be gathered at all."""
        return bool(self.since) or is_given(self.labels) or self.append

    def check(self) -> None:
        """Refuse what can't be gathered.

        Raises
        ------
        WrongUsage
            If there are no labels to learn from, or `since` is no time.
        """
        if self.asked and not is_given(self.labels):
            raise WrongUsage(
                "Rows that came to a deployment have no labels of their own.",
                "Name them with --labels DATA --on KEY, or the new data itself with --data DATA.",
            )
        observing.beginning(self.since)


def gather(name: str, version: Version, window: Window) -> Path:
    """Write the labelled rows of a window to a Parquet file, and return its path.

    Parameters
    ----------
    name : str
        The deployment, or the model of which there is one deployment.
    version : Version
        Whose training data says which columns there are, and which is the target.

    Raises
    ------
    UnknownName
        If there is no such deployment.
    WrongUsage
        If labels can't be joined.
    BadData
        If too few rows have labels, or columns of the training data were not kept.
    """
    import pandas as pd

    training = _training(version)
    deployment, _ = observing.find(name, captured=True)
    assert deployment is not None  # `captured` asks for one
    seen = observing.captured(deployment, observing.beginning(window.since))
    target = str(training.target)
    if seen.frame.empty:
        raise BadData(
            f"No request came to {deployment.name!r}{_since(window)}: there is nothing to learn "
            "from.",
            "Widen the window with --since, or name the data with --data.",
        )
    found = labelling.join(seen.frame, window.labels, window.on, target)
    rows = seen.frame.loc[found.truth.index].assign(**{target: found.truth})
    rows = rows[_columns(training, rows, seen.masked)]
    if len(rows) < FEWEST:
        raise BadData(
            f"Of {len(seen.frame):,} rows that came{_since(window)}, {len(rows)} have labels; at "
            f"least {FEWEST} are needed to train.",
            "Widen the window with --since, or wait for labels.",
        )
    if window.append:
        before = store.datasets.frame(training)
        rows = pd.concat([before[[c for c in before.columns if c in rows.columns]], rows])
    folder = settings.load().state / "gathered"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{version.name}-{jobs.stamp()}.parquet"
    rows.reset_index(drop=True).to_parquet(file)
    log.info("%d labelled rows%s (%.0f %%)", len(rows), _since(window), 100 * found.coverage)
    return file


def _training(version: Version) -> Dataset:
    if not version.dataset_run:
        raise MlopsError(
            f"{version.ref} was trained on data that `prepare` has not recorded: it is not known "
            "which column is the target.",
            "Name the new data with --data.",
        )
    return store.datasets.by_run(version.dataset_run)


def _columns(training: Dataset, rows: pd.DataFrame, masked: tuple[str, ...]) -> list[str]:
    """The columns of the training data, of those that the requests had."""
    wanted = [column.name for column in training.schema]
    if hidden := [c for c in wanted if c in masked]:
        raise BadData(
            f"{', '.join(hidden)} is masked in what was captured, so nothing can learn from it.",
            "Name the new data with --data.",
        )
    return [c for c in wanted if c in rows.columns]


def _since(window: Window) -> str:
    return f" since {window.since}" if window.since else ""
