"""Saved models and packages for the server's tests."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from mlops_magics import flavors
from mlops_magics.flavors.sklearn import SklearnFlavor
from mlops_magics.serving.package import assembling
from mlops_magics.serving.package.reference import Reference
from tests.flavors.models import pipeline, xy

JSON = "application/json"


def save(model: Any, X: Any, path: Path, **more: Any) -> Path:
    """Save as the store does, with signature and input example."""
    flavor = SklearnFlavor()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about integers that may be missing later
        mlflow.sklearn.save_model(
            path=path,
            **{
                "signature": infer_signature(X, model.predict(X)),
                "input_example": X[:5],
                "pip_requirements": flavor.packages(model),
                **flavor.saving(model, path).arguments,
                **more,
            },
        )
    return path


def credit_model(credit: pd.DataFrame, path: Path) -> Path:
    """A classifier on named columns: whole numbers, numbers that may be missing, words."""
    part = credit.dropna(subset=["Status"]).head(400)
    X, y = part.drop(columns=["Status"]), part["Status"]
    return save(pipeline(X, LogisticRegression()).fit(X, y), X, path)


def package(model: Path, target: Path, ref: str = "credit/1", rows: Any = None) -> Path:
    """A package of a saved model; with rows on which its graph can be proven, with that."""
    about = {"model": ref, "run_id": "", "commit": "", "created": ""}
    given = None if rows is None else lambda: (Reference(data=rows, source="these"), ())
    assembling.assemble(model, target, about, "3.11", given)
    return target


def rows(model: Path) -> list[dict[str, Any]]:
    """The input example, row by row."""
    table = json.loads((model / "serving_input_example.json").read_bytes())["dataframe_split"]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]


__all__ = ["JSON", "credit_model", "flavors", "package", "rows", "save", "xy"]
