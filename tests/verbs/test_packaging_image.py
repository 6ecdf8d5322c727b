"""`package --as image`, from a registered version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import settings, store
from mlops_magics.doors import cli
from mlops_magics.errors import BadData, NotIntact, WrongUsage
from mlops_magics.verbs import imaging, packaged
from tests import containers


@pytest.fixture
def trained(names: dict[str, Any]) -> str:
    """A registered version of numbers only, whose graph needs few packages."""
    containers.need_programs("mmdebstrap", "docker-registry")
    X_test, y_test = names["X_test"], names["y_test"]  # noqa: F841
    with mlops.train("credit") as run:
        model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
    assert run.record is not None
    assert run.record.model is not None
    return run.record.model


def test_what_would_be_in_it_and_then_what_is(
    trained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = str(containers.base_tar())
    outline = mlops.package(trained, as_="image", engine="none", base=base, dry_run=True)
    assert not outline.replayed
    assert [layer["what"] for layer in outline.layers] == ["base", "packages", "server", "model"]
    assert outline.size == sum(layer["unpacked"] for layer in outline.layers)
    assert not Path(outline.path).exists()
    assert "Nothing was written" in outline.warnings[-1]

    registry = containers.Registry(tmp_path / "registry")
    try:
        wanted = ["--base", base, "--engine", "none", "--push", f"{registry.name}/credit"]
        code = cli.main(["package", trained, "--as", "image", *wanted, "--json"])
    finally:
        registry.stop()
    assert code == 0
    record = json.loads(capsys.readouterr().out)
    assert record["digest"] == outline.digest  # it is what was told
    assert record["replayed"]
    assert record["tag"] == "credit:1"
    assert record["pushed"] == f"{registry.name}/credit@{outline.digest}"
    assert record["path"] == str(settings.load().state / "packages" / "credit-1-image")
    assert json.loads((Path(record["path"]) / "index.json").read_text())["manifests"]
    kept = store.runs.read_json(record["run_id"], "sbom.cdx.json")
    assert kept["bomFormat"] == "CycloneDX"
    run = store.runs.get(record["run_id"])
    assert run.data.tags["mlops.package.digest"] == outline.digest
    it_is_found_again(trained, Path(record["path"]), outline.digest, outline.size)


def it_is_found_again(model: str, place: Path, digest: str, size: int) -> None:
    """What a target takes is the image that is there, on the base that was chosen for it."""
    for asked in (model, place, str(place)):
        again = packaged.of(asked, "image")
        assert (again.model, again.path, again.tag) == ("credit/1", str(place), "credit:1")
        assert (again.digest, again.size, again.replayed) == (digest, size, True)
    assert packaged.name(place) == "credit"
    with pytest.raises(WrongUsage, match="is an image, and the target takes a folder"):
        mlops.deploy(place)
    digest_of_model = store.versions.resolve(model).digest
    assert imaging.is_current(place, digest_of_model)
    assert not imaging.is_current(place, "sha256:another")
    layer = max((place / "blobs" / "sha256").iterdir(), key=lambda file: file.stat().st_size)
    layer.rename(place / "aside")  # and not written to: the cache may have the same file
    with pytest.raises(NotIntact, match=r"sha256:.* is missing"):
        packaged.of(place, "image")
    layer.write_bytes(b"other")
    with pytest.raises(NotIntact, match=r"sha256:.* was changed"):
        mlops.deploy(place, to="container")
    assert not imaging.is_current(place, digest_of_model)
    (place / "index.json").write_text("{}")
    with pytest.raises(BadData, match="holds no image of ours"):
        packaged.of(place, "image")


def test_arguments_that_belong_to_an_image(trained: str) -> None:
    with pytest.raises(WrongUsage, match="Only an image has a tag"):
        mlops.package(trained, tag="credit:new")
    with pytest.raises(WrongUsage, match="Only an image"):
        mlops.package(trained, as_="onnx", dry_run=True)
    with pytest.raises(WrongUsage, match="is no name of an image"):
        mlops.package(trained, as_="image", engine="none", push="Credit Risk")
