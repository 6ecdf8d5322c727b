"""Each record in text and in HTML: escaped, without scripts, the same facts in both."""

from __future__ import annotations

import dataclasses
import re
import typing
from html.parser import HTMLParser
from typing import Any

import pytest

from mlops_magics import records
from mlops_magics.doors import views
from mlops_magics.records import Record

HOSTILE = "<script>alert(1)</script>&\"'"


def filled(kind: type[Record]) -> Record:
    """A record of that kind whose every text is hostile and whose every list has an entry."""
    hints = typing.get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        if not field.metadata.get("private"):
            values[field.name] = example(field.name, hints[field.name])
    return kind(**{**values, **FORMS.get(kind, {})})


_PAIRS = {HOSTILE: [HOSTILE, None], "estimator": [HOSTILE, HOSTILE], "commit": [None, HOSTILE]}
_FACTS = {"name": HOSTILE, "digest": HOSTILE, "rows": 1}

_TRIAL = {"state": "complete", "params": {HOSTILE: HOSTILE}, "duration": 0.1, "reason": ""}

#: Fields that have the same name in several records, and another form in this one.
FORMS: dict[type[Record], dict[str, Any]] = {
    records.Changes: {
        **dict.fromkeys(("git", "model", "params", "libraries", "environment"), _PAIRS),
        "metrics": {HOSTILE: {"before": 0.1, "after": 0.2, "difference": 0.1, "better": True}},
        "code": ({"change": HOSTILE, "number": [1, 2], "diff": f"@@ -1 +1 @@\n-{HOSTILE}"},),
        "data": {
            "same": False,
            "before": _FACTS,
            "after": _FACTS,
            "columns": {"added": {HOSTILE: HOSTILE}, "removed": {HOSTILE: HOSTILE}},
            "distributions": [{"name": HOSTILE, "reason": HOSTILE, "level": "large", "psi": 1.0}],
            "compared": HOSTILE,
            "split": {HOSTILE: [HOSTILE, None]},
        },
    },
    records.Promotion: {
        "approvals": tuple({"actor": HOSTILE, "at": HOSTILE, "reason": HOSTILE} for _ in "ab"),
        "status": "held",
    },
    records.Rollback: {
        "deployments": ({"name": HOSTILE, "from": HOSTILE, "to": HOSTILE, "url": HOSTILE},),
    },
    records.Explanation: {
        "importances": (
            {"feature": HOSTILE, "permutation": 0.1, "interval": (0.0, 0.2), "shap": 0.3},
            {"feature": HOSTILE, "permutation": 0.0, "interval": None, "constant": True},
        ),
        "dependence": {
            f"{kind} {HOSTILE}": {
                "kind": kind,
                "values": [value, None],
                "average": [0.1, 0.2],
                "shares": [0.5, 0.5],
            }
            for kind, value in (("category", HOSTILE), ("number", 1.0), ("time", HOSTILE))
        },
        "rows": (
            {
                **dict.fromkeys(("about", "outcome", "unit"), HOSTILE),
                "row": 1,
                "base": 0.1,
                "prediction": 0.3,
                "answer": 0.3,
                "contributions": [
                    {"feature": HOSTILE, "value": HOSTILE, "contribution": 0.2, "error": 0.1}
                ],
            },
        ),
        "groups": {
            HOSTILE: {"rows": 40, "average": 0.1, "score": 0.5, "importances": [_FACTS]},
            "few": {"rows": 2, "reason": HOSTILE},
        },
        "reference": {"source": HOSTILE, "digest": HOSTILE, "rows": 3, "seed": 0},
    },
    records.Monitoring: {
        "multivariate": {
            "auc": 0.7,
            "interval": [0.6, 0.8],
            "p": 0.01,
            "reason": HOSTILE,
            "drivers": [{"feature": HOSTILE, "lost": 0.1, "share": 1.0}],
        },
        "windows": tuple(
            {
                "begin": f"2026-06-0{day}T00:00:00+00:00",
                "rows": 40,
                "reason": reason,
                "end": f"2026-06-0{day + 1}T00:00:00+00:00",
                "drift": {HOSTILE: drift},
                "drifted": [HOSTILE] if drift else [],
            }
            for day, drift, reason in ((1, 0.3, ""), (2, None, HOSTILE))
        ),
        "changes": (
            {"feature": HOSTILE, "at": "2026-06-02T00:00:00+00:00", "reason": HOSTILE, "p": 0.1},
        ),
        "segments": (
            {
                "segment": HOSTILE,
                "rows": 40,
                "share": 1.0,
                "reference_share": 0.5,
                "drift": {HOSTILE: 0.3},
                "drifted": [HOSTILE],
                "why": {HOSTILE: HOSTILE},
                "reason": "",
            },
        ),
    },
    records.Tuning: {
        "trials": {"complete": 2, "failed": 1},
        "best": {"number": 1, "value": 0.9, "params": {HOSTILE: HOSTILE}},
        "rows": (
            {**_TRIAL, "number": 1, "value": 0.9},
            {**_TRIAL, "number": 0, "value": 0.8},
            {**_TRIAL, "number": 2, "value": None, "state": HOSTILE, "reason": HOSTILE},
        ),
        "importance": {HOSTILE: 0.7},
    },
}


