"""A ready transformer: from a table as it is to the numbers that any estimator takes.

It is made of scikit-learn's own parts, and of skrub's for dates and for text that scikit-learn
can't read, so that a model that holds it loads where this package is not installed, and is
stored without pickle. (skrub's TableVectorizer leaves missing values in place, which half of
the estimators refuse, and takes longer for a single row.)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from mlops_magics.evidence import columns

#: Above so many values a column of text is told by its mean target rather than one by one.
MOST_CATEGORIES = 40

#: Categories of less than this share of the rows are taken together.
RARE = 0.01

_MISSING = "missing"

#: Why a column is left out, and the way in.
_LEFT_OUT = {
    "nested": "holds lists, mappings or other objects; take out of them what matters",
    "span": "holds spans of time; turn them into numbers (.dt.total_seconds())",
    "odd times": "holds dates that are not all alike; convert them (pd.to_datetime)",
    "unique": "has another value in every row; take out of it what several rows share",
    "empty": "has no value at all",
}


def transformer(frame: pd.DataFrame, target: str | None = None) -> ColumnTransformer:
    """An unfitted transformer of the columns of `frame`, the target left out.

    - numbers and truth values: the median for what is missing, a column that tells where it
      was, mean 0 and deviation 1;
    - text, mixed values and categories with at most 40 values: one column a value, rare and
      unseen values together in one, missing as a value of its own;
    - with more values: the mean target of each (needs `y` in `fit`), cross-fitted;
    - dates: their parts and the seconds since 1970.

    What is left out, and why, is told by `left_out`.

    Parameters
    ----------
    frame : DataFrame
        The rows to learn from.
    target : str, optional
        The column to predict. Without it, text with many values is told by its 40 most
        frequent ones.

    Returns
    -------
    ColumnTransformer
        Gives a dense array of floats, shape (rows, features), without missing values.
    """
    groups: dict[str, list[str]] = {}
    for name in frame.columns:
        if name != target:
            groups.setdefault(_treatment(frame[name]), []).append(name)
    supervised = target is not None
    parts: dict[str, Callable[[], Any]] = {
        "numbers": _numbers,
        "words": lambda: make_pipeline(*_filled(), _one_hot()),
        "texts": lambda: make_pipeline(_as_text(), *_filled(), _one_hot()),
        "many words": lambda: make_pipeline(*_filled(), *_many(supervised)),
        "many texts": lambda: make_pipeline(_as_text(), *_filled(), *_many(supervised)),
        "codes": _one_hot,
    }
    steps: list[tuple[str, Any, Any]] = [
        (part, make(), groups[part]) for part, make in parts.items() if part in groups
    ]
    # skrub encodes one column at a time.
    steps += [(f"time {name}", _times(), name) for name in groups.get("times", [])]
    steps += [(f"time {name}", _times(_to_text()), name) for name in groups.get("time objects", [])]
    return ColumnTransformer(steps, remainder="drop", sparse_threshold=0)


def left_out(frame: pd.DataFrame, target: str | None = None) -> dict[str, str]:
    """The columns that `transformer` leaves out → one sentence each, with the way in."""
    found = {}
    for name in frame.columns:
        reason = _LEFT_OUT.get(_treatment(frame[name])) if name != target else None
        if reason:
            found[name] = f"`features` leaves out {name!r}: it {reason}."
    return found


def _treatment(values: pd.Series) -> str:
    type = columns.type_of(values)
    given = values.dropna()
    if type == "object":
        return _of_objects(values, given)
    if type == "datetime":
        if values.dtype != object:
            return "times"
        return "time objects" if _is_time(given) else "odd times"
    if type in ("integer", "number", "boolean"):
        # Whoever makes numbers a category does not mean a quantity.
        category = isinstance(values.dtype, pd.CategoricalDtype) and type != "boolean"
        return "codes" if category else "numbers"
    if not len(given):
        return "empty"
    if _is_time(given):
        return "times"
    # pandas' own NA among text is more than scikit-learn can read.
    return _by_count(given, "texts" if _has_na(values) else "words")


def _of_objects(values: pd.Series, given: pd.Series) -> str:
    if not len(given):
        return "empty"
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        return "span"
    plain = bool(given.map(lambda v: isinstance(v, str | int | float | np.generic)).all())
    return _by_count(given, "texts") if plain else "nested"


def _by_count(given: pd.Series, kind: str) -> str:
    different = columns.distinct(given)
    if different <= MOST_CATEGORIES:
        return kind
    return "unique" if different == len(given) else f"many {kind}"


def _has_na(values: pd.Series) -> bool:
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
    return getattr(dtype, "na_value", None) is pd.NA


def _is_time(given: pd.Series) -> bool:
    """Whether text is dates, all written in one way, the year first."""
    head = given.iloc[:50].astype(str)
    if not head.str.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?").all():
        return False
    from skrub import ToDatetime

    try:
        ToDatetime().fit(given.astype(str).astype(object))
    except ValueError:
        return False
    return True


def _numbers() -> Any:
    return make_pipeline(
        # A column that is all missing here may have values later: it keeps its place.
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )


def _filled() -> tuple[Any, Any]:
    """Missing text as a value of its own, whether it comes as NaN or, from JSON, as None."""
    options = {"strategy": "constant", "fill_value": _MISSING, "keep_empty_features": True}
    return SimpleImputer(**options), SimpleImputer(missing_values=None, **options)


def _one_hot(most: int | None = None) -> Any:
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=RARE,
        max_categories=most,
        sparse_output=False,
    )


def _many(supervised: bool) -> tuple[Any, ...]:
    if not supervised:
        return (_one_hot(MOST_CATEGORIES),)
    # scikit-learn 1.9 took the seed out of the encoder and put a splitter in.
    seed = inspect.signature(TargetEncoder).parameters.get("random_state")
    if seed is not None and seed.default != "deprecated":
        return TargetEncoder(random_state=0), StandardScaler()
    return TargetEncoder(cv=KFold(5, shuffle=True, random_state=0)), StandardScaler()


def _to_text() -> Any:
    from skrub._to_str import ToStr  # what skrub's TableVectorizer uses; it has no public name

    return ToStr(convert_category=True)


def _as_text() -> Any:
    from skrub import ApplyToCols

    return ApplyToCols(_to_text())


def _times(*first: Any) -> Any:
    from skrub import DatetimeEncoder, ToDatetime

    return make_pipeline(
        *first,
        ToDatetime(),
        DatetimeEncoder(),
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
    )
