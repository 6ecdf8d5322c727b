"""schemathesis: whatever ``/openapi.json`` allows and forbids, sent to servers that run.

No answer is a 5xx or of a form that the description does not have, and what the description
forbids is refused. That all which it allows is answered can't be asked: no schema says which
names, lengths and types go together; `test_hostile` asks that.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge

from tests.conftest import need
from tests.serving import models
from tests.serving.test_process import serving

need("schemathesis")

OPTIONS = (
    *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
    *("--phases", "examples,coverage,fuzzing", "--max-examples", "40"),
    *("--generation-deterministic", "--continue-on-failure", "--no-color"),
)


def ask_everything(package: Path, place: Path) -> None:
    with serving(package) as server:
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json",
             *OPTIONS],
            cwd=place,
            capture_output=True,
            text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in server.log.read_text()


def test_a_model_of_columns(proven: Path, tmp_path: Path) -> None:
    ask_everything(proven, tmp_path)


def test_a_model_of_arrays(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(50, 3))
    model = models.save(Ridge().fit(X, X.sum(axis=1)), X, tmp_path / "model")
    ask_everything(models.package(model, tmp_path / "sums-2", "sums/2"), tmp_path)
