"""Why a model answers as it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_magics.records.base import Record


@dataclass(frozen=True, kw_only=True)
class Explanation(Record):
    """A model explained, as a whole and for single rows.

    Attributes
    ----------
    about : str
        What is explained, for example ``the probability of 'bad'``.
    metric : str
        The metric whose loss is the permutation importance.
    importances : tuple of mapping
        The most important first: ``feature``, ``permutation`` (loss of the metric when the column
        is shuffled), ``interval`` (95 %), ``shap`` (mean of the absolute contributions, or None),
        ``direction`` (``raises``, ``lowers``, ``mixed`` or ``by category``).
    dependence : mapping
        Feature → partial dependence: ``values``, ``average``, ``kind`` (``number``, ``category``)
        and the shares of rows at these places.
    rows : tuple of mapping
        The rows that were asked for: ``row``, ``prediction``, ``base`` (the expected answer over
        the reference rows), ``contributions`` (``feature``, ``value``, ``contribution``), which
        with ``base`` add up to ``prediction``.
    groups : mapping
        With `by`: group → its importances.
    words : tuple of str
        The same in sentences, with figures.
    method : mapping
        Which explainers were used, how many repeats, and whether they are exact.
    reference : mapping
        The rows that it rests on: ``source``, ``digest``, ``rows``, ``sampled``, ``seed``.
    """

    model: str
    about: str = ""
    metric: str = ""
    score: float | None = None
    importances: tuple[Mapping[str, Any], ...] = ()
    dependence: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()
    groups: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    method: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Any] = field(default_factory=dict)
    model_digest: str = ""
    run_id: str = ""
