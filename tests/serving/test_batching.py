"""Requests that are answered together: each as if it had come alone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from mlops_magics import flavors
from mlops_magics.serving import batching, manifest
from mlops_magics.serving.batching import Batching, Work
from mlops_magics.serving.service import Answer, Service, refused
from tests.serving import models, scripted
from tests.serving.models import JSON
from tests.serving.test_process import serving


class Counting(scripted.Scripted):
    """Remembers how many rows it was asked for at a time."""

    def __init__(self, flavor: str = "scripted") -> None:
        self.flavor = flavor
        self.calls: list[int] = []

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        self.calls.append(len(frame))
        return super().predict(frame)


EXAMPLE = scripted.body(1.0, 2.0)


def together(service: Service, bodies: list[bytes], on: bool = True) -> list[Answer]:
    joined = Batching(service, on)
    works = [Work(service.steps(b, JSON), refused, str(i)) for i, b in enumerate(bodies)]
    return joined.answers(works)


def alone(service: Service, bodies: list[bytes]) -> list[Answer]:
    return [service.answer(b, JSON, str(i)) for i, b in enumerate(bodies)]


def facts(answers: list[Answer]) -> list[tuple[Any, ...]]:
    return [(a.status, json.loads(a.body), a.rows, a.outputs, a.error) for a in answers]


def test_one_call_for_many() -> None:
    model = Counting()
    bodies = [scripted.body(float(i), i + 0.5) for i in range(10)]
    answers = together(Service(model, EXAMPLE), bodies)
    assert model.calls == [1, 1, 2, 20]  # the proof on the example, and the requests
    assert facts(answers) == facts(alone(Service(Counting(), EXAMPLE), bodies))


def test_what_is_wrong_with_one_is_told_to_that_one_only() -> None:
    bodies = [
        scripted.body(1),
        b"{}",
        scripted.body(-1),
        b'{"inputs": {"y": [1]}}',
        scripted.body(4),
    ]
    service = Service(Counting(), EXAMPLE)
    answers = together(service, bodies)
    assert [a.status for a in answers] == [200, 400, 500, 400, 200]
    assert facts(answers) == facts(alone(service, bodies))
    assert json.loads(answers[2].body)["request_id"] == "2"


def test_no_more_than_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MOST_ROWS", 5)
    model = Counting()
    bodies = [scripted.body(*range(n)) for n in (2, 3, 1, 9, 4)]
    answers = together(Service(model, EXAMPLE), bodies)
    assert model.calls[3:] == [5, 1, 9, 4]
    assert [a.rows for a in answers] == [2, 3, 1, 9, 4]


class Centred(Counting):
    """Looks at all rows that it is asked for."""

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        return super().predict(frame) - super().predict(frame).mean()


class Summing(Counting):
    """Answers once, however many rows there are."""

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        return super().predict(frame)[:1]


@pytest.mark.parametrize(
    ("model", "example", "on"),
    [
        (Counting("pyfunc"), EXAMPLE, True),
        (Centred(), EXAMPLE, True),
        (Summing(), EXAMPLE, True),
        (Counting(), b"", True),
        (Counting(), EXAMPLE, False),
    ],
)
def test_when_nothing_is_joined(model: Counting, example: bytes, on: bool) -> None:
    service = Service(model, example)
    bodies = [scripted.body(float(i)) for i in range(4)]
    answers = together(service, bodies, on)
    assert set(model.calls[-4:]) == {1}
    assert facts(answers) == facts(alone(service, bodies))


def test_only_what_is_alike_is_joined(model: Path, package: Path) -> None:
    """Numbers and words, probabilities, columns that may be missing: as they come."""
    service = Service(flavors.load(model), manifest.example(package))
    rows = models.rows(model)
    probable = {"params": {"predict_method": "predict_proba"}}
    bodies = [
        json.dumps(content).encode()
        for row in rows
        for content in (
            {"dataframe_records": [row]},
            {"dataframe_records": [row], **probable},
            {"dataframe_records": [{k: v for k, v in row.items() if k != "Income"}]},
            {"dataframe_records": [{**row, "Income": None, "Home": "a castle"}]},
            {"dataframe_records": [{**row, "Age": "old"}]},
            {"dataframe_records": rows, **probable},
        )
    ]
    answers, wanted = together(service, bodies), alone(service, bodies)
    for got, want in zip(answers, wanted, strict=True):
        one, other = json.loads(got.body), json.loads(want.body)
        assert (got.status, got.rows, got.error) == (want.status, want.rows, want.error)
        assert got.outputs == want.outputs
        if "classes" in one:  # a product of matrices rounds by their size, in the last digit
            np.testing.assert_allclose(one["predictions"], other["predictions"], rtol=1e-12)
        else:
            assert one == other
    assert {a.status for a in answers} == {200, 400}


@pytest.mark.parametrize("options", [[], ["--no-batching"]])
def test_sixteen_connections(package: Path, model: Path, options: list[str]) -> None:
    service = Service(flavors.load(model))
    rows = models.rows(model)
    bodies = [
        json.dumps({"dataframe_records": [{**rows[i % 5], "Age": 20 + i % 50}]}).encode()
        for i in range(150)
    ]
    bodies[::10] = [b'{"dataframe_records": [{"Age": "old"}]}'] * 15
    with (
        serving(package, *options) as server,
        httpx.Client(trust_env=False, timeout=30) as client,
        ThreadPoolExecutor(16) as pool,
    ):

        def ask(body: bytes) -> tuple[int, Any]:
            url, headers = f"{server.url}/invocations", {"content-type": JSON}
            answer = client.post(url, content=body, headers=headers)
            content = answer.json()
            content.pop("request_id", None)
            return answer.status_code, content

        answers = list(pool.map(ask, bodies))
    for body, (status, content) in zip(bodies, answers, strict=True):
        wanted = service.answer(body, JSON, "")
        expected = json.loads(wanted.body)
        expected.pop("request_id", None)
        assert (status, content) == (wanted.status, expected)
