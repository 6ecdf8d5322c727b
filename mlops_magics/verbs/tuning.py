"""`tune`: a search over hyperparameters and algorithms, each trial a child run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import engines, goals, store
from mlops_magics.errors import Interrupted, WrongUsage
from mlops_magics.records import Tuning
from mlops_magics.verbs import aims, live, search_code, studies, unseen
from mlops_magics.verbs.declaration import Data, verb
from mlops_magics.verbs.options import Option, pair
from mlops_magics.verbs.searching import Loop
from mlops_magics.verbs.steps import step
from mlops_magics.verbs.trial_runs import TrialRuns
from mlops_magics.verbs.trials import Search, library
from mlops_magics.verbs.tuned import Result

if TYPE_CHECKING:
    from mlops_magics.verbs.search_code import Code


@verb(body="code")
def tune(
    name: str,
    code: str | Path | Callable[..., Any] = "",
    *,
    trials: int,
    metric: str,
    on: str = "local",
    jobs: int | None = None,
    timeout: float = 0.0,
    resume: bool = False,
    seed: int = 0,
    folds: int = 0,
    data: Data = "",
    model: str = "",
    message: Annotated[str, Option(("-m", "--message"))] = "",
    tag: Sequence[str] = (),
) -> Tuning:
    """Search hyperparameters and algorithms with Optuna; the best becomes ``@candidate``.

    The code is run once a trial, in a copy of the notebook's names, with Optuna's ``trial`` at
    hand: ``trial.suggest_float("C", 1e-3, 10, log=True)``. What is optimised is the variable
    named like the metric, or ``score``, where the code binds one; else the metric of the model
    that it leaves, on rows of the training data that are kept back. The test rows stay unseen: in
    a trial ``X_train`` and ``y_train`` are the rows to learn from, and ``X_valid``, ``y_valid`` as
    well as ``X_test``, ``y_test`` are those kept back. In the end the best parameters are trained
    once more on all training rows, as by ``train``, and measured on the test rows.

    With one job the same seed gives the same trials, also when the search was interrupted in
    between; with more, what a trial is suggested depends on which others have ended before.

    Parameters
    ----------
    name : str
        The model's name; also the MLflow experiment.
    code : code
        The cell, a Python file, or a function of the trial that returns a model or a number.
    trials : int
        How many trials there shall be in all.
    metric : str
        What is optimised; its name tells whether more is better.
    on : str
        The engine: ``local``, ``dask``, ``ray``, or a cluster's address (``tcp://127.0.0.1:8786``).
    jobs : int, optional
        How many trials run at a time: by default one on this machine, all workers of a cluster.
    timeout : float
        Seconds after which no trial is begun any more; 0 for no end.
    resume : bool
        Go on with the last search of the same code; trials that were done count.
    seed : int
        Decides what is suggested, and which rows are kept back.
    folds : int
        0 keeps a quarter of the training rows back; more is cross-validation: the code is run
        once a fold, and the mean counts.
    data : data, optional
        The prepared dataset; by default the rows as they stand in the notebook, else the dataset
        that was prepared last.
    model : str, optional
        The variable that holds the model, when the code leaves more than one.
    message : str, optional
        A note for whoever reads the record.
    tag : sequence of str
        ``KEY=VALUE`` pairs kept with the run.

    Returns
    -------
    Tuning
        All trials, best first, and the version that the best became.

    Raises
    ------
    WrongUsage
        If arguments make no sense, or the code leaves nothing that can be optimised.
    UnknownName
        If there is no such metric, file, engine or dataset; with the nearest that exist.
    MissingExtra
        If Optuna, or what the engine needs, is not installed.
    StepFailed
        If the engine can't be reached, or loses all its workers.
    Interrupted
        On Ctrl-C, as a `KeyboardInterrupt` with the record; ``resume`` goes on.
    """
    __tracebackhide__ = True  # a traceback shows the user's code, not this
    # All that can be wrong with what was asked is found before anything is recorded.
    store.versions.check_name(name)
    if trials < 1:
        raise WrongUsage(f"--trials must be at least 1, not {trials}.", "50 is a usual number.")
    if timeout < 0:
        raise WrongUsage(f"--timeout must not be negative, as {timeout:g} is.", "0 has no end.")
    library()
    words = [tag] if isinstance(tag, str) else list(tag)
    tags = dict(pair(word) for word in words)
    found = search_code.read(code)
    direction = _direction(found, metric)
    engine = engines.find(on, jobs)
    rows = unseen.find(data, metric)
    aim, warnings = aims.make(
        found, metric, rows.dataset, given=bool(data), folds=folds, seed=seed, model=model
    )
    options = {
        "data": data,
        "metric": metric,
        "model": model,
        "message": message,
        "tag": words,
    }
    arguments = {
        "name": name,
        "trials": trials,
        "on": on,
        "jobs": jobs,
        "timeout": timeout,
        "resume": resume,
        "seed": seed,
        "folds": folds,
        **options,
    }
    with (
        engine,
        studies.opened(
            name,
            # Of all that makes the values of two trials comparable.
            hashlib.sha256(repr((found.digest, metric, folds, model)).encode()).hexdigest(),
            direction,
            resume=resume,
            data=rows.dataset.digest if rows.dataset else "",
        ) as kept,
        step(
            "tune",
            experiment=name,
            arguments=arguments,
            follows=[rows.dataset.run_id if rows.dataset else "", *kept.runs],
            name="tune",
        ) as s,
        live.shown(s.now) as values,
    ):
        kept.note_run(s.run_id)
        s.tags({**tags, **({"mlflow.note.content": message} if message else {})})
        if rows.dataset:
            s.uses(rows.dataset, "tuning")
        runs = TrialRuns(s.run_id, name, metric, kept)
        result = Result(s, kept, runs, aim, engine.label, [*warnings, *kept.warnings])
        runs.catch_up()
        if kept.done >= trials:
            result.warnings.append(
                f"All {kept.done} trials were done before: only the best was trained again. Raise "
                "--trials to go on."
            )

        def told(trial: Any) -> None:
            runs.add(trial)
            if trial.value is not None:
                values.report(metric, trial.value, trial.number)

        loop = Loop(kept, Search(aim, direction, seed), engine, trials, timeout, told)
        try:
            loop.run()
            runs.flush()
            if loop.late:
                result.warnings.append(
                    f"Stopped after {timeout:g} s with {kept.done} of {trials} trials; --resume "
                    "goes on."
                )
            result.train_best(name, options)
        except KeyboardInterrupt:
            runs.flush()
            raise Interrupted(
                f"{kept.done} of {trials} trials are done and kept; the same with --resume goes "
                "on.",
                result.record("interrupted"),
            ) from None
        finally:
            runs.flush()
        return result.record("finished")


def _direction(code: Code, metric: str) -> str:
    """``maximize`` or ``minimize``; refuses what can't be measured of a model's answers."""
    found = goals.metrics.find(metric)
    if code.function is None and not {metric, "score"} & code.binds:
        if found.needs == "measurement":
            raise WrongUsage(
                f"{metric} is not measured of a model's answers: trials can't be compared by it.",
                f"Let the code bind {metric!r} to a number.",
            )
        if missing := found.missing_parameter({}):
            raise WrongUsage(missing, "Let the code bind `score` to a number.")
    return "maximize" if found.greater_is_better else "minimize"
