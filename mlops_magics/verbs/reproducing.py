"""`reproduce`: a recorded training again, in a fresh kernel, and whether it gives the same."""

from __future__ import annotations

import logging
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import evidence, settings, store
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Reproduction, Written
from mlops_magics.verbs import originals, reproduced, rerunning, templating
from mlops_magics.verbs.declaration import Model, verb
from mlops_magics.verbs.destinations import target_of
from mlops_magics.verbs.executing import check_limits
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.originals import Original
from mlops_magics.verbs.steps import Step, step

if TYPE_CHECKING:
    from mlops_magics.notebooks.fresh import Fresh

log = logging.getLogger("mlops_magics")

_MASKED = (
    "A secret stood in the cells, and the record holds none: read it from the environment instead, "
    "or give it with -p NAME VALUE."
)


@verb()
def reproduce(
    ref: Model,
    *,
    params: Annotated[Mapping[str, Any], Option(("-p", "--param"))] = {},
    tolerance: float = 1e-9,
    env: bool = False,
    as_template: str = "",
    timeout: float | None = None,
    output: str = "",
) -> Reproduction | Written:
    """Run the recorded code of a training again, in a fresh kernel, and compare what comes of it.

    The cells that the model was made from run in the order that was found to run, with the
    recorded data, in a store of their own: the user's gets nothing but the verdict. Files that the
    cells write they write again. Compared are the data's fingerprint, the hyperparameters, every
    metric, and the predictions of both models for the recorded test rows (the input example where
    no rows are recorded). The verdict is a run that follows the original one, and a tag of the
    version.

    Parameters
    ----------
    ref : model
        The version, for example ``credit@champion``, or ``runs:/ID``.
    params : mapping
        Other values for literals that the cells assign; on a command line ``-p NAME VALUE``. Then
        it is a variation, compared all the same, and the version gets no verdict.
    tolerance : float
        Relative difference up to which two figures count as equal; those a thousand times
        smaller than it count as zero.
    env : bool
        Run in a fresh environment made from the recorded lock, with uv or else pip.
    as_template : path, optional
        Only write the cells there, as a notebook with parameters for `execute`; run nothing.
    timeout : float, optional
        Seconds for all the cells.
    output : path, optional
        Where the executed notebook goes; by default under ``executed/``.

    Returns
    -------
    Reproduction or Written
        With the outcome ``reproduced``, ``differs`` or ``can't run``.

    Raises
    ------
    UnknownName
        If there is no such model or run, or no such parameter in its cells.
    WrongUsage
        If it is no finished training, or an argument makes no sense.
    NotIntact
        If the recorded model or data was changed since.

    Examples
    --------
    >>> mlops.reproduce("credit@champion").outcome  # doctest: +SKIP
    'reproduced'
    """
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise WrongUsage(f"tolerance is {tolerance!r}, and has to be 0 or more.")
    check_limits(timeout=timeout)
    original = originals.find(ref)
    notebook = templating.notebook(original) if original.slice.get("cells") else None
    if as_template:
        return templating.write(original, Path(as_template).expanduser(), params)
    given = templating.check(original, notebook, params)
    if original.version is not None:
        store.versions.local_path(original.version)  # whole and untouched, or said now
    target = target_of(output, _name(original), settings.load().notebooks)
    arguments = {
        "ref": original.ref,
        "params": evidence.secrets.mask(params),
        "tolerance": tolerance,
        "env": env,
        "timeout": timeout,
        "output": output,
    }
    begun = time.monotonic()
    with step(
        "reproduce",
        experiment=original.name,
        arguments=arguments,
        follows=[original.run_id],
        name=f"reproduce {original.ref}",
    ) as current:
        try:
            if notebook is None:
                raise reproduced.CantRunError(
                    f"No cells are recorded with {original.ref}: it was not trained by a cell, a "
                    "block or a script of this package."
                )
            task = rerunning.Task(
                original=original,
                notebook=notebook,
                params=given,
                tolerance=tolerance,
                target=target,
                timeout=timeout,
                arguments=arguments,
            )
            found = _run_and_compare(current, task, env=env)
        except reproduced.CantRunError as error:
            found = Reproduction(
                ref=original.ref,
                outcome="can't run",
                reason=str(error),
                notebook=str(target) if target.is_file() else "",
                warnings=error.warnings,
            )
        record = replace(
            found,
            warnings=(*found.warnings, *([_MASKED] if original.masked else ())),
            tolerance=tolerance,
            params=evidence.secrets.mask(given),
            environment="lock" if env else "this",
            duration=round(time.monotonic() - begun, 3),
            run_id=current.run_id,
        )
        _keep(current, original, record, variation=bool(given))
    return record


def _name(original: Original) -> Path:
    of = original.version.number if original.version else original.run_id[:8]
    return Path(f"{original.name}-{of}-again.ipynb")


def _run_and_compare(current: Step, task: rerunning.Task, *, env: bool) -> Reproduction:
    original = task.original
    with tempfile.TemporaryDirectory(prefix="mlops-again-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        fresh = _fresh(original, scratch) if env else None
        aside = store.seeding.Aside(scratch / "store")
        log.info("Running the %d recorded cells of %s", len(original.slice["cells"]), original.ref)
        again = rerunning.run(task, aside, scratch, fresh)
        current.file(task.target, "notebook")
        current.tags({"mlops.seal": again.digest})
        if again.outcome.status == "interrupted":
            raise KeyboardInterrupt
        found = reproduced.compare(task, again, aside, fresh)
    return replace(found, notebook=str(task.target), warnings=(*found.warnings, *again.warnings))


def _fresh(original: Original, scratch: Path) -> Fresh:
    from mlops_magics.notebooks import fresh

    log.info("Making the recorded environment")
    imported = original.record.get("lock", {}).get("imported", ())
    python = str(original.record.get("environment", {}).get("python", ""))
    try:
        return fresh.make(scratch, original.lock(), imported, python)
    except fresh.NotMadeError as error:
        raise reproduced.CantRunError(str(error)) from error


def _keep(current: Step, original: Original, record: Reproduction, *, variation: bool) -> None:
    """The verdict as evidence of the run, and unless it was a variation, as tags of the version."""
    current.json("reproduction.json", record.to_dict())
    current.params({"tolerance": record.tolerance, **record.params})
    current.tags({"mlops.model": original.ref, "mlops.outcome": record.outcome})
    current.summary = {
        "model": original.ref,
        "outcome": record.outcome,
        "reason": record.reason,
        **({"parameters": record.params} if variation else {}),
    }
    if original.version is not None and not variation:
        store.versions.tag(original.version, "mlops.reproduction", record.outcome)
        store.versions.tag(original.version, "mlops.reproduction_run", record.run_id)
