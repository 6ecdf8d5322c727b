"""Containers by a real podman: shut in, supervised, and what is said when something is wrong."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_magics.errors import StepFailed, UnknownName, WrongUsage
from mlops_magics.records import Package
from mlops_magics.serving import captured, client, manifest
from mlops_magics.targets.container import ContainerTarget
from tests.containers import Docker, Engines

target = ContainerTarget()


def until(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 20 s")


def test_it_is_shut_in_captures_and_comes_back(
    image: Package, package: Package, podman: Engines, tmp_path: Path
) -> None:
    options = {"memory": "1g", "max-body": "1"}
    deployment = target.deploy(
        image, name="credit", capture=tmp_path / "capture.db", options=options
    )
    try:
        container = deployment.details["container"]
        assert deployment.url.startswith("http://127.0.0.1:")
        seen = json.loads(podman.run("podman", "inspect", container).stdout)[0]
        host = seen["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["Memory"] == 1 << 30
        assert seen["EffectiveCaps"] in ([], None)
        assert "no-new-privileges" in host["SecurityOpt"]
        assert podman.run("podman", "exec", container, "id", "-u").stdout.strip() == "10001"
        assert podman.run("podman", "exec", container, "touch", "/app/x", check=False).returncode
        assert podman.run("podman", "healthcheck", "run", container).returncode == 0
        assert client.ask(deployment.url, b"[" + b" " * (2 << 20) + b"]").status == 413
        body = manifest.example(Path(package.path))
        assert client.ask(deployment.url, body).content == manifest.answers(Path(package.path))
        client.settle(deployment.url)
        assert len(captured.read(Path(deployment.capture))) >= 1
        # Killed, it is started again by the engine, and answers at the same place.
        pid = json.loads(podman.run("podman", "inspect", container).stdout)[0]["State"]["Pid"]
        os.kill(pid, 9)
        until(lambda: target.status(deployment).details["restarts"] == 1)
        until(lambda: target.status(deployment).status == "up")
        assert client.ask(deployment.url, body).status == 200
        podman.run("podman", "pause", container)
        assert target.status(deployment).reason.endswith("is paused.")
        podman.run("podman", "unpause", container)
    finally:
        assert target.undeploy(deployment).status == "stopped"
    assert podman.run("podman", "image", "exists", image.tag).returncode == 0
    assert "has no container" in target.status(deployment).reason


def test_docker_too(
    image: Package, package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = Docker(tmp_path / "docker")
    try:
        for name, value in docker.environment.items():
            monkeypatch.setenv(name, value)
        options = {"engine": "docker", "memory": "1g"}
        deployment = target.deploy(
            image, name="credit", capture=tmp_path / "capture.db", options=options
        )
        container = deployment.details["container"]
        seen = json.loads(docker.run("inspect", container).stdout)[0]
        assert seen["HostConfig"]["ReadonlyRootfs"] is True
        assert seen["HostConfig"]["CapDrop"][0].lower() == "all"
        body = manifest.example(Path(package.path))
        assert client.ask(deployment.url, body).content == manifest.answers(Path(package.path))
        client.settle(deployment.url)
        assert len(captured.read(Path(deployment.capture))) >= 1
        os.kill(seen["State"]["Pid"], 9)
        until(lambda: target.status(deployment).details["restarts"] == 1)
        until(lambda: target.status(deployment).status == "up")
        until(
            lambda: (
                docker.run(
                    "inspect", "--format", "{{.State.Health.Status}}", container
                ).stdout.strip()
                == "healthy"
            )
        )
        assert target.undeploy(deployment).status == "stopped"
        assert docker.run("ps", "--all", "--quiet").stdout == ""
    finally:
        docker.stop()


def test_on_a_port_of_its_own(image: Package, podman: Engines) -> None:
    first = target.deploy(image, name="credit")
    try:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(WrongUsage, match=f"Port {port} is taken"):
            target.deploy(image, name="credit", port=port)
    finally:
        target.undeploy(first)
    again = target.deploy(image, name="credit", port=port)
    assert again.url == first.url
    target.undeploy(again)


def test_too_little_memory(image: Package, podman: Engines) -> None:
    with pytest.raises(StepFailed, match=r"ended while it started|did not start it"):
        target.deploy(image, name="credit", options={"memory": "12m", "restart": "no"})
    assert podman.run("podman", "ps", "--all", "--quiet").stdout == ""


def test_an_engine_that_can_not_be_used(
    image: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownName, match=r"engine for containers 'podmann'.*'podman'"):
        target.deploy(image, name="credit", options={"engine": "podmann"})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WrongUsage, match=r"podman is not installed here\. docker is not"):
        target.deploy(image, name="credit")
    fake = tmp_path / "docker"
    fake.write_text("#!/bin/sh\necho 'permission denied while trying to connect' >&2; exit 1\n")
    fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    with pytest.raises(WrongUsage, match="docker may not be used by this user"):
        target.deploy(image, name="credit")
    monkeypatch.undo()
    with pytest.raises(WrongUsage, match="-o restart is a number or no"):
        target.deploy(image, name="credit", options={"restart": "always"})


def test_what_is_no_image(image: Package, podman: Engines, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="holds no image"):
        target.deploy(replace(image, path=str(tmp_path), tag="none:1"), name="credit")
