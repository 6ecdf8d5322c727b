"""Whether two trainings agree, and by how much they do not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mlops_magics.records import Column, Dataset
from mlops_magics.verbs import agreement
from mlops_magics.verbs.answering import Answers


def dataset(**changed: Any) -> Dataset:
    whole: dict[str, Any] = {
        "name": "d",
        "digest": "sha256:a",
        "rows": 10,
        "target": "y",
        "schema": (Column(name="x", type="number"), Column(name="z", type="string")),
        "split": {"test_digest": "sha256:t", "test_rows": 2},
        "profile": {"x": {"mean": 1.0}, "z": {"distinct": 2}},
    }
    return Dataset(**{**whole, **changed})


@pytest.mark.parametrize(
    ("a", "b", "tolerance", "same"),
    [
        (1.0, 1.0 + 1e-12, 1e-9, True),
        (1.0, 1.0 + 1e-12, 0.0, False),
        (1.0, 1.0, 0.0, True),
        (1e6, 1e6 + 1e-4, 1e-9, True),
        (1e-6, 1.1e-6, 1e-9, False),
        (0.0, 1e-13, 1e-9, True),
        (0.0, 1e-11, 1e-9, False),
        (math.nan, math.nan, 0.0, True),
        (math.nan, 1.0, 1.0, False),
        (math.inf, math.inf, 0.0, True),
        (math.inf, 1.0, 1e-9, False),
    ],
)
def test_close(a: float, b: float, tolerance: float, same: bool) -> None:
    assert agreement.close(a, b, tolerance) is same
    recorded, found = Answers(np.array([a])), Answers(np.array([b]))
    assert (agreement.predictions(recorded, found, tolerance) == []) is same


def test_metrics() -> None:
    recorded = {"auc": 0.8, "gone": 1.0, "same": 0.5, "fit_seconds": 3.0, "system/cpu": 1.0}
    found = {"auc": 0.7, "new": 2.0, "same": 0.5, "fit_seconds": 9.0}
    differences = agreement.metrics(recorded, found, 1e-9)
    assert [(d["what"], d["recorded"], d["found"]) for d in differences] == [
        ("metric auc", 0.8, 0.7),
        ("metric gone", 1.0, None),
        ("metric new", None, 2.0),
    ]
    assert differences[0]["difference"] == pytest.approx(-0.1)
    assert agreement.comparable(recorded, found) == ["auc", "gone", "new", "same"]


def test_hyperparameters_whose_text_holds_an_address() -> None:
    recorded = {"f": "<function f at 0x7f01>", "C": "1.0", "old": "1"}
    found = {"f": "<function f at 0x9a22>", "C": "0.5"}
    whats = [d["what"] for d in agreement.hyperparameters(recorded, found)]
    assert whats == ["hyperparameter C", "hyperparameter old"]


def test_data() -> None:
    assert agreement.data(dataset(), dataset(profile={})) == []
    (none,) = agreement.data(dataset(), None)
    assert none["difference"] == "the training used no prepared dataset"
    (split,) = agreement.data(dataset(), dataset(split={"test_digest": "other", "test_rows": 3}))
    assert (split["what"], split["difference"]) == ("split", "2 → 3 test rows")
    changed = dataset(
        digest="sha256:b",
        schema=(Column(name="x", type="integer"), Column(name="n", type="string")),
    )
    found = agreement.data(dataset(), changed)
    assert [(d["what"], d["recorded"], d["found"]) for d in found] == [
        ("data fingerprint", "sha256:a", "sha256:b"),
        ("column x", "number", "integer"),
        ("column z", "string", None),
        ("column n", None, "string"),
    ]
    assert found[0]["difference"] == "10 rows, as before"
    other = dataset(digest="sha256:b", profile={"x": {"mean": 2.0}, "z": {"distinct": 2}})
    assert [d["what"] for d in agreement.data(dataset(), other)] == ["data fingerprint", "column x"]


def test_predicted_classes_and_probabilities() -> None:
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    q = p + np.array([[0.0, 0.0], [0.2, -0.2], [0.0, 0.0]])
    recorded = Answers(np.array(["a", "b", "b"]), p)
    found = Answers(np.array(["a", "a", "b"]), q)
    labels, probabilities = agreement.predictions(recorded, found, 1e-9)
    assert labels["difference"] == "1 of 3 rows (33.3%)"
    assert (labels["recorded"], labels["found"]) == (3, 2)
    assert probabilities["difference"] == "1 of 3 rows (33.3%), by at most 0.2"
    assert agreement.predictions(recorded, recorded, 0.0) == []


def test_predicted_numbers_and_shapes() -> None:
    recorded = Answers(np.array([1.0, 2.0, math.nan]))
    (one,) = agreement.predictions(recorded, Answers(np.array([1.0, 2.5, math.nan])), 1e-9)
    assert one["difference"] == "1 of 3 rows (33.3%), by at most 0.5"
    (shape,) = agreement.predictions(recorded, Answers(np.ones((3, 2))), 1e-9)
    assert (shape["recorded"], shape["found"]) == ("3", "3 × 2")


def test_what_ran_around_the_code() -> None:
    recorded = {
        "environment": {"python": "3.11.7"},
        "packages": {"a": "1", "b": "1", "c": "1", "unused": "1"},
        "lock": {
            "imported": ["a", "b", "c"],
            "records": {"c": "sha256:1"},
            "modules": [{"name": "helper", "digest": "1"}, {"name": "gone", "digest": "1"}],
        },
    }
    found = {
        "environment": {"python": "3.12.1"},
        "packages": {"a": "2", "c": "1", "unused": "2"},
        "lock": {
            "imported": ["a", "c"],
            "records": {"c": "sha256:2"},
            "modules": [{"name": "helper", "digest": "2"}],
        },
    }
    differences = agreement.environments(recorded, found)
    assert [(d["what"], d["recorded"], d["found"]) for d in differences] == [
        ("Python", "3.11.7", "3.12.1"),
        ("library a", "1", "2"),
        ("library b", "1", None),
        ("library c", "1", "1"),
        ("module helper", "1", "2"),
    ]
    assert agreement.environments(recorded, recorded) == []


def test_the_sentence() -> None:
    found = agreement.metrics({f"m{i}": 0.0 for i in range(5)}, {}, 0.0)
    assert agreement.sentence(found) == (
        "metric m0 0 → none; metric m1 0 → none; metric m2 0 → none; 2 more"
    )
