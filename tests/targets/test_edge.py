"""Bundles in folders and on devices behind ssh: all or none, checked there, and back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.errors import StepFailed, WrongUsage
from mlops_magics.records import Package
from mlops_magics.serving import manifest
from mlops_magics.targets.edge.target import EdgeTarget
from tests.targets import sshd

target = EdgeTarget()


def other(bundle: Package, folder: Path, model: str) -> Package:
    """The same graph as another version."""
    shutil.copytree(bundle.path, folder)
    made = replace(manifest.read(folder), model=model)
    (folder / "README.md").write_text(f"# {model}\n")
    files = manifest.hashes(folder)
    replace(made, files=files, digest=manifest.overall(files)).write(folder)
    return replace(bundle, path=str(folder), model=model, digest=manifest.overall(files))


def current(place: Path) -> str:
    return json.loads((place / "current" / "version.json").read_text())["model"]


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Devices]:
    sshd.need()
    running = sshd.Devices(tmp_path_factory.mktemp("ssh") / "server")
    yield running
    running.stop()


@pytest.fixture
def listed(devices: sshd.Devices, tmp_path: Path) -> dict[str, str]:
    """Options for two devices, each a folder."""
    lines = [f"ssh://pi-{n}{tmp_path}/pi-{n}  # number {n}" for n in (1, 2)]
    (tmp_path / "fleet.txt").write_text("# all of them\n" + "\n".join(lines) + "\n")
    return {"devices": str(tmp_path / "fleet.txt"), "ssh-config": devices.config}


def test_a_folder_and_the_way_back(bundle: Package, tmp_path: Path) -> None:
    place = tmp_path / "device"
    options = {"folder": str(place), "keep": "2"}
    versions = [bundle, *(other(bundle, tmp_path / f"v{n}", f"credit/{n}") for n in (2, 3, 4))]
    for version in versions:
        deployment = target.deploy(version, name="credit", options=options)
        assert current(place) == version.model
        assert target.status(deployment).status == "up"
        assert deployment.warnings == ()
    assert deployment.url == f"{place.as_uri()}/current"
    kept = sorted(p.name.partition("-")[0] for p in (place / "releases").iterdir())
    assert kept == ["3", "4"]
    inode = (place / "releases" / os.readlink(place / "current").rpartition("/")[2]).stat().st_ino
    back = target.deploy(versions[2], name="credit", options=options)
    assert current(place) == "credit/3"
    forward = target.deploy(versions[3], name="credit", options=options)
    # What is there already is checked again and not sent again.
    assert (place / "current").stat().st_ino == inode
    assert target.status(back).reason.endswith(f"has the release {forward.details['release']} now.")
    assert "credit/3" in target.logs(forward)
    assert target.undeploy(back).status == "stopped"
    assert current(place) == "credit/4"  # another's is left alone
    target.undeploy(forward)
    assert not (place / "current").exists()
    assert len(list((place / "releases").iterdir())) == 2


def test_a_file_that_was_changed_there_is_noticed(bundle: Package, tmp_path: Path) -> None:
    deployment = target.deploy(bundle, name="credit", options={"folder": str(tmp_path / "device")})
    (tmp_path / "device" / "current" / "run.py").write_text("print('other')\n")
    seen = target.status(deployment)
    assert (seen.status, seen.reason) == ("down", f"{tmp_path / 'device'} run.py differs.")
    with pytest.raises(StepFailed, match=r"did not get it whole: run\.py differs"):
        target.deploy(bundle, name="credit", options={"folder": str(tmp_path / "device")})
    (tmp_path / "device" / "current" / "run.py").unlink()
    assert target.status(deployment).reason.endswith("run.py is missing.")


def test_where_python_is_missing_the_digests_are_checked(bundle: Package, tmp_path: Path) -> None:
    options = {"folder": str(tmp_path / "device"), "python": "no-such-python"}
    deployment = target.deploy(bundle, name="credit", options=options)
    assert deployment.status == "up"
    assert deployment.warnings[0].startswith("Not smoke-tested, only its files' digests")
    with pytest.raises(StepFailed, match=r"did not answer.*no-such-python"):
        target.ask(deployment, manifest.example(Path(bundle.path)))


def test_probabilities_and_refusals(bundle: Package, tmp_path: Path) -> None:
    deployment = target.deploy(bundle, name="credit", options={"folder": str(tmp_path / "device")})
    rows = json.loads(manifest.example(Path(bundle.path)))
    split: dict[str, Any] = {"columns": list(rows[0]), "data": [list(r.values()) for r in rows]}
    asked = {"dataframe_split": split, "params": {"predict_method": "predict_proba"}}
    reply = target.ask(deployment, json.dumps(asked).encode())
    answers = manifest.answers(Path(bundle.path))
    assert reply.content["classes"] == list(answers[0]["probabilities"])
    for got, expected in zip(reply.content["predictions"], answers, strict=True):
        assert got == pytest.approx(list(expected["probabilities"].values()), rel=1e-5)
    refused = target.ask(deployment, json.dumps([{"Nothing": 1}]).encode())
    assert (refused.status, "lacks the column" in refused.message) == (400, True)


def test_every_device_of_a_list(bundle: Package, tmp_path: Path, listed: dict[str, str]) -> None:
    first = target.deploy(bundle, name="credit", options=listed)
    assert first.url == f"ssh://pi-1{tmp_path}/pi-1/current"
    assert [current(tmp_path / f"pi-{n}") for n in (1, 2)] == ["credit/1"] * 2
    assert target.status(first).status == "up"
    body = manifest.example(Path(bundle.path))
    python = {"python": shutil.which("python3") or "python3"}
    again = target.deploy(bundle, name="credit", options={**listed, **python})
    if not again.warnings:  # the Python found there has the packages
        assert target.ask(again, body).status == 200
    (tmp_path / "pi-2" / "current").unlink()
    assert target.status(first).reason == "1 of 2 devices: pi-2 has no current release."
    assert {line[:5] for line in target.logs(first).splitlines()} == {"pi-1:", "pi-2:"}


def test_all_or_none(bundle: Package, tmp_path: Path, listed: dict[str, str]) -> None:
    target.deploy(bundle, name="credit", options=listed)
    second = other(bundle, tmp_path / "second", "credit/2")
    shutil.rmtree(tmp_path / "pi-2")
    (tmp_path / "pi-2").write_text("in the way")
    with pytest.raises(StepFailed) as caught:
        target.deploy(second, name="credit", options=listed)
    assert "1 of 2 devices: pi-2 gives no folder for it" in caught.value.message
    assert current(tmp_path / "pi-1") == "credit/1"
    assert [p.name[:2] for p in (tmp_path / "pi-1" / "releases").iterdir()] == ["1-"]
    partial = target.deploy(second, name="credit", options={**listed, "partial": "yes"})
    assert current(tmp_path / "pi-1") == "credit/2"
    assert partial.warnings[0].startswith("Left out: pi-2 gives no folder for it")
    assert target.status(partial).status == "up"


def test_one_that_does_not_switch_takes_all_back(
    bundle: Package, tmp_path: Path, listed: dict[str, str]
) -> None:
    target.deploy(bundle, name="credit", options=listed)
    second = other(bundle, tmp_path / "second", "credit/2")
    link = tmp_path / "pi-2" / "current"
    link.unlink()
    link.mkdir()  # which no rename of a link replaces
    with pytest.raises(StepFailed, match="pi-2 failed to switch to it"):
        target.deploy(second, name="credit", options=listed)
    assert current(tmp_path / "pi-1") == "credit/1"
    assert [p.name[:2] for p in (tmp_path / "pi-1" / "releases").iterdir()] == ["1-"]


def test_devices_that_can_not_be_reached(
    bundle: Package, devices: sshd.Devices, tmp_path: Path
) -> None:
    options = {"devices": "ssh://pi-1:1/nowhere", "ssh-config": devices.config}
    with pytest.raises(StepFailed, match="pi-1 can't be reached: ssh: connect to host"):
        target.deploy(bundle, name="credit", options=options)


def test_without_rsync_it_goes_by_tar(
    bundle: Package, tmp_path: Path, listed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "rsync" else real(name))
    target.deploy(bundle, name="credit", options=listed)
    assert current(tmp_path / "pi-2") == "credit/1"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs a folder or devices"),
        ({"folder": "x", "devices": "y"}, "needs a folder or devices"),
        ({"devices": "-oProxyCommand=touch"}, "is no device"),
        ({"devices": "ssh://host:port/x"}, "is no device"),
        ({"devices": "a,b,a"}, "The device a is named twice"),
        ({"devices": "no/such/file"}, "There is no file no/such/file"),
        ({"folder": "x", "keep": "0"}, "-o keep is a number from 1 on"),
        ({"folder": "x", "partial": "maybe"}, "-o partial is yes or no"),
    ],
)
def test_options_that_make_no_sense(bundle: Package, options: dict[str, str], said: str) -> None:
    with pytest.raises(WrongUsage, match=said):
        target.deploy(bundle, name="credit", options=options)
    with pytest.raises(WrongUsage, match="has no port"):
        target.deploy(bundle, name="credit", port=8000, options=options)
