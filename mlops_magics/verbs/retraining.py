"""`retrain`: if the world has changed, train again, judge as before, and promote or hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import evidence, settings, store
from mlops_magics.errors import BadGoal, MlopsError, StepFailed, UnknownName, WrongUsage
from mlops_magics.records import Execution, Promotion, Retraining, Verdict
from mlops_magics.verbs import executing, goal_texts, promoting, recipes, validating
from mlops_magics.verbs.declaration import verb
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.steps import Step, step

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version

log = logging.getLogger("mlops_magics")


@verb()
def retrain(
    name: str,
    *,
    if_: str = "",
    params: Annotated[Mapping[str, Any], Option(("-p", "--param"))] = {},
    promote: bool = False,
    notebook: str = "",
) -> Retraining:
    """Train a model again if a condition holds, judge it by the same goals, promote it or hold.

    The condition is asked of the last monitoring record. The training notebook that the version
    came from is executed headlessly, with the parameters it had; the new candidate is judged by
    the goals the model was judged by last. Whatever fails, the champion stays what it is.

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
    promote : bool
        Make the new version the champion if its verdict is passed; otherwise it is held as
        ``candidate``.
    notebook : path, optional
        The training notebook; by default the one the champion was trained by, else the shipped
        ``train`` with what is on record.

    Returns
    -------
    Retraining
        With the outcome ``not fired``, ``promoted``, ``held`` or ``not better``.

    Raises
    ------
    UnknownName
        If there is no such model or notebook.
    WrongUsage
        If there is nothing to ask the condition of, or no goals to judge by.
    BadGoal
        If the condition can't be read.
    StepFailed
        If the notebook fails or leaves no new version; the champion stays.
    """
    from filelock import FileLock, Timeout

    found = store.versions.of(name)
    if not found:
        raise UnknownName("model", name, store.versions.names())
    champion = next((v for v in found if "champion" in v.aliases), None)
    cause = _cause(name, if_) if if_.strip() else _Cause(fired=True, reason="No condition given.")
    # What would stop it at the end is found before anything is trained.
    goal_texts.check_usual(name)
    arguments: dict[str, Any] = {"name": name, "if": if_, "params": evidence.secrets.mask(params)}
    arguments |= {"promote": promote, "notebook": notebook}
    base = champion or found[0]
    options = settings.load()
    options.state.mkdir(parents=True, exist_ok=True)
    try:
        with (
            FileLock(options.state / f"retrain-{name}.lock", timeout=0),
            step(
                "retrain",
                experiment=name,
                arguments=arguments,
                follows=[cause.run_id, base.run_id],
            ) as current,
        ):
            if cause.fired:
                record = _again(current, base, champion, cause, params, notebook, promote)
            else:
                log.info("Not retrained: %s", cause.reason)
                record = _record(current, champion, cause, "not fired")
            return _keep(current, record)
    except Timeout:
        raise MlopsError(
            f"{name} is being retrained already.", "Wait until that has ended."
        ) from None


class _Cause:
    """Whether the condition holds, why, and on which monitoring record."""

    def __init__(self, *, fired: bool, reason: str, condition: str = "", run_id: str = "") -> None:
        self.fired, self.reason, self.condition, self.run_id = fired, reason, condition, run_id


def _cause(name: str, condition: str) -> _Cause:
    from mlops_magics import drift, goals

    asked = goals.grammar.parse(condition)
    for goal in asked:
        if goal.reference:
            raise BadGoal(
                f"{goal.text!r} compares with the {goal.reference}, and a condition asks what was "
                "monitored.",
                "Give a number there; the new version is judged beside the champion in any case.",
            )
    last = recipes.last_monitoring(name)
    if last is None:
        raise WrongUsage(
            f"{name} was never monitored, so there is nothing to ask {condition.strip()!r} of.",
            "Run `monitor` on it first, or leave out --if.",
        )
    run_id, seen = last
    subject = drift.facts.subject(
        name=name,
        features=seen.get("features", ()),
        service=seen.get("service", {}),
        performance=seen.get("performance", {}),
        rows=int(seen.get("rows", 0)),
    )
    results = goals.judging.judge(asked, subject)
    reason = " ".join(f"{r.text}: {r.reason}" for r in results)
    fired = all(r.passed for r in results)
    return _Cause(fired=fired, reason=reason, condition=condition.strip(), run_id=run_id)


def _again(
    current: Step,
    base: Version,
    champion: Version | None,
    cause: _Cause,
    params: Mapping[str, Any],
    notebook: str,
    promote: bool,
) -> Retraining:
    """Execute, judge, promote or hold."""
    recipe = recipes.recipe_of(base, notebook, params)
    current.params({"notebook": recipe.notebook, **recipe.shown})
    known = {version.number for version in store.versions.of(base.name)}
    log.info("Training %s again with %s", base.name, Path(recipe.notebook).name)
    done = executing.run(recipe.notebook, params=recipe.params)
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
    cause: _Cause,
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
