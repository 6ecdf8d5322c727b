"""What became of a model, as a card tells it: promotions, deployments, monitoring, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlops_magics import store
from mlops_magics.records import CardFact, CardSection, CardTable, Verification
from mlops_magics.verbs import moves
from mlops_magics.verbs.card_sources import Sources

#: Verbs → the file in which they tell what they did.
_FILES = {
    "promote": moves.PROMOTION,
    "rollback": moves.ROLLBACK,
    "deploy": "deployment.json",
    "undeploy": "deployment.json",
    "monitor": "monitoring.json",
}
#: So many of the latest are told of each kind.
_TOLD = 20


def _told(
    sources: Sources, *verbs: str
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], str]]:
    """Each step of these verbs, what it left, and why that can't be read."""
    for event in [e for e in sources.events if e["verb"] in verbs][-_TOLD:]:
        body, trouble = sources.json(str(event["run_id"]), _FILES[event["verb"]])
        yield event, body if isinstance(body, Mapping) else {}, trouble


def governance(sources: Sources) -> CardSection:
    """Who let it through, on what, and in spite of what."""
    rows = []
    for event, told, trouble in _told(sources, "promote", "rollback"):
        spite = f"overridden, in spite of: {told.get('objection') or 'not recorded'}"
        agreed = ", ".join(str(a.get("actor")) for a in told.get("approvals") or ())
        what = "rolled back" if event["verb"] == "rollback" else told.get("status", "")
        rows.append(
            (
                event["at"],
                f"@{told['alias']}" if told.get("alias") else "–",
                event["status"] if event["status"] != "finished" else what,
                told.get("previous") or "nothing",
                told.get("actor") or event["actor"],
                agreed or "–",
                f"can't be read: {trouble}" if trouble else told.get("reason") or "–",
                spite if told.get("overridden") else "–",
            )
        )
    columns = ("when", "alias", "outcome", "before", "by", "agreed", "reason", "overridden")
    table = CardTable(
        title="Promotions and rollbacks", columns=columns, rows=tuple(rows), source="history"
    )
    command = f"mlops promote {sources.version.ref}"
    facts = () if rows else (CardFact(name="Promotion", source="history", command=command),)
    return CardSection(name="Approval", facts=facts, tables=(table,))


def operation(sources: Sources) -> CardSection:
    """Where it was put to work, and what was seen of it there."""
    deployed = [
        (
            event["at"],
            event["verb"],
            told.get("name") or "–",
            told.get("target") or "–",
            f"can't be read: {trouble}" if trouble else told.get("status") or event["status"],
            event["actor"],
        )
        for event, told, trouble in _told(sources, "deploy", "undeploy")
    ]
    seen = [
        (
            event["at"],
            told.get("deployment") or "–",
            _verdict(told, trouble, event),
            told.get("rows"),
            ", ".join(_drifted(told)) or "none",
            (told.get("performance") or {}).get("metrics") or "–",
        )
        for event, told, trouble in _told(sources, "monitor")
    ]
    ref = sources.version.ref
    facts = (
        *([] if deployed else [_missing("Deployments", f"mlops deploy {ref}")]),
        *([] if seen else [_missing("Monitoring", f"mlops monitor {ref} --data DATA")]),
    )
    tables = (
        CardTable(
            title="Deployments, as they were recorded at that time",
            columns=("when", "step", "deployment", "target", "status", "by"),
            rows=tuple(deployed),
            source="history",
        ),
        CardTable(
            title="Monitoring",
            columns=("when", "deployment", "outcome", "rows", "drifted columns", "measured"),
            rows=tuple(seen),
            source="history",
        ),
    )
    return CardSection(name="In operation", facts=facts, tables=tables)


def _missing(name: str, command: str) -> CardFact:
    return CardFact(name=name, source="history", command=command)


def _verdict(told: Mapping[str, Any], trouble: str, event: Mapping[str, Any]) -> str:
    if trouble:
        return f"can't be read: {trouble}"
    if event["status"] != "finished":
        return str(event["status"])
    return "well" if told.get("passed") else "over threshold"


def _drifted(told: Mapping[str, Any]) -> list[str]:
    return [str(f.get("name")) for f in told.get("features") or () if f.get("drifted")]


def seen(sources: Sources) -> Iterator[tuple[str, str, str]]:
    """What the latest look at it found wanting, as limits of the model."""
    for event, told, trouble in list(_told(sources, "monitor"))[-1:]:
        if trouble or told.get("passed", True):
            continue
        drifted = _drifted(told)
        missed = [g for g in told.get("goals") or () if not g.get("passed")]
        found = [f"{g.get('text')}: {g.get('reason')}" for g in missed]
        found += [f"Drift in {', '.join(drifted)}."] if drifted else []
        yield "over threshold when last seen at work", " ".join(found), f"run {event['run_id'][:8]}"


def versions(sources: Sources) -> CardSection:
    """The versions there are, newest first."""
    named = {"true": "passed", "false": "failed"}
    all_ = store.versions.of(sources.version.name)
    rows = tuple(
        (
            v.ref + (" (this one)" if v.ref == sources.version.ref else ""),
            ", ".join(f"@{a}" for a in v.aliases) or "–",
            named.get(v.tags.get("mlops.verdict.passed", "").lower(), "none"),
            v.estimator or "–",
            store.history.moment(v.created) if v.created else "–",
        )
        for v in all_[:_TOLD]
    )
    more = len(all_) - len(rows)
    table = CardTable(
        title="",
        columns=("version", "aliases", "verdict when judged", "estimator", "registered"),
        rows=rows,
        source="registry",
    )
    notes = (f"{more} older versions are not shown.",) if more > 0 else ()
    return CardSection(name="Versions", tables=(table,), notes=notes)


def integrity(sources: Sources, checked: Verification) -> CardSection:
    """Whether files and history are as they were recorded, and the steps that stand in it."""
    source = "files of the model and the chain of its history, verified for this card"
    told = "intact" if checked.intact else "not intact"
    facts = (
        CardFact(name="Model and history", value=told, source=source),
        CardFact(name="Entries of the history", value=checked.entries or None, source=source),
        CardFact(name="Newest entry", value=checked.head, source=source),
        CardFact(name="Signed by", value=checked.signer, source=source),
    )
    problems = CardTable(
        title="", columns=("what was changed",), rows=tuple((p,) for p in checked.problems)
    )
    steps = CardTable(
        title=f"Steps ({len(sources.events)})",
        columns=("when", "step", "status", "who", "what", "run"),
        rows=tuple(
            (e["at"], e["verb"], e["status"], e["actor"], e["summary"], e["run_id"])
            for e in sources.events
        ),
        source="history",
        long=True,
    )
    return CardSection(name="Integrity and history", facts=facts, tables=(problems, steps))
