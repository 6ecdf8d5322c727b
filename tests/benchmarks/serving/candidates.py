"""The servers of the comparison: how each is started, and what it is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.serving.credit_models import TRAINING, Made, csv

NAMES = ("ours", "unbatched", "constant", "mlflow", "bentoml", "mlserver")
#: What is installed for those that are not ours.
PACKAGES = {
    "bentoml": ("bentoml>=1.4,<1.5", "scikit-learn", "pandas"),
    "mlserver": ("mlserver", "mlserver-sklearn", "pandas"),
}

BENTO = """
import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1)
class Credit:
    def __init__(self):
        self.model = joblib.load("model.joblib")

    @bentoml.api
    def predict(self, rows: list[dict]) -> list[int]:
        return self.model.predict(pd.DataFrame(rows)).tolist()
"""

CONSTANT = """
import sys

import uvicorn

BODY = b'{"predictions":[1]}'
HEADS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADS})
    await send({"type": "http.response.body", "body": BODY})


uvicorn.run(
    app, port=int(sys.argv[1]), ws="none", access_log=False, log_config=None,
    log_level="warning", server_header=False,
)
"""


@dataclass(frozen=True)
class Candidate:
    """A server.

    Attributes
    ----------
    command : callable
        Port → the command.
    ready : str
        The path that says 200 when it would answer.
    """

    name: str
    folder: Path
    command: Callable[[int], list[str]]
    path: str
    body: bytes
    ready: str = "/ping"
    environment: Mapping[str, str] = field(default_factory=dict)


def of(made: Made, names: Sequence[str], venvs: Path, place: Path) -> Iterator[Candidate]:
    """Those of `names` that are compared for a model."""
    others = [] if made.name == "native" else ["constant", "mlflow", "bentoml", "mlserver"]
    for name in names:
        if name in ("ours", *(["unbatched"] if made.name == "native" else others)):
            yield _MAKERS[name](made, venvs, place)


def _split(made: Made) -> bytes:
    table = {"columns": list(made.row), "data": [list(made.row.values())]}
    return json.dumps({"dataframe_split": table}).encode()


def _ours(made: Made, venvs: Path, place: Path, *options: str, name: str = "ours") -> Candidate:
    def command(port: int) -> list[str]:
        capture = place / f"{made.name}-{name}-{port}.db"
        return [
            *(sys.executable, "-m", "mlops_magics.serving", ".", "--port", str(port)),
            *("--capture", str(capture), *options),
        ]

    return Candidate(name, made.package, command, "/invocations", _split(made))


def _unbatched(made: Made, venvs: Path, place: Path) -> Candidate:
    return _ours(made, venvs, place, "--no-batching", name="unbatched")


def _constant(made: Made, venvs: Path, place: Path) -> Candidate:
    (place / "constant.py").write_text(CONSTANT)

    def command(port: int) -> list[str]:
        return [sys.executable, "constant.py", str(port)]

    return Candidate("constant", place, command, "/invocations", _split(made))


def _mlflow(made: Made, venvs: Path, place: Path) -> Candidate:
    def command(port: int) -> list[str]:
        return [
            *(sys.executable, "-m", "mlflow", "models", "serve", "-m", str(made.saved)),
            *("--env-manager", "local", "-p", str(port), "--workers", "1"),
        ]

    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    return Candidate("mlflow", place, command, "/invocations", _split(made), environment=quiet)


def _bentoml(made: Made, venvs: Path, place: Path) -> Candidate:
    folder, python = _elsewhere("bentoml", made, venvs, place)
    (folder / "service.py").write_text(BENTO)

    def command(port: int) -> list[str]:
        serve = ("-m", "bentoml", "serve", "service:Credit", "--host", "127.0.0.1")
        return [str(python), *serve, "--port", str(port)]

    body = json.dumps({"rows": [made.row]}).encode()
    quiet = {"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(folder)}
    return Candidate("bentoml", folder, command, "/predict", body, "/readyz", quiet)


def _mlserver(made: Made, venvs: Path, place: Path) -> Candidate:
    folder, python = _elsewhere("mlserver", made, venvs, place)
    about = {
        "name": "credit",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib", "version": "1"},
    }
    (folder / "model-settings.json").write_text(json.dumps(about))

    def command(port: int) -> list[str]:
        settings = {
            "host": "127.0.0.1",
            "http_port": port,
            "grpc_port": port + 1,
            "parallel_workers": 0,
            "metrics_endpoint": None,
            "use_structured_logging": False,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        return [str(python.with_name("mlserver")), "start", "."]

    inputs = [_tensor(name, value) for name, value in made.row.items()]
    body = json.dumps({"parameters": {"content_type": "pd"}, "inputs": inputs}).encode()
    return Candidate(
        "mlserver", folder, command, "/v2/models/credit/infer", body, "/v2/models/credit/ready"
    )


def _tensor(name: str, value: Any) -> dict[str, Any]:
    kinds = {int: "INT64", float: "FP64", str: "BYTES"}
    tensor = {"name": name, "shape": [1], "datatype": kinds[type(value)], "data": [value]}
    return {**tensor, "parameters": {"content_type": "str"}} if type(value) is str else tensor


def _elsewhere(name: str, made: Made, venvs: Path, place: Path) -> tuple[Path, Path]:
    """A folder with the model, trained in an environment that has such a server."""
    python = venvs / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venvs / name)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", *PACKAGES[name]]
        subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
    folder = place / f"{made.name}-{name}"
    folder.mkdir()
    (folder / "training.py").write_text(TRAINING)
    words = [str(python), "training.py", made.name, str(csv()), "model.joblib"]
    subprocess.run(words, check=True, cwd=folder)
    return folder, python


_MAKERS: Mapping[str, Callable[[Made, Path, Path], Candidate]] = {
    "ours": _ours,
    "unbatched": _unbatched,
    "constant": _constant,
    "mlflow": _mlflow,
    "bentoml": _bentoml,
    "mlserver": _mlserver,
}
