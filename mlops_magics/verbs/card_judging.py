"""How a model was judged, as a card tells it: its verdict, whether that holds, and its limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mlops_magics import records, store
from mlops_magics.records import CardFact, CardSection, CardTable, Dataset, Verdict
from mlops_magics.verbs import freshness, goal_texts, verdict_keeping
from mlops_magics.verbs.card_sources import Sources


@dataclass(frozen=True)
class Judged:
    """A version's verdict, as far as there is one, and how it stands today.

    Attributes
    ----------
    standing : str
        As `ModelCard` has it.
    why : str
        What stands against it; empty where nothing does.
    metrics : dict
        Metric → its figure on unseen rows.
    measured : str
        Where these figures are recorded.
    """

    standing: str
    why: str = ""
    run_id: str = ""
    verdict: Verdict | None = None
    trouble: str = ""
    metrics: dict[str, float] | None = None
    measured: str = ""


def judged(sources: Sources) -> Judged:
    """Read the verdict from its run; the tags of the version only name it."""
    version = sources.version
    run_id = version.tags.get(verdict_keeping.TAG, "")
    own = sources.record.get("metrics") or {}
    if not run_id:
        return Judged("not judged", metrics=own, measured=sources.trained)
    body, trouble = sources.json(run_id, goal_texts.VERDICT)
    if not trouble:
        verdict, trouble = sources.tried(
            lambda: records.read(
                Verdict,
                {"goals": (), **body},
                goals=records.GoalResult,
                checks=records.DataCheck,
            )
        )
    if trouble:
        why = f"its verdict can't be read: {trouble}"
        return Judged("can't be relied on", why, run_id, None, trouble, own, sources.trained)
    run, _ = sources.tried(lambda: store.runs.get(run_id))
    metrics = dict(run.data.metrics) if run else {}
    standing, why = _standing(sources, run_id, verdict)
    where = f"run {run_id}" if metrics else sources.trained
    return Judged(standing, why, run_id, verdict, "", metrics or own, where)


def _standing(sources: Sources, run_id: str, verdict: Verdict) -> tuple[str, str]:
    version = sources.version
    altered, trouble = sources.tried(lambda: store.ledger.objection(run_id))
    if altered or trouble:
        return "can't be relied on", altered or trouble
    if verdict.model != version.ref:
        return "can't be relied on", f"the verdict that it names is that of {verdict.model}"
    stale, trouble = sources.tried(lambda: freshness.stale(version, verdict.to_dict()))
    if stale:
        return "stale", stale
    if trouble:
        return "can't be relied on", f"whether it still holds can't be told: {trouble}"
    return ("passed" if verdict.passed else "failed"), ""


def evaluation(sources: Sources, found: Judged) -> CardSection:
    """The verdict and the metrics; its goals, checks and curves are the record's own."""
    ref = sources.version.ref
    source = f"{goal_texts.VERDICT} of run {found.run_id}" if found.run_id else ""
    verdict = found.verdict
    facts = [
        CardFact(
            name="Verdict",
            value=_told(found) if verdict else None,
            source=source,
            command=f"mlops validate {ref} --goals goals.txt",
            trouble=found.trouble,
        )
    ]
    if verdict is not None:
        rows = f"{verdict.rows} rows" if verdict.rows else ""
        against = f"{verdict.vs} {verdict.against}" if verdict.vs else verdict.against
        values: list[tuple[str, Any, Any]] = [
            ("Evaluation data", ", ".join(filter(None, [verdict.dataset, rows])), ""),
            ("Content of these rows", verdict.dataset_digest, "digest"),
            ("Compared with", against if verdict.against else "nothing", ""),
            ("Judged", verdict.at, "moment"),
            ("Judged on", verdict.machine, ""),
            ("Gates", verdict.gates, ""),
            ("Tests", verdict.multiplicity, ""),
            ("Run", found.run_id, ""),
        ]
        facts += [CardFact(name=n, value=v, source=source, form=f) for n, v, f in values if v]
    metrics = found.metrics or {}
    table = CardTable(
        title="Metrics on unseen rows",
        columns=("metric", "value"),
        rows=tuple(metrics.items()),
        source=found.measured,
    )
    if not metrics:
        facts.append(CardFact(name="Metrics", source=sources.trained, trouble=sources.trouble))
    return CardSection(name="Evaluation", facts=tuple(facts), tables=(table,))


