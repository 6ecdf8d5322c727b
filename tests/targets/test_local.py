"""Deployments on this machine, and all that can happen to them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from mlops_magics.errors import StepFailed, WrongUsage
from mlops_magics.records import Package
from mlops_magics.serving import client, manifest
from mlops_magics.targets import local, plans, state, supervisor
from mlops_magics.targets.local import LocalTarget
from mlops_magics.targets.supervision import Supervision

target = LocalTarget()


def test_it_outlives_who_started_it(package: Package, project: Path) -> None:
    code = f"""
        from mlops_magics.records import Package
        from mlops_magics.targets import state
        from mlops_magics.targets.local import LocalTarget
        package = Package(model="credit/1", kind="folder", path={package.path!r}, digest="", size=0)
        deployment = LocalTarget().deploy(package, name="credit")
        state.save(deployment)
        print(deployment.url, deployment.pid)
    """
    starter = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    out, _ = starter.communicate(timeout=120)
    url, pid = out.split()
    # The whole session of the starter ends, as when a notebook server is stopped.
    with pytest.raises(ProcessLookupError):
        os.killpg(starter.pid, signal.SIGKILL)
    assert client.ping(url)
    deployment = state.find("credit")
    assert (deployment.status, str(deployment.pid)) == ("up", pid)
    assert psutil.Process(int(pid)).terminal() is None
    assert target.undeploy(deployment).status == "stopped"
    assert not client.ping(url)


def test_a_port_that_is_taken(package: Package) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(WrongUsage) as caught:
            target.deploy(package, name="credit", port=port)
    assert f"Port {port} is taken by process {os.getpid()} (" in caught.value.message
    assert "Take another, for example --port " in caught.value.hint
    with pytest.raises(WrongUsage, match="70000 is no port"):
        target.deploy(package, name="credit", port=70000)


def test_a_port_of_ones_own(package: Package) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    deployment = target.deploy(package, name="credit", port=port)
    state.save(deployment)
    assert deployment.url == f"http://127.0.0.1:{port}"
    target.undeploy(deployment)
    # The port is free again at once, and taken again by who had it.
    again = target.deploy(package, name="credit")
    assert again.url == deployment.url
    assert target.undeploy(again).status == "stopped"


def test_a_hanging_one_is_down_and_says_so(package: Package) -> None:
    deployment = target.deploy(package, name="credit")
    state.save(deployment)
    assert deployment.pid is not None
    os.kill(deployment.pid, signal.SIGSTOP)
    seen = state.find("credit")
    assert seen.status == "down"
    assert seen.reason == f"Process {deployment.pid} is alive and does not answer."
    # It takes no SIGTERM now; it is killed after a while.
    target.undeploy(deployment)
    assert not psutil.pid_exists(deployment.pid)


def test_numbers_that_mean_other_processes_now(package: Package) -> None:
    deployment = target.deploy(package, name="credit")
    state.save(deployment)
    supervision = Supervision.last(state.folder("credit"))
    assert supervision is not None
    right = supervision.report
    (server,) = right.servers
    pids = [right.pid, right.servers[server]["pid"]]
    wrong = plans.Report(**asdict(right))
    wrong.created -= 100
    wrong.servers = {server: {**right.servers[server], "created": right.created - 100}}
    try:
        wrong.write(supervision.place)
        assert target.status(deployment).status == "down"
        target.undeploy(deployment)
        # Not ours, as far as anyone knows: left alone.
        assert all(psutil.pid_exists(pid) for pid in pids)
    finally:
        right.write(supervision.place)
        target.undeploy(deployment)
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_package_that_can_not_start(package: Package, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(package.path, broken)
    (broken / "model" / "model.skops").write_bytes(b"")
    with pytest.raises(StepFailed) as caught:
        target.deploy(replace(package, path=str(broken)), name="credit")
    assert "ended with exit code 5; its log ends with:" in caught.value.message
    assert "model/model.skops was changed" in caught.value.message
    assert Path(caught.value.hint.removeprefix("Its log: ")).read_text()


def test_one_that_takes_too_long(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    shutil.copytree(package.path, slow)
    (slow / "mlops_magics" / "serving" / "__main__.py").write_text(
        "import os, time\nprint(f'pid {os.getpid()} is asleep', flush=True)\ntime.sleep(600)\n"
    )
    monkeypatch.setattr(local, "PATIENCE", 3.0)
    with pytest.raises(StepFailed, match=r"not bring it up within 3 s; .* pid \d+ is asleep") as e:
        target.deploy(replace(package, path=str(slow)), name="credit")
    pid = int(e.value.message.split("pid ")[1].split()[0])
    assert not psutil.pid_exists(pid)


def test_without_an_example_it_is_up_and_untested(package: Package, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(package.path, plain)
    for name in (manifest.EXAMPLE, manifest.ANSWERS):
        (plain / name).unlink()
    files = manifest.hashes(plain)
    made = manifest.read(Path(package.path))
    replace(made, files=files, digest=manifest.overall(files)).write(plain)
    deployment = target.deploy(replace(package, path=str(plain)), name="credit")
    state.save(deployment)
    assert deployment.status == "up"
    assert deployment.warnings == (
        "The package has no input example, so the deployment was not smoke-tested.",
    )


def test_logs_are_kept_and_bounded(package: Package) -> None:
    place = state.folder("credit")
    place.mkdir(parents=True)
    for n in range(8):
        (place / f"server-{n:019d}.log").write_text("old")
    deployment = target.deploy(package, name="credit")
    state.save(deployment)
    assert len(list(place.glob("server-*.log"))) == supervisor.LOGS
    assert "INFO Serving credit/1 at http://127.0.0.1:" in target.logs(deployment)
    assert "SUPERVISOR credit/1 answers clients" in target.logs(deployment)
    target.undeploy(deployment)
    assert target.logs(deployment).splitlines()[-1].endswith("Stopped")
