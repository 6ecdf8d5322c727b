"""Places among ascending values are those that a search by halves finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_magics.drift.places import MOST, Places

FLOATS = st.floats(allow_nan=False, width=64)


@given(st.lists(FLOATS, min_size=1, max_size=60), st.lists(FLOATS, max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_values_among_any_knots(knots: list[float], values: list[float]) -> None:
    at = np.unique([k for k in knots if np.isfinite(k)] or [0.0])
    given_values = np.array([*values, *at, np.inf, -np.inf, 0.0])
    with np.errstate(over="ignore"):
        beside = np.r_[given_values, np.nextafter(at, np.inf), np.nextafter(at, -np.inf)]
    assert Places(at).find(beside).tolist() == np.searchsorted(at, beside).tolist()


@pytest.mark.parametrize("draw", ["normal", "lognormal", "integers", "one", "cluster"])
def test_real_shapes(draw: str) -> None:
    rng = np.random.default_rng(0)
    values = {
        "normal": rng.normal(size=50_000),
        "lognormal": rng.lognormal(3, 0.8, size=50_000),
        "integers": rng.integers(0, 60, 50_000).astype(float),
        "one": np.ones(50_000),
        "cluster": np.r_[rng.normal(0, 1e-9, 50_000), 1e12],
    }[draw]
    knots = np.unique(np.quantile(values, np.linspace(0, 1, 401), method="inverted_cdf"))
    places = Places(knots)
    asked = np.r_[values * 1.1, knots]
    assert places.find(asked).tolist() == np.searchsorted(knots, asked).tolist()
    assert (places._rounds <= MOST) == (draw in ("normal", "lognormal", "integers"))
