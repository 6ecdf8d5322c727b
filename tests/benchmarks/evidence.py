"""What `%%train` spends on evidence, by part: ``python tests/benchmarks/evidence.py``.

In a shell with 50 earlier cells, on a prepared dataset and in a git repository; the cell fits a
small scikit-learn pipeline. Each part is timed where it is called. Saving and registering the
model, and the fit itself, are left out of the sum; the first round, which imports, is left out
of all.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import statistics
import subprocess
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

ROUNDS = 15
LIMIT = 150
FIT = "make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)"
SET_UP = """
import numpy as np, pandas as pd
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
X, y = make_classification(4000, 12, random_state=0)
frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(12)]).assign(y=y)
%prepare frame --name credit --target y
"""
#: Part → the module and the functions that do it, as the verb calls them.
PARTS = {
    "lineage of cells": ("mlops_magics.verbs.lineage", ["trace"]),
    "fingerprint of the rows": ("mlops_magics.evidence.data", ["fingerprint"]),
    "lock of the environment": ("mlops_magics.evidence.lock", ["text", "describe"]),
    "state of git": ("mlops_magics.evidence.code", ["git"]),
    "resources": ("mlops_magics.evidence.resources", ["Meter.__init__", "Meter.read"]),
    "machine and packages": ("mlops_magics.evidence.environment", ["describe", "packages"]),
    "run: opened in the store": ("mlops_magics.store.runs", ["start", "activate"]),
    "run: delivered to the store": ("mlops_magics.store.outbox", ["Parcel.close"]),
    "model: saved": ("mlops_magics.store.models", ["save"]),
    "model: registered": ("mlops_magics.store.models", ["register"]),
    "model: measured": ("mlops_magics.verbs.unseen", ["Unseen.measure"]),
}
_took: dict[str, float] = defaultdict(float)


def time_calls(part: str, owner: Any, name: str) -> None:
    whole: Callable[..., Any] = getattr(owner, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return whole(*arguments, **options)
        finally:
            _took[part] += (time.perf_counter() - began) * 1000

    setattr(owner, name, timed)


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    folder = Path(tempfile.mkdtemp())
    os.chdir(folder)
    (folder / "README").write_text("for git\n")
    for words in (["init", "-q"], ["add", "README"], ["commit", "-qm", "first"]):
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *who, *words], check=True)
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell(colors="nocolor")
    shell.run_line_magic("load_ext", "mlops_magics")

    def run(code: str) -> float:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            began = time.perf_counter()
            result = shell.run_cell(code, store_history=True)
            took = (time.perf_counter() - began) * 1000
        result.raise_error()
        return took

    run(SET_UP)
    for number in range(50):
        run(f"part_{number} = frame.head({number + 1}).sum()\nlast = part_{number}")
    for part, (module, names) in PARTS.items():
        for name in names:
            *inside, function = name.split(".")
            owner = importlib.import_module(module)
            time_calls(part, getattr(owner, inside[0]) if inside else owner, function)
    rounds: list[dict[str, float]] = []
    for number in range(ROUNDS + 1):
        bare = run(f"model = {FIT}")
        _took.clear()
        whole = run(f"%%train credit\nmodel = {FIT}")
        if number:
            rounds.append({"whole": whole - bare, **_took})
    model = [p for p in PARTS if p.startswith("model: ")]
    for found in rounds:
        # The model is registered while the run is delivered.
        found["run: delivered to the store"] -= found["model: registered"]
        found["evidence"] = found["whole"] - sum(found[p] for p in model)
    for part in [*PARTS, "whole", "evidence"]:
        print(f"{part:28} {statistics.median(r.get(part, 0.0) for r in rounds):7.1f} ms")
    evidence = statistics.median(r["evidence"] for r in rounds)
    print(f"evidence, model aside: {evidence:.0f} ms (at most {LIMIT} ms)")


if __name__ == "__main__":
    main()
