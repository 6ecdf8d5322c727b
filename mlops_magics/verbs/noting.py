"""`log`: metrics, parameters, tags, files and figures, for the open run or after the fact."""

from __future__ import annotations

import json
import numbers
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from mlops_magics import evidence, records, store
from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.records import Logged
from mlops_magics.verbs import session, tracked
from mlops_magics.verbs.declaration import Reference, verb
from mlops_magics.verbs.live import check_metric
from mlops_magics.verbs.options import pair

#: The tag of a run to which something was added after it had ended.
AFTER = "mlops.logged_after"
#: So many of the latest additions are told in it.
TOLD = 20

_FILES, _FIGURES = "attached", "figures"


@dataclass
class _Notes:
    """What is to be added to a run; `files` are places on this machine, by folder in the run."""

    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        """What the files are called in the run."""
        return tuple(f"{folder}/{place.name}" for place, folder in self.files)


@verb()
def log(
    *values: Mapping[str, Any] | str,
    run: str = "",
    step: int | None = None,
    param: Sequence[str] = (),
    tag: Sequence[str] = (),
    file: Sequence[str | Path] = (),
    figure: Annotated[Any, Reference("figure")] = None,
) -> Logged:
    """Add metrics, parameters, tags, files and figures to a run.

    The run is the training that is open, else the last one of this process, else the one that
    ``run`` names. What is added after a run has ended is noted in its tag ``mlops.logged_after``,
    with who added it and when.

    Parameters
    ----------
    values : KEY=VALUE
        A number is a metric, anything else a parameter. In Python also a mapping.
    run : str
        A run's id, or a model's version: ``credit/3``, ``credit@champion``.
    step : int
        The iteration that the metrics belong to; by default the one after the last.
    param : sequence of str
        ``KEY=VALUE`` pairs that are parameters also where the value is a number.
    tag : sequence of str
        ``KEY=VALUE`` pairs to be set as tags.
    file : sequence of path
        Files or folders to attach.
    figure : figure
        In a notebook a variable that holds a figure of matplotlib, seaborn, plotly or anything
        that draws itself; attached as PNG and SVG.

    Returns
    -------
    Logged

    Raises
    ------
    WrongUsage
        If there is nothing to log or no run to log to, a value fits no metric, or a parameter is
        there with another value, which MLflow forbids to change.
    UnknownName
        If there is no such run, file or variable.
    """
    training = None if run else tracked.current()
    notes = _read(values, _listed(param), _listed(tag), _listed(file))
    with ExitStack() as stack:
        if isinstance(figure, str):
            drawable = evidence.figures.is_figure
            names = [n for n, v in session.namespace().items() if drawable(v) and n[0] != "_"]
            raise UnknownName("figure", figure, names, "Name a variable that holds one.")
        if figure is not None:
            room = stack.enter_context(tempfile.TemporaryDirectory(prefix="mlops-"))
            notes.files += _draw(figure, Path(room))
        if not (notes.metrics or notes.params or notes.tags or notes.files):
            raise WrongUsage("There is nothing to log.", "For example: log accuracy=0.91")
        if training is None:
            return _after(run, notes, step)
        training.note(notes.metrics, notes.params, notes.tags, notes.files, step)
    return _logged(training.run_id, training.name, notes, step)


def _listed(given: Any) -> list[Any]:
    return [given] if isinstance(given, str | Path) else list(given)


def _read(
    values: Sequence[Mapping[str, Any] | str],
    params: Sequence[str],
    tags: Sequence[str],
    files: Sequence[str | Path],
) -> _Notes:
    notes = _Notes()
    for given in values:
        if isinstance(given, Mapping):
            for name, value in given.items():
                (notes.metrics if _is_number(value) else notes.params)[str(name)] = value
            continue
        name, value = pair(given)
        if (number := _number(value)) is None:
            notes.params[name] = value
        else:
            notes.metrics[name] = number
    notes.params |= dict(map(pair, params))
    notes.tags |= dict(map(pair, tags))
    for name in notes.metrics:
        check_metric(name)
    for place in map(Path, files):
        if not place.exists():
            near = [p.name for p in place.parent.glob("*")] if place.parent.is_dir() else []
            raise UnknownName("file", str(place), near)
        # A folder is attached under its own name, with what is in it.
        notes.files.append((place, _FILES))
    return notes


def _is_number(value: Any) -> bool:
    if isinstance(value, float | int):
        return not isinstance(value, bool)
    return isinstance(value, numbers.Real) or (
        hasattr(value, "__float__") and getattr(value, "shape", None) == ()  # of NumPy or torch
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _draw(figure: Any, room: Path) -> list[tuple[Path, str]]:
    drawn = []
    for name, content in evidence.figures.pictures(figure).items():
        (room / name).write_bytes(content)
        drawn.append((room / name, _FIGURES))
    return drawn


def _logged(run_id: str, name: str, notes: _Notes, step: int | None, *warnings: str) -> Logged:
    return Logged(
        run_id=run_id,
        name=name,
        params=notes.params,
        metrics=notes.metrics,
        tags=notes.tags,
        files=notes.names,
        step=step,
        warnings=warnings,
    )


def _after(ref: str, notes: _Notes, step: int | None) -> Logged:
    """Add to a run that has ended."""
    run_id = _find(ref)
    if parcel := store.outbox.find(run_id):
        # The store has not even taken the run itself: this goes with the rest of it.
        with parcel.alone(timeout=60):
            name = parcel.content().name
            now = time.time_ns() // 1_000_000
            points = [(k, float(v), step or 0, now) for k, v in notes.metrics.items()]
            parcel.add(params=notes.params, tags=notes.tags, points=points)
            for place, folder in notes.files:
                parcel.add_file(place, _inside(place, folder))
        kept = f"Run {run_id} is kept on this machine until the store answers; so is this."
        return _logged(run_id, name, notes, step, kept)
    known = store.runs.get(run_id)
    texts = {k: store.runs.short_param(v) for k, v in notes.params.items()}
    for key, text in texts.items():
        if (there := known.data.params.get(key, text)) != text:
            raise WrongUsage(
                f"Run {run_id} has the parameter {key!r} as {there!r}, and MLflow forbids to "
                "change one.",
                "Log it by another name, or as a tag.",
            )
    for place, folder in notes.files:
        store.runs.write_file(run_id, place, _inside(place, folder))
    store.values.add_metrics(run_id, notes.metrics, step)
    told = {
        "at": records.now(),
        "who": evidence.environment.who()["actor"],
        "what": [*notes.params, *notes.metrics, *notes.tags, *notes.names],
    }
    earlier = json.loads(known.data.tags.get(AFTER, "[]"))
    tags = {**notes.tags, AFTER: json.dumps([*earlier, told][-TOLD:])}
    store.runs.log(run_id, params=texts, tags=tags)
    name = store.runs.experiment_name(str(known.info.experiment_id))
    return _logged(run_id, name, notes, step)


def _inside(place: Path, folder: str) -> str:
    return f"{folder}/{place.name}" if place.is_dir() else folder


def _find(ref: str) -> str:
    if not ref:
        if (last := session.latest_run()) is None:
            raise WrongUsage(
                "No run of this process to log to.", "Name one with --run RUN_ID or --run credit/3."
            )
        return last[0]
    plain = ref.removeprefix("runs:/")
    return plain if re.fullmatch(r"[0-9a-f]{32}", plain) else store.versions.resolve(ref).run_id
