"""What saved models answer to the same rows, here or in the interpreter of another environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import flavors
from mlops_magics.errors import StepFailed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    #: A table, or one tensor with a row in each place of its first axis.
    Rows = pd.DataFrame | np.ndarray[Any, Any]

#: Seconds that another interpreter gets to load a model and answer.
LONGEST = 600


@dataclass(frozen=True)
class Answers:
    """Predictions, one a row, and a classifier's probabilities, rows × classes."""

    predictions: np.ndarray[Any, Any]
    probabilities: np.ndarray[Any, Any] | None = None


def answer(model: Path, rows: Rows) -> Answers:
    """What a saved model, whose digest the caller has checked, answers."""
    import numpy as np

    predictor = flavors.load(model)
    probabilities = None
    if isinstance(rows, np.ndarray):
        predictions = np.asarray(predictor.answer(rows, {}))
    else:
        predictions = np.asarray(predictor.predict(rows))
        probabilities = predictor.predict_proba(rows)
    if predictions.dtype == object:
        predictions = predictions.astype(str)
    return Answers(predictions, None if probabilities is None else np.asarray(probabilities))


def answer_in(python: str, environment: Mapping[str, str], model: Path, rows: Rows) -> Answers:
    """The same, by the interpreter `python`, whose libraries the model was made with.

    Raises
    ------
    StepFailed
        If the model can't be loaded or does not answer there.
    """
    import numpy as np

    from mlops_magics import evidence

    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        given, taken = Path(folder, "rows"), Path(folder, "answers.npz")
        if isinstance(rows, np.ndarray):
            given = given.with_suffix(".npy")
            np.save(given, rows, allow_pickle=False)
        else:
            evidence.snapshots.write(rows, given, evidence.data.fingerprint(rows))
        done = subprocess.run(
            [python, "-m", __name__, str(model), str(given), str(taken)],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            raise StepFailed(f"The model {model} does not answer in its own environment: {last}.")
        with np.load(taken, allow_pickle=False) as found:
            return Answers(found["predictions"], found.get("probabilities"))


def example(model: Path) -> Rows | None:
    """The input example that was saved with a model; ``None`` if there is none."""
    import json

    from mlops_magics.serving import bodies

    about = flavors.folder.read(model)
    if about.example is None:
        return None
    request = about.example.with_name("serving_input_example.json")
    if not request.is_file():
        return None
    body = json.dumps(json.loads(request.read_bytes())).encode()
    found: Rows = bodies.read(body, "application/json", about.inputs).native
    return None if isinstance(found, dict) else found  # several tensors by name


def _main(model: str, rows: str, target: str) -> None:
    import numpy as np

    from mlops_magics import evidence

    given = np.load(rows) if rows.endswith(".npy") else evidence.snapshots.read(Path(rows))
    found = answer(Path(model), given)
    if found.probabilities is None:
        np.savez(target, predictions=found.predictions)
    else:
        np.savez(target, predictions=found.predictions, probabilities=found.probabilities)


if __name__ == "__main__":
    _main(*sys.argv[1:])
