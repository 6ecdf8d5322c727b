"""Registries, by a real one: pushed, pulled by digest into an empty store, refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_magics.errors import StepFailed, WrongUsage
from mlops_magics.serving import manifest
from mlops_magics.serving.package.comparing import differs
from mlops_magics.serving.package.images import bases, blobs, building, credentials, registries
from mlops_magics.serving.package.images.building import Built, Plan
from mlops_magics.serving.package.images.engines import Podman
from tests import containers


def test_pushed_and_pulled_by_digest_into_an_empty_store(
    plan: Plan,
    built: Built,
    kept: blobs.Blobs,
    registry: containers.Registry,
    tmp_path: Path,
) -> None:
    pushed = registries.push(built.image, f"{registry.name}/team/credit", kept, "1")
    assert pushed == f"{registry.name}/team/credit@{built.image.digest}"
    again = registries.push(built.image, f"{registry.name}/team/credit:new", kept, "1")
    assert again == pushed
    empty = containers.Engines(tmp_path / "empty")
    try:
        empty.run("podman", "pull", "--tls-verify=false", pushed)
        answered = empty.run(
            *("podman", "run", "--rm", "--read-only", "--network", "none", "--no-healthcheck"),
            *(pushed, "python", "-m", "mlops_magics.serving", ".", "--replay"),
        )
        assert not differs(manifest.answers(plan.package), json.loads(answered.stdout))
    finally:
        empty.clear()


def test_a_base_of_a_registry_gives_the_image_that_an_engines_copy_gives(
    plan: Plan,
    kept: blobs.Blobs,
    registry: containers.Registry,
    engines: containers.Engines,
    tmp_path: Path,
) -> None:
    name = f"{registry.name}/python:3.11-slim"
    engines.run("podman", "push", "--tls-verify=false", containers.BASE, name)
    engines.run("podman", "tag", containers.BASE, name)
    own = building.plan(plan.package, "", name, "")
    fresh = blobs.Blobs(tmp_path / "fresh")
    for layer in (tmp_path / "fresh").glob("*.json"):
        layer.unlink()
    without = bases.find(name, "amd64", fresh, None)
    assert without.source == f"the registry {registry.name}"
    by_engine = building.put_together(own, kept, Podman())
    alone = building.put_together(own, kept, None)
    assert by_engine.base.source == "the store of podman"
    assert alone.base.source == f"the registry {registry.name}"
    assert by_engine.image.digest == alone.image.digest
    assert [layer.diff_id for layer in without.layers] == [
        layer.diff_id for layer in alone.base.layers
    ]
    engines.run("podman", "untag", containers.BASE, name)


def test_who_may_push(
    built: Built,
    kept: blobs.Blobs,
    guarded: containers.Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: Callable[[str, str], None],
) -> None:
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    wanted = f"{guarded.name}/credit"
    with pytest.raises(StepFailed, match=r"wants a log-in for credit.*podman login"):
        registries.push(built.image, wanted, kept, "1")
    docker = tmp_path / ".docker"
    docker.mkdir()
    said = {"auth": base64.b64encode(b"bea:wrong").decode()}
    (docker / "config.json").write_text(json.dumps({"auths": {guarded.name: said}}))
    with pytest.raises(StepFailed, match="wants a log-in"):
        registries.push(built.image, wanted, kept, "1")
    said = {"auth": base64.b64encode(b"bea:secret").decode()}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {guarded.name: said}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    small = built.image.__class__(built.image.config, built.image.manifest, built.image.layers[2:])
    with pytest.raises(StepFailed, match=r"refused \(404|refused \(400|has no"):
        registries.push(small, wanted, kept, "1")  # a registry takes no image with layers missing
    # A program that keeps log-ins goes before what stands in the file.
    monkeypatch.delenv("REGISTRY_AUTH_FILE")
    program("docker-credential-safe", 'cat >/dev/null; echo \'{"Username":"bea","Secret":"s"}\'')
    helped = {"credHelpers": {guarded.name: "safe"}}
    (docker / "config.json").write_text(json.dumps(helped))
    assert credentials.of(guarded.name) == ("bea", "s")
    program("docker-credential-safe", "echo locked >&2; exit 1")
    assert credentials.of(guarded.name) is None
    (docker / "config.json").write_text(json.dumps({"credHelpers": {guarded.name: "gone"}}))
    with pytest.raises(StepFailed, match=r"kept by docker-credential-gone, which failed"):
        credentials.of(guarded.name)


def test_with_the_right_word_it_goes_there(
    built: Built,
    kept: blobs.Blobs,
    guarded: containers.Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = {"auth": base64.b64encode(b"bea:secret").decode()}
    (tmp_path / "config.json").write_text(json.dumps({"auths": {guarded.name: said}}))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    pushed = registries.push(built.image, f"{guarded.name}/credit", kept, "1")
    assert pushed.endswith(built.image.digest)


def test_registries_that_are_not_there_and_names_that_are_none(
    kept: blobs.Blobs, registry: containers.Registry
) -> None:
    with pytest.raises(StepFailed, match=r"has no .*/nothing:latest"):
        registries.pulled(f"{registry.name}/nothing", "amd64", kept)
    with pytest.raises(StepFailed, match=r"localhost:1 was not reached"):
        registries.pulled("localhost:1/base:1", "amd64", kept)
    with pytest.raises(WrongUsage, match=r"'Credit Risk' is no name of an image"):
        registries.parsed("Credit Risk")
    assert str(registries.parsed("python:3.11-slim")) == "docker.io/library/python:3.11-slim"
    assert registries.parsed("python").url == "https://registry-1.docker.io/v2/library/python"
    hub = registries.parsed("127.0.0.1:5000/a/b@sha256:" + "0" * 64)
    assert hub.url == "http://127.0.0.1:5000/v2/a/b"
