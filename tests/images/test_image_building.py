"""An image without an engine: what is in it, that it is the same each time, and that it answers."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_magics.errors import BadData, StepFailed, WrongUsage
from mlops_magics.serving import manifest
from mlops_magics.serving.package.images import bases, blobs, building, layouts, sbom, wheels
from mlops_magics.serving.package.images.building import Built, Plan
from tests.images.conftest import config_of


def files(layer: blobs.Layer, kept: blobs.Blobs) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(kept.path(layer.digest)) as tar:
        return {member.name: member for member in tar}


def test_the_same_package_gives_the_same_image_on_another_path(
    plan: Plan, built: Built, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "else" / "where"
    shutil.copytree(plan.package, elsewhere)
    for path in elsewhere.rglob("*"):
        os.utime(path, (1, 1))
    again = building.plan(elsewhere, "another:tag", plan.base, "")
    anew = building.put_together(again, blobs.Blobs(tmp_path / "empty"), None)
    assert anew.image.digest == built.image.digest


def test_what_it_says_of_itself(plan: Plan, built: Built) -> None:
    config = config_of(built)
    assert config["User"] == "10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "python"]  # type: ignore[index]
    assert config["Cmd"][:3] == ["python", "-m", "mlops_magics.serving"]  # type: ignore[index]
    labels = config["Labels"]
    manifest_ = json.loads(built.image.manifest)
    assert manifest_["annotations"] == labels
    assert labels["org.opencontainers.image.version"] == "1"  # type: ignore[index]
    assert labels["io.mlops-magics.model.digest"] == plan.made.model_digest  # type: ignore[index]
    assert [layer.what for layer in built.image.layers] == ["base", "packages", "server", "model"]


def test_nothing_in_it_tells_who_made_it_and_when(built: Built, kept: blobs.Blobs) -> None:
    for layer in built.image.layers[1:]:
        for member in files(layer, kept).values():
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
            assert member.mode == (0o755 if member.isdir() else 0o644)
    packages = files(built.image.layers[1], kept)
    assert any(name.endswith("onnxruntime/__init__.py") for name in packages)
    assert any(name.endswith(".pyc") for name in packages)  # it can write none itself
    assert not any("sklearn" in name or "pandas/" in name for name in packages)


def test_a_change_of_the_model_changes_one_layer(
    plan: Plan, built: Built, kept: blobs.Blobs, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(plan.package, other)
    (other / manifest.MODEL / "note.txt").write_text("another one")
    made = manifest.hashes(other)
    replace(plan.made, files=made, digest=manifest.overall(made), model="credit/2").write(other)
    changed = building.put_together(building.plan(other, "", plan.base, ""), kept, None)
    kept_layers = [layer.digest for layer in built.image.layers]
    assert [layer.digest for layer in changed.image.layers][:3] == kept_layers[:3]
    assert changed.image.layers[3].digest != kept_layers[3]


def test_the_bill_of_materials_is_whole_and_valid(
    plan: Plan, built: Built, kept: blobs.Blobs
) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(built.materials) is None
    said = json.loads(built.materials)
    assert said["metadata"]["component"]["type"] == "machine-learning-model"
    named = {c["name"].lower(): c["version"] for c in said["components"]}
    for line in (plan.package / "requirements-onnx.txt").read_text().split():
        name, _, version = line.partition("==")
        assert named[name.lower()] == version
    numpy = next(c for c in said["components"] if c["name"] == "numpy")
    assert numpy["purl"] == f"pkg:pypi/numpy@{numpy['version']}"
    assert numpy["licenses"]
    assert len(numpy["hashes"][0]["content"]) == 64
    with tarfile.open(kept.path(built.image.layers[-1].digest)) as tar:
        inside = tar.extractfile(f"app/{sbom.FILE}")
        assert inside is not None
        assert inside.read().decode() == built.materials


def test_it_answers_in_its_own_files_as_the_user_it_names(
    plan: Plan, built: Built, kept: blobs.Blobs, tmp_path: Path
) -> None:
    place = tmp_path / "image"
    proven = building.prove(plan, built, place, kept, None)
    assert proven.notes == ()
    index = json.loads((place / "index.json").read_bytes())
    assert index["manifests"][0]["digest"] == built.image.digest
    again = building.prove(plan, built, place, kept, None)  # in the place of the first
    assert again.image.digest == built.image.digest
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image", "project"]
    (tmp_path / "thesis").mkdir()
    with pytest.raises(WrongUsage, match="is no image"):
        building.prove(plan, built, tmp_path / "thesis", kept, None)


def test_one_that_answers_otherwise_is_not_kept(
    plan: Plan, built: Built, kept: blobs.Blobs, tmp_path: Path
) -> None:
    liar = tmp_path / "liar"
    shutil.copytree(plan.package, liar)
    answers = json.loads((liar / manifest.ANSWERS).read_text())
    answers["predictions"][0] = "neither"
    (liar / manifest.ANSWERS).write_text(json.dumps(answers))
    with pytest.raises(StepFailed, match=r"answers differently.*'neither'"):
        building.prove(replace(plan, package=liar), built, tmp_path / "image", kept, None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["liar", "project"]


def test_for_another_machine(plan: Plan, kept: blobs.Blobs, tmp_path: Path) -> None:
    """Its base must be for that machine too; nothing of it can be tried here."""
    foreign = layouts.put_together(
        [kept.tree("base", {"etc": Path(manifest.__file__).parent / "package" / "images"})],
        architecture="arm64",
        config={"Env": ["PATH=/usr/bin"]},
        annotations={},
    )
    layouts.write(foreign, tmp_path / "base", kept, "base")
    arm = building.plan(plan.package, "", str(tmp_path / "base"), "linux/arm64")
    made = building.put_together(arm, kept, None)
    packages = files(made.image.layers[1], kept)
    objects = [name for name in packages if name.endswith(".so")]
    assert objects
    assert all("aarch64" in name for name in objects if "cpython" in name)
    with tarfile.open(kept.path(made.image.layers[1].digest)) as tar:
        one = tar.extractfile(objects[0])
        assert one is not None
        assert one.read(20)[18:20] == b"\xb7\x00"  # ELF's number of AArch64
    proven = building.prove(arm, made, tmp_path / "image", kept, None)
    assert "not replayed: it is for arm64" in proven.notes[0]
    with pytest.raises(WrongUsage, match="is for arm64, and the image is to be for amd64"):
        bases.find(str(tmp_path / "base"), "amd64", kept, None)
    with pytest.raises(WrongUsage, match="is for amd64, and the image is to be for arm64"):
        bases.find(plan.base, "arm64", kept, None)


def test_words_that_are_no_platform_and_files_that_are_no_image(
    plan: Plan, kept: blobs.Blobs, tmp_path: Path
) -> None:
    with pytest.raises(WrongUsage, match=r"not built for windows/amd64.*linux/arm64"):
        building.plan(plan.package, "", "", "windows/amd64")
    (tmp_path / "thesis.tar").write_text("no tar at all")
    with pytest.raises(BadData, match=r"thesis.tar is no image"):
        bases.find(str(tmp_path / "thesis.tar"), "amd64", kept, None)


def test_a_package_without_a_wheel_is_named() -> None:
    with pytest.raises(BadData, match=r"docopt==0.6.2 has no wheel for Python 3.11 on linux/amd64"):
        wheels.gather("docopt==0.6.2\n", "amd64", "3.11")
    with pytest.raises(BadData, match=r"numpy==1.11.0 has no wheel for Python 3.11 on linux/arm64"):
        wheels.gather("numpy==1.11.0\n", "arm64", "3.11")


def test_a_blob_that_was_changed_is_not_used(
    plan: Plan, built: Built, kept: blobs.Blobs, tmp_path: Path
) -> None:
    layouts.write(built.image, tmp_path / "base", kept, "base")
    layer = tmp_path / "base" / "blobs" / built.image.layers[2].digest.replace(":", "/")
    content = layer.read_bytes()
    layer.unlink()  # it is the cache's file under another name
    layer.write_bytes(content[:-1] + b"!")
    with pytest.raises(BadData, match="not whole"):
        bases.find(str(tmp_path / "base"), "amd64", blobs.Blobs(tmp_path / "cache"), None)
