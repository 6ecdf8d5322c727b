"""A package for the targets, and no server left behind by a failing test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mlops_magics.errors import MlopsError
from mlops_magics.records import Package
from mlops_magics.serving import manifest
from mlops_magics.targets import state
from mlops_magics.verbs import packaging
from tests.containers import Engines
from tests.serving import models
from tests.targets import bundles, images


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, credit_csv: Path) -> Package:
    folder = tmp_path_factory.mktemp("package")
    saved = models.credit_model(pd.read_csv(credit_csv), folder / "model")
    place = models.package(saved, folder / "credit-1")
    return packaging.record_of(manifest.checked(place), place, replayed=True)


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory, credit_csv: Path) -> Package:
    """The next version: it says the opposite."""
    folder = tmp_path_factory.mktemp("second")
    credit = pd.read_csv(credit_csv)
    opposite = credit.assign(Status=credit["Status"].map({"good": "bad", "bad": "good"}))
    saved = models.credit_model(opposite, folder / "model")
    place = models.package(saved, folder / "credit-2", "credit/2")
    return packaging.record_of(manifest.checked(place), place, replayed=True)


#: A server that passes its smoke test and then does what it should not.
UNRULY = """
import http.server, os, pathlib, socket, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(200, b"{}")

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        right = pathlib.Path("expected_answers.json").read_bytes()
        if self.headers.get("x-client-id") != "mlops-smoke-test":
            BEHAVIOUR
        self.answer(200, right)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, False)
server.socket = socket.socket(fileno=int(sys.argv[sys.argv.index("--own-fd") + 1]))
server.serve_forever()
"""


@pytest.fixture
def unruly(package: Package, tmp_path: Path) -> Callable[[str], Package]:
    """A function that makes a package whose server behaves in a way of its own."""

    def make(behaviour: str) -> Package:
        place = tmp_path / "unruly"
        shutil.copytree(package.path, place)
        text = UNRULY.replace("BEHAVIOUR", behaviour)
        (place / "mlops_magics" / "serving" / "__main__.py").write_text(text)
        return replace(package, path=str(place), model="credit/2")

    return make


@pytest.fixture(scope="session")
def bundle(package: Package, tmp_path_factory: pytest.TempPathFactory, credit_csv: Path) -> Package:
    """The same model as a graph with a runner."""
    return bundles.of(package, tmp_path_factory.mktemp("bundle"), pd.read_csv(credit_csv))


@pytest.fixture(scope="session")
def image(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The same model in an image."""
    return images.of(package, tmp_path_factory)


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """An engine with a store of its own."""
    with images.engine(tmp_path_factory.mktemp("engine")) as own:
        yield own


@pytest.fixture(autouse=True)
def nothing_left(project: Path) -> Iterator[None]:
    yield
    for name in state.names():
        try:
            deployment = state.find(name)
        except MlopsError:
            continue
        if deployment.status != "stopped":
            state.target(deployment.target).undeploy(deployment)
