"""`prepare`: data as a recorded dataset, split and ready to learn from."""

from __future__ import annotations

import logging
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from mlops_magics import evidence, store
from mlops_magics.errors import BadData, UnknownName, WrongUsage
from mlops_magics.records import Dataset
from mlops_magics.verbs import session
from mlops_magics.verbs.declaration import Data, verb
from mlops_magics.verbs.steps import step

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("mlops_magics")


@verb()
def prepare(
    data: Data,
    *,
    name: str = "",
    target: str = "",
    test: float = 0.2,
    group: str = "",
    time: str = "",
    positive: str = "",
    seed: int = 0,
) -> Dataset:
    """Record a dataset: fingerprint of all content, schema, profile, split and leakage warnings.

    In a notebook it binds ``X_train``, ``X_test``, ``y_train``, ``y_test`` and ``features``, an
    unfitted transformer that makes numbers of any column, for the front of a pipeline. In Python
    they are in ``bindings`` of the record.

    Parameters
    ----------
    data : data
        A DataFrame, an array, ``(X, y)``, a path (CSV, Parquet, Feather, JSON lines), a URI, or
        the name of a dataset that was prepared before.
    name : str, optional
        What the dataset is called; also the MLflow experiment. By default the file's name.
    target : str, optional
        The column to predict.
    test : float
        The share of rows kept unseen for testing, between 0 and 1.
    group : str, optional
        A column no value of which may stand on both sides of the split, such as a customer.
    time : str, optional
        A column by which the latest rows become the test.
    positive : str, optional
        The class counted as positive, of two; by default the second in alphabetical order.
    seed : int
        Decides which rows are drawn.

    Returns
    -------
    Dataset
        The record; its rows are kept with it up to the setting ``snapshot_mb``.

    Raises
    ------
    UnknownName
        If there is no such file, dataset, column or class; with the nearest that exist.
    BadData
        If there are no rows, or the target is missing in some, constant or of no usable type.
    WrongUsage
        If arguments make no sense together.
    """
    # All that can be wrong with what was asked is found before anything is recorded.
    found = store.datasets.load(data)
    frame = found.frame
    name = store.versions.check_name(name or (found.dataset.name if found.dataset else _name(data)))
    _check_columns(frame, target=target, group=group, time=time)
    if target:
        _check_target(frame[target], target)
    task = evidence.splitting.task(frame[target]) if target else "none"
    chosen = _positive(frame[target], task, positive) if target else None
    if positive and not target:
        raise WrongUsage("A positive class needs a target.", "Name it with --target.")
    split = evidence.splitting.split(
        frame, target or None, test=test, group=group or None, time=time or None, seed=seed
    )

    arguments = {
        "data": data,
        "name": name,
        "target": target,
        "test": test,
        "group": group,
        "time": time,
        "positive": positive,
        "seed": seed,
    }
    follows = [found.dataset.run_id] if found.dataset else []
    with step("prepare", experiment=name, arguments=arguments, follows=follows, name=name) as s:
        log.info("Fingerprint of %s rows × %s columns", f"{len(frame):,}", frame.shape[1])
        digest = evidence.data.fingerprint(frame)
        schema = evidence.data.schema(frame)
        train, held = frame.iloc[split.train_rows], frame.iloc[split.test_rows]
        log.info("Profile and leakage checks")
        how = {
            "method": split.method,
            "seed": seed,
            "test": test,
            "group": group or None,
            "time": time or None,
            "train_rows": len(train),
            "test_rows": len(held),
            "train_digest": evidence.data.fingerprint(train),
            "test_digest": evidence.data.fingerprint(held),
        }
        profile = evidence.profile.profile(train)
        leaks = evidence.leakage.check(
            frame, split, target or None, schema=schema, group=group or None, time=time or None
        )
        left_out = evidence.features.left_out(train, target or None)
        dataset = store.datasets.save(
            s.run_id,
            Dataset(
                name=name,
                digest=digest,
                rows=len(frame),
                target=target or None,
                schema=schema,
                run_id=s.run_id,
                task=task,
                positive=chosen,
                source=found.source,
                split=how,
                profile=profile,
                warnings=(
                    *split.warnings,
                    *_one_sided(train, held, target, task),
                    *leaks,
                    *_infinite(profile),
                    # What was said of a column already is not said again.
                    *(w for n, w in left_out.items() if not any(repr(n) in k for k in leaks)),
                ),
                bindings=bindings(train, held, target),
            ),
            frame,
            split.test_rows,
        )
        s.params({"test": test, "seed": seed, "split": split.method, "target": target})
        s.metrics({"rows": len(frame), "columns": frame.shape[1], "train_rows": len(train)})
        s.summary = {"dataset": name, "rows": len(frame), "digest": digest}
        s.extra["dataset"] = {
            "name": name,
            "digest": digest,
            "rows": len(frame),
            "source": found.source,
            "schema": schema,
            "split": how,
            "target": target or None,
            "warnings": dataset.warnings,
        }
    session.remember(dataset)
    return dataset


