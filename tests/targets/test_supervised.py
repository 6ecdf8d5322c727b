"""What a supervisor does for a deployment: started again, given up, replaced under load."""

from __future__ import annotations

import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from mlops_magics.errors import StepFailed
from mlops_magics.records import Deployment, Package
from mlops_magics.serving import captured, client, manifest
from mlops_magics.targets import state
from mlops_magics.targets.local import LocalTarget
from tests.targets.loads import Load, runs, until

target = LocalTarget()


def deployed(package: Package, **options: Any) -> Deployment:
    deployment = target.deploy(package, name="credit", **options)
    state.save(deployment)
    return deployment


def test_replaced_under_load_no_request_fails(package: Package, second: Package) -> None:
    before, after = (manifest.answers(Path(p.path)) for p in (package, second))
    assert before != after
    first = deployed(package)
    idle = httpx.Client()
    assert idle.get(f"{first.url}/ping").status_code == 200
    with Load(first.url, manifest.example(Path(package.path))) as load:
        now = deployed(second)
        until(lambda: load.replies[-1][1].json() == after)
        count = len(load.replies)
        until(lambda: len(load.replies) > count + 100)
    assert not load.errors
    assert {reply.status_code for _, reply in load.replies} == {200}
    answers = load.answers()
    assert answers[0] == before
    assert all(answer == after for answer in answers[-100:])
    assert all(answer in (before, after) for answer in answers)
    # Every connection of the old one ended by an answer that said so, or was left open for a while.
    closed = [r for _, r in load.replies if r.headers.get("connection") == "close"]
    assert len(closed) >= load.clients
    assert all(reply.json() == before for reply in closed)
    assert idle.get(f"{first.url}/ping").status_code == 200
    assert (now.url, now.pid != first.pid) == (first.url, True)
    until(lambda: not runs(first.pid))
    assert target.status(now).status == "up"


def test_what_does_not_come_up_leaves_the_old_one(
    package: Package, second: Package, tmp_path: Path
) -> None:
    first = deployed(package)
    broken = tmp_path / "broken"
    shutil.copytree(second.path, broken)
    (broken / "model" / "model.skops").write_bytes(b"")
    for port in (0, int(first.url.rpartition(":")[2])):
        with pytest.raises(StepFailed, match=r"model/model\.skops was changed"):
            target.deploy(replace(second, path=str(broken)), name="credit", port=port)
    now = target.status(first)
    assert (now.status, now.url, now.pid) == ("up", first.url, first.pid)
    supervisor = psutil.Process(now.details["supervisor"])
    assert [child.pid for child in supervisor.children()] == [first.pid]


def test_killed_in_mid_load_it_comes_back(package: Package, tmp_path: Path) -> None:
    first = deployed(package, capture=tmp_path / "capture.db")
    assert first.pid is not None
    with Load(first.url, manifest.example(Path(package.path))) as load:
        time.sleep(1.5)
        killed = time.time()
        os.kill(first.pid, signal.SIGKILL)
        until(lambda: load.replies[-1][0] > killed + 0.5)
        count = len(load.replies)
        until(lambda: len(load.replies) > count + 100)
    # What was in work is lost; whoever came then waited for the new server.
    assert len(load.errors) <= load.clients
    assert {reply.status_code for _, reply in load.replies} == {200}
    client.settle(first.url)
    kept = set(captured.read(tmp_path / "capture.db")["request_id"])
    lost = [at for at, reply in load.replies if reply.headers["x-request-id"] not in kept]
    assert all(killed - 1.5 < at <= killed + 0.5 for at in lost)
    now = state.find("credit")
    assert (now.status, now.url, now.details["restarts"]) == ("up", first.url, 1)
    assert now.pid != first.pid
    texts = [event["text"] for event in now.details["events"]]
    assert f"The server of credit/1 (process {first.pid}) ended by SIGKILL." in texts
    assert f"The server of credit/1 (process {now.pid}) was started again." in texts
    assert f"(process {first.pid}) ended by SIGKILL" in target.logs(now)


def test_one_that_ends_again_and_again_is_given_up(package: Package, tmp_path: Path) -> None:
    fragile = tmp_path / "fragile"
    shutil.copytree(package.path, fragile)
    main = fragile / "mlops_magics" / "serving" / "__main__.py"
    ill = tmp_path / "ill"
    text = f"import os\nif os.path.exists({str(ill)!r}):\n    raise SystemExit('ill')\n"
    future = "from __future__ import annotations\n"
    main.write_text(main.read_text().replace(future, future + text, 1))
    files = manifest.hashes(fragile)
    made = manifest.read(fragile)
    replace(made, files=files, digest=manifest.overall(files)).write(fragile)
    first = deployed(replace(package, path=str(fragile)))
    ill.touch()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: "started again" in state.find("credit").reason)
    assert state.find("credit").status == "down"
    until(lambda: "given up" in state.find("credit").reason)
    now = state.find("credit")
    assert now.reason.startswith("It was given up after 5 crashes in a row. The server of credit/1")
    assert "ended with exit code 1" in now.reason
    assert "its log ends with: ill" in now.reason
    until(lambda: not runs(now.details["supervisor"]))
    with pytest.raises(httpx.ConnectError):  # nobody is kept waiting for it
        httpx.get(first.url)
    # Put right it is deployed as before, at the same address.
    ill.unlink()
    assert deployed(replace(package, path=str(fragile))).url == first.url


def test_a_package_that_is_taken_away_and_put_back(package: Package, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(package.path, moved)
    first = deployed(replace(package, path=str(moved)))
    moved.rename(tmp_path / "elsewhere")
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: "can't be started" in state.find("credit").reason)
    (tmp_path / "elsewhere").rename(moved)
    until(lambda: state.find("credit").status == "up")
    assert state.find("credit").details["supervisor"] == first.details["supervisor"]


def test_without_its_supervisor_it_goes_on_and_says_so(package: Package) -> None:
    first = deployed(package)
    os.kill(first.details["supervisor"], signal.SIGKILL)
    until(lambda: state.find("credit").reason)
    now = state.find("credit")
    assert now.status == "up"
    assert now.reason == (
        f"Its supervisor (process {first.details['supervisor']}) is gone: should it end, nobody "
        "starts it again."
    )
    assert client.ping(first.url)
    # Deployed again it has a supervisor; the server that had none is gone.
    again = deployed(package)
    assert again.url == first.url
    assert not runs(first.pid)
    os.kill(again.details["supervisor"], signal.SIGKILL)
    assert target.undeploy(again).status == "stopped"
    assert not runs(again.pid)
    assert target.status(again).status == "down"


def test_it_is_light(package: Package) -> None:
    first = deployed(package)
    supervisor = psutil.Process(first.details["supervisor"])
    loaded = [part.path for part in supervisor.memory_maps()]
    assert any("psutil" in path for path in loaded)
    assert not any("numpy" in path or "pandas" in path for path in loaded)
    assert supervisor.memory_info().rss < 40 << 20
