"""Rows that a search keeps back: by class, group or time, and always the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.errors import BadData, WrongUsage
from mlops_magics.records import Dataset
from mlops_magics.verbs import holdout

ROWS = 200


def dataset(**split: Any) -> Dataset:
    return Dataset(name="d", digest="", rows=ROWS, target="y", schema=(), run_id="", split=split)


@pytest.fixture(name="X")
def features() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(ROWS), "D")
    columns = {"a": rng.normal(size=ROWS), "customer": rng.integers(0, 40, ROWS), "day": days}
    return pd.DataFrame(columns, index=rng.permutation(ROWS) + 1000)


@pytest.fixture
def y(X: pd.DataFrame) -> pd.Series:
    return pd.Series(np.where(np.arange(ROWS) % 5 == 0, "bad", "good"), index=X.index)


@pytest.mark.parametrize("folds", [0, 4])
def test_classes_keep_their_shares(X: pd.DataFrame, y: pd.Series, folds: int) -> None:
    made = holdout.make(X, y, None, folds=folds, seed=0)
    assert len(made.parts) == max(folds, 1)
    seen: list[int] = []
    for part in made.parts:
        assert sorted([*part.learned, *part.held]) == list(range(ROWS))
        inner, truth = made.take(part.held)
        assert len(inner) == ROWS // 4
        assert (truth == "bad").mean() == pytest.approx(0.2)
        assert inner.index.equals(truth.index)
        seen += list(part.held)
    assert len(seen) == len(set(seen))
    again = holdout.make(X, y, None, folds=folds, seed=0)
    assert all(np.array_equal(a.held, b.held) for a, b in zip(made.parts, again.parts, strict=True))


@pytest.mark.parametrize("folds", [0, 4])
@pytest.mark.parametrize("values", ["classes", "numbers"])
def test_groups_stay_together(X: pd.DataFrame, y: pd.Series, folds: int, values: str) -> None:
    truth = y if values == "classes" else X["a"]
    made = holdout.make(X, truth, dataset(group="customer"), folds=folds, seed=0)
    for part in made.parts:
        learned, held = (X["customer"].iloc[rows] for rows in (part.learned, part.held))
        assert not set(learned) & set(held)
    assert "customer" in made.method


@pytest.mark.parametrize("folds", [0, 4])
def test_what_is_held_back_is_later(X: pd.DataFrame, y: pd.Series, folds: int) -> None:
    made = holdout.make(X, y, dataset(time="day"), folds=folds, seed=0)
    assert len(made.parts) == max(folds, 1)
    for part in made.parts:
        assert X["day"].iloc[part.learned].max() < X["day"].iloc[part.held].min()


def test_the_column_is_gone(X: pd.DataFrame, y: pd.Series) -> None:
    made = holdout.make(X.drop(columns="day"), y, dataset(time="day"), folds=0, seed=0)
    assert "has no column 'day' any more" in made.warnings[0]
    assert made.method == "stratified"


def test_arrays_sparse_matrices_and_several_targets(X: pd.DataFrame, y: pd.Series) -> None:
    from scipy.sparse import csr_matrix

    numbers = X[["a", "customer"]].to_numpy()
    for rows, truth in [
        (numbers, y.to_numpy()),
        (csr_matrix(numbers), list(y)),
        (numbers, numbers),
        (X, X[["a", "customer"]]),
    ]:
        made = holdout.make(rows, truth, None, folds=0, seed=0)
        inner, held = made.take(made.parts[0].held)
        assert inner.shape[0] == len(held) == ROWS // 4


@pytest.mark.parametrize(
    ("rows", "truth", "folds", "error", "told"),
    [
        (10, 10, 1, WrongUsage, "--folds must be 0 or at least 2"),
        (10, 10, -2, WrongUsage, "--folds must be 0 or at least 2"),
        (10, 9, 0, BadData, "X_train has 10 rows and y_train 9"),
        (10, 10, 6, BadData, "6 folds need 12 rows"),
        (1, 1, 0, BadData, "at least two rows"),
    ],
)
def test_bad_input(
    X: pd.DataFrame, y: pd.Series, rows: int, truth: int, folds: int, error: Any, told: str
) -> None:
    with pytest.raises(error, match=told):
        holdout.make(X[:rows], y[:truth], None, folds=folds, seed=0)
    with pytest.raises(WrongUsage, match="can't be taken apart"):
        holdout.make([[1]], [1], None, folds=0, seed=0)