def _told(found: Judged) -> str:
    said = "passed" if found.verdict and found.verdict.passed else "failed"
    if found.standing == "stale":
        return f"{said}, and stale since: {found.why}"
    if found.standing == "can't be relied on":
        return f"{said}, but it can't be relied on: {found.why}"
    return f"{said}; nothing that it rests on was changed since"


def groups(found: Judged, factors: CardFact) -> CardSection:
    """Metrics by group: which factors people name, and each group that a goal looked at."""
    verdict = found.verdict
    by_group = [g for g in verdict.goals if g.groups] if verdict else []
    facts = [factors]
    if not by_group:
        facts.append(
            CardFact(
                name="Metrics by group",
                source=found.run_id,
                command="a goal by group, such as: recall >= 0.60 by COLUMN",
            )
        )
    return CardSection(name="Metrics by group", facts=tuple(facts))


def limits(
    sources: Sources,
    found: Judged,
    said: CardFact,
    dataset: Dataset | None,
    seen: Iterable[tuple[str, str, str]] = (),
) -> CardSection:
    """What people say, and what the evidence says against the model.

    Parameters
    ----------
    seen : iterable of (str, str, str)
        What was seen of it at work: what, in words, and where that is recorded.
    """
    rows = (
        *_of_verdict(found),
        *_of_training(sources),
        *(_of_data(dataset) if dataset else ()),
        *seen,
    )
    table = CardTable(
        title="From the evidence", columns=("limit", "found", "recorded in"), rows=rows
    )
    notes = () if rows else ("What was looked at shows no limit; that is no proof of none.",)
    return CardSection(name="Limits", facts=(said,), tables=(table,), notes=notes)


def _of_verdict(found: Judged) -> Iterator[tuple[str, str, str]]:
    verdict = found.verdict
    if found.standing == "not judged":
        yield "not judged", "No verdict is recorded: what it is good for was not judged.", "–"
    if found.why:
        yield f"verdict {found.standing}", f"{found.why}.", _run(found.run_id)
    if verdict is None:
        return
    where = _run(found.run_id)
    for goal in verdict.goals:
        if not goal.passed:
            yield f"goal not met: {goal.text}", goal.reason, where
        unknown = [g for g in goal.groups if g.get("value") is None]
        missed = [g for g in goal.groups if g.get("passed") is False and g not in unknown]
        for how, which in (("short of its bound", missed), ("not known", unknown)):
            if which:
                told = " ".join(f"{g.get('group')}: {g.get('reason', '')}" for g in which)
                yield f"{goal.metric} {how} in {_groups(len(which))}", told, where
    for check in verdict.checks:
        if check.status != "passed":
            by = f" Waived by {check.waived_by}." if check.waived_by else ""
            yield f"data check {check.status}: {check.name}", f"{check.found}{by}", where


def _run(run_id: str) -> str:
    """A run as a cell of a table has room for; its whole id stands in its own section."""
    return f"run {run_id[:8]}"


def _groups(count: int) -> str:
    return f"{count} groups" if count > 1 else "a group"


def _of_training(sources: Sources) -> Iterator[tuple[str, str, str]]:
    cells = str((sources.record.get("trust") or {}).get("cells", ""))
    stamp, _, why = cells.partition(": ")
    if stamp and stamp != "clean":
        yield f"cells {stamp}", why or "Nothing more is recorded.", _run(sources.version.run_id)
    for warning in sources.record.get("warnings") or ():
        yield "warning of the training", str(warning), _run(sources.version.run_id)
    if sources.run_trouble:
        yield "training run missing", sources.run_trouble, "–"


def _of_data(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    for warning in dataset.warnings:
        yield "warning of the data", warning, _run(dataset.run_id)
