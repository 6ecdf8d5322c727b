"""Where the figures of one verdict are made: each once, all on shared draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np

from mlops_magics.goals.figures import Figure
from mlops_magics.goals.metrics import Metric
from mlops_magics.goals.resampling import RESAMPLES, Resamples
from mlops_magics.goals.samples import Sample


class Bench:
    """Figures by metric, by model and by place (all rows, or a group of them).

    Parameters
    ----------
    resamples : int
    seed : int
        The same seed gives the same figures.
    """

    def __init__(self, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self.resamples = resamples
        self.seed = seed
        self._draws: dict[str, Resamples] = {}
        self._figures: dict[tuple[Any, ...], Figure] = {}

    def figure(
        self, metric: Metric, params: Mapping[str, Any], who: str, rows: Sample, place: str = ""
    ) -> Figure:
        """The metric of one model's answers.

        Parameters
        ----------
        who : str
            Whose answers they are, and to what: two that differ need two names.
        place : str
            Which rows they are of; what stands at the same place is compared row by row.

        Raises
        ------
        Undefined
            If the metric has no value on these rows.
        """
        key = (metric.name, tuple(sorted(params.items())), who, place)
        if key not in self._figures:
            self._figures[key] = self._made(metric, params, rows, self._at(place, rows))
        return self._figures[key]

    def _at(self, place: str, rows: Sample) -> Resamples:
        if place not in self._draws:
            # Groups are drawn independently of each other, and the same in every order.
            seed = [self.seed, crc32(place.encode())] if place else self.seed
            self._draws[place] = Resamples(
                rows.rows, rows.strata, resamples=self.resamples, seed=seed
            )
        return self._draws[place]

    def _made(
        self, metric: Metric, params: Mapping[str, Any], rows: Sample, draws: Resamples
    ) -> Figure:
        value = metric.value(rows, **params)
        statistic = metric.statistic(rows, **params)
        if metric.looped:
            drawn, left_out = draws.few(statistic), np.array([])
        else:
            drawn, left_out = draws.replicates(statistic), draws.left_out(statistic)
        return Figure(value, drawn, left_out, rows.rows, draws.smallest)


def measured(
    metric: Metric,
    rows: Sample,
    other: Sample | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Figure:
    """A metric of one model with what its interval needs, or of one less another's.

    Raises
    ------
    Undefined
        If the metric has no value on the rows.
    """
    bench = Bench(resamples, seed)
    mine = bench.figure(metric, params or {}, "one", rows)
    return mine if other is None else mine - bench.figure(metric, params or {}, "other", other)
