"""The server as it runs: in a process of its own, from a package."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from mlops_magics.errors import BadData
from mlops_magics.serving import captured, client, manifest


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def ask(self, body: bytes) -> client.Reply:
        return client.ask(self.url, body)


def until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 30 s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(package: Path, *options: str) -> Iterator[Running]:
    """Start as the package's README says, with nothing but its folder as the way to the code."""
    port = free_port()
    log = package.parent / f"{package.name}-{port}.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlops_magics.serving", ".", "--port", str(port), *options],
            cwd=package,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=output,
            stderr=output,
        )
    running = Running(process, f"http://127.0.0.1:{port}", log)
    try:
        until(lambda: process.poll() is not None or client.ping(running.url))
        yield running
    finally:
        process.kill()
        process.wait()


def captured_rows(file: Path) -> int:
    try:
        return len(captured.read(file))
    except BadData:
        return -1


def test_it_answers_captures_and_drains(package: Path, tmp_path: Path) -> None:
    file = tmp_path / "capture.db"
    example = manifest.example(package)
    with serving(package, "--capture", str(file), "--name", "credit") as server:
        reply = server.ask(example)
        assert reply.content == manifest.answers(package)
        about = httpx.get(f"{server.url}/metadata", trust_env=False).json()
        assert (about["name"], about["model"]) == ("credit", "credit/1")
        assert about["digest"] == manifest.read(package).model_digest
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert "/mlflow/" not in maps
        assert "sklearn" in maps
        # A request that is being answered when SIGTERM comes still gets its answer.
        body = json.loads(example)
        table = body["dataframe_split"]
        table["data"] = table["data"] * 20_000
        table.pop("index", None)
        large = json.dumps(body).encode()
        replies: list[client.Reply] = []
        asking = threading.Thread(target=lambda: replies.append(server.ask(large)))
        asking.start()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        asking.join()
        assert server.process.wait(20) == 0
        assert len(replies[0].content["predictions"]) == len(table["data"])
        assert "Traceback" not in server.log.read_text()
        # What was captured was written before the end.
        assert captured_rows(file) == 2


def test_killed_it_keeps_what_was_captured(package: Path, tmp_path: Path) -> None:
    file = tmp_path / "capture.db"
    example = manifest.example(package)
    with serving(package, "--capture", str(file)) as server:
        ids = [server.ask(example).request_id for _ in range(5)]
        until(lambda: captured_rows(file) == 5)
        server.process.kill()
        server.process.wait()
        assert captured.read(file)["request_id"].tolist() == ids
        assert len(captured.features(file)) == 5 * len(
            json.loads(example)["dataframe_split"]["data"]
        )


def test_a_full_disk_under_capture_stops_no_answer(package: Path, tmp_path: Path) -> None:
    file = tmp_path / "capture.db"
    example = manifest.example(package)
    with serving(package, "--capture", str(file)) as server:
        server.ask(example)
        until(lambda: captured_rows(file) == 1)
        # No file of this process may grow beyond this any more, as on a full disk.
        limit = max(f.stat().st_size for f in (tmp_path / "capture").iterdir()) + 100
        _, hard = psutil.Process(server.process.pid).rlimit(resource.RLIMIT_FSIZE)
        psutil.Process(server.process.pid).rlimit(resource.RLIMIT_FSIZE, (limit, hard))

        def state() -> dict[str, object]:
            answer = httpx.get(f"{server.url}/metadata", trust_env=False).json()
            found: dict[str, object] = answer["capture"]
            return found

        def fails() -> bool:
            assert server.ask(example).status == 200
            return bool(state()["error"])

        until(fails)
        assert state()["dropped"] != 0
        assert server.ask(example).content == manifest.answers(package)
        psutil.Process(server.process.pid).rlimit(resource.RLIMIT_FSIZE, (hard, hard))
        server.ask(example)
        until(lambda: not state()["error"])
        assert "Capture works again" in server.log.read_text()


def test_two_servers_at_once(package: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "capture.db")
    example = manifest.example(package)
    with (
        serving(package, "--capture", file) as one,
        serving(package, "--capture", file) as other,
    ):
        ids = {s.ask(example).request_id for s in (one, other) for _ in range(3)}
        until(lambda: captured_rows(Path(file)) == 6)
        assert set(captured.read(Path(file))["request_id"]) == ids


def test_the_port_is_taken(package: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        done = _run(package, "--port", port)
    assert done.returncode == 2
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .endswith(
            f"Port {port} of 127.0.0.1 can't be used: Address already in use. "
            "Take another with --port; 0 takes a free one."
        )
    )


def test_wider_than_this_machine_needs_a_token_or_a_word(package: Path) -> None:
    done = _run(package, "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "can be reached from other machines. Set MLOPS_SERVING_TOKEN" in done.stderr


def test_a_folder_that_is_no_package(tmp_path: Path) -> None:
    done = _run(tmp_path, "--port", "0")
    assert done.returncode == 2
    assert "is no package: it has no package.json" in done.stderr
    assert "Traceback" not in done.stderr


def _run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlops_magics.serving", str(folder), *options],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.slow
def test_the_same_answers_as_mlflow_models_serve(package: Path) -> None:
    """MLflow's real command, on the model inside the package."""
    port = free_port()
    theirs = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "models", "serve", "-m", str(package / "model")),
            *("--env-manager", "local", "-p", str(port)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: theirs.poll() is not None or client.ping(url))
        example = manifest.example(package)
        table = json.loads(example)["dataframe_split"]
        records = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
        with serving(package) as ours:
            for body in (
                example,
                json.dumps({"dataframe_records": records}).encode(),
                json.dumps({"inputs": records[0]}).encode(),
                json.dumps({"instances": records}).encode(),
                json.dumps({"inputs": table["data"]}).encode(),
                b"{}",
            ):
                got, wanted = ours.ask(body), client.ask(url, body)
                assert got.status == wanted.status
                assert got.status != 200 or got.content == wanted.content
    finally:
        os.killpg(theirs.pid, signal.SIGKILL)
        theirs.wait()
