"""Datasets: what `prepare` recorded, kept with its run, and given back only if it is the same."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_magics import settings
from mlops_magics.errors import BadData, MlopsError, NotIntact, UnknownName
from mlops_magics.evidence import data, snapshots, tables
from mlops_magics.records import Column, Dataset
from mlops_magics.store import offered, runs

if TYPE_CHECKING:
    import pandas as pd

#: The folder of the run's artifacts, and in it the record.
FOLDER = "dataset"
RECORD = "dataset.json"
_ROWS, _DATA = "test_rows.npy", "data.parquet"

#: The tag that says where the data is: ``kept`` with the run, at its ``source``, or ``gone``.
_WHERE = "mlops.dataset.data"

_MEMORY = " in memory"


@dataclass(frozen=True)
class Found:
    """Data that was asked for by any reference.

    Attributes
    ----------
    source : str
        Where it comes from, in words.
    dataset : Dataset or None
        The record, if a recorded dataset was named.
    """

    frame: pd.DataFrame
    source: str
    dataset: Dataset | None = None


def load(ref: Any) -> Found:
    """The data that `ref` names: anything `evidence.tables.read` takes, or a dataset's name.

    A file that exists goes before a dataset of the same name.

    Raises
    ------
    UnknownName
        If there is neither such a file nor such a dataset; with the nearest of both.
    BadData, WrongUsage
        See `evidence.tables.read`.
    NotIntact
        If a dataset is not any more what was recorded.
    """
    if (dataset := named(ref)) is not None:
        return Found(frame(dataset), dataset.source, dataset)
    return Found(tables.read(ref), tables.describe_source(ref))


def named(ref: Any) -> Dataset | None:
    """The record of the dataset that `ref` names or is; its rows are not read.

    ``None`` where `ref` is a file, or data itself.

    Raises
    ------
    UnknownName
        If there is neither such a file nor such a dataset; with the nearest of both.
    """
    if isinstance(ref, str) and _may_be_name(ref):
        known = names()
        if ref not in known:
            raise UnknownName(
                "file, prepared dataset or variable", ref, [*known, *tables.nearby(Path.cwd())]
            )
        return find(ref)
    return ref if isinstance(ref, Dataset) else None


def _may_be_name(ref: str) -> bool:
    path = Path(ref)
    plain = "/" not in ref and "\\" not in ref and not ref.startswith("~")
    return plain and not path.exists() and (not path.suffix or ref in names())


def save(run_id: str, dataset: Dataset, frame: pd.DataFrame, test_rows: Any) -> Dataset:
    """Keep a dataset with its run.

    The rows themselves are kept whole up to ``settings.snapshot_mb``, above it by reference.

    Parameters
    ----------
    test_rows : array of int, shape (n_test,)
        Positions of the test rows, ascending.

    Returns
    -------
    Dataset
        With a warning added if its rows can't be had again.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-") as temporary:
        folder = Path(temporary)
        where, warning = _keep(frame, dataset, folder / _DATA)
        if warning:
            dataset = dataclasses.replace(dataset, warnings=(*dataset.warnings, warning))
        np.save(folder / _ROWS, np.asarray(test_rows, dtype=np.int64), allow_pickle=False)
        (folder / RECORD).write_text(dataset.to_json(), encoding="utf-8")
        runs.write_file(run_id, folder, FOLDER)
    runs.log(
        run_id,
        tags={
            "mlops.dataset": dataset.name,
            "mlops.digest": dataset.digest,
            _WHERE: where,
        },
    )
    runs.log_input(
        run_id,
        name=dataset.name,
        digest=dataset.digest,
        source=dataset.source,
        schema="{}",
        context="prepare",
    )
    return dataset


