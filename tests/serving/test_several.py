"""Several models behind one server, and HTTPS."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton
from cryptography.hazmat.primitives import serialization
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from sklearn.linear_model import LinearRegression
from starlette.testclient import TestClient

from mlops_magics.errors import WrongUsage
from mlops_magics.serving import captured, manifest, tls
from mlops_magics.serving.app import Beside, Server
from mlops_magics.serving.service import Service
from tests import certificates
from tests.serving import models, scripted
from tests.serving.readings import of, samples
from tests.serving.test_process import Running, free_port, serving, until


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("prices")
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2)), columns=["size", "year"])
    saved = models.save(LinearRegression().fit(X, 3 * X["size"]), X, place / "m")
    return models.package(saved, place / "prices-7", "prices/7", rows=X)


@pytest.fixture(scope="module")
def both(proven: Path, prices: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("kept") / "capture"
    with serving(proven, str(prices), "--name", "lending", "--capture", str(place)) as running:
        running.capture = place  # type: ignore[attr-defined]
        yield running


def get(server: Running, path: str) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", trust_env=False)


def post(server: Running, path: str, body: bytes) -> httpx.Response:
    heads = {"content-type": "application/json"}
    return httpx.post(f"{server.url}{path}", content=body, headers=heads, trust_env=False)


def test_each_is_asked_by_its_name(both: Running, proven: Path, prices: Path) -> None:
    for package, paths in (
        (proven, ("/invocations", "/models/credit/invocations", "/models/lending/1/invocations")),
        (prices, ("/models/prices/invocations", "/models/prices/7/invocations")),
    ):
        for path in paths:
            answer = post(both, path, manifest.example(package))
            assert answer.status_code == 200, (path, answer.text)
            expected = manifest.answers(package)["predictions"]
            assert answer.json()["predictions"] == (
                pytest.approx(expected) if package is prices else expected
            )
    for path in ("/models/prices/8/invocations", "/models/price/invocations"):
        answer = post(both, path, b"{}")
        assert answer.status_code == 404
        assert answer.json()["message"].endswith("this is credit version 1, prices version 7.")
    assert get(both, "/models/prices/invocations").status_code == 405


def test_tensors_for_each(both: Running) -> None:
    with triton.InferenceServerClient(both.url.removeprefix("http://")) as asking:
        index = asking.get_model_repository_index()
        assert [(m["name"], m["version"], m["state"]) for m in index] == [
            ("credit", "1", "READY"),
            ("prices", "7", "READY"),
        ]
        assert asking.is_model_ready("prices", "7")
        assert not asking.is_model_ready("prices", "1")
        assert [i["name"] for i in asking.get_model_metadata("prices")["inputs"]] == [
            "size",
            "year",
        ]
        given = []
        for name in ("size", "year"):
            tensor = triton.InferInput(name, [2], "FP64")
            tensor.set_data_from_numpy(np.array([1.0, 2.0]))
            given.append(tensor)
        found = asking.infer("prices", given)
        np.testing.assert_allclose(found.as_numpy("predict"), [3.0, 6.0], atol=1e-6)


def test_what_is_said_of_both(both: Running, proven: Path, prices: Path) -> None:
    post(both, "/invocations", manifest.example(proven))
    post(both, "/models/prices/invocations", manifest.example(prices))
    content = get(both, "/metadata").json()
    assert content["model"] == "credit/1"
    assert [one["model"] for one in content["models"]] == ["credit/1", "prices/7"]
    assert [one["runtime"] for one in content["models"]] == ["onnx", "onnx"]
    found = samples(get(both, "/metrics").text)
    for model in ("credit/1", "prices/7"):
        assert of(found, "rows_total", model=model, protocol="mlflow") > 0
        assert of(found, "ready", model=model) == 1
    description = get(both, "/openapi.json").json()
    validate(description, cls=OpenAPIV31SpecValidator)
    path = "/models/prices/7/invocations"
    example = description["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert post(both, path, json.dumps(example["example"]).encode()).status_code == 200
    assert "Serving prices/7 at http://" in both.log.read_text()


def test_each_has_a_capture_of_its_own(both: Running, prices: Path) -> None:
    place: Path = both.capture  # type: ignore[attr-defined]
    own = place.with_name("capture-prices-7")
    post(both, "/models/prices/invocations", manifest.example(prices))
    until(lambda: own.is_dir() and len(captured.features(own)) > 0)
    assert "size" in captured.features(own)


def test_one_that_is_not_ready() -> None:
    server = Server(
        Service(scripted.Scripted(), scripted.EXAMPLE),
        {"model": "a/1"},
        beside=[Beside(Service(scripted.Scripted(), scripted.EXAMPLE), {"model": "b/2"})],
        most_waiting=-1,
    )
    server.models[0].worker.most_waiting = 1
    client = TestClient(server.app())
    assert client.get("/v2/models/a/ready").status_code == 200
    assert client.get("/v2/models/b/ready").status_code == 503
    assert client.get("/readyz").json()["message"].startswith("b/2: ")
    assert client.post("/v2/repository/index").json()[1]["state"] == "UNAVAILABLE"
    assert client.get("/ping").status_code == 200


def test_the_same_model_twice() -> None:
    service = Service(scripted.Scripted(), scripted.EXAMPLE)
    with pytest.raises(WrongUsage, match="The model a/1 is named twice"):
        Server(service, {"model": "a/1"}, beside=[Beside(service, {"model": "a/1"})])


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlops_magics.serving", *words],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_one_that_does_not_load(proven: Path, prices: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(prices, copy)
    (copy / "model" / "model.skops").write_bytes(b"something else")
    about = json.loads((copy / manifest.FILE).read_text())
    about["files"] = manifest.hashes(copy)
    about["digest"] = manifest.overall(about["files"])
    (copy / manifest.FILE).write_text(json.dumps(about))
    done = run(str(proven), str(copy), "--port", "0", "--runtime", "native")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert f"Nothing is served because of {copy}. The model of {copy} can't be loaded (" in line
    done = run(str(proven), str(tmp_path / "nothing"), "--port", "0")
    assert done.returncode == 2
    assert "is no package" in done.stderr


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificates.made(tmp_path_factory.mktemp("tls"))


def test_https(proven: Path, certificate: tuple[Path, Path]) -> None:
    port = free_port()
    cert, key = map(str, certificate)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlops_magics.serving", str(proven), "--port", str(port)),
            *("--tls-cert", cert, "--tls-key", key),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = f"https://localhost:{port}"
        context = ssl.create_default_context(cafile=cert)
        with httpx.Client(verify=context, trust_env=False) as client:

            def is_up() -> bool:
                try:
                    return client.get(f"{url}/ping").status_code == 200
                except httpx.ConnectError:
                    return False

            until(is_up)
            heads = {"content-type": "application/json"}
            example = manifest.example(proven)
            answer = client.post(f"{url}/invocations", content=example, headers=heads)
            assert answer.json() == manifest.answers(proven)
        with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as stranger:
            stranger.get(f"{url}/ping")
    finally:
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert f"Serving credit/1 at https://127.0.0.1:{port}" in said


def test_what_is_no_certificate(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    cert, key = certificate
    assert tls.files(None, None) == {}
    wrong: list[tuple[Any, Any, str]] = [
        (cert, None, "needs a certificate and its key"),
        (None, key, "needs a certificate and its key"),
        (tmp_path / "no.pem", key, "no.pem can't be read: No such file"),
        (cert, tmp_path, "can't be read: Is a directory"),
        (key, cert, "are no certificate and its key"),
    ]
    for first, second, words in wrong:
        with pytest.raises(WrongUsage, match=words):
            tls.files(first, second)
    locked = tmp_path / "locked.pem"
    held = serialization.load_pem_private_key(key.read_bytes(), None)
    locked.write_bytes(
        held.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(WrongUsage, match="without a password"):
        tls.files(cert, locked)
    done = run(".", "--tls-cert", str(tmp_path / "no.pem"), "--tls-key", str(key))
    assert done.returncode == 2
    assert "can't be read: No such file or directory." in done.stderr
