"""Every form of every protocol, put right and put wrong at random, to servers that run.

What is right is answered as the model itself answers; what is not is refused in the form of its
protocol, never by a 5xx. The servers run what is fastest (`auto`), the reference in this process
runs the model's own library: they must agree on what is right, too.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from starlette.testclient import TestClient

from mlops_magics import flavors
from mlops_magics.serving.inference import HEADER
from tests.serving import models
from tests.serving.conftest import client
from tests.serving.test_process import serving

MANY = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FEW = settings(MANY, max_examples=100)
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


@dataclass
class Both:
    """A server in a process of its own, and the model's own library in this one."""

    http: httpx.Client
    here: TestClient
    model: flavors.Predictor
    data: Any

    def ask(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        """The server's answer, which is well formed and no 5xx; the other one agrees."""
        there = self.http.post(path, content=body, headers=headers)
        assert there.status_code in (200, 400, 415), (there.status_code, there.text, body)
        content = there.json() if "octet" not in there.headers["content-type"] else None
        if there.status_code != 200:
            key = "error" if path.startswith("/v2") else "message"
            assert isinstance(content, dict)
            assert isinstance(content[key], str)
            assert content[key], body
        here = self.here.post(path, content=body, headers=headers)
        assert here.status_code == there.status_code, (here.text, there.text, body)
        if there.status_code == 200 and content is not None:
            assert alike(content, here.json()), (there.text, here.text, body)
        return there


def alike(one: Any, other: Any) -> bool:
    """Equal, but for the last digits of numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return bool(one == other or abs(one - other) <= 1e-6 * max(1.0, abs(other)))
    return bool(one == other)


@contextmanager
def both(package: Path, model: Path, data: Any) -> Iterator[Both]:
    with (
        serving(package) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=30) as there,
    ):
        assert there.get("/metadata").json()["runtime"] == "onnx"
        yield Both(there, client(model), flavors.load(model), data)
        assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="session")
def columns(proven: Path, model: Path, credit_csv: Path) -> Iterator[Both]:
    credit = pd.read_csv(credit_csv).dropna(subset=["Status"]).head(400)
    with both(proven, model, credit.drop(columns="Status")) as found:
        yield found


@pytest.fixture(scope="session")
def array(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    place = tmp_path_factory.mktemp("sums")
    X = np.random.default_rng(0).normal(size=(100, 3))
    model = models.save(Ridge().fit(X, X @ [1, 2, 3]), X, place / "model")
    with both(models.package(model, place / "sums", rows=X), model, X) as found:
        yield found


# ---- what is right

ROWS = st.lists(st.integers(0, 399), min_size=1, max_size=4)
ORDERS = st.permutations(range(13))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return found


def formed(form: str, frame: pd.DataFrame) -> dict[str, Any]:
    """The rows in one of the forms."""
    rows, names = records(frame), list(frame)
    if form == "dataframe_split":
        return {form: {"columns": names, "data": [list(row.values()) for row in rows]}}
    if form == "inputs":
        return {form: {name: [row[name] for row in rows] for name in names}}
    return {form: rows}


@FEW
@given(at=ROWS, order=ORDERS, form=st.sampled_from([*FORMS, "csv"]), more=st.booleans())
def test_rows_of_columns_are_answered_as_the_model_does(
    columns: Both, at: list[int], order: list[int], form: str, more: bool
) -> None:
    frame = columns.data.iloc[at]
    asked = frame.iloc[:, order].assign(**({"of no use": 1} if more else {}))
    if form == "csv":
        answer = columns.ask(
            "/invocations", asked.to_csv(index=False).encode(), **{"content-type": "text/csv"}
        )
    else:
        body = json.dumps(formed(form, asked)).encode()
        answer = columns.ask("/invocations", body, **{"content-type": models.JSON})
    assert answer.json()["predictions"] == columns.model.predict(frame).tolist()


NUMBERS = st.floats(-1e6, 1e6) | st.integers(-(2**53), 2**53)
BOOLEANS = st.booleans()
MATRICES = st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=4)


@FEW
@given(values=MATRICES, form=st.sampled_from(FORMS))
def test_arrays_are_answered_as_the_model_does(array: Both, values: Any, form: str) -> None:
    content: Any = values
    if form == "dataframe_split":
        content = {"columns": ["a", "b", "c"], "data": values}
    elif form == "dataframe_records":
        content = [dict(zip("abc", row, strict=True)) for row in values]
    body = json.dumps({form: content}).encode()
    answer = array.ask("/invocations", body, **{"content-type": models.JSON})
    expected = array.model.predict(np.array(values, dtype=float)).tolist()
    assert answer.status_code == 200, answer.text
    assert alike(answer.json()["predictions"], [float(v) for v in expected])


@FEW
@given(
    values=MATRICES, kind=st.sampled_from(["FP64", "FP32", "INT64", "INT16"]), wide=st.booleans()
)
def test_tensors_of_bytes_are_answered_as_the_model_does(
    array: Both, values: Any, kind: str, wide: bool
) -> None:
    dtype = {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "INT16": "<i2"}[kind]
    limit = 30_000 if kind == "INT16" else 2**53
    data = np.clip(np.array(values, dtype=float), -limit, limit).astype(dtype)
    head, blob = tensors([("input", kind, data)], binary_answer=wide)
    answer = infer(array, head, blob)
    assert answer.status_code == 200, answer.text
    expected = array.model.predict(data.astype(float)).ravel()
    if wide:
        size = int(answer.headers[HEADER])
        found = np.frombuffer(answer.content[size:], "<f8")
    else:
        found = np.array(answer.json()["outputs"][0]["data"])
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


@FEW
@given(at=ROWS, order=ORDERS, binary=st.booleans())
def test_tensors_of_columns_are_answered_as_the_model_does(
    columns: Both, at: list[int], order: list[int], binary: bool
) -> None:
    frame = columns.data.iloc[at].dropna()
    if not len(frame):
        return
    named = [(n, *tensor(frame[n])) for n in frame.columns[order]]
    if binary:
        answer = infer(columns, *tensors(named))
    else:
        inputs = [
            {"name": n, "datatype": kind, "shape": list(v.shape),
             "data": [x.decode() if isinstance(x, bytes) else x for x in v.tolist()]}
            for n, kind, v in named
        ]  # fmt: skip
        answer = infer(columns, {"inputs": inputs})
    assert answer.json()["outputs"][0]["data"] == columns.model.predict(frame).tolist()


def tensor(column: pd.Series) -> tuple[str, np.ndarray]:
    if column.dtype.kind in "if":
        return f"{'INT' if column.dtype.kind == 'i' else 'FP'}64", column.to_numpy()
    return "BYTES", np.array([v.encode() for v in column] + [None], dtype=object)[:-1]


def tensors(
    named: list[tuple[str, str, np.ndarray]], binary_answer: bool = False
) -> tuple[dict[str, Any], bytes]:
    """Inputs in the binary form: what describes them, and their bytes."""
    inputs, blobs = [], []
    for name, kind, data in named:
        blob = (
            b"".join(struct.pack("<I", len(v)) + v for v in data)
            if kind == "BYTES"
            else data.tobytes()
        )
        described = {"name": name, "datatype": kind, "shape": list(data.shape)}
        inputs.append({**described, "parameters": {"binary_data_size": len(blob)}})
        blobs.append(blob)
    parameters = {"parameters": {"binary_data_output": True}} if binary_answer else {}
    return {"inputs": inputs, **parameters}, b"".join(blobs)


def infer(asked: Both, head: Any, blob: bytes = b"", header: str | None = None) -> httpx.Response:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    length = header if header is not None else str(len(text)) if blob else None
    headers = {HEADER: length} if length is not None else {}
    return asked.ask("/v2/models/credit/infer", text + blob, **headers)


# ---- what is put wrong


class Raw(str):
    """Stands in a body as it is."""


class Pairs(list[Any]):
    """An object whose keys may come twice."""


def paired(value: Any) -> Any:
    if isinstance(value, dict):
        return Pairs([k, paired(v)] for k, v in value.items())
    return [paired(v) for v in value] if isinstance(value, list) else value


def text(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        return f"{{{','.join(f'{json.dumps(k)}:{text(v)}' for k, v in value)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(text, value))}]"
    return json.dumps(value)


ODD = st.sampled_from(
    [
        *map(Raw, ("NaN", "Infinity", "-Infinity", "-0", "1e400", "-1e400", "1e-400", "01", "")),
        *map(Raw, ("9" * 400, "9" * 5000, "-9223372036854775809", "2147483648", "1.0", "1.5")),
        *map(Raw, (r'"\ud800"', r'"\udfff\ud800"', r'"\u0000"', "[" * 3000 + "]" * 3000, "'x'")),
        *map(Raw, ('{"a":' * 3000 + "1" + "}" * 3000, "[[]]", "[null]", '{"":{}}', "true")),
        *("", "nan", "None", "null", "1", "1e3", "rent", "2026-01-31", "__proto__", " ", "🏠" * 50),
        *(None, True, False, 0, -1, 2**31, 2**63, 2**64, 0.1, 1e308),
    ]
)
#: What may well be right.
LIKELY = st.sampled_from(
    [*map(Raw, ("1.0", "1E2", "-0.0", "0e0", '"\\u0072ent"', "4503599627370497")),
     *(0, 1, 35, 2.0, 7.5, 1e15, -3, None, True, "rent", "owner", "never seen", "é")]
)  # fmt: skip
ANYTHING = st.recursive(
    ODD | st.text(max_size=5) | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(st.tuples(st.text(max_size=4), inner).map(list), max_size=3).map(Pairs)
    ),
    max_leaves=6,
)


@st.composite
def damaged(draw: Callable[[Any], Any], bodies: Any) -> bytes:
    """A body that was right, changed in one to three places."""
    tree = [paired(draw(bodies))]
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        _damage(draw, tree)
    return text(tree[0]).encode("utf-8", "surrogatepass")


def _damage(draw: Callable[[Any], Any], tree: list[Any]) -> None:
    """Walk down at random and change what is there."""
    holder, at = tree, 0
    while True:
        here = holder[at]
        inner = here if isinstance(here, list) else []
        if not inner or draw(st.integers(0, 9)) == 9:  # mostly down to a value
            break
        at = draw(st.integers(0, len(inner) - 1))
        holder = inner
        if isinstance(inner, Pairs):
            holder, at = inner[at], 1
    here = holder[at]
    kind = draw(st.sampled_from(["replace", "drop", "twice", "rename", "add", "wrap"]))
    if kind == "wrap":
        holder[at] = [here]
    elif isinstance(here, list) and here and kind in ("drop", "twice"):
        which = draw(st.integers(0, len(here) - 1))
        here[which : which + 1] = [] if kind == "drop" else [here[which]] * 2
    elif isinstance(here, Pairs) and here and kind == "rename":
        here[draw(st.integers(0, len(here) - 1))][0] = draw(st.text(max_size=6))
    elif isinstance(here, list) and kind == "add":
        value = draw(ANYTHING)
        here.append([draw(st.text(max_size=4)), value] if isinstance(here, Pairs) else value)
    else:
        holder[at] = draw(draw(st.sampled_from([LIKELY, ANYTHING])))


def credit_bodies(example: list[dict[str, Any]]) -> Any:
    frame = pd.DataFrame(example)
    return st.sampled_from([formed(form, frame) for form in FORMS])


HEAD = [
    {"Seniority": 9, "Home": "rent", "Time": 60, "Age": 30, "Marital": "married", "Records": "no",
     "Job": "freelance", "Expenses": 73, "Income": 129.0, "Assets": 0.0, "Debt": None,
     "Amount": 800, "Price": 846},
    {"Seniority": 0, "Home": None, "Time": 36, "Age": 26, "Marital": "single", "Records": "yes",
     "Job": "fixed", "Expenses": 46, "Income": 107.5, "Assets": 10.0, "Debt": 0.0,
     "Amount": 310, "Price": 910},
]  # fmt: skip
COLUMN_BODIES = credit_bodies(HEAD)
ARRAY_BODIES = st.sampled_from(
    [
        {"inputs": [[1.0, 2, 3], [4, 5, 6]]},
        {"instances": [[1.5, 2, 3]], "params": {}},
        {"dataframe_split": {"columns": [0, 1, 2], "data": [[1, 2, 3]], "index": [7]}},
        {"dataframe_records": [{"a": 1, "b": 2.5, "c": 3}]},
    ]
)


@MANY
@given(body=damaged(COLUMN_BODIES))
def test_damaged_columns(columns: Both, body: bytes) -> None:
    columns.ask("/invocations", body, **{"content-type": models.JSON})


@MANY
@given(body=damaged(ARRAY_BODIES))
def test_damaged_arrays(array: Both, body: bytes) -> None:
    array.ask("/invocations", body, **{"content-type": models.JSON})


@MANY
@given(cells=st.lists(st.lists(st.integers(0, 25), min_size=1, max_size=3), min_size=1, max_size=3),
       values=st.lists(ODD | st.text(max_size=6), min_size=1, max_size=3))  # fmt: skip
def test_damaged_csv(columns: Both, cells: list[list[int]], values: list[Any]) -> None:
    lines = pd.DataFrame(HEAD * 2).to_csv(index=False).splitlines()
    for at, value in zip(cells, values, strict=False):
        words = lines[at[0] % len(lines)].split(",")
        words[at[-1] % len(words)] = str(value)[:500]
        lines[at[0] % len(lines)] = ",".join(words)
    body = "\n".join(lines).encode("utf-8", "surrogatepass")
    columns.ask("/invocations", body, **{"content-type": "text/csv"})


TENSOR_BODIES = st.sampled_from(
    [
        {"inputs": [{"name": "input", "shape": [2, 3], "datatype": "FP64",
                     "data": [1, 2, 3, 4.5, 5, 6]}]},
        {"inputs": [{"name": "input", "shape": [1, 3], "datatype": "INT32",
                     "data": [[1, 2, 3]], "parameters": {}}],
         "outputs": [{"name": "predict", "parameters": {"binary_data": False}}]},
    ]
)  # fmt: skip
BINARY = [("input", "FP64", np.arange(6.0).reshape(2, 3))]


@MANY
@given(body=damaged(TENSOR_BODIES))
def test_damaged_tensors(array: Both, body: bytes) -> None:
    infer(array, body)


@MANY
@given(
    blob=st.binary(max_size=80),
    keep=st.integers(0, 48),
    damage=st.none() | damaged(st.just(tensors(BINARY)[0])),
    header=st.none()
    | st.integers(-2, 400).map(str)
    | st.text("0123456789+-x", min_size=1, max_size=5),
)
def test_damaged_bytes_of_tensors(
    array: Both, blob: bytes, keep: int, damage: bytes | None, header: str | None
) -> None:
    head, right = tensors(BINARY)
    infer(array, damage or head, right[:keep] + blob, header)


@MANY
@given(
    kinds=st.lists(st.sampled_from(["BYTES", "INT64", "FP64", "BOOL", "UINT8"]), min_size=13,
                   max_size=13),
    blobs=st.lists(st.binary(max_size=24), min_size=13, max_size=13),
    rows=st.integers(0, 3),
)  # fmt: skip
def test_columns_of_random_bytes(
    columns: Both, kinds: list[str], blobs: list[bytes], rows: int
) -> None:
    inputs = [
        {"name": n, "datatype": k, "shape": [rows], "parameters": {"binary_data_size": len(b)}}
        for n, k, b in zip(HEAD[0], kinds, blobs, strict=True)
    ]
    infer(columns, {"inputs": inputs}, b"".join(blobs))
