"""What `%%train` adds to a cell, against autolog: ``python tests/benchmarks/train.py``.

Both start from a fresh store of their own, in one process, and take turns; the bare cell is a
scikit-learn fit on 3,000 rows. The first round of each, which imports, is left out.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

ROUNDS = 7
CELL = "model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)"
SET_UP = """
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
import pandas as pd
X, y = make_classification(4000, 12, random_state=0)
X = pd.DataFrame(X, columns=[f"x{i}" for i in range(12)])
X_train, X_test, y_train, y_test = X[:3000], X[3000:], y[:3000], y[3000:]
"""


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    folder = Path(tempfile.mkdtemp())
    os.chdir(folder)
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell(colors="nocolor")
    shell.run_line_magic("load_ext", "mlops_magics")
    shell.run_cell(SET_UP)
    import mlflow

    theirs_uri = f"sqlite:///{folder / 'autolog.db'}"
    mlflow.set_tracking_uri(theirs_uri)
    mlflow.set_experiment("credit")

    def timed(code: str) -> float:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            began = time.perf_counter()
            result = shell.run_cell(code)
            took = time.perf_counter() - began
        result.raise_error()
        return took

    def theirs() -> float:
        mlflow.set_tracking_uri(theirs_uri)
        mlflow.sklearn.autolog(silent=True)
        try:
            return timed(f"with mlflow.start_run():\n    {CELL}\n    model.score(X_test, y_test)")
        finally:
            mlflow.sklearn.autolog(disable=True)

    shell.run_cell("import mlflow")
    rounds = []
    for number in range(ROUNDS + 1):
        took = (timed(CELL), timed(f"%%train credit\n{CELL}"), theirs())
        if number:
            rounds.append(took)
    bare, ours, autolog = (statistics.median(side) for side in zip(*rounds, strict=True))
    print(f"bare cell {bare:.3f} s, with %%train {ours:.3f} s, with autolog {autolog:.3f} s")
    ratio = (ours - bare) / (autolog - bare)
    print(f"added: {ours - bare:.3f} s / {autolog - bare:.3f} s = {ratio:.3f} (at most 0.1)")


if __name__ == "__main__":
    main()
