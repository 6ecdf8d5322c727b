"""`demo`: the whole loop on real data, from an empty folder to a sealed record."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from mlops_magics.errors import MlopsError, StepFailed
from mlops_magics.records import Demo, Execution
from mlops_magics.verbs import executing
from mlops_magics.verbs.auditing import verify
from mlops_magics.verbs.declaration import verb

log = logging.getLogger("mlops_magics")

NOTEBOOK = "01_credit_risk.ipynb"


@verb()
def demo(*, folder: str = "mlops-demo") -> Demo:
    """Run a model's whole life on the shipped credit data, in a fresh folder.

    4,454 real loan applicants are prepared; a model is trained, validated, promoted, packaged,
    deployed, asked and monitored; then incomes shift, and it is retrained. The executed notebook
    is the sealed record of all of it.

    Parameters
    ----------
    folder : path
        Where to work; a number is added if it exists. It can be deleted afterwards.

    Returns
    -------
    Demo

    Raises
    ------
    StepFailed
        If a step failed; says which, and where the notebook with the error is.
    """
    place = _fresh(Path(folder))
    log.info("The demo works in %s; this takes about a minute.", place)
    with _inside(place):
        done = executing.one(str(_notebook()), output=str(place / NOTEBOOK), html=True)
        if done.status != "finished":
            raise StepFailed(_why(done), f"See {done.output}.")
        checked = verify(done.output)
    steps = tuple({"step": s["verb"], "figures": _figures(s)} for s in done.steps)
    return Demo(
        folder=str(place),
        steps=steps,
        notebook=done.output,
        verification=checked,
        warnings=done.warnings,
    )


def _fresh(folder: Path) -> Path:
    """The folder, made new; with a number when there is one already."""
    for number in range(1, 1000):
        place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            place.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise MlopsError(f"The folder {place} can't be made: {error.strerror}.") from error
        return place.resolve()
    raise MlopsError(f"{folder} and 999 like it exist already.", "Give another with --folder.")


@contextlib.contextmanager
def _inside(place: Path) -> Iterator[None]:
    """Work in the folder, with a store of its own whatever is configured elsewhere."""
    own = {
        "MLOPS_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}",
        "MLOPS_ARTIFACTS": str(place / "mlruns"),
        "MLOPS_STATE": str(place / ".mlops"),
        "MLOPS_NOTEBOOKS": str(place / "executed"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        with contextlib.chdir(place):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _notebook() -> Path:
    """The example: inside the package in a wheel, beside it in a checkout."""
    package = Path(str(files("mlops_magics")))
    places = [package / "examples" / NOTEBOOK, package.parent / "example_notebooks" / NOTEBOOK]
    found = next((p for p in places if p.is_file()), None)
    if found is None:
        raise MlopsError(f"{NOTEBOOK} is missing from this installation.", "Install it again.")
    return found


def _why(done: Execution) -> str:
    cell: Mapping[str, Any] = done.failed_cell or {}
    return f"The demo {done.status} at cell {cell.get('number', '?')}: {cell.get('message', '')}."


def _figures(step: Mapping[str, Any]) -> str:
    """What a step's line of the journal says beside who and when."""
    known = ("verb", "experiment", "run_id", "status", "started", "ended", "arguments")
    parts = []
    for key, value in step.items():
        if key in known or value in (None, "", {}, []):
            continue
        if isinstance(value, Mapping):
            value = ", ".join(f"{k} {_number(v)}" for k, v in value.items())
        parts.append(f"{key.replace('_', ' ')}: {_number(value)}")
    return " · ".join(parts)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
