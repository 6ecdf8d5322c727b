"""The Open Inference Protocol, as Triton's own client speaks it and as it is written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression, LogisticRegression
from starlette.testclient import TestClient
from tritonclient.utils import InferenceServerException

from mlops_magics import flavors
from mlops_magics.serving import captured, manifest
from tests.serving import models, scripted
from tests.serving.conftest import client
from tests.serving.test_hostile import ANYTHING
from tests.serving.test_process import Running, serving, until

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def server(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    file = tmp_path_factory.mktemp("capture") / "capture.db"
    with serving(package, "--capture", str(file), "--name", "lending") as running:
        running.capture = file  # type: ignore[attr-defined]
        yield running


@pytest.fixture(scope="module")
def asking(server: Running) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as found:
        yield found


@pytest.fixture(scope="module")
def expected(model: Path) -> tuple[pd.DataFrame, Any, Any]:
    frame = pd.DataFrame(models.rows(model))
    loaded = flavors.load(model)
    return frame, loaded.predict(frame), loaded.predict_proba(frame)


def tensors(frame: pd.DataFrame, binary: bool = True) -> list[triton.InferInput]:
    found = []
    for name, column in frame.items():
        if column.dtype.kind in "if":
            kind = "INT64" if column.dtype.kind == "i" else "FP64"
            values = column.to_numpy()
        else:
            kind, values = "BYTES", column.to_numpy(dtype=object)
        tensor = triton.InferInput(str(name), [len(frame)], kind)
        tensor.set_data_from_numpy(values, binary_data=binary)
        found.append(tensor)
    return found


def test_what_is_served(asking: triton.InferenceServerClient) -> None:
    assert asking.is_server_live()
    assert asking.is_server_ready()
    about = asking.get_server_metadata()
    assert about["name"] == "mlops_magics"
    assert about["extensions"] == ["binary_tensor_data", "model_repository"]
    (indexed,) = asking.get_model_repository_index()
    assert indexed == {"name": "credit", "version": "1", "state": "READY", "reason": ""}
    for name, version in (("credit", ""), ("credit", "1"), ("lending", "1")):
        assert asking.is_model_ready(name, version)
        found = asking.get_model_metadata(name, version)
        assert (found["name"], found["versions"]) == ("credit", ["1"])
        assert found["platform"] == "mlflow_sklearn"
    inputs = {i["name"]: i for i in found["inputs"]}
    assert inputs["Age"] == {"name": "Age", "datatype": "INT64", "shape": [-1]}
    assert inputs["Income"]["datatype"] == "FP64"
    assert inputs["Home"]["datatype"] == "BYTES"
    assert found["outputs"] == [
        {"name": "predict", "datatype": "BYTES", "shape": [-1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
    ]
    assert not asking.is_model_ready("credits")
    assert not asking.is_model_ready("credit", "2")


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("back", [True, False])
def test_numbers_words_and_probabilities(
    asking: triton.InferenceServerClient, expected: Any, sent: bool, back: bool
) -> None:
    frame, answers, probabilities = expected
    found = asking.infer(
        "credit",
        tensors(frame, binary=sent),
        outputs=[
            triton.InferRequestedOutput("predict_proba", binary_data=back),
            triton.InferRequestedOutput("predict", binary_data=back),
        ],
        request_id="mine",
    )
    assert found.get_response()["id"] == "mine"
    assert (found.get_response()["model_name"], found.get_response()["model_version"]) == (
        "credit",
        "1",
    )
    np.testing.assert_array_equal(found.as_numpy("predict_proba"), probabilities)
    words = [v.decode() if isinstance(v, bytes) else v for v in found.as_numpy("predict")]
    assert words == answers.tolist()


def test_the_client_asks_for_binary_by_default(
    asking: triton.InferenceServerClient, expected: Any
) -> None:
    frame, answers, _ = expected
    found = asking.infer("credit", tensors(frame), model_version="1")
    assert [v.decode() for v in found.as_numpy("predict")] == answers.tolist()
    assert found.as_numpy("predict_proba") is None  # only when it is asked for


def test_what_the_client_is_refused(asking: triton.InferenceServerClient, expected: Any) -> None:
    frame = expected[0]
    good = tensors(frame)

    def refused(inputs: Any, **more: Any) -> str:
        with pytest.raises(InferenceServerException) as raised:
            asking.infer(more.pop("name", "credit"), inputs, **more)
        return f"{raised.value.status()}: {raised.value.message()}"

    assert "404: There is no model 'credits' version 1" in refused(good, name="credits")
    assert "404: There is no model 'credit' version 9" in refused(good, model_version="9")
    assert refused(good[1:]).startswith("400: The column")
    wrong = triton.InferInput("Agee", [len(frame)], "INT64")
    wrong.set_data_from_numpy(frame["Age"].to_numpy())
    assert "Did you mean 'Age'?" in refused([wrong, *good[1:]])
    text = triton.InferInput("Age", [len(frame)], "BYTES")
    text.set_data_from_numpy(np.array(["1"] * len(frame), dtype=object))
    others = [t for t in good if t.name() != "Age"]
    assert "400: The input 'Age' is BYTES, and the model needs INT64." in refused([text, *others])
    short = triton.InferInput("Age", [1], "INT64")
    short.set_data_from_numpy(np.array([30]))
    assert "differ in length" in refused([short, *others])
    half = triton.InferInput("Age", [len(frame)], "FP64")
    half.set_data_from_numpy(np.full(len(frame), 30.5))
    assert "Column 'Age' needs a whole number" in refused([half, *others])
    outputs = [triton.InferRequestedOutput("predictt")]
    assert "400: The model has no output 'predictt'." in refused(good, outputs=outputs)


def test_it_is_captured_and_counted_like_any_other(
    server: Running, asking: triton.InferenceServerClient, expected: Any
) -> None:
    frame, answers, _ = expected
    file: Path = server.capture  # type: ignore[attr-defined]
    asking.infer("credit", tensors(frame), headers={"x-client-id": "by-tensor"})
    until(lambda: (captured.read(file)["client_id"] == "by-tensor").any())
    request_id = captured.read(file).set_index("client_id")["request_id"]["by-tensor"]
    kept = captured.features(file)
    kept = kept[kept["request_id"] == request_id]
    assert kept["prediction"].tolist() == answers.tolist()
    assert kept["Age"].tolist() == frame["Age"].tolist()
    assert kept["Home"].tolist() == frame["Home"].tolist()
    counts = httpx.get(f"{server.url}/metrics", trust_env=False).text
    assert 'mlops_rows_total{model="credit/1",protocol="v2"}' in counts


def infer(server: TestClient, content: Any, name: str = "credit") -> Any:
    return server.post(f"/v2/models/{name}/infer", json=content)


def test_written_by_hand(ours: TestClient, expected: Any) -> None:
    frame, answers, _ = expected
    inputs = [
        {
            "name": name,
            "shape": [len(frame), 1] if name == "Age" else [len(frame)],
            "datatype": {"i": "INT64", "f": "FP64"}.get(frame[name].dtype.kind, "BYTES"),
            "data": [[v] for v in column.tolist()] if name == "Age" else column.tolist(),
        }
        for name, column in frame.astype({"Income": object}).where(frame.notna(), None).items()
    ]
    answer = infer(ours, {"id": "7", "parameters": {"of": "mine"}, "inputs": inputs})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "model_name": "credit",
        "model_version": "1",
        "id": "7",
        "parameters": {"of": "mine"},
        "outputs": [
            {"name": "predict", "datatype": "BYTES", "shape": [5], "data": answers.tolist()}
        ],
    }


@pytest.fixture(scope="module")
def uniform(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(50, 3)), columns=["a", "b", "c"])
    model = LinearRegression().fit(X, X["a"] + 2 * X["b"])
    return client(models.save(model, X, tmp_path_factory.mktemp("uniform") / "m"))


def one(data: Any, shape: list[int], /, **more: Any) -> dict[str, Any]:
    tensor = {"name": "input", "shape": shape, "datatype": "FP64", "data": data}
    return {"inputs": [{**tensor, **more}]}


def test_columns_of_numbers_in_one_tensor(uniform: TestClient) -> None:
    for data in ([[1, 2, 3], [4.0, 5.0, 6.0]], [1, 2, 3, 4, 5, 6]):
        answer = infer(uniform, one(data, [2, 3]))
        assert answer.status_code == 200, answer.text
        (output,) = answer.json()["outputs"]
        assert (output["datatype"], output["shape"]) == ("FP64", [2])
        np.testing.assert_allclose(output["data"], [5, 14])
    assert infer(uniform, one([1, 2], [1, 2])).status_code == 400


def test_arrays(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X[:, 0] > 0
    model = LogisticRegression().fit(X, y)
    saved = models.save(model, X, tmp_path / "m", signature=infer_signature(X, y))
    server = client(saved)
    assert server.get("/v2/models/credit").json()["inputs"] == [
        {"name": "input", "datatype": "FP64", "shape": [-1, 3]}
    ]
    answer = infer(server, one([[1, 0, 0], [-1, 0, 0]], [2, 3], datatype="FP32"))
    assert answer.json()["outputs"] == [
        {"name": "predict", "datatype": "BOOL", "shape": [2], "data": [True, False]}
    ]
    assert "rows" not in infer(server, one([1, 2], [1, 2])).json()
    assert infer(server, one([1, 2], [1, 2])).json()["error"].startswith("The model takes an array")
    text = infer(server, one(["a", "b", "c"], [1, 3], datatype="BYTES"))
    assert (text.status_code, text.json()["error"]) == (
        400,
        "The input 'input' is BYTES, and the model needs FP64.",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "no object"),
        ({}, "needs inputs"),
        ({"inputs": [{}]}, "object with name"),
        ({"inputs": [], "id": 3}, "id must be a text"),
        (one([1, 2, 3], [1, 3], datatype="FP128"), "has the datatype"),
        (one([1, 2, 3], [1, 3], datatype=["FP64"]), "has the datatype"),
        (one([1, 2, 3], [-1, 3]), "needs a shape"),
        (one([1, 2, 3], [2, 3]), "has 3 values, and its shape makes 6"),
        (one([1, "2", 3], [1, 3]), "is FP64 and has '2'"),
        (one([1, 2.5, 3], [1, 3], datatype="INT64"), "is INT64 and has 2.5"),
        (one([1, True, 3], [1, 3]), "is FP64 and has true"),
        (one([1, 300, 3], [1, 3], datatype="INT8"), "beyond INT8"),
        (one([1, 10**400, 3], [1, 3]), "beyond FP64"),
        (one(3, [1, 3]), "needs data"),
        (one(None, [1, 3], parameters={"binary_data_size": 24}), "0 bytes are left"),
        ({**one([1, 2, 3], [1, 3]), "outputs": [{"name": "predict_proba"}]}, "has no output"),
        ({**one([1, 2, 3], [1, 3]), "outputs": [{"name": "predict"}] * 2}, "twice"),
    ],
)
def test_what_is_not_as_it_should_be(uniform: TestClient, content: Any, said: str) -> None:
    answer = infer(uniform, content)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert said in answer.json()["error"]


@pytest.mark.parametrize("length", ["x", "-1", "100000", "", "٣"])
def test_a_length_that_is_none(uniform: TestClient, length: str) -> None:
    headers = {"inference-header-content-length": length.encode()}
    answer = uniform.post("/v2/models/credit/infer", content=b"{}", headers=headers)
    assert answer.status_code == 400


def test_binary_data_that_ends_too_early_or_goes_on(uniform: TestClient) -> None:
    head = one(None, [1, 3], parameters={"binary_data_size": 24})
    del head["inputs"][0]["data"]
    start = json.dumps(head).encode()
    headers = {"inference-header-content-length": str(len(start))}
    for size, status in ((24, 200), (23, 400), (25, 400)):
        content = start + np.arange(4.0).tobytes()[:size]
        answer = uniform.post("/v2/models/credit/infer", content=content, headers=headers)
        assert answer.status_code == status, answer.text


def test_other_errors_have_the_protocols_form() -> None:
    server = TestClient(scripted.server(most_body=100).app())
    assert list(server.get("/v2/model").json()) == ["error"]
    assert list(server.get("/v2/models/scripted/infer").json()) == ["error"]
    large = server.post("/v2/models/scripted/infer", content=b" " * 101)
    assert (large.status_code, list(large.json())) == (413, ["error"])
    failed = infer(server, one([-1], [1], name="x"), "scripted")
    assert failed.status_code == 500
    assert failed.json()["error"].startswith("The model failed")


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.dictionaries(
        st.sampled_from(["name", "shape", "datatype", "data", "parameters"]), ANYTHING, max_size=3
    ),
    st.dictionaries(
        st.sampled_from(["id", "parameters", "outputs", "inputs"]), ANYTHING, max_size=2
    ),
)
def test_anything(uniform: TestClient, tensor: dict[str, Any], more: dict[str, Any]) -> None:
    content = {**one([1, 2, 3], [1, 3], **tensor), **more}
    answer = uniform.post(
        "/v2/models/credit/infer", content=json.dumps(content).encode(), headers=JSON
    )
    assert answer.status_code in (200, 400), answer.text


def test_the_same_as_invocations(package: Path, server: Running) -> None:
    assert server.ask(manifest.example(package)).content == manifest.answers(package)
