"""Images and the engines that are there: podman, buildah and docker for real."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mlops_magics.errors import StepFailed, UnknownName, WrongUsage
from mlops_magics.serving import client, manifest
from mlops_magics.serving.package.images import blobs, building
from mlops_magics.serving.package.images import engines as known
from mlops_magics.serving.package.images.building import Built, Plan
from mlops_magics.targets import ports
from tests import containers


def by(engine: str, plan: Plan, kept: blobs.Blobs, place: Path) -> Built:
    """Built by the engine of that name, on its own copy of the base."""
    own = building.plan(plan.package, "credit:1", containers.BASE, "")
    found = known.find(engine)
    made = building.put_together(own, kept, found)
    return building.prove(own, made, place, kept, found)


def test_podman_runs_it_as_nobody_on_a_root_that_is_read_only(
    plan: Plan, kept: blobs.Blobs, engines: containers.Engines, tmp_path: Path
) -> None:
    made = by("podman", plan, kept, tmp_path / "image")
    assert made.notes == ()
    assert made.base.source == "the store of podman"
    facts = json.loads(engines.run("podman", "image", "inspect", "credit:1").stdout)[0]
    config = json.loads(made.image.manifest)["config"]["digest"]
    assert f"sha256:{facts['Id']}" == config  # the very image
    assert facts["Healthcheck"]["Test"][0] == "CMD"
    assert "mlops-trial" not in engines.run("podman", "images").stdout
    with ports.listen(0) as free:
        port = free.getsockname()[1]
    started = engines.run(
        *("podman", "run", "--detach", "--read-only", "--cap-drop", "all", "--no-healthcheck"),
        *("--publish", f"127.0.0.1:{port}:8080", "credit:1"),
    )
    container = started.stdout.strip()
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 60
    while not client.ping(url, timeout=1) and time.monotonic() < until:
        time.sleep(0.05)
    reply = client.ask(url, manifest.example(plan.package))
    assert reply.content == manifest.answers(plan.package)
    assert engines.run("podman", "exec", container, "id", "-u").stdout.strip() == "10001"
    # It has two seconds, and ends by itself: one that is killed has the exit code 137.
    engines.run("podman", "stop", "--time", "2", container)
    ended = engines.run("podman", "inspect", "--format", "{{.State.ExitCode}}", container)
    assert ended.stdout.strip() == "0"


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[containers.Docker]:
    daemon = containers.Docker(tmp_path / "daemon")
    yield daemon
    daemon.stop()


def test_buildah_and_docker_give_the_same_image(
    plan: Plan,
    kept: blobs.Blobs,
    engines: containers.Engines,
    docker: containers.Docker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in docker.environment.items():
        monkeypatch.setenv(name, value)
    docker.run("import", "--change", 'CMD ["python3"]', str(containers.base_tar()), containers.BASE)
    made = [by(name, plan, kept, tmp_path / name) for name in ("buildah", "docker")]
    assert [one.base.source for one in made] == ["the store of buildah", "the store of docker"]
    assert [one.notes for one in made] == [(), ()]
    assert made[0].image.digest == made[1].image.digest
    # ... and the same as without an engine, on a base of that name and content.
    own = building.plan(plan.package, "", str(containers.base_tar()), "")
    alone = building.put_together(own, kept, None)
    assert [layer.digest for layer in alone.image.layers[:2]] == [
        layer.digest for layer in made[0].image.layers[:2]
    ]
    told = json.loads(docker.run("image", "inspect", "credit:1").stdout)[0]["Config"]
    assert told["User"] == building.USER
    assert told["Healthcheck"]["Test"][0] == "CMD"
    assert "mlops-trial" not in docker.run("images").stdout


def test_one_that_fails_its_test_is_not_left_in_the_store(
    plan: Plan, kept: blobs.Blobs, engines: containers.Engines, tmp_path: Path, built: Built
) -> None:
    engines.run("podman", "rmi", "--force", "credit:1", check=False)
    found = known.find("podman")
    broken = building.Built(built.image, built.base, built.materials)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(building.replaying, "COMMAND", ("python", "-c", "raise SystemExit('no')"))
        with pytest.raises(StepFailed, match=r"does not answer the input example: no\. Nothing"):
            building.prove(plan, broken, tmp_path / "image", kept, found)
    images = engines.run("podman", "images").stdout
    assert "credit" not in images
    assert "mlops-trial" not in images
    assert not (tmp_path / "image").exists()


def test_what_is_wrong_with_an_engine_is_said(program: Callable[[str, str], None]) -> None:
    assert known.find() is None
    assert known.find("none") is None
    with pytest.raises(WrongUsage, match=r"podman is not installed here.*--engine none"):
        known.find("podman")
    with pytest.raises(UnknownName, match="podman"):
        known.find("podmann")
    program("docker", "echo 'permission denied while trying to connect to the socket' >&2; exit 1")
    with pytest.raises(WrongUsage, match=r"docker may not be used by this user: permission denied"):
        known.find("docker")
    program("podman", "echo 'Error: no storage' >&2; exit 125")
    with pytest.raises(WrongUsage, match=r"podman does not work here: Error: no storage"):
        known.find("podman")
    assert known.find() is None  # none of those that are there works
    program("buildah", "exit 0")
    found = known.find()
    assert found is not None
    assert found.name == "buildah"


def test_an_engine_that_fails_in_the_middle_leaves_nothing(
    plan: Plan,
    built: Built,
    kept: blobs.Blobs,
    program: Callable[[str, str], None],
    tmp_path: Path,
) -> None:
    program("podman", 'test "$1" = info && exit 0; echo "Error: disk quota exceeded" >&2; exit 125')
    with pytest.raises(StepFailed, match=r"podman pull failed: Error: disk quota exceeded\."):
        building.prove(plan, built, tmp_path / "image", kept, known.find("podman"))
    assert not (tmp_path / "image").exists()
    assert not list(tmp_path.glob(".image*"))


@pytest.fixture(autouse=True)
def none_is_left(request: pytest.FixtureRequest) -> object:
    """End the containers of a test that failed in the middle."""
    yield
    if "engines" in request.fixturenames:
        with suppress(AssertionError, subprocess.SubprocessError):
            request.getfixturevalue("engines").run("podman", "rm", "--all", "--force", "-t", "0")
