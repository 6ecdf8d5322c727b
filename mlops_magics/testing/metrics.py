"""What every metric must do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_magics.goals.metrics import Metric
    from mlops_magics.goals.samples import Sample


class MetricContract:
    """What every metric must do to be usable in goals.

    Attributes
    ----------
    metric_class : type
        What the entry point names.
    params : mapping
        Parameters that it can't do without.
    """

    metric_class: type[Metric]
    params: Mapping[str, Any] = MappingProxyType({})

    def metric(self) -> Metric:
        """The metric; override where its class needs arguments."""
        return self.metric_class()

    def sample(self, rows: int = 120) -> Sample:
        """Rows that the metric can be measured on; override for what it needs beyond these."""
        import numpy as np

        from mlops_magics.goals.samples import sample

        rng = np.random.default_rng(0)
        if self.metric().needs == "values":
            truth = rng.normal(10, 2, rows)
            return sample("regression", truth, truth + rng.normal(0, 1, rows))
        truth = np.where(rng.random(rows) < 0.4, "yes", "no")
        scores = np.clip(rng.normal(0.4 + 0.2 * (truth == "yes"), 0.2), 0.01, 0.99)
        said = np.where(scores > 0.5, "yes", "no")
        return sample("classification", truth, said, scores, ["no", "yes"], "yes")

    def test_it_says_what_it_is(self) -> None:
        """Name, direction and need are declared."""
        metric = self.metric()
        assert metric.name.isidentifier()
        assert isinstance(metric.greater_is_better, bool)
        assert metric.needs in ("labels", "scores", "values", "rows", "measurement")
        assert metric.unit in ("", "ratio", "time", "bytes")

    def test_it_gives_a_finite_number(self) -> None:
        """A number, the same each time, and none that depends on the order of the rows."""
        import numpy as np

        metric, rows = self.metric(), self.sample()
        value = metric.value(rows, **self.params)
        assert isinstance(value, float)
        assert np.isfinite(value)
        assert metric.value(rows, **self.params) == value
        turned = rows.take(np.arange(rows.rows)[::-1])
        assert np.isclose(metric.value(turned, **self.params), value, rtol=1e-9)

    def test_a_resample_is_the_metric_on_the_repeated_rows(self) -> None:
        """However `statistic` computes it, it equals the plain call."""
        import numpy as np

        metric, rows = self.metric(), self.sample()
        counts = np.random.default_rng(1).integers(0, 3, (4, rows.rows)).astype(float)
        found = metric.statistic(rows, **self.params)(counts)
        assert found.shape == (4,)
        for counted, value in zip(counts, found, strict=True):
            repeated = rows.take(np.repeat(np.arange(rows.rows), counted.astype(int)))
            assert np.isclose(metric.value(repeated, **self.params), value, rtol=1e-9)

    def test_without_rows_it_says_that_it_has_no_value(self) -> None:
        """No warning, no NaN: `Undefined`, with a reason."""
        import numpy as np
        import pytest

        from mlops_magics.goals.samples import Undefined

        empty = self.sample().take(np.array([], dtype=int))
        with pytest.raises(Undefined, match=r"\w"):
            self.metric().value(empty, **self.params)