def example(name: str, hint: Any) -> Any:
    text = str(hint)
    if name == "profile":
        return {HOSTILE: {"mean": 1.0, "min": 0.0, "max": 2.0}}
    if name == "features":
        histogram = {"labels": [HOSTILE, "b"], "reference": [1, 2], "current": [2, 1]}
        return ({"name": HOSTILE, "drifted": True, "psi": 0.5, "histogram": histogram},)
    if name == "events":
        keys = ("at", "verb", "status", "actor", "model", "summary", "run_id")
        return (dict.fromkeys(keys, HOSTILE),)
    if name == "layers":
        return ({"what": HOSTILE, "digest": HOSTILE, "size": 1, "unpacked": 2},)
    if name == "models":
        return ({"name": HOSTILE, "version": 1, "aliases": [HOSTILE], "verdict": True},)
    if name == "schedules":
        keys = ("name", "kind", "every", "cron", "path", "last_run", "outcome", "next_run", "note")
        late = {**dict.fromkeys(keys, HOSTILE), "overdue": True}
        return (late, {**late, "overdue": False, "last_run": None})
    if name == "curves":
        line = [[0.0, 0.0], [1.0, 1.0]]
        residuals = {"sample": line, "quantiles": line}
        kinds = ("roc", "precision_recall", "calibration")
        return {**{kind: {HOSTILE: line} for kind in kinds}, "residuals": {HOSTILE: residuals}}
    if name == "rows" and "Mapping" in text:
        words = ("label", "model", "name", "estimator", "verdict", "trust", "dataset", "status")
        row = {**dict.fromkeys(words, HOSTILE), "aliases": [HOSTILE], "started": HOSTILE}
        numbers = {"metrics": {HOSTILE: 0.5}, "params": {HOSTILE: HOSTILE}}
        return ({**row, **numbers}, {**row, **numbers, "params": {HOSTILE: 2}})
    if name == "steps":
        return ({"step": HOSTILE, "figures": HOSTILE, "verb": HOSTILE},)
    if name == "failed_cell":
        return {"index": 1, "name": HOSTILE, "message": HOSTILE}
    if name == "cells":
        return {HOSTILE: 1} if "Mapping" in text else 3
    if name == "metrics":
        return {HOSTILE: 0.5}
    if text.startswith("tuple[collections.abc.Mapping"):
        return ({HOSTILE: HOSTILE},)
    for part, value in {
        "GoalResult": (
            records.GoalResult(text=HOSTILE + " >= 0.5", value=0.7, passed=True, reason=HOSTILE),
            records.GoalResult(
                text=f"{HOSTILE} >= champion by {HOSTILE}",
                value=0.7,
                passed=False,
                interval=(-0.1, 0.2),
                reason=HOSTILE,
                metric=HOSTILE,
                comparator=">=",
                unit=HOSTILE,
                bound=0.5,
                champion=0.6,
                groups=(
                    {"group": HOSTILE, "rows": 40, "value": 0.5, "interval": [0.4, 0.6]},
                    {"group": "few", "rows": 3, "value": None, "reason": HOSTILE},
                ),
            ),
        ),
        "DataCheck": (
            records.DataCheck(name=HOSTILE, status="failed", found=HOSTILE, remedy=HOSTILE),
            records.DataCheck(name=HOSTILE, status="waived", found=HOSTILE, waived_by=HOSTILE),
        ),
        "Deployment, ...": (filled(records.Deployment),) if "Deployment, ..." in text else (),
        "Column": (records.Column(name=HOSTILE, type=HOSTILE),),
        "NotebookParameter": (
            records.NotebookParameter(name=HOSTILE, type=HOSTILE, default=HOSTILE, help=HOSTILE),
        ),
        "Check": (records.Check(name=HOSTILE, passed=False, found=HOSTILE),),
        "Verdict": filled(records.Verdict) if "verdicts.Verdict" in text else None,
        "Verification": filled(records.Verification) if "notebooks.Verif" in text else None,
        "Execution, ...": (filled(records.Execution),) if "Execution, ..." in text else (),
        "Execution": filled(records.Execution) if "notebooks.Execution" in text else None,
        "Promotion": filled(records.Promotion) if "promotions.Promotion" in text else None,
        "Mapping": {HOSTILE: HOSTILE},
        "tuple": (HOSTILE,),
        "bool": True,
        "int": 3,
        "float": 0.25,
    }.items():
        if part in text:
            return value
    return HOSTILE


