"""`validate` where something can't be measured: all of it is said, and none of it has passed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.doors import cli
from mlops_magics.errors import BadGoal
from mlops_magics.goals import latency, robustness
from mlops_magics.records import Dataset, Verdict

NUMBERS = ["Seniority", "Time", "Age", "Amount", "Price"]


@pytest.fixture
def data(credit: pd.DataFrame) -> Dataset:
    kept = credit[[*NUMBERS, "Home", "Status"]]
    return mlops.prepare(kept, name="credit-data", target="Status", positive="bad", test=0.3)


class Answering(ClassifierMixin, BaseEstimator):
    """A model that answers as it is told, whatever it is asked."""

    def __init__(self, says: Any = None, shares: Any = None) -> None:
        self.says = says
        self.shares = shares

    def fit(self, X: Any, y: Any) -> Answering:
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), "good") if self.says is None else self.says(X)

    def predict_proba(self, X: Any) -> Any:
        if self.shares is None:
            return np.tile([0.4, 0.6], (len(X), 1))
        return self.shares(X)


def judged(data: Dataset, model: Any, goals: str, **options: Any) -> Verdict:
    bound = data.bindings
    fitted = model.fit(bound["X_train"][NUMBERS], bound["y_train"])
    return mlops.validate(fitted, goals=goals, **options)


def reasons(verdict: Verdict) -> str:
    return " ".join(goal.reason for goal in verdict.goals)


BAD = [
    ("roc_aux >= 0.8", 1),
    ("recall == 1", 8),
    ("p95_latency <= 20", 18),
    ("recall gap <= 0.1", 11),
    ("roc_auc >= 0.8 with 5%", 21),
    ("f1(average=best) >= 0.5", 4),
    ("roc_auc >= 0.5 under blur 10%", 22),
    ("equalized_odds_difference <= 0.1", 33),
]


def test_a_file_with_forty_errors_reports_them_all_at_once(
    project: Path, names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with mlops.train("credit", data=(names["X_test"], names["y_test"])):
        model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
    before = len(store.runs.find(experiment="credit"))
    wrong = [BAD[i % len(BAD)] for i in range(40)]
    lines = [text for line, _ in wrong for text in (line, "f1 >= 0  # this one is right")]
    (project / "gates.txt").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(BadGoal) as caught:
        mlops.validate("credit", goals="gates.txt", on=(names["X_test"], names["y_test"]))
    said = str(caught.value)
    assert "40 goals can't be read" in said
    for i, (line, column) in enumerate(wrong):
        assert f"line {2 * i + 1}, column {column}: " in said
        assert f"\n    {line}\n" in said
    assert len(store.runs.find(experiment="credit")) == before
    assert cli.main(["validate", "credit", "--goals", "gates.txt"]) == 2
    assert capsys.readouterr().err.count(", column ") == 40


def test_probabilities_that_are_missing_leave_nothing_measured(data: Dataset) -> None:
    def gaps(X: pd.DataFrame) -> Any:
        shares = np.tile([0.4, 0.6], (len(X), 1))
        shares[:3] = np.nan
        return shares

    verdict = judged(data, Answering(shares=gaps), "accuracy >= 0\nroc_auc >= 0\nlog_loss <= 9")
    assert not any(goal.passed for goal in verdict.goals)
    assert "some of the predicted probabilities are missing (NaN)" in reasons(verdict)


def test_answers_of_another_shape_are_none(data: Dataset) -> None:
    for says, shape in (
        (lambda X: np.full((len(X), 2), "good"), "(1336, 2)"),
        (lambda X: np.array(["good"]), "(1,)"),
    ):
        verdict = judged(data, Answering(says=says), "accuracy >= 0")
        assert not verdict.passed
        assert f"answered 1336 rows with an array of shape {shape}" in reasons(verdict)


def test_equal_scores_all_over_are_worth_nothing_and_no_better_than_themselves(
    data: Dataset,
) -> None:
    goals = "roc_auc >= 0.5\nroc_auc > 0.5\nroc_auc >= baseline\nroc_auc > baseline"
    verdict = judged(data, Answering(), goals)
    assert [g.passed for g in verdict.goals] == [True, False, True, False]
    assert {g.value for g in verdict.goals} == {0.5}
    assert [g.interval for g in verdict.goals] == [(0.5, 0.5)] * 2 + [(0.0, 0.0)] * 2


def test_a_group_of_three_rows_is_judged_only_when_it_is_allowed(data: Dataset) -> None:
    frame = data.bindings["X_test"].assign(Status=data.bindings["y_test"].to_numpy())
    frame = frame[frame["Home"].isin(["owner", "rent"])].head(400).reset_index(drop=True)
    frame.loc[:2, "Home"] = "boat"
    frame.loc[:2, "Status"] = ["good", "good", "bad"]
    goals = "accuracy >= 0 by Home\nrows >= 3 by Home\naccuracy gap <= 1 by Home"
    verdict = judged(data, Answering(), goals, on=frame)
    assert [g.passed for g in verdict.goals] == [False, True, False]
    assert "Home = boat (3 rows, too small (under 30))" in verdict.goals[0].reason
    allowed = judged(data, Answering(), goals, on=frame, allow_small=True)
    assert [g.passed for g in allowed.goals] == [True, True, True]
    (boat,) = (g for g in allowed.goals[0].groups if g["group"] == "Home = boat")
    assert (boat["rows"], boat["value"]) == (3, pytest.approx(2 / 3))


def test_a_champion_whose_columns_the_data_lacks(names: dict[str, Any]) -> None:
    for columns in (NUMBERS, ["Price", "Age"]):
        X = names["X_test"][columns]
        with mlops.train("credit", data=(X, names["y_test"])):
            model = LogisticRegression(max_iter=300)
            model.fit(names["X_train"][columns], names["y_train"])
    goals = "accuracy >= champion - 1\nmodel_size <= champion + 1 MB\naccuracy >= 0"
    verdict = mlops.validate("credit/2", goals=goals, vs="credit/1", on=(X, names["y_test"]))
    assert [g.passed for g in verdict.goals] == [False, True, True]
    said = "credit/1 can't be compared with: the data lacks the columns"
    assert said in verdict.goals[0].reason
    assert verdict.goals[2].champion is None


def test_goals_under_disturbed_inputs_ask_the_model_again(data: Dataset) -> None:
    goals = "roc_auc >= 0.99 under noise 10%\nroc_auc drop <= 0.5 under missing 20%"
    verdict = judged(data, HistGradientBoostingClassifier(max_iter=20, random_state=0), goals)
    learned, unseen = (data.bindings[name][NUMBERS] for name in ("X_train", "X_test"))
    model = HistGradientBoostingClassifier(max_iter=20, random_state=0)
    model.fit(learned, data.bindings["y_train"])
    bad = data.bindings["y_test"] == "bad"

    def area(kind: str = "", amount: float = 0.0) -> float:
        rows = robustness.disturbed(unseen, kind, amount, learned, 0) if kind else unseen
        return float(roc_auc_score(bad, model.predict_proba(rows)[:, 0]))

    assert [g.passed for g in verdict.goals] == [False, True]
    assert verdict.goals[0].value == pytest.approx(area("noise", 0.1))
    assert verdict.goals[1].value == pytest.approx(area() - area("missing", 0.2))
    # One that takes no gaps has lost.
    plain = judged(data, LogisticRegression(max_iter=500), goals)
    assert "under missing 0.2: LogisticRegression raised ValueError: Input X contains NaN" in (
        plain.goals[1].reason
    )


def test_what_a_saved_model_costs_is_measured_with_the_machine(names: dict[str, Any]) -> None:
    with mlops.train("credit", data=(names["X_test"], names["y_test"])):
        model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
    limits = {f"p{q}_latency": "<= 10 s" for q in (50, 95, 99)} | {
        "p95_latency(batch=50)": "<= 10 s",
        "throughput(batch=50)": ">= 1",
        "memory": "<= 4 GB",
        "model_size": "<= 1 GB",
    }
    goals = "\n".join(f"{metric} {limit}" for metric, limit in limits.items())
    verdict = mlops.validate("credit", goals=goals, on=(names["X_test"], names["y_test"]))
    assert verdict.passed, reasons(verdict)
    values = [g.value or 0.0 for g in verdict.goals]
    assert 0 < values[0] <= values[1] <= values[2]
    assert min(values) > 0
    assert verdict.machine
    assert all(latency.machine() in goal.reason for goal in verdict.goals[:5])
