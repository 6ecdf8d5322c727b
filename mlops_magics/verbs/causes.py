"""Whether a model is to be trained again: a condition, asked of what was monitored last."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_magics import drift, goals, store
from mlops_magics.errors import BadGoal, WrongUsage
from mlops_magics.verbs import recipes


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Whether the condition holds, why, and the run of the monitoring record it was asked of."""

    fired: bool
    reason: str
    condition: str = ""
    run_id: str = ""


def find(name: str, condition: str) -> Cause:
    """Ask the condition of the model's last monitoring record.

    Raises
    ------
    BadGoal
        If it can't be read, or compares with another model.
    WrongUsage
        If the model was never monitored.
    """
    condition = condition.strip()
    if not condition:
        return Cause(fired=True, reason="No condition given.")
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
            f"{name} was never monitored, so there is nothing to ask {condition!r} of.",
            "Run `monitor` on it first, or leave out --if.",
        )
    run_id, seen = last
    if answered := _answered(name, run_id):
        reason = f"The last monitoring record was answered already, by run {answered}."
        return Cause(fired=False, reason=reason, condition=condition, run_id=run_id)
    subject = drift.facts.subject(
        name=name,
        features=seen.get("features", ()),
        service=seen.get("service", {}),
        performance=seen.get("performance", {}),
        rows=int(seen.get("rows", 0)),
        multivariate=seen.get("multivariate") or {},
    )
    results = goals.judging.judge(asked, subject)
    reason = " ".join(f"{r.text}: {r.reason}" for r in results)
    fired = all(r.passed for r in results)
    return Cause(fired=fired, reason=reason, condition=condition, run_id=run_id)


def _answered(name: str, monitoring: str) -> str:
    """The retraining that this monitoring record led to, if it went through; else empty."""
    for run in store.runs.find(verb="retrain", experiment=name):
        tags = run.data.tags
        led = monitoring in tags.get("mlops.follows", "").split()
        if led and tags.get("mlops.outcome", "not fired") != "not fired":
            return str(run.info.run_id)
    return ""