_FACTS_OF_A_CARD = (
    records.CardFact(name=HOSTILE, value=HOSTILE, source=HOSTILE, said=True),
    records.CardFact(name="unknown", command=HOSTILE),
    records.CardFact(name="broken", value=HOSTILE, trouble=HOSTILE),
)
FORMS[records.ModelCard] = {
    "sections": tuple(
        records.CardSection(
            name=name,
            facts=_FACTS_OF_A_CARD,
            tables=(
                records.CardTable(title=HOSTILE, columns=(HOSTILE,), rows=((HOSTILE,),)),
                records.CardTable(title=HOSTILE, columns=("a",), rows=((HOSTILE,),), long=True),
            ),
            notes=(HOSTILE,),
        )
        for name in (HOSTILE, "Evaluation", "Metrics by group", "Training data", "Explanation")
    ),
    "dataset": filled(records.Dataset),
    "verdict": filled(records.Verdict),
    "explanation": records.Explanation(
        model=HOSTILE,
        metric=HOSTILE,
        importances=(
            {"feature": HOSTILE, "permutation": 0.2, "interval": [0.1, 0.3], "direction": HOSTILE},
        ),
        words=(HOSTILE,),
    ),
}

KINDS = [
    kind
    for kind in vars(records).values()
    if isinstance(kind, type) and issubclass(kind, Record) and kind is not Record
]


class Tags(HTMLParser):
    """Collects what a browser would act upon, and checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_nothing_from_data_becomes_markup_and_nothing_needs_a_script(kind: type[Record]) -> None:
    page = views.html(filled(kind))
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not tags.seen & {"script", "iframe", "object", "link", "img", "form"}
    assert not [a for a in tags.attributes if a.startswith("on")]
    assert "<script>" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_text_is_plain(kind: type[Record]) -> None:
    text = views.text(filled(kind))
    assert text.strip()
    assert not re.search(r"\x1b\[", text)
    assert text == str(filled(kind))


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_json_is_strict_and_whole(kind: type[Record]) -> None:
    import json

    body = json.loads(filled(kind).to_json())
    assert body["record"] == kind.__name__
    assert body["schema_version"] == records.SCHEMA_VERSION
    for field in dataclasses.fields(kind):
        assert (field.name in body) is not bool(field.metadata.get("private"))


def test_every_record_has_a_view_of_its_own() -> None:
    from mlops_magics.doors.views import registry

    plain = {records.Written}
    assert set(KINDS) - plain == set(registry._VIEWS)


def test_numbers_that_json_has_not() -> None:
    record = records.Run(
        run_id="a", name="b", status="finished", metrics={"x": float("nan"), "y": float("inf")}
    )
    assert record.to_dict()["metrics"] == {"x": None, "y": None}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (True, "yes"),
        (1234567, "1\u202f234\u202f567"),
        (0.123456, "0.1235"),
        (0.8, "0.8"),
        (1e-9, "1e-09"),
        (123456.789, "123456.789"),
        (12.0, "12"),
        ({"a": 1.5}, "a 1.5"),
    ],
)
def test_values_for_people(value: Any, shown: str) -> None:
    from mlops_magics.doors.views.card import show

    assert show(value) == shown


def test_a_run_shows_the_stamp_of_its_cells_with_a_sign_and_says_why() -> None:
    why = "Read `df` as cell 3 left it, but cell 3 has since been run with other code."
    stale = records.Run(run_id="r", name="n", status="finished", trust={"cells": f"stale: {why}"})
    shown = views.text(stale)
    assert "! stale" in shown
    assert f"! {why}" in shown
    clean = records.Run(run_id="r", name="n", status="finished", trust={"cells": "clean"})
    assert "✓ clean" in views.text(clean)
