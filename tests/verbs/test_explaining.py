"""`explain`: versions and models in memory on real rows, and what is kept of it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import mlops_magics as mlops
from mlops_magics import evidence, store
from mlops_magics.doors import cli, views
from mlops_magics.errors import BadData, StoreUnreachable, UnknownName, WrongUsage
from mlops_magics.records import Dataset, Explanation
from tests.conftest import need

NUMBERS = ["Seniority", "Time", "Age", "Amount", "Price"]

Train = Callable[..., store.versions.Version]


@pytest.fixture
def data(credit: pd.DataFrame) -> Dataset:
    kept = credit[[*NUMBERS, "Income", "Home", "Job", "Status"]]
    return mlops.prepare(kept, name="credit-data", target="Status", positive="bad", test=0.3)


@pytest.fixture
def train(data: Dataset) -> Train:
    """A function that trains one more version on the recorded data."""

    def once(model: Any = None, columns: list[str] | None = None) -> store.versions.Version:
        X, y = data.bindings["X_train"], data.bindings["y_train"]
        X = X[columns] if columns else X
        learner = LogisticRegression(max_iter=500) if model is None else model
        with mlops.train("credit", data="credit-data") as run:
            fitted = make_pipeline(evidence.features.transformer(X), learner).fit(X, y)  # noqa: F841
        assert run.record is not None
        assert run.record.model is not None, run.record.warnings
        return store.versions.resolve(run.record.model)

    return once


def by_feature(found: Explanation) -> dict[str, Any]:
    return {one["feature"]: one for one in found.importances}


def test_a_version_is_explained_on_the_rows_it_has_not_seen(data: Dataset, train: Train) -> None:
    version = train()
    found = mlops.explain("credit", row=[12, 3])
    _, test = store.datasets.frames(data)
    X, y = data.bindings["X_train"], data.bindings["y_train"]
    again = make_pipeline(evidence.features.transformer(X), LogisticRegression(max_iter=500)).fit(
        X, y
    )
    chances = again.predict_proba(test[X.columns])[:, 0]

    assert (found.model, found.about, found.outcome) == (
        "credit/1",
        "the probability of 'bad'",
        "bad",
    )
    assert found.average == pytest.approx(chances.mean())
    assert found.reference["rows"] == len(test)
    assert found.reference["digest"] == data.split["test_digest"]
    assert found.model_digest == version.digest
    theirs = permutation_importance(
        again, test[X.columns], test["Status"] == "good", scoring="roc_auc", random_state=1
    )
    losses = dict(zip(X.columns, theirs.importances_mean, strict=True))
    for name, told in by_feature(found).items():
        assert told["permutation"] == pytest.approx(losses[name], abs=0.015)
    assert found.importances[0]["feature"] == max(losses, key=lambda n: losses[n])
    assert by_feature(found)["Seniority"]["direction"] == "lowers"
    assert by_feature(found)["Amount"]["direction"] == "raises"
    assert by_feature(found)["Home"]["direction"] == "by category"

    assert [row["row"] for row in found.rows] == [12, 3]
    for row in found.rows:
        place = row["row"]
        total = row["base"] + sum(c["contribution"] for c in row["contributions"])
        assert total == pytest.approx(row["prediction"], abs=1e-9)
        assert special.expit(total) == pytest.approx(chances[place], abs=1e-9)
        assert row["answer"] == pytest.approx(chances[place])
        assert row["label"] == test.index[place]
        sizes = [abs(c["contribution"]) for c in row["contributions"]]
        assert sizes == sorted(sizes, reverse=True)
        values = {c["feature"]: c["value"] for c in row["contributions"]}
        assert values["Amount"] == test["Amount"].iloc[place]
    assert found.unit == "log-odds"
    assert found.method["exact"]
    words = " ".join(found.words)
    assert "Seniority lowers the probability of 'bad': from" in words
    assert "Row 12: the probability of 'bad' is" in words
    assert words.count("not what causes what") == 1
    assert found.warnings == ()


def test_the_same_seed_gives_the_same_explanation(train: Train) -> None:
    train()
    first, again, other = (mlops.explain("credit", repeats=2, seed=s) for s in (4, 4, 5))
    assert first.importances == again.importances
    assert first.dependence == again.dependence
    assert first.importances != other.importances


def test_it_is_kept_with_its_evidence_and_named_at_the_version(data: Dataset, train: Train) -> None:
    version = train()
    found = mlops.explain("credit/1", row=[0], features=2, repeats=2)
    run = store.runs.get(found.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlops.verb"] == "explain"
    assert version.run_id in run.data.tags["mlops.follows"]
    assert run.data.metrics["roc_auc"] == pytest.approx(found.score)
    kept = store.runs.read_json(found.run_id, "explanation.json")
    assert kept == json.loads(found.to_json())
    reference = store.runs.read_json(found.run_id, "reference.json")
    _, test = store.datasets.frames(data)
    assert sorted(reference["index"]) == sorted(test.index)
    assert reference["seed"] == 0
    assert reference["digest"] == data.split["test_digest"]
    page = store.runs.fetch(found.run_id, "explanation.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<svg" in page
    plots = store.runs.fetch(found.run_id, "plots")
    assert {"importance.svg", *(f"{n.lower()}.svg" for n in found.dependence)} <= {
        f.name for f in plots.iterdir()
    }
    tags = store.versions.resolve("credit/1").tags
    assert tags["mlops.explanation"] == found.run_id
    assert tags["mlops.explanation.model_digest"] == version.digest
    event = mlops.history("credit").events[-1]
    assert event["verb"] == "explain"
    assert found.importances[0]["feature"] in event["summary"]


def test_a_model_in_memory_is_explained_and_nothing_is_stored(names: dict[str, Any]) -> None:
    model = names["fresh"]().fit(names["X_train"], names["y_train"])
    found = mlops.explain(model, on=(names["X_test"], names["y_test"]), outcome="bad", repeats=2)
    assert found.run_id == ""
    assert "Nothing is stored" in found.warnings[-1]
    assert found.model == "Pipeline"
    assert by_feature(found)["Seniority"]["permutation"] > 0.05
    assert store.versions.names() == []


def test_without_a_target_the_answers_themselves_are_measured(
    names: dict[str, Any], train: Train, data: Dataset
) -> None:
    train()
    rows = data.bindings["X_test"].head(300)
    found = mlops.explain("credit", on=rows, repeats=2, by="Home")
    assert found.metric == ""
    assert found.score is None
    assert "mean absolute change of the probability of 'bad'" in found.warnings[0]
    assert found.importances[0]["permutation"] > 0
    assert "on average" in found.words[0]
    measured = [g for g in found.groups.values() if "importances" in g]
    assert len(measured) >= 2
    with pytest.raises(BadData, match="f1 can't be measured: the rows have no target"):
        mlops.explain("credit", on=rows, metric="f1")


def test_groups_are_explained_by_themselves_and_small_ones_not(data: Dataset, train: Train) -> None:
    train()
    found = mlops.explain("credit", by="Home", repeats=2)
    _, test = store.datasets.frames(data)
    counts = test["Home"].value_counts(dropna=False)
    for value, count in counts.items():
        label = "Home missing" if pd.isna(value) else f"Home = {value}"
        told = found.groups[label]
        assert told["rows"] == count
        assert ("importances" in told) == (count >= 30)
        if count < 30:
            assert "too few (under 30)" in told["reason"]
    # Within a group its own column is the same in all rows.
    rent = {f["feature"]: f for f in found.groups["Home = rent"]["importances"]}
    assert rent["Home"]["permutation"] == 0
    assert any("Between groups by Home" in said for said in found.words)


def test_forests_are_explained_exactly_in_probabilities(train: Train) -> None:
    need("shap")
    train(RandomForestClassifier(20, max_depth=6, random_state=0))
    found = mlops.explain("credit", row=[5], repeats=2)
    assert found.method["explainer"] == "trees"
    assert found.method["exact"]
    assert found.unit == "probability"
    row = found.rows[0]
    assert row["prediction"] == pytest.approx(row["answer"], abs=1e-9)
    assert found.warnings == ()


def test_without_shap_trees_are_sampled_and_the_extra_is_named(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(RandomForestClassifier(5, max_depth=4, random_state=0))
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "shap" else real(name, *a)
    )
    found = mlops.explain("credit", row=[5], repeats=1)
    assert found.method["explainer"] == "sampled"
    assert "pip install 'mlops_magics[explain]'" in found.warnings[0]
    row = found.rows[0]
    assert row["prediction"] == pytest.approx(row["answer"], abs=1e-9)
    assert all(c["error"] >= 0 for c in row["contributions"])
    assert "sampled" in found.method["contributions"]


def test_of_many_classes_a_row_is_explained_by_what_is_predicted_for_it(
    data: Dataset,
) -> None:
    X, y = data.bindings["X_train"][NUMBERS], data.bindings["X_train"]["Job"].fillna("none")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(X, y)
    given = (X.head(300), y.head(300))
    said = model.predict(X.head(300))
    other = int(np.flatnonzero(said != "fixed")[0])
    found = mlops.explain(model, on=given, row=[0, other], repeats=1)
    assert found.outcome == "fixed"
    assert found.rows[0]["outcome"] == said[0]
    assert found.rows[1]["outcome"] == said[other] != "fixed"
    assert f"the probability of {said[other]!r}" in " ".join(found.words)
    named = mlops.explain(model, on=given, row=[other], outcome="freelance", repeats=1)
    assert named.about == "the probability of 'freelance'"
    assert named.rows[0]["outcome"] == "freelance"


def test_a_regression_and_its_own_unit(credit: pd.DataFrame) -> None:
    X = credit[["Amount", "Time", "Age"]]
    model = LinearRegression().fit(X, credit["Price"])
    found = mlops.explain(model, on=(X, credit["Price"]), row=[1], repeats=2)
    assert (found.about, found.metric) == ("the predicted Price", "rmse")
    assert found.reference["sampled"]
    assert found.reference["rows"] == 2000
    row = found.rows[0]
    assert row["prediction"] == pytest.approx(float(model.predict(X.iloc[[1]])[0]))
    assert found.unit == "predicted Price"


class Rule(ClassifierMixin, BaseEstimator):
    """Answers classes only."""

    def fit(self, X: Any, y: Any) -> Rule:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.where(np.asarray(X["Seniority"]) < 3, "bad", "good")


def test_a_model_that_answers_classes_only(names: dict[str, Any]) -> None:
    model = Rule().fit(names["X_train"], names["y_train"])
    given = (names["X_test"], names["y_test"])
    found = mlops.explain(model, on=given, outcome="bad", row=[0], repeats=2)
    assert found.about == "the share answered with 'bad'"
    assert found.metric == "accuracy"
    assert found.importances[0]["feature"] == "Seniority"
    assert {f["permutation"] for f in found.importances[1:]} == {0.0}
    with pytest.raises(BadData, match=r"log_loss can't be measured .* probabilities"):
        mlops.explain(model, on=given, metric="log_loss")


def test_a_decision_function_is_explained_as_it_is(names: dict[str, Any]) -> None:
    model = make_pipeline(StandardScaler(), LinearSVC()).fit(names["X_train"], names["y_train"])
    found = mlops.explain(model, on=(names["X_test"], names["y_test"]), row=[2], repeats=1)
    assert found.about == "the decision function of 'good'"
    assert found.rows[0]["prediction"] == pytest.approx(
        float(model.decision_function(names["X_test"].iloc[[2]])[0])
    )


def test_a_network_is_sampled(names: dict[str, Any]) -> None:
    torch = need("torch")
    torch.manual_seed(0)

    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        task = "classification"
        classes_ = ("bad", "good")

        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh())
            self.last = torch.nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            return self.last(self.layers(x / 1000))

    found = mlops.explain(
        Net(), on=(names["X_test"].head(200), names["y_test"].head(200)), row=[1], repeats=1
    )
    assert found.method["explainer"] == "sampled"
    row = found.rows[0]
    total = row["base"] + sum(c["contribution"] for c in row["contributions"])
    assert total == pytest.approx(row["answer"], abs=1e-6)


def test_any_metric_of_goals_and_one_of_the_notebook(
    names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops_magics.verbs import session

    def share_right(y_true: Any, y_pred: Any) -> float:
        return float((y_true == y_pred).mean())

    share_right.__module__ = "__main__"
    monkeypatch.setattr(session, "_namespace", {"share_right": share_right})
    model = names["fresh"]().fit(names["X_train"], names["y_train"])
    given = (names["X_test"], names["y_test"])
    own = mlops.explain(model, on=given, metric="share_right", repeats=2)
    theirs = mlops.explain(model, on=given, metric="accuracy", repeats=2)
    assert own.metric == "share_right"
    assert own.score == pytest.approx(theirs.score)
    loss = mlops.explain(model, on=given, metric="log_loss", repeats=2)
    assert loss.importances[0]["permutation"] > 0  # less of it is better
    with pytest.raises(UnknownName, match="Did you mean 'roc_auc'"):
        mlops.explain(model, on=given, metric="roc_aux")
    with pytest.raises(WrongUsage, match="not measured on a model's answers"):
        mlops.explain(model, on=given, metric="p95_latency")


def test_what_is_wrong_is_said_in_one_sentence_before_anything_is_recorded(
    train: Train, data: Dataset
) -> None:
    train()
    before = len(store.runs.find(experiment="credit"))
    count = data.split["test_rows"]
    with pytest.raises(WrongUsage, match=rf"no row 99999: .* from 0 to {count - 1}"):
        mlops.explain("credit", row=[99999])
    with pytest.raises(WrongUsage, match="no row -1"):
        mlops.explain("credit", row=[-1])
    with pytest.raises(UnknownName, match="Did you mean 'Home'"):
        mlops.explain("credit", by="Hme")
    with pytest.raises(UnknownName, match="Did you mean 'credit'"):
        mlops.explain("credti")
    with pytest.raises(BadData, match="too many groups"):
        mlops.explain("credit", by="Price")
    with pytest.raises(UnknownName, match="Did you mean 'roc_auc'"):
        mlops.explain("credit", metric="roc_aux")
    with pytest.raises(WrongUsage, match="shuffled once at least"):
        mlops.explain("credit", repeats=0)
    with pytest.raises(BadData, match="no rows"):
        mlops.explain("credit", on=data.bindings["X_test"].head(0))
    assert len(store.runs.find(experiment="credit")) == before


def test_what_is_found_wrong_later_leaves_a_failed_run_and_no_name(
    train: Train, data: Dataset
) -> None:
    train()
    with pytest.raises(UnknownName, match=r"no class 'bda'.*Did you mean 'bad'"):
        mlops.explain("credit", outcome="bda")
    assert not store.runs.find(verb="explain")  # nothing was begun
    with pytest.raises(BadData, match="lacks the column Amount, which credit/1 needs"):
        mlops.explain("credit", on=data.bindings["X_test"].drop(columns="Amount"))
    found = store.runs.find(experiment="credit")
    runs = [r for r in found if r.data.tags["mlops.verb"] == "explain"]
    assert [r.info.status for r in runs] == ["FAILED"]
    assert "mlops.explanation" not in store.versions.resolve("credit").tags


class Odd(RegressorMixin, BaseEstimator):
    """Raises or answers NaN for rows of its choice."""

    def __init__(self, how: str = "raise") -> None:
        self.how = how

    def fit(self, X: Any, y: Any) -> Odd:
        self.n_features_in_ = 1
        return self

    def predict(self, X: Any) -> Any:
        values = np.asarray(X["a"], dtype=float)
        if self.how == "raise" and (values == 7).any():
            raise ValueError("seven is not allowed")
        return np.where(values == 7, np.nan, values)


def test_a_model_that_raises_or_answers_nothing_is_told_with_the_row() -> None:
    rows = pd.DataFrame({"a": [1.0, 7.0, 3.0], "y": [1.0, 2.0, 3.0]})
    X = rows[["a"]]
    with pytest.raises(BadData, match=r"Odd raised ValueError: seven is not allowed .*index 1"):
        mlops.explain(Odd("raise").fit(X, rows["y"]), on=(X, rows["y"]))
    with pytest.raises(BadData, match=r"1 of 3 predictions are missing .* index 1"):
        mlops.explain(Odd("nan").fit(X, rows["y"]), on=(X, rows["y"]))


def test_odd_columns(credit: pd.DataFrame) -> None:
    """Constant, all missing, text with many values, dates: each has its place, none breaks it."""
    rows = pd.DataFrame(
        {
            "a": credit["Amount"].head(300).astype(float),
            "same": 1.0,
            "empty": np.nan,
            "text": [f"note {i}" for i in range(300)],
            "day": pd.date_range("2024-01-01", periods=300),
            "list": [[i % 3] for i in range(300)],
        }
    )
    target = rows["a"] * 2

    class First(RegressorMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> First:
            self.n_features_in_ = X.shape[1]
            return self

        def predict(self, X: Any) -> Any:
            return 2 * np.asarray(X["a"]) + pd.DatetimeIndex(X["day"]).dayofyear

    model = First().fit(rows, target)
    found = mlops.explain(model, on=(rows, target.rename("y")), row=[4], repeats=2, features=9)
    told = by_feature(found)
    assert told["same"]["constant"]
    assert told["empty"]["constant"]
    assert told["a"]["direction"] == "raises"
    assert told["day"]["direction"] == "raises"
    assert found.dependence["day"]["values"][0].startswith("2024-01-")
    assert {c["feature"] for c in found.rows[0]["contributions"]} == set(rows.columns)
    json.loads(found.to_json())
    assert "one value only" in views.text(found)


def test_a_metric_without_a_value_is_replaced_and_said(names: dict[str, Any]) -> None:
    model = names["fresh"]().fit(names["X_train"], names["y_train"])
    good = names["y_test"] == "good"
    found = mlops.explain(model, on=(names["X_test"][good], names["y_test"][good]), repeats=1)
    assert found.metric == ""
    assert "roc_auc can't be measured on these rows" in found.warnings[0]


def test_a_store_that_goes_away_leaves_the_version_without_the_name(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    train()
    with monkeypatch.context() as away:

        def gone(*_: Any, **__: Any) -> Any:
            raise StoreUnreachable("The store does not answer.")

        away.setattr(store.outbox.Parcel, "close", gone)
        found = mlops.explain("credit", repeats=1, features=0)
    assert "does not name this explanation" in found.warnings[-1]
    assert "mlops.explanation" not in store.versions.resolve("credit").tags


def test_it_is_shown_alike_in_every_door(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    train()
    assert cli.main(["explain", "credit/1", "--row", "2", "--repeats", "1", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["record"] == "Explanation"
    assert body["rows"][0]["row"] == 2
    assert cli.main(["explain", "credit/1", "--row", "2", "--repeats", "1", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "Every column" in shown
    assert "Row 2" in shown


def test_the_magic_takes_variables_and_shows_the_record(ip: Any) -> None:
    ip.run_cell("model = fresh().fit(X_train, y_train)\nrows = (X_test, y_test)")
    found = ip.run_line_magic("explain", "model --on rows --row 3 --row 4 --repeats 1")
    assert isinstance(found, Explanation)
    assert [row["row"] for row in found.rows] == [3, 4]
    assert "<svg" in found._repr_html_()


def test_a_native_booster_and_a_python_model(names: dict[str, Any]) -> None:
    need("shap")
    xgboost = need("xgboost")
    import mlflow

    X, y = names["X_test"].head(300), (names["y_test"].head(300) == "bad").astype(int)
    booster = xgboost.train(
        {"objective": "binary:logistic"}, xgboost.DMatrix(X, label=y), num_boost_round=5
    )
    found = mlops.explain(booster, on=(X, y), row=[0], repeats=1)
    assert found.method["explainer"] == "trees"
    assert found.about == "the probability of 1"
    total = found.rows[0]["prediction"]
    assert special.expit(total) == pytest.approx(found.rows[0]["answer"], abs=1e-5)

    class Doubled(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
        task = "regression"

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input["Amount"] * 2 + model_input["Age"]

    wanted = X["Amount"] * 2.0
    found = mlops.explain(Doubled(), on=(X, wanted.rename("twice")), row=[0], repeats=1)
    assert found.method["explainer"] == "sampled"
    assert found.importances[0]["feature"] == "Amount"
    row = {c["feature"]: c["contribution"] for c in found.rows[0]["contributions"]}
    # Of a sum, whatever order the columns come in: each adds its own distance from the average.
    assert row["Age"] == pytest.approx(X["Age"].iloc[0] - X["Age"].mean(), abs=2)
    assert row["Price"] == 0


def test_figures_of_a_row_and_hostile_names_are_escaped() -> None:
    rows = pd.DataFrame({"<b>a</b>": [1.0, 2.0, 3.0, 4.0], "<i>": ["<x>", "<y>", "<x>", "<y>"]})
    answer = rows["<b>a</b>"] * 2

    class Twice(RegressorMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Twice:
            self.n_features_in_ = 2
            return self

        def predict(self, X: Any) -> Any:
            return 2 * np.asarray(X["<b>a</b>"], dtype=float)

    found = mlops.explain(
        Twice().fit(rows, answer), on=(rows, answer.rename("y")), row=[0], repeats=1
    )
    page = views.page(found)
    for hostile in ("<b>a", "<i>", "<x>"):
        assert hostile not in page
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    pictures = views.pictures(found)
    assert any(name.startswith("row-0") for name in pictures)
    assert all("<b>a" not in svg and "<script" not in svg for svg in pictures.values())
