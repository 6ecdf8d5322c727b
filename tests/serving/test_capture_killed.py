"""A server that is killed under load, and one whose disk is full: real processes, real disks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mlops_magics.serving import captured, manifest
from tests.serving.captures import until
from tests.serving.test_process import Running, serving

JSON = {"content-type": "application/json"}


class Load:
    """Clients that ask all the time; `answered` has each answer's id and when it came."""

    def __init__(self, server: Running, body: bytes, clients: int = 4) -> None:
        self.url, self.body = f"{server.url}/invocations", body
        self.answered: list[tuple[float, str]] = []
        self.failed = 0
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(trust_env=False) as client:
            while not self._done.is_set():
                try:
                    answer = client.post(self.url, content=self.body, headers=JSON)
                except httpx.HTTPError:
                    return
                self.failed += answer.status_code != 200
                self.answered.append((time.time(), answer.headers["x-request-id"]))


def test_killed_in_mid_load_it_loses_a_second_at_most(package: Path, tmp_path: Path) -> None:
    place, body = tmp_path / "capture", manifest.example(package)
    known: list[tuple[float, str]] = []
    for _ in range(2):  # the next server goes on with the same file
        with serving(package, "--capture", str(place)) as server, Load(server, body) as load:
            until(lambda load=load: len(load.answered) > 200)  # type: ignore[misc]
            time.sleep(1.5)
            killed = time.time()
            server.process.kill()
            server.process.wait()
        known += [(killed - at, name) for at, name in load.answered]
        kept = captured.read(place)["request_id"]
        assert kept.is_unique
        lost = [before for before, name in known if name not in set(kept)]
        assert all(before < 1 for before in lost)
    assert len(list(place.iterdir())) == 1
    # One that was captured and whose answer did not arrive any more was in work at that moment.
    assert len(set(kept) - {name for _, name in known}) <= 2 * 4


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a file system can only be mounted by root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(file: Path) -> None:
    """Leave no room on a file's disk."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(descriptor, b"x" * 4096):
            pass
    os.close(descriptor)


def test_a_disk_that_is_full_and_emptied_again(package: Path, small_disk: Path) -> None:
    place, body = small_disk / "capture", manifest.example(package)
    other = small_disk / "other"
    with serving(package, "--capture", str(place)) as server:

        def state() -> dict[str, object]:
            found: dict[str, object] = httpx.get(f"{server.url}/metadata", trust_env=False).json()[
                "capture"
            ]
            return found

        with Load(server, body) as load:
            until(lambda: state()["written"] != 0)
            fill(other)
            until(lambda: "No space left" in str(state()["error"]))
            count = len(load.answered)
            until(lambda: len(load.answered) > count + 50)
            until(lambda: state()["dropped"] != 0)
            whole = len(captured.read(place))  # it can be read all the time
            other.unlink()
            until(lambda: not state()["error"])
            until(lambda: len(captured.read(place)) > whole)
        assert load.failed == 0
    assert "Predictions go on" in server.log.read_text()
    assert "Capture works again" in server.log.read_text()
    kept = captured.read(place)["request_id"]
    assert kept.is_unique
    assert set(kept) <= {name for _, name in load.answered}
