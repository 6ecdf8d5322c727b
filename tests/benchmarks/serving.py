"""The prediction server against `mlflow models serve`: ``python tests/benchmarks/serving.py``.

Same models, one worker each, on the loopback interface, one after the other on an idle port:
a pipeline with logistic regression and one with a forest of 100 trees, on the credit data.
Ours captures every request; theirs can't. Requests are single rows of JSON, sent by `wrk` where
it is installed and by httpx in threads otherwise. Takes about two minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

STARTS = 3
SECONDS = 5
WARM = 30
SINGLE = 200
CONNECTIONS = 16


@dataclass(frozen=True)
class Measured:
    cold_s: float
    p50_ms: float
    per_s: float
    rss_mb: float


def main() -> None:
    warnings.simplefilter("ignore")
    place = Path(tempfile.mkdtemp())
    try:
        print("model     server    cold s   p50 ms   req/s   RSS MB")
        for name, (model, package) in _models(place).items():
            found = {}
            for server, command in (
                ("mlflow", _mlflow(model)),
                ("ours", _ours(package, place / f"{name}.db")),
            ):
                found[server] = one = _measure(command, model, package)
                print(
                    f"{name:9} {server:9} {one.cold_s:6.2f} {one.p50_ms:8.2f} {one.per_s:7.0f} "
                    f"{one.rss_mb:8.0f}"
                )
            ours, theirs = found["ours"], found["mlflow"]
            print(
                f"{name:9} ratio     cold {ours.cold_s / theirs.cold_s:.2f} ×, "
                f"p50 {ours.p50_ms / theirs.p50_ms:.2f} ×, "
                f"requests {ours.per_s / theirs.per_s:.1f} ×, "
                f"memory {ours.rss_mb / theirs.rss_mb:.2f} ×"
            )
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _models(place: Path) -> dict[str, tuple[Path, Path]]:
    """Each saved as the store does it, and packaged."""
    import mlflow.sklearn
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from mlops_magics.flavors.sklearn import SklearnFlavor
    from mlops_magics.serving.package import assembling

    table = pd.read_csv(Path(str(files("mlops_magics"))) / "data" / "credit_data.csv")
    table = table.dropna(subset=["Status"])
    X, y = table.drop(columns=["Status"]), table["Status"]
    numbers = X.select_dtypes("number").columns.tolist()
    words = [c for c in X.columns if c not in numbers]
    made = {}
    for name, estimator in (
        ("logistic", LogisticRegression()),
        ("forest", RandomForestClassifier(100, random_state=0)),
    ):
        model = make_pipeline(
            make_column_transformer(
                (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
                (OneHotEncoder(handle_unknown="ignore"), words),
            ),
            estimator,
        ).fit(X, y)
        flavor = SklearnFlavor()
        mlflow.sklearn.save_model(
            path=place / name,
            signature=infer_signature(X, model.predict(X)),
            input_example=X.head(1),
            pip_requirements=flavor.packages(model),
            **flavor.saving(model, place).arguments,
        )
        about = {"model": f"{name}/1", "run_id": "", "commit": "", "created": ""}
        assembling.assemble(place / name, place / f"{name}-1", about, "3.11")
        made[name] = (place / name, place / f"{name}-1")
    return made


def _ours(package: Path, capture: Path) -> Callable[[int], list[str]]:
    return lambda port: [
        *(sys.executable, "-m", "mlops_magics.serving", str(package), "--port", str(port)),
        *("--capture", str(capture)),
    ]


def _mlflow(model: Path) -> Callable[[int], list[str]]:
    return lambda port: [
        *(sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model)),
        *("--env-manager", "local", "-p", str(port), "--workers", "1"),
    ]


def _measure(command: Callable[[int], list[str]], model: Path, package: Path) -> Measured:
    from mlops_magics.serving import manifest

    body = manifest.example(package)
    assert len(json.loads(body)["dataframe_split"]["data"]) == 1
    colds = []
    for number in range(STARTS):
        process, url, cold = _start(command, package)
        colds.append(cold)
        if number < STARTS - 1:
            _stop(process)
    try:
        for _ in range(WARM):
            _post(url, body)
        p50 = _single(url, body)
        per_s = _many(url, body)
        rss = _memory(process.pid)
    finally:
        _stop(process)
    return Measured(statistics.median(colds), p50, per_s, rss)


def _start(
    command: Callable[[int], list[str]], folder: Path
) -> tuple[subprocess.Popen[bytes], str, float]:
    import socket

    from mlops_magics.serving import client

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen(
        command(port),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    while not client.ping(url, timeout=1):
        if process.poll() is not None or time.perf_counter() - began > 120:
            raise SystemExit(f"It did not start: {' '.join(command(port))}")
        time.sleep(0.01)
    return process, url, time.perf_counter() - began


def _stop(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _post(url: str, body: bytes) -> None:
    from mlops_magics.serving import client

    assert client.ask(url, body).status == 200


def _single(url: str, body: bytes) -> float:
    """Median ms of one request after the other on a kept connection."""
    import httpx

    took = []
    with httpx.Client(trust_env=False) as client:
        for _ in range(SINGLE):
            began = time.perf_counter()
            headers = {"content-type": "application/json"}
            client.post(f"{url}/invocations", content=body, headers=headers)
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def _many(url: str, body: bytes) -> float:
    """Requests per second over `CONNECTIONS` kept connections."""
    if shutil.which("wrk") is None:
        return _many_by_threads(url, body)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\n")
        script.write(f"wrk.body = [==[{body.decode()}]==]\n")
        script.flush()
        done = subprocess.run(
            [
                *("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--timeout", "20s"),
                *("-s", script.name, f"{url}/invocations"),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    assert "Non-2xx" not in done.stdout, done.stdout
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])  # type: ignore[index]


def _many_by_threads(url: str, body: bytes) -> float:
    import httpx

    counts: list[int] = []
    until = time.perf_counter() + SECONDS

    def ask() -> None:
        count = 0
        headers = {"content-type": "application/json"}
        with httpx.Client(trust_env=False) as client:
            while time.perf_counter() < until:
                assert client.post(f"{url}/invocations", content=body, headers=headers).is_success
                count += 1
        counts.append(count)

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def _memory(pid: int) -> float:
    """MB of the server's largest process: `mlflow models serve` starts others around it."""
    import psutil

    whole = psutil.Process(pid)
    family: list[Any] = [whole, *whole.children(recursive=True)]
    return max(p.memory_info().rss for p in family) / 1e6


if __name__ == "__main__":
    main()
