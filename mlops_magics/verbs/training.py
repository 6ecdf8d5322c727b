"""`train`: a cell, a ``with`` block or a script as one tracked run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, overload

from mlops_magics.errors import BadData, UnknownName
from mlops_magics.records import Run
from mlops_magics.verbs.declaration import Data, verb
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.tracked import Training


@overload
def train(
    name: str,
    script: str | Path,
    *,
    data: Data = ...,
    metric: str = ...,
    model: str = ...,
    message: str = ...,
    tag: Sequence[str] = ...,
) -> Run: ...
@overload
def train(
    name: str,
    script: Literal[""] = ...,
    *,
    data: Data = ...,
    metric: str = ...,
    model: str = ...,
    message: str = ...,
    tag: Sequence[str] = ...,
) -> Training: ...
@verb(body="script", code=True)
def train(
    name: str,
    script: str | Path = "",
    *,
    data: Data = "",
    metric: str = "",
    model: str = "",
    message: Annotated[str, Option(("-m", "--message"))] = "",
    tag: Sequence[str] = (),
) -> Training | Run:
    """Run training code as one tracked run and register the model that it leaves.

    The run holds parameters, metrics on rows that the model has not seen, the model with signature
    and input example, the source, the commit and uncommitted changes, the dataset's fingerprint,
    exact packages and what was used of time and memory. The model becomes a new version with the
    alias ``candidate``.

    Parameters
    ----------
    name : str
        The model's name; also the MLflow experiment.
    script : path
        A Python file to run. In a notebook the cell below ``%%train`` takes its place, and in
        Python a ``with mlops.train(name):`` block.
    data : data, optional
        The prepared dataset whose test rows measure the model. By default ``X_test`` and
        ``y_test`` as they stand in the notebook, else the dataset that was prepared last.
    metric : str, optional
        The metric that matters most; must be one that can be measured for this task.
    model : str, optional
        The variable that holds the model, when the code leaves more than one.
    message : str, optional
        A note for whoever reads the record.
    tag : sequence of str
        ``KEY=VALUE`` pairs kept with the run.

    Returns
    -------
    Run or Training
        The record after a script; without one a context manager whose ``record`` is set at its end.

    Raises
    ------
    WrongUsage
        If a name, tag or metric makes no sense; nothing is recorded then.
    """
    options = {
        "data": data,
        "metric": metric,
        "model": model,
        "message": message,
        "tag": [tag] if isinstance(tag, str) else list(tag),
    }
    training = Training(name, options)
    return _run_script(training, Path(script)) if script else training


def _run_script(training: Training, script: Path) -> Run:
    """Run a Python file as ``__main__`` would, inside the training run."""
    if not script.is_file():
        near = [p.name for p in script.parent.glob("*.py")] if script.parent.is_dir() else []
        raise UnknownName("file", str(script), near)
    source = script.read_text(encoding="utf-8")
    try:
        code = compile(source, str(script), "exec")
    except SyntaxError as error:
        raise BadData(f"{script} is not valid Python: {error}.") from error
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": str(script)}
    training.open(namespace, source)
    sys.path.insert(0, str(script.parent.resolve()))
    try:
        exec(code, namespace)  # noqa: S102  # running the user's script is what was asked for
    except BaseException as error:
        training.close(error, {"script": str(script)})
        raise
    finally:
        sys.path.remove(str(script.parent.resolve()))
    return training.close(None, {"script": str(script)})
