"""`retrain`: if the world has changed, train again, judge as before, and promote or hold."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import evidence, settings, store
from mlops_magics.errors import MlopsError, StepFailed, UnknownName, WrongUsage
from mlops_magics.records import Execution, Promotion, Retraining, Verdict
from mlops_magics.verbs import (
    causes,
    executing,
    gathering,
    goal_texts,
    promoting,
    recipes,
    validating,
)
from mlops_magics.verbs.causes import Cause
from mlops_magics.verbs.declaration import Data, is_given, verb
from mlops_magics.verbs.gathering import Window
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.steps import Step, step

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version
    from mlops_magics.verbs.recipes import Recipe

log = logging.getLogger("mlops_magics")


@verb()
def retrain(
    name: str,
    *,
    if_: str = "",
    params: Annotated[Mapping[str, Any], Option(("-p", "--param"))] = {},
    data: Data = "",
    since: str = "",
    labels: Data = "",
    on: str = "",
    append: bool = False,
    promote: bool = False,
    notebook: str = "",
    wait: float = 0.0,
) -> Retraining:
    """Train a model again if a condition holds, judge it by the same goals, promote it or hold.

    The condition is asked of the last monitoring record; one that was answered by a retraining
    does not fire again. The training notebook that the version came from is executed headlessly,
    with the parameters it had, on new data where some is named; the new candidate is judged by the
    goals the model was judged by last. Whatever fails, the champion stays what it is.

    Parameters
    ----------
    name : str
        The model's name.
    if_ : str, optional
        A condition in the goal language, for example ``drift(Income) > 0.2``; several lines must
        all hold. By default the model is trained again in any case.
    params : mapping
        Parameters of the notebook, beside or instead of those it had; on a command line
        ``-p NAME VALUE``.
    data : data, optional
        What to learn from now, in place of the data that the notebook had.
    since : str, optional
        Learn from the requests that came to the model's deployment since then (``30d``, a date)
        and have labels by now.
    labels : data, optional
        Their truth: a column of labels, and one of keys.
    on : str, optional
        The key by which labels belong to requests; ``request_id`` by default.
    append : bool
        Add them to the rows of the last training, instead of learning from them alone.
    promote : bool
        Make the new version the champion if its verdict is passed; otherwise it is held as
        ``candidate``.
    notebook : path, optional
        The training notebook; by default the one the champion was trained by, else the cells that
        are recorded with it, else the shipped ``train`` with what is on record.
    wait : float
        Seconds to wait while another retraining of this model is at work, and then to ask the
        condition; 0 leaves it to the other one.

    Returns
    -------
    Retraining
        With the outcome ``not fired``, ``promoted``, ``held`` or ``not better``.

    Raises
    ------
    UnknownName
        If there is no such model, notebook, deployment or data.
    WrongUsage
        If there is nothing to ask the condition of, or no goals to judge by.
    BadGoal
        If the condition can't be read.
    BadData
        If too few rows have labels.
    StepFailed
        If the notebook fails or leaves no new version; the champion stays.
    MlopsError
        If another retraining of this model is at work.
    """
    found = store.versions.of(name)
    if not found:
        raise UnknownName("model", name, store.versions.names())
    if not wait >= 0:
        raise WrongUsage(f"--wait is {wait:g}, and has to be at least 0 seconds.")
    window = Window(since=since, labels=labels, on=on, append=append)
    window.check()
    given = is_given(data)
    if given and window.asked:
        raise WrongUsage("--data names the new data, and so does --since or --labels.", "Take one.")
    # What would stop it at the end is found before anything is trained.
    goal_texts.check_usual(name)
    arguments: dict[str, Any] = {"name": name, "if": if_, "params": evidence.secrets.mask(params)}
    arguments |= {"data": data, "since": since, "labels": labels, "on": on, "append": append}
    arguments |= {"promote": promote, "notebook": notebook, "wait": wait}
    with _alone(name, wait):
        # Asked only now: the other one, if there was any, may have changed all of it.
        found = store.versions.of(name)
        champion = next((v for v in found if "champion" in v.aliases), None)
        base = champion or found[0]
        cause = causes.find(name, if_)
        with step(
            "retrain", experiment=name, arguments=arguments, follows=[cause.run_id, base.run_id]
        ) as current:
            if not cause.fired:
                log.info("Not retrained: %s", cause.reason)
                return _keep(current, _record(current, champion, cause, "not fired"))
            new: Any = data if given else None
            if window.asked:
                new = gathering.gather(name, base, window)
            recipe = recipes.recipe_of(base, notebook, params, new)
            return _keep(current, _again(current, base, champion, cause, recipe, promote))


@contextmanager
def _alone(name: str, wait: float) -> Iterator[None]:
    """Only one retraining of a model at a time on this machine."""
    from filelock import FileLock, Timeout

    state = settings.load().state
    state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(state / f"retrain-{name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        if not wait:
            raise MlopsError(
                f"{name} is being retrained already.",
                "Leave it to that one, or wait until it has ended: --wait 3600.",
            ) from None
        log.info("Waiting for another retraining of %s", name)
        try:
            lock.acquire(timeout=wait)
        except Timeout:
            raise MlopsError(
                f"{name} is being retrained already, and that has not ended in {wait:g} seconds.",
                "Wait longer, or look at it with `mlops status`.",
            ) from None
    try:
        yield
    finally:
        lock.release()


def _again(
    current: Step,
    base: Version,
    champion: Version | None,
    cause: Cause,
    recipe: Recipe,
    promote: bool,
) -> Retraining:
    """Execute, judge, promote or hold."""
    current.params({"notebook": recipe.notebook, **recipe.shown})
    known = {version.number for version in store.versions.of(base.name)}
    log.info("Training %s again with %s", base.name, Path(recipe.notebook).name)
    done = executing.one(recipe.notebook, params=recipe.params)
    stays = f"{champion.ref} stays the champion." if champion else "There is no champion yet."
    if done.status != "finished":
        raise StepFailed(f"The training notebook {_ending(done)}.", f"See {done.output}. {stays}")
    new = [v for v in store.versions.of(base.name) if v.number not in known]
    if not new:
        raise StepFailed(
            f"{recipe.notebook} registered no new version of {base.name}.",
            f"It has to train under that name. See {done.output}. {stays}",
        )
    candidate = new[0]
    verdict = validating.validate(candidate.ref)
    promotion = None
    if not verdict.passed:
        outcome = "not better"
    elif promote:
        why = f"retrained: {cause.condition or 'as asked'}"
        promotion = promoting.promote(candidate.ref, message=why)
        outcome = promotion.status
    else:
        outcome = "held"
    return _record(current, champion, cause, outcome, done, candidate, verdict, promotion)


def _ending(done: Execution) -> str:
    cell = done.failed_cell
    where = f" at cell {cell['number']}: {cell['error']}: {cell['message']}" if cell else ""
    return f"was {done.status}{where}" if done.status != "failed" else f"failed{where}"


def _record(
    current: Step,
    champion: Version | None,
    cause: Cause,
    outcome: str,
    execution: Execution | None = None,
    candidate: Version | None = None,
    verdict: Verdict | None = None,
    promotion: Promotion | None = None,
) -> Retraining:
    promoted = candidate is not None and outcome == "promoted"
    now = candidate if promoted else champion
    return Retraining(
        name=current.experiment,
        fired=cause.fired,
        outcome=outcome,
        verdict=verdict,
        promotion=promotion,
        condition=cause.condition,
        reason=cause.reason,
        execution=execution,
        candidate=candidate.ref if candidate else None,
        champion=now.ref if now else None,
        run_id=current.run_id,
    )


def _keep(current: Step, record: Retraining) -> Retraining:
    """One record links cause, run, verdict and outcome."""
    current.json("retraining.json", record)
    current.tags({"mlops.outcome": record.outcome, "mlops.model": record.candidate or ""})
    current.summary = {
        "model": record.candidate or record.champion,
        "outcome": record.outcome,
        "condition": record.condition,
        **({"passed": record.verdict.passed} if record.verdict else {}),
    }
    return record
