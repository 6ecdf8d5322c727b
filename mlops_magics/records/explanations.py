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
    outcome : str
        The class of which it is; empty in a regression.
    average : float or None
        It, on average over the rows.
    metric : str
        The metric whose loss is the permutation importance; empty where the rows have no target, so
        that the importance is the mean absolute change of what is explained.
    score : float or None
        That metric on the rows as they are.
    importances : tuple of mapping
        The most important first: ``feature``, ``permutation`` (loss of the metric when the column
        is shuffled), ``interval`` (95 %), ``shap`` (mean of the absolute contributions, or None),
        ``direction`` (``raises``, ``lowers``, ``mixed``, ``by category`` or ``none``) and
        ``constant`` (whether it has one value only).
    unit : str
        Of the contributions: ``probability``, ``log-odds``…
    dependence : mapping
        Feature → partial dependence: ``values`` (``None`` is a missing one), ``average``, ``kind``
        (``number``, ``time``, ``category``) and ``shares`` of rows at these places.
    rows : tuple of mapping
        The rows that were asked for: ``row`` (its place, from 0), ``label`` (its index), ``about``,
        ``outcome``, ``prediction``, ``base`` (the expected answer over the reference rows; of trees
        that are taken apart, over those that they learned from), both in ``unit``,
        ``contributions`` (``feature``, ``value``, ``contribution`` and its standard
        ``error``, if it was sampled), which with ``base`` add up to ``prediction``; ``answer`` and
        ``average`` are what is explained itself, of the row and of the reference rows.
    by : str
        The column whose groups are explained beside the whole.
    groups : mapping
        With `by`: group → its ``rows``, ``average``, ``score``, ``importances``; or the ``reason``
        why it was not measured.
    words : tuple of str
        The same in sentences, with figures.
    method : mapping
        How it was done: ``importance``, ``dependence``, ``contributions``, whether these are
        ``exact``, and the rows of each.
    reference : mapping
        The rows that it rests on: ``source``, ``digest``, ``rows``, ``sampled``, ``seed``.
    at : str
        When.
    """

    model: str
    about: str = ""
    outcome: str = ""
    average: float | None = None
    metric: str = ""
    score: float | None = None
    importances: tuple[Mapping[str, Any], ...] = ()
    unit: str = ""
    dependence: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()
    by: str = ""
    groups: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    method: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Any] = field(default_factory=dict)
    model_digest: str = ""
    run_id: str = ""
    at: str = ""
