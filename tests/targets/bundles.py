"""Bundles for small machines, made of a package's own model."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mlops_magics.records import Package
from mlops_magics.serving import manifest
from mlops_magics.verbs import packaging
from tests.conftest import need


def of(package: Package, folder: Path, data: pd.DataFrame, model: str = "credit/1") -> Package:
    """The package's model as a graph with a runner, proven on the data."""
    for module in ("onnx", "onnxruntime", "skl2onnx"):
        need(module)
    from mlops_magics.serving.package import bundling, reference

    rows = data.dropna(subset=["Status"]).head(400).drop(columns=["Status"])
    about = {"model": model, "run_id": "", "commit": "", "created": ""}
    place = folder / "bundle"
    saved = Path(package.path) / manifest.MODEL
    made = bundling.bundle(
        saved, place, about, "3.11", reference.Reference(data=rows, source="400")
    )
    return packaging.record_of(made, place, replayed=True, kind="onnx")
