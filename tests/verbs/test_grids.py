"""A grid of parameters: every combination, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_magics.errors import WrongUsage
from mlops_magics.verbs.grids import combinations


def test_every_combination_the_last_changing_fastest() -> None:
    assert combinations(["depth=2,4", "rate=0.1, 0.3"], {}) == [
        {"depth": "2", "rate": "0.1"},
        {"depth": "2", "rate": "0.3"},
        {"depth": "4", "rate": "0.1"},
        {"depth": "4", "rate": "0.3"},
    ]
    assert combinations({"depth": [2, 4], "flag": (True,)}, {}) == [
        {"depth": 2, "flag": True},
        {"depth": 4, "flag": True},
    ]
    assert combinations((), {"depth": 1}) == [{}]


def test_values_that_hold_commas_and_values_that_are_repeated() -> None:
    assert combinations(['label=["a,b", "c"]'], {}) == [{"label": "a,b"}, {"label": "c"}]
    assert combinations(["depth=2,2,3"], {}) == [{"depth": "2"}, {"depth": "3"}]
    assert combinations({"layers": [[8, 8], [8, 8], [16]]}, {}) == [
        {"layers": [8, 8]},
        {"layers": [16]},
    ]
    assert combinations("depth=1,2", {}) == [{"depth": "1"}, {"depth": "2"}]


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (["depth"], "'depth' is no KEY=VALUE pair"),
        (["depth="], "gives 'depth' no values"),
        (["depth=1", "depth=2"], "names 'depth' twice"),
        (["seed=1,2"], "'seed' is a parameter with one value and in the grid too"),
        (["label=[1, 2"], "'label' is no JSON list"),
        ({"depth": 3}, "'depth' is 3, and has to be a list"),
        ({"label": "abc"}, "'label' is 'abc', and has to be a list"),
        ({"depth": []}, "gives 'depth' no values"),
    ],
)
def test_refused(grid: Any, said: str) -> None:
    with pytest.raises(WrongUsage, match=said.replace("[", r"\[")):
        combinations(grid, {"seed": 1})
