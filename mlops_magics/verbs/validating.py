"""`validate`: a model judged against goals, and the verdict kept with its version."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import goals as language
from mlops_magics import store
from mlops_magics.records import Verdict
from mlops_magics.verbs import (
    evaluation,
    goal_texts,
    judged_rows,
    judgement,
    own_metrics,
    verdict_keeping,
)
from mlops_magics.verbs import (
    gates as gating,
)
from mlops_magics.verbs import (
    junit as reports,
)
from mlops_magics.verbs.declaration import Data, Model, verb
from mlops_magics.verbs.judgement import Judgement
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.steps import step
from mlops_magics.verbs.verdict_keeping import PREDICTIONS

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version

__all__ = ["PREDICTIONS", "validate"]

log = logging.getLogger("mlops_magics")


@verb(body="goals")
def validate(
    model: Model,
    *,
    goals: str = "",
    gates: str = "",
    on: Data = "",
    vs: str = "champion",
    waive: Annotated[Sequence[str], Option(("--waive",))] = (),
    allow_small: bool = False,
    seed: int = 0,
    junit: str = "",
) -> Verdict:
    """Judge a model against goals and keep the verdict with its version.

    Goals are written one a line, for example ``roc_auc >= 0.80``,
    ``roc_auc >= champion - 0.005``, ``recall >= 0.60 by Home``, ``p95_latency <= 20 ms``. What
    cannot be measured counts as failed. A comparison with the champion holds if it does with
    95 % confidence, by a paired bootstrap on the same rows; it passes where there is no champion
    yet. Before that the data is checked: a check that fails, fails the verdict.

    Parameters
    ----------
    model : model
        The version, for example ``credit@candidate``, or a fitted model in memory, whose verdict
        is not stored.
    goals : str, optional
        The goals, or the path of a file that holds them. By default those that this model was
        judged by last, else the file named in the settings.
    gates : path, optional
        A file of goals that are judged in any case beside the others, and suffice alone; those of
        the setting ``gates`` are judged too. Goals one a line, or TOML with ``goals``, ``on``,
        ``vs``, ``seed``, ``allow_small``, and a table by a model's name for what it needs more.
    on : data, optional
        The rows to judge on. By default the test rows of the dataset it was trained with.
    vs : str
        The alias, or the version, that ``champion`` stands for.
    waive : sequence of str
        The name of a check of the data whose failure is let pass; your name is recorded with it.
        May be given several times.
    allow_small : bool
        Judge groups of under 30 rows too.
    seed : int
        Of the bootstrap; the same seed gives the same verdict.
    junit : path, optional
        Also write the verdict to this file as JUnit XML, a test case a goal, which CI systems
        show.

    Returns
    -------
    Verdict

    Raises
    ------
    BadGoal
        If a goal, or the file of gates, can't be read; names all that is wrong.
    UnknownName
        If there is no such version, data, file, column or check.
    WrongUsage
        If there are no goals, no rows to judge on, or a function that the goals name is not here;
        or if what is given would judge the gates otherwise than they say.
    """
    reference = evaluation.reference_of(model)
    version = store.versions.resolve(reference) if reference is not None else None
    name = version.ref if version else type(model).__name__
    called = version.name if version else name
    text = goal_texts.read(goals) if goals.strip() else ""
    if not text and version and not gates:
        text = goal_texts.usual(version.name)
        goal_texts.refuse_lost_functions(version.name, text)
    with own_metrics.known(f"{text}\n{gating.texts(gates)}") as own:
        found = gating.of(gates, called)
        given = language.grammar.parse(text) if text.strip() else ()
        if not given and not any(g.goals for g in found):
            raise goal_texts.none_given(name)
        fixed = gating.fix(found, {"on": on, "vs": vs, "seed": seed, "allow_small": allow_small})
        training = judged_rows.training_data(version)
        judge = Judgement(
            asked_for=judgement.together(found, given),
            gates=found,
            rows=judged_rows.rows_of(fixed["on"], training, name),
            vs=fixed["vs"],
            allow_small=fixed["allow_small"],
            seed=fixed["seed"],
            waived=tuple(waive),
            own=own,
        )
        goal_texts.check_columns(judge.asked_for, judge.rows.frame)
        if version is None:
            verdict = judge.verdict(evaluation.of_object(model), None)
            verdict = _noted(
                verdict,
                "Nothing is stored: the model is in memory only, so no "
                "version can be promoted on this verdict.",
            )
        else:
            arguments = {"model": reference, "goals": text, "gates": gates, "waive": list(waive)}
            verdict = _stored(version, judge, text, {**arguments, **fixed})
    if junit.strip():
        reports.write(verdict, junit)
    return verdict


def _stored(version: Version, judge: Judgement, text: str, arguments: dict[str, Any]) -> Verdict:
    """Judge a version within a step, and name the verdict at it once all of it is kept."""
    champion = evaluation.champion_of(version, judge.vs) if judge.compares else None
    follows = [version.run_id, version.dataset_run, champion.run_id if champion else ""]
    with step("validate", experiment=version.name, arguments=arguments, follows=follows) as current:
        asked = evaluation.of_version(version)
        verdict = judge.verdict(asked, champion, current.run_id, current.who["actor"])
        verdict_keeping.keep(current, version, verdict, text, judge.gates, judge.answers)
    if current.kept:
        return _noted(
            verdict,
            f"{current.kept} {version.ref} does not name this verdict: judge it "
            "again to promote it.",
        )
    verdict_keeping.name_at(version, verdict)
    return verdict


def _noted(verdict: Verdict, warning: str) -> Verdict:
    return dataclasses.replace(verdict, warnings=(*verdict.warnings, warning))
