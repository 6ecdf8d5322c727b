"""The models of the comparison, saved as the store does it, and packaged."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

#: Those with a graph first; the last holds a function of its own, which has no form in ONNX.
NAMES = ("forest", "logistic", "native")

#: The module of the function that no converter knows.
OWN = "def doubled(table):\n    return table * 2\n"

#: Also run, by itself, in the environments of other servers: the same model there.
TRAINING = """
import sys

import joblib
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def rows(csv):
    table = pd.read_csv(csv).dropna(subset=["Status"])
    return table.drop(columns=["Status"]), (table["Status"] == "good").astype(int)


def trained(name, X, y, *steps):
    numbers = X.select_dtypes("number").columns.tolist()
    words = [c for c in X.columns if c not in numbers]
    estimators = {
        "forest": RandomForestClassifier(100, random_state=0),
        "logistic": LogisticRegression(),
        "native": LogisticRegression(),
    }
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), *steps, StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), words),
    )
    return make_pipeline(columns, estimators[name]).fit(X, y)


if __name__ == "__main__":
    name, csv, target = sys.argv[1:]
    joblib.dump(trained(name, *rows(csv)), target)
"""


@dataclass(frozen=True)
class Made:
    """A model, saved and packaged.

    Attributes
    ----------
    row : dict
        One row of the data, by column.
    """

    name: str
    saved: Path
    package: Path
    row: dict[str, Any]


def csv() -> Path:
    """The credit data."""
    return Path(str(files("mlops_magics"))) / "data" / "credit_data.csv"


def make(name: str, place: Path) -> Made:
    """Train, save and package one of `NAMES`."""
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.preprocessing import FunctionTransformer

    from mlops_magics.flavors.sklearn import SklearnFlavor
    from mlops_magics.serving import manifest
    from mlops_magics.serving.package import assembling
    from mlops_magics.serving.package.reference import Reference

    warnings.simplefilter("ignore")
    (place / "our_training.py").write_text(TRAINING)
    (place / "our_step.py").write_text(OWN)
    sys.path.insert(0, str(place))
    training = importlib.import_module("our_training")
    own = FunctionTransformer(importlib.import_module("our_step").doubled)
    X, y = training.rows(csv())
    model = training.trained(name, X, y, *([own] if name == "native" else []))
    flavor = SklearnFlavor()
    saved, package = place / name, place / f"{name}-1"
    mlflow.sklearn.save_model(
        path=saved,
        signature=infer_signature(X, model.predict(X)),
        input_example=X.head(1),
        pip_requirements=flavor.packages(model),
        **flavor.saving(model, place).arguments,
    )
    about = {"model": f"{name}/1", "run_id": "", "commit": "", "created": ""}
    reference = Reference(data=X, source="all rows")
    made, _ = assembling.assemble(saved, package, about, "3.11", lambda: (reference, ()))
    assert bool(made.why_no_graph) == (name == "native"), made.why_no_graph
    table = json.loads(manifest.example(package))["dataframe_split"]
    return Made(name, saved, package, dict(zip(table["columns"], table["data"][0], strict=True)))
