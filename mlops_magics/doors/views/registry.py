"""Which function shows which record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops_magics import records
from mlops_magics.doors.views import (
    batches,
    cards,
    comparisons,
    deployments,
    differences,
    executions,
    explanations,
    glance,
    model_cards,
    promotions,
    reports,
    reproduction,
    searches,
    verdicts,
)
from mlops_magics.doors.views.card import Card
from mlops_magics.records import Record

_VIEWS: dict[type[Record], Callable[[Any], Card]] = {
    records.Dataset: cards.dataset,
    records.Run: cards.run,
    records.Logged: cards.logged,
    records.Promotion: promotions.promotion,
    records.Rollback: promotions.rollback,
    records.History: promotions.history,
    records.Package: cards.package,
    records.Deployment: deployments.deployment,
    records.Prediction: cards.prediction,
    records.Verdict: verdicts.verdict,
    records.Explanation: explanations.explanation,
    records.ModelCard: model_cards.model_card,
    records.Monitoring: reports.monitoring,
    records.Execution: executions.execution,
    records.Executions: batches.executions,
    records.NotebookHelp: executions.notebook_help,
    records.Retraining: reports.retraining,
    records.Verification: reports.verification,
    records.Tuning: searches.tuning,
    records.Comparison: comparisons.comparison,
    records.Changes: differences.changes,
    records.Reproduction: reproduction.reproduction,
    records.Overview: glance.overview,
    records.Diagnosis: glance.diagnosis,
    records.Demo: glance.demo,
    records.Schedule: glance.schedule,
}


def card(record: Record) -> Card:
    """The card of any record; one without a view of its own shows its fields."""
    view = next((_VIEWS[kind] for kind in type(record).__mro__ if kind in _VIEWS), None)
    return view(record) if view else cards.plain(record)
