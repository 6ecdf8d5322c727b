"""Whatever is sent, the answer is a prediction or a 4xx with a sentence; never a 5xx."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.serving import models

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["rent", "owner", "2026-01-31", "1e400", "\ud800", "\x00", "NaN", "-0"]),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FORMS = st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params"])
MANY = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def check(ours: TestClient, body: bytes, content_type: str = models.JSON) -> None:
    answer = ours.post("/invocations", content=body, headers={"content-type": content_type})
    assert answer.status_code in (200, 400), (answer.status_code, answer.text, body)
    if answer.status_code == 400:
        assert answer.json()["message"]
    else:
        assert "predictions" in answer.json()


@MANY
@given(st.dictionaries(FORMS, ANYTHING, max_size=2))
def test_any_value_under_a_form(ours: TestClient, content: dict[str, Any]) -> None:
    check(ours, json.dumps(content).encode())


@MANY
@given(changes=st.dictionaries(st.integers(0, 12), LEAVES | ANYTHING, min_size=1), form=FORMS)
def test_any_value_in_a_column(
    ours: TestClient, model: Any, changes: dict[int, Any], form: str
) -> None:
    rows = models.rows(model)[:2]
    names = list(rows[0])
    rows[0] |= {names[i]: value for i, value in changes.items()}
    bodies: dict[str, Any] = {
        "dataframe_split": {"columns": names, "data": [list(r.values()) for r in rows]},
        "inputs": {n: [r[n] for r in rows] for n in names},
    }
    check(ours, json.dumps({form: bodies.get(form, rows)}).encode())


@MANY
@given(st.binary(max_size=200))
def test_any_bytes(ours: TestClient, body: bytes) -> None:
    check(ours, body)
    check(ours, body, "text/csv")


@MANY
@given(
    st.lists(st.lists(st.text(max_size=6) | st.integers().map(str), max_size=15), max_size=4),
    st.booleans(),
)
def test_any_csv(ours: TestClient, model: Any, lines: list[list[str]], named: bool) -> None:
    header = [list(models.rows(model)[0])] if named else []
    text = "\n".join(",".join(line) for line in [*header, *lines])
    check(ours, text.encode(errors="replace"), "text/csv")


def test_nesting_and_numbers_beyond_all_bounds(ours: TestClient) -> None:
    check(ours, b"[" * 100_000)
    check(ours, b'{"inputs": ' + b"9" * 10_000 + b"}")
    check(ours, b'{"inputs": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001)