def _keep(frame: pd.DataFrame, dataset: Dataset, file: Path) -> tuple[str, str]:
    """Write the rows to `file` if they are to be kept; where they are, and what to say of it."""
    megabytes = frame.memory_usage(deep=True).sum() / 1e6
    limit = settings.load().snapshot_mb
    if megabytes <= limit:
        try:
            snapshots.write(frame, file, dataset.digest)
        except snapshots.NotKeptError as error:
            file.unlink(missing_ok=True)
            reason = f"could not be kept with the record: {error}"
        else:
            return "kept", ""
    else:
        reason = f"are not kept with the record: {megabytes:,.0f} MB exceed snapshot_mb = {limit}"
    if not dataset.source.endswith(_MEMORY):
        return "source", f"The rows {reason}; they are read again from {dataset.source}."
    return "gone", f"The rows {reason}; prepare from a file, so that they can be read again."


def find(name: str) -> Dataset:
    """The newest dataset of that name.

    Raises
    ------
    UnknownName
        If none was prepared.
    """
    for run in runs.find(verb="prepare", experiment=name):
        if run.info.status == "FINISHED":
            return by_run(str(run.info.run_id))
    raise UnknownName("prepared dataset", name, names(), "`prepare DATA --name NAME` records one.")


def by_run(run_id: str) -> Dataset:
    """The dataset that a `prepare` run recorded.

    Raises
    ------
    UnknownName
        If there is no such run.
    MlopsError
        If the run recorded no dataset.
    """
    run = runs.get(run_id)
    if "mlops.digest" not in run.data.tags or run.data.tags.get("mlops.verb") != "prepare":
        raise MlopsError(f"Run {run_id} recorded no dataset.", "Name a run of `prepare`.")
    return from_json(runs.read_json(run_id, f"{FOLDER}/{RECORD}"))


def from_json(body: Mapping[str, Any]) -> Dataset:
    """A dataset as its record was written."""
    known = {f.name for f in dataclasses.fields(Dataset)}
    fields = {k: v for k, v in body.items() if k in known}
    fields["schema"] = tuple(Column(**column) for column in fields["schema"])
    fields["warnings"] = tuple(fields["warnings"])
    return Dataset(**fields)


def frame(dataset: Dataset) -> pd.DataFrame:
    """All rows of a dataset, in their order, proven to be those that were recorded.

    Raises
    ------
    NotIntact
        If the rows kept with the run were changed.
    BadData
        If the source was changed, or the rows were never kept.
    """
    where = runs.get(dataset.run_id).data.tags.get(_WHERE)
    if where == "kept":
        found = snapshots.read(runs.fetch(dataset.run_id, f"{FOLDER}/{_DATA}"))
        if data.fingerprint(found) != dataset.digest:
            raise NotIntact(
                f"The rows kept for dataset {dataset.name!r} (run {dataset.run_id}) are not those "
                "that were recorded: their fingerprint differs.",
                "Prepare it again from its source.",
            )
        return found
    if where != "source":
        raise BadData(
            f"The rows of dataset {dataset.name!r} were in memory only and are not kept.",
            "Prepare it from a file, or raise snapshot_mb in mlops.toml.",
        )
    found = tables.read(dataset.source)
    if data.fingerprint(found) != dataset.digest:
        raise BadData(
            f"{dataset.source} is no longer what dataset {dataset.name!r} was recorded from: it "
            f"has {len(found):,} rows (recorded: {dataset.rows:,}) and another fingerprint.",
            "Prepare it again.",
        )
    return found


def frames(dataset: Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The training rows and the test rows of a dataset, the target among the columns.

    Raises
    ------
    NotIntact, BadData
        See `frame`; NotIntact also if the split was changed.
    """
    whole = frame(dataset)
    file = runs.fetch(dataset.run_id, f"{FOLDER}/{_ROWS}")
    test = np.zeros(len(whole), dtype=bool)
    test[np.load(file, allow_pickle=False)] = True
    train_rows, test_rows = whole[~test], whole[test]
    if data.fingerprint(test_rows) != dataset.split.get("test_digest"):
        raise NotIntact(
            f"The split kept for dataset {dataset.name!r} (run {dataset.run_id}) is not the one "
            "that was recorded.",
            "Prepare it again.",
        )
    return train_rows, test_rows


def names() -> list[str]:
    """The names of all prepared datasets."""
    if settings.load().embedded:
        return sorted(offered.datasets())
    found = runs.find(verb="prepare", limit=1000)
    return sorted({n for run in found if (n := run.data.tags.get("mlops.dataset"))})