def _name(data: Any) -> str:
    """A name made of the file's: ``credit data.csv.gz`` → ``credit-data``."""
    if not isinstance(data, str | PurePath):
        return "data"
    stem = PurePath(data).name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_") or "data"


def _check_columns(frame: pd.DataFrame, **roles: str) -> None:
    taken: dict[str, str] = {}
    for role, column in roles.items():
        if not column:
            continue
        if column not in frame.columns:
            raise UnknownName("column", column, map(str, frame.columns))
        if column in taken:
            raise WrongUsage(f"Column {column!r} can't be both {taken[column]} and {role}.")
        taken[column] = role
    if roles["target"] and frame.shape[1] == 1:
        raise BadData(
            f"There is no column beside the target {roles['target']!r} to predict it from.",
            "Give the features too.",
        )


def _check_target(values: pd.Series, name: str) -> None:
    missing = int(values.isna().sum())
    if missing:
        raise BadData(
            f"{missing:,} of {len(values):,} rows have no value in the target {name!r}.",
            f"Rows without a target teach nothing: df.dropna(subset=[{name!r}]).",
        )
    type = evidence.columns.type_of(values)
    if type in ("datetime", "object"):
        what = "dates" if type == "datetime" else "mixed values or objects"
        raise BadData(
            f"The target {name!r} holds {what}; a target is numbers, text or true and false.",
            "Convert the column first.",
        )
    if evidence.columns.distinct(values) < 2:
        raise BadData(
            f"The target {name!r} is {values.iloc[0]!r} in every row; there is nothing to tell "
            "apart.",
            "Choose another target, or give rows with other values.",
        )
    if type == "number" and abs(evidence.columns.numbers(values)).max() == float("inf"):
        raise BadData(
            f"The target {name!r} is infinite in some rows.", "Leave these rows out, or cap them."
        )


def _positive(values: pd.Series, task: str, wanted: str) -> Any:
    """The class counted as positive: as scikit-learn's ``classes_[1]``, or the one named."""
    classes = sorted(values.astype(object).unique()) if task == "classification" else []
    if len(classes) != 2:
        if wanted:
            what = f"has {len(classes)} classes" if classes else "is a quantity"
            raise WrongUsage(
                f"A positive class is for targets of two classes; {values.name!r} {what}.",
                "Leave --positive out.",
            )
        return None
    if not wanted:
        return _plain(classes[1])
    by_name = {str(c): c for c in classes}
    if str(wanted) not in by_name:
        raise UnknownName(f"class of {values.name!r}", str(wanted), by_name)
    return _plain(by_name[str(wanted)])


def _plain(value: Any) -> Any:
    """A numpy scalar as the Python value that it is."""
    return value.item() if hasattr(value, "item") else value


def _one_sided(train: pd.DataFrame, held: pd.DataFrame, target: str, task: str) -> tuple[str, ...]:
    """Classes that one side of the split lacks."""
    if task != "classification":
        return ()
    learned, tested = set(train[target]), set(held[target])
    said = []
    if unseen := sorted(map(str, tested - learned)):
        said.append(
            f"The training rows lack the class {', '.join(map(repr, unseen))}, which the test has: "
            "no model can learn it."
        )
    if untested := sorted(map(str, learned - tested)):
        said.append(
            f"The test rows lack the class {', '.join(map(repr, untested))}: how well it is told "
            "apart can't be measured."
        )
    return tuple(said)


def _infinite(profile: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"Column {name!r} is infinite in {column['infinite']:,} training rows, which most "
        "estimators refuse; replace these values."
        for name, column in profile.items()
        if column.get("infinite")
    ]


def bindings(train: pd.DataFrame, held: pd.DataFrame, target: str) -> dict[str, Any]:
    """What a notebook gets of a dataset, by name."""
    features = evidence.features.transformer(train, target or None)
    if not target:
        return {"X_train": train, "X_test": held, "features": features}
    return {
        "X_train": train.drop(columns=target),
        "X_test": held.drop(columns=target),
        "y_train": train[target],
        "y_test": held[target],
        "features": features,
    }
