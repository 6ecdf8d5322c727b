"""`monitor` before labels come: performance is estimated, marked as such, and set beside labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.alerts import messages
from mlops_magics.doors import views
from mlops_magics.errors import BadGoal
from mlops_magics.records import Dataset, Monitoring
from mlops_magics.verbs import estimating, evaluation, performance

COLUMNS = ["Seniority", "Time", "Age", "Amount", "Price"]


@pytest.fixture
def data(credit: pd.DataFrame) -> Dataset:
    kept = credit[[*COLUMNS, "Home", "Status"]]
    return mlops.prepare(kept, name="credit-data", target="Status", positive="bad", test=0.5)


def train(data: Dataset, learner: Any, name: str = "credit") -> None:
    X, y = data.bindings["X_train"][COLUMNS], data.bindings["y_train"]
    with mlops.train(name, data="credit-data"):
        model = make_pipeline(StandardScaler(), learner).fit(X, y)  # noqa: F841


@pytest.fixture
def unseen(data: Dataset) -> pd.DataFrame:
    """Rows that no test holds out: the others are what ``credit/1`` is judged on."""
    rows = store.datasets.frames(data)[1].reset_index(drop=True)
    train(data, LogisticRegression())
    mlops.validate("credit", goals="roc_auc >= 0.5", on=rows.iloc[::2])
    return rows.iloc[1::2].reset_index(drop=True)


def estimated(record: Monitoring) -> dict[str, Any]:
    return dict(record.performance["estimated"])


def scores(frame: pd.DataFrame, name: str = "credit/1") -> Any:
    asked = evaluation.of_version(store.versions.resolve(name))
    probable = asked.probabilities(frame[COLUMNS])
    assert probable is not None
    return probable[:, list(asked.classes).index("bad")]


def test_estimates_follow_a_shift_of_the_inputs(unseen: pd.DataFrame) -> None:
    # Those with little seniority come more often; what they pay back stays what it is.
    likely = np.exp(-unseen["Seniority"] / 4)
    shifted = unseen.sample(1200, replace=True, weights=likely, random_state=0, ignore_index=True)
    record = mlops.monitor("credit", data=shifted[COLUMNS])
    found = estimated(record)
    truth, said = shifted["Status"], evaluation.of_version(store.versions.resolve("credit/1"))
    real = {
        "roc_auc": roc_auc_score(truth == "bad", scores(shifted)),
        "accuracy": accuracy_score(truth, said.predict(shifted[COLUMNS])),
    }
    for name, value in real.items():
        low, high = found["metrics"][name]["interval"]
        assert low <= value <= high, name
    # It has become harder, and the estimate says so before any label is known.
    assert found["metrics"]["accuracy"]["value"] < found["reference"]["accuracy"] - 0.04
    assert real["accuracy"] < found["reference"]["accuracy"] - 0.04
    assert found["reference_source"] == "the rows of its verdict"
    assert found["rows"] == 1200
    run = store.runs.get(record.run_id).data
    assert run.metrics["estimated/roc_auc"] == found["metrics"]["roc_auc"]["value"]
    assert "accuracy" not in run.metrics


def test_concept_drift_is_not_seen_and_labels_contradict(unseen: pd.DataFrame) -> None:
    plain = estimated(mlops.monitor("credit", data=unseen[COLUMNS]))
    some = unseen.index % 2 == 0
    flipped = unseen["Status"].map({"good": "bad", "bad": "good"}).where(some)
    honest = unseen["Status"].where(some)
    wrong, right = (
        mlops.monitor("credit", data=unseen[COLUMNS], labels=labels) for labels in (flipped, honest)
    )
    assert estimated(wrong)["metrics"] == estimated(right)["metrics"] == plain["metrics"]
    beside = estimated(right)["labelled"]
    assert beside["rows"] == int(some.sum())
    accuracy = beside["metrics"]["accuracy"]
    assert accuracy["measured"] == right.performance["metrics"]["accuracy"]
    assert accuracy["difference"] == pytest.approx(accuracy["measured"] - accuracy["estimated"])
    assert not any(e["far"] for e in beside["metrics"].values())
    assert not estimated(right)["warnings"]
    assert estimated(wrong)["labelled"]["metrics"]["roc_auc"]["far"]
    (warning,) = estimated(wrong)["warnings"]
    assert "may have changed (concept drift)" in warning
    # In each view it is called estimated, with its interval and with what it assumes.
    low, high = (f"{v:.4g}" for v in plain["metrics"]["f1"]["interval"])
    for shown in (str(wrong), wrong._repr_html_(), views.markdown(wrong)):
        flat = " ".join(shown.split())
        for part in ("Estimated, not measured", "does not show in it", "disagrees", "trust what"):
            assert part in flat
        assert f"{low} to {high}" in flat


def test_each_window_has_an_estimate(unseen: pd.DataFrame) -> None:
    # From the fourth day on those with little seniority come, and the last day has three rows.
    likely = np.exp(-unseen["Seniority"] / 4)
    before = unseen.sample(900, replace=True, random_state=0)
    after = unseen.sample(603, replace=True, weights=likely, random_state=0)
    rows = pd.concat([before, after], ignore_index=True)
    day = np.minimum(np.arange(len(rows)) // 300, 5)
    day[-3:] = 5
    rows["asked"] = pd.Timestamp("2026-06-01", tz="UTC") + pd.to_timedelta(day, unit="D")
    record = mlops.monitor("credit", data=rows[[*COLUMNS, "asked"]], window="1d", time="asked")
    said = [w["estimated"] for w in record.windows]
    assert [set(each) for each in said] == [{"roc_auc", "accuracy"}] * 5 + [set()]
    predict = evaluation.of_version(store.versions.resolve("credit/1")).predict
    for number, each in enumerate(said[:5]):
        mine = rows[day == number]
        low, high = each["accuracy"]["interval"]
        assert low <= accuracy_score(mine["Status"], predict(mine[COLUMNS])) <= high, number
    accuracy = [each["accuracy"]["value"] for each in said[:5]]
    assert max(accuracy[3:]) < min(accuracy[:3])
    assert "over_time" not in record.performance["estimated"]
    # Once labels are known, what was measured stands beside it.
    known = mlops.monitor("credit", data=rows, window="1d", time="asked")
    assert [w["estimated"] for w in known.windows] == said
    for number, window in enumerate(known.windows[:5]):
        mine = rows[day == number]
        measured = window["measured"]
        assert measured["rows"] == len(mine)
        assert measured["metrics"]["accuracy"] == pytest.approx(
            accuracy_score(mine["Status"], predict(mine[COLUMNS]))
        )
    assert known.windows[5]["measured"] == {}
    assert "measured accuracy" in known._repr_html_()


def test_goals_name_the_estimate(unseen: pd.DataFrame) -> None:
    thresholds = "estimated(roc_auc) >= 0.6\nestimated(accuracy) >= 99%\nroc_auc >= 0.6"
    record = mlops.monitor("credit", data=unseen[COLUMNS], thresholds=thresholds)
    assert [g.passed for g in record.goals] == [True, False, False]
    assert "estimated" in record.goals[0].reason
    assert record.goals[0].interval is not None
    assert record.goals[1].value == pytest.approx(
        100 * estimated(record)["metrics"]["accuracy"]["value"]
    )
    low, high = record.goals[1].interval or (0.0, 0.0)
    assert low < (record.goals[1].value or 0) < high <= 100
    told = messages.broken(record)["estimated(accuracy) >= 99%"]
    assert f"(estimated, {low:.4g} % to {high:.4g} %), threshold >= 99 %" in told
    assert "no labels were given" in record.goals[2].reason
    assert "estimated(METRIC)" in record.goals[2].reason
    # A metric that is not estimated by default is, if a goal asks for it.
    asked = mlops.monitor("credit", data=unseen, thresholds="estimated(selection_rate) <= 0.5")
    assert asked.passed  # all rows have a label, and still
    assert estimated(asked)["labelled"]["rows"] == len(unseen)
    assert "estimated" not in mlops.monitor("credit", data=unseen).performance
    with pytest.raises(BadGoal, match="Did you mean 'roc_auc'"):
        mlops.monitor("credit", data=unseen, thresholds="estimated(rocauc) >= 0.5")

    # The condition of `retrain` is asked of the record that is stored.
    mlops.monitor("credit", data=unseen[COLUMNS])
    left = mlops.retrain("credit", if_="estimated(roc_auc) < 0.5")
    assert left.outcome == "not fired"
    assert "(estimated, " in left.reason
    unknown = mlops.retrain("credit", if_="estimated(selection_rate) < 0.5")
    assert "Not measured: only accuracy, " in unknown.reason


def test_a_version_that_was_not_judged_has_its_test_rows(data: Dataset) -> None:
    train(data, LogisticRegression())
    test = store.datasets.frames(data)[1]
    found = estimated(mlops.monitor("credit", data=test[COLUMNS]))
    assert found["reference_source"] == "the test rows of credit-data"
    assert found["reference_rows"] == len(test)
    assert found["metrics"]["roc_auc"]["value"] == pytest.approx(
        found["reference"]["roc_auc"], abs=0.05
    )


def test_scores_without_probabilities_are_calibrated(data: Dataset) -> None:
    train(data, LinearSVC())
    test = store.datasets.frames(data)[1]
    found = estimated(mlops.monitor("credit", data=test[COLUMNS]))
    assert found["calibrated"]
    assert found["metrics"]["roc_auc"]["value"] == pytest.approx(
        found["reference"]["roc_auc"], abs=0.04
    )
    assert "gives scores only" in found["not_estimated"]["log_loss"]


def test_where_nothing_can_be_estimated_it_is_said(data: Dataset, names: dict[str, Any]) -> None:
    test = store.datasets.frames(data)[1]
    train(data, VotingClassifier([("only", LogisticRegression())]))
    record = mlops.monitor("credit", data=test[COLUMNS], thresholds="estimated(roc_auc) >= 0.5")
    reason = "it needs probabilities, and this model gives none"
    assert estimated(record) == {"reason": reason}
    assert record.goals[0].reason == f"Not measured: {reason}."
    assert f"Performance was not estimated: {reason}." in str(record)
    train(data, LogisticRegression())
    few = mlops.monitor("credit", data=test[COLUMNS].head(3))
    assert "3 rows are too few to estimate from" in estimated(few)["reason"]
    lost = mlops.monitor("credit", data=test[["Age", "Time"]])
    assert "answers are not known" in estimated(lost)["reason"]
    with mlops.train("plain", data=(names["X_test"], names["y_test"])):
        model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
    plain = mlops.monitor("plain", data=names["X_test"])
    assert "no rows whose truth is known were held out" in estimated(plain)["reason"]


def test_answers_of_another_version_are_not_estimated(unseen: pd.DataFrame) -> None:
    version = store.versions.resolve("credit/1")
    estimator = estimating.Estimator(
        version, evaluation.of_version(version), store.datasets.by_run(version.dataset_run)
    )
    said = pd.Series(estimator.asked.predict(unseen[COLUMNS]), index=unseen.index)
    parts = [unseen[unseen["Age"] < 40], unseen[unseen["Age"] >= 40]]
    young, old = (estimator.facts(part, said[part.index]) for part in parts)  # fitted once
    assert young["metrics"]["accuracy"]["value"] < old["metrics"]["accuracy"]["value"]
    other = said.map({"good": "bad", "bad": "good"})
    assert "another version answered then" in estimator.facts(unseen, other)["reason"]
    masked = unseen.drop(columns="Price")
    assert estimator.facts(masked, said) == {"reason": "Price was not kept"}


def test_many_rows_are_looked_at_evenly_spread(
    unseen: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimating, "MOST", len(unseen) // 3)
    labels = unseen["Status"].where(unseen.index < 600)
    found = estimated(mlops.monitor("credit", data=unseen[COLUMNS], labels=labels))
    assert found["rows"] <= len(unseen) // 3
    assert f"of {len(unseen):,} rows, which are evenly spread" in found["warnings"][0]
    assert 100 < found["labelled"]["rows"] <= 200
    asked = np.arange(0, 600, -(-len(unseen) // (len(unseen) // 3)))
    right = accuracy_score(
        unseen["Status"].iloc[asked],
        evaluation.of_version(store.versions.resolve("credit/1")).predict(
            unseen[COLUMNS].iloc[asked]
        ),
    )
    assert found["labelled"]["metrics"]["accuracy"]["measured"] == pytest.approx(right)


def test_a_regression_by_its_losses(credit: pd.DataFrame) -> None:
    kept = credit[["Seniority", "Home", "Age", "Price", "Amount"]]
    later = kept.sample(1000, random_state=0)
    mlops.prepare(kept.drop(later.index), name="amounts", target="Amount", test=0.5)
    used = ["Seniority", "Age", "Price"]
    with mlops.train("amount", data="amounts"):
        rest = kept.drop(later.index)
        model = LinearRegression().fit(rest[used].head(800), rest["Amount"].head(800))
    dear = later[later["Price"] > later["Price"].quantile(0.6)]
    record = mlops.monitor("amount", data=dear[used], thresholds="estimated(mae) <= 1000")
    found = estimated(record)
    real = mean_absolute_error(dear["Amount"], model.predict(dear[used]))
    low, high = found["metrics"]["mae"]["interval"]
    assert low <= real <= high
    assert found["metrics"]["mae"]["value"] > found["reference"]["mae"]
    assert set(found["metrics"]) == {"mae", "rmse", "mse"}
    assert record.passed
    assert "a model of the losses" in str(record)
    labels = dear["Amount"].where(np.arange(len(dear)) % 2 == 0) * 3
    beside = estimated(mlops.monitor("amount", data=dear[used], labels=labels))
    assert beside["labelled"]["metrics"]["mae"]["far"]


def test_labels_of_the_data_are_read_as_classes() -> None:
    assert list(performance.as_classes(np.array(["1", "0"]), np.array([0, 1]))) == [1, 0]
