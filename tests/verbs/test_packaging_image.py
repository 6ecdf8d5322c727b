"""`package --as image`, from a registered version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import settings, store
from mlops_magics.doors import cli
from mlops_magics.errors import WrongUsage
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
    assert [layer["what"] for layer in outline.layers] == ["base", "packages", "model"]
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


def test_arguments_that_belong_to_an_image(trained: str) -> None:
    with pytest.raises(WrongUsage, match="Only an image has a tag"):
        mlops.package(trained, tag="credit:new")
    with pytest.raises(WrongUsage, match="Only an image"):
        mlops.package(trained, as_="onnx", dry_run=True)
    with pytest.raises(WrongUsage, match="is no name of an image"):
        mlops.package(trained, as_="image", engine="none", push="Credit Risk")
