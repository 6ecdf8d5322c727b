"""The frozen records that verbs return: facts, no behaviour, a stable JSON form.

Field names are public. A record knows its JSON; its text and HTML forms are functions in
`mlops_magics.doors.views`, found by name the first time a record is shown (`RENDERERS`), so
that facts never depend on how they look.
"""

from mlops_magics.records.base import RENDERERS, SCHEMA_VERSION, Record, jsonable, now, stamp
from mlops_magics.records.data import Column, Dataset
from mlops_magics.records.explanations import Explanation
from mlops_magics.records.model_cards import CardFact, CardSection, CardTable, ModelCard
from mlops_magics.records.notebooks import (
    Execution,
    Executions,
    NotebookHelp,
    NotebookParameter,
    Retraining,
    Verification,
)
from mlops_magics.records.operations import Deployment, Monitoring, Package, Prediction
from mlops_magics.records.overview import Check, Demo, Diagnosis, Overview, Written
from mlops_magics.records.promotions import History, Promotion, Rollback
from mlops_magics.records.reading import read
from mlops_magics.records.runs import Changes, Comparison, Logged, Reproduction, Run, Tuning
from mlops_magics.records.schedules import Schedule
from mlops_magics.records.verdicts import DataCheck, GoalResult, Verdict

__all__ = [
    "RENDERERS",
    "SCHEMA_VERSION",
    "CardFact",
    "CardSection",
    "CardTable",
    "Changes",
    "Check",
    "Column",
    "Comparison",
    "DataCheck",
    "Dataset",
    "Demo",
    "Deployment",
    "Diagnosis",
    "Execution",
    "Executions",
    "Explanation",
    "GoalResult",
    "History",
    "Logged",
    "ModelCard",
    "Monitoring",
    "NotebookHelp",
    "NotebookParameter",
    "Overview",
    "Package",
    "Prediction",
    "Promotion",
    "Record",
    "Reproduction",
    "Retraining",
    "Rollback",
    "Run",
    "Schedule",
    "Tuning",
    "Verdict",
    "Verification",
    "Written",
    "jsonable",
    "now",
    "read",
    "stamp",
]
