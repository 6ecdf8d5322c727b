"""Explanations in sentences with figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.explanations import dependence, figures, words
from mlops_magics.explanations.questions import Question

QUESTION = Question(kind="probability", about="the probability of 'bad'", outcome="bad")


def curve(values: Any, function: Any) -> dependence.Dependence:
    X = pd.DataFrame({"v": values})
    return dependence.dependences(
        X, [0], lambda f: (f["v"].map(function).to_numpy(float), None), lambda said: said[0]
    )[0]


def one(feature: str, loss: float, reach: float = 0.01) -> dict[str, Any]:
    return {"feature": feature, "permutation": loss, "interval": (loss - reach, loss + reach)}


def test_importance() -> None:
    found = [one("Seniority", 0.043), one("Amount", 0.03), one("Price", 0.02), one("Age", 0.001)]
    assert words.importance(found, "roc_auc", QUESTION) == [
        "Shuffling Seniority costs 0.043 of roc_auc (95 %: 0.033 to 0.053), more than any other.",
        "Next come Amount (0.03) and Price (0.02).",
        "Shuffling changes nothing measurable in Age.",
    ]
    assert words.importance(found[:1], "", QUESTION) == [
        "Shuffling Seniority changes the probability of 'bad' by 0.043 on average (95 %: 0.033 to "
        "0.053)."
    ]
    assert "nothing measurable" in words.importance(found[3:], "roc_auc", QUESTION)[0]


@pytest.mark.parametrize(
    ("values", "function", "said"),
    [
        (
            range(101),
            lambda v: 0.5 - v / 400,
            "Income lowers the probability of 'bad': from 47.5 % at 10 to 27.5 % at 90 (10th and "
            "90th percentile).",
        ),
        (
            range(-50, 51),
            lambda v: 0.1 + v**2 / 10_000,
            "Income moves the probability of 'bad' both ways: between 10 % at 0 and 26 % at -40.",
        ),
        (
            ["rent", "owner", "rent", None],
            lambda v: {"rent": 0.3, "owner": 0.1}.get(v, 0.2),
            "By Income, the probability of 'bad' is highest at 'rent' (30 %) and lowest at 'owner' "
            "(10 %). Where it is missing, it is 20 %.",
        ),
        (
            [1.0, 2.0, 3.0],
            lambda v: 0.25,
            "Income by itself does not move the probability of 'bad': it stays at 25 %.",
        ),
        ([7.0, 7.0], lambda v: 0.25, "Income is 7 in all rows."),
        ([np.nan, np.nan], lambda v: 0.25, "Income has no value in any row."),
    ],
)
def test_dependence(values: Any, function: Any, said: str) -> None:
    assert words.dependence("Income", curve(list(values), function), QUESTION) == said


def told(unit: str, contributions: list[float]) -> dict[str, Any]:
    return {
        "row": 12,
        "answer": 0.63,
        "average": 0.28,
        "base": 0.29,
        "unit": unit,
        "contributions": [
            {"feature": f"f{i}", "value": 2000.0 if i else "rent", "contribution": c}
            for i, c in enumerate(contributions)
        ],
    }


def test_a_row_in_the_answers_own_unit_and_in_another() -> None:
    steps = [0.12, -0.08, 0.05, 0.03, 0.02, -0.01]
    assert words.row(told("probability", steps), "probability", QUESTION) == (
        "Row 12: the probability of 'bad' is 0.63; on average it is 0.29. f0 = 'rent' raises it by "
        "0.12, f1 = 2,000 lowers it by 0.08, f2 = 2,000 raises it by 0.05, f3 = 2,000 raises it by "
        "0.03 and the other 2 together +0.01."
    )
    assert words.row(told("log-odds", [1.2, -0.4]), "probability", QUESTION) == (
        "Row 12: the probability of 'bad' is 0.63; on average it is 0.28. In log-odds, f0 = 'rent' "
        "adds 1.2 and f1 = 2,000 takes away 0.4."
    )
    assert words.row(told("probability", [0.0]), "probability", QUESTION).endswith(
        "No column moves it from there."
    )


def test_groups() -> None:
    def group(average: float, first: str) -> dict[str, Any]:
        return {"average": average, "importances": [{"feature": first}]}

    found = {"Home = rent": group(0.4, "Income"), "Home = own": group(0.2, "Income")}
    small = {"Home = ignore": {"rows": 3, "reason": "3 rows"}}
    assert words.groups("Home", {**found, **small}, QUESTION) == [
        "Between groups by Home, the probability of 'bad' is on average from 20 % (Home = own) to "
        "40 % (Home = rent).",
        "In each of them Income matters most.",
    ]
    found["Home = own"] = group(0.2, "Age")
    assert words.groups("Home", found, QUESTION)[1] == (
        "What matters most differs between them: Income for Home = rent; Age for Home = own."
    )
    assert words.groups("Home", small, QUESTION) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "missing"),
        (True, "true"),
        (2000, "2,000"),
        (2000.0, "2,000"),
        (0.12345, "0.1235"),
        ("rent", "'rent'"),
        ("2024-03-31", "2024-03-31"),
        ("x" * 60, "'" + "x" * 39 + "'…"),
    ],
)
def test_values(value: Any, shown: str) -> None:
    assert figures.value(value) == shown
