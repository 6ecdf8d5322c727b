"""`validate`: verdicts on real models and real rows, and what is kept of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlops_magics as mlops
from mlops_magics import evidence, flavors, store
from mlops_magics.errors import (
    BadData,
    BadGoal,
    MlopsError,
    NotIntact,
    Refused,
    StoreUnreachable,
    UnknownName,
    WrongUsage,
)
from mlops_magics.records import Dataset, Verdict
from mlops_magics.verbs import faults, freshness, session

NUMBERS = ["Seniority", "Time", "Age", "Amount", "Price"]

Train = Callable[..., store.versions.Version]


@pytest.fixture
def data(credit: pd.DataFrame) -> Dataset:
    kept = credit[[*NUMBERS, "Home", "Status"]]
    return mlops.prepare(kept, name="credit-data", target="Status", positive="bad", test=0.3)


@pytest.fixture
def train(data: Dataset) -> Train:
    """A function that trains one more version on the recorded data."""

    def once(columns: list[str] | None = None, model: Any = None) -> store.versions.Version:
        given = make_pipeline(StandardScaler(), LogisticRegression()) if model is None else model
        X, y = data.bindings["X_train"][columns or NUMBERS], data.bindings["y_train"]
        with mlops.train("credit", data="credit-data") as run:
            fitted = given.fit(X, y)  # noqa: F841
        assert run.record is not None
        assert run.record.model is not None, run.record.warnings
        return store.versions.resolve(run.record.model)

    return once


def outcome(verdict: Verdict) -> dict[str, bool]:
    return {goal.text: goal.passed for goal in verdict.goals}


def reasons(verdict: Verdict) -> str:
    return " ".join(goal.reason for goal in verdict.goals)


def test_a_version_is_judged_on_the_rows_it_has_not_seen(data: Dataset, train: Train) -> None:
    version = train()
    goals = """
    roc_auc >= 0.60
    roc_auc >= champion - 0.005     # none yet
    roc_auc >= baseline + 0.05
    recall >= 0.99 by Home
    model_size <= 50 MB
    p95_latency <= 10 s
    drift(*) <= 0.2
    missing(Age) <= 5%
    rows >= 1000
    """
    verdict = mlops.validate("credit@candidate", goals=goals)

    # The figures are those that scikit-learn gives on the recorded test rows.
    _, test = store.datasets.frames(data)
    X, y = data.bindings["X_train"][NUMBERS], data.bindings["y_train"]
    again = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    scores = again.predict_proba(test[NUMBERS])[:, 0]
    values = {goal.text: goal.value for goal in verdict.goals}
    assert values["roc_auc >= 0.60"] == pytest.approx(
        roc_auc_score(test["Status"] == "bad", scores)
    )
    worst = min(
        recall_score(part["Status"], again.predict(part[NUMBERS]), pos_label="bad")
        for _, part in test.groupby("Home")
        if len(part) >= 30
    )
    assert values["recall >= 0.99 by Home"] == pytest.approx(worst)
    assert values["model_size <= 50 MB"] == pytest.approx(store.versions.size(version) / 1e6)
    assert values["rows >= 1000"] == len(test) == verdict.rows
    expected = dict.fromkeys(values, True) | {"recall >= 0.99 by Home": False}
    assert outcome(verdict) == expected
    assert not verdict.passed
    assert verdict.exit_code == 3
    assert (verdict.model, verdict.against, verdict.dataset) == ("credit/1", None, "credit-data")
    assert verdict.dataset_digest == evidence.data.fingerprint(test) == data.split["test_digest"]
    assert verdict.model_digest == version.digest


def test_the_verdict_is_kept_with_its_evidence_and_named_at_the_version(train: Train) -> None:
    version = train()
    verdict = mlops.validate("credit/1", goals="roc_auc >= 0.6  # enough\nrecall >= 0")
    run = store.runs.get(verdict.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlops.verb"] == "validate"
    assert version.run_id in run.data.tags["mlops.follows"]
    assert version.dataset_run in run.data.tags["mlops.follows"]
    assert run.data.metrics["roc_auc"] == pytest.approx(verdict.goals[0].value)
    kept = store.runs.read_json(verdict.run_id, "verdict.json")
    assert kept == json.loads(verdict.to_json())
    goals = store.runs.fetch(verdict.run_id, "goals.txt").read_text(encoding="utf-8")
    assert "# enough" in goals
    rows = pd.read_parquet(store.runs.fetch(verdict.run_id, "predictions.parquet"))
    assert len(rows) == verdict.rows
    assert list(rows.columns) == ["row", "truth", "prediction", "score bad"]
    assert roc_auc_score(rows["truth"] == "bad", rows["score bad"]) == pytest.approx(
        verdict.goals[0].value
    )
    tags = store.versions.resolve("credit/1").tags
    assert tags["mlops.verdict"] == verdict.run_id
    assert tags["mlops.verdict.passed"] == "true"
    assert tags["mlops.verdict.model_digest"] == version.digest
    assert "verdict" in store.runs.read_json(verdict.run_id, "mlops/record.json")
    assert mlops.history("credit").events[-1]["summary"].endswith("goals: 2 of 2 met")


def test_promotion_follows_the_verdict_and_the_next_is_compared_with_it(train: Train) -> None:
    train()
    with pytest.raises(Refused, match="has not been validated"):
        mlops.promote("credit/1")
    assert not mlops.validate("credit/1", goals="roc_auc >= 0.99").passed
    with pytest.raises(Refused, match="its verdict is failed"):
        mlops.promote("credit/1")
    goals = "roc_auc >= champion - 0.005"
    assert mlops.validate("credit/1", goals=goals).passed
    mlops.promote("credit/1")

    itself = mlops.validate("credit/1", goals=goals)
    assert itself.passed
    assert "credit/1 is itself the champion" in itself.warnings[0]

    train(["Price"])  # another schema than the champion's, and much worse
    worse = mlops.validate("credit/2", goals=goals)
    assert not worse.passed
    assert worse.against == "credit/1"
    assert "the champion credit/1" in reasons(worse)
    with pytest.raises(Refused):
        mlops.promote("credit/2")

    # The other way round, named by version; and without goals those of the last time hold.
    better = mlops.validate("credit/1", vs="credit/2")
    assert better.passed
    assert better.against == "credit/2"
    assert outcome(better) == {goals: True}
    with pytest.raises(UnknownName, match="Did you mean 'champion'"):
        mlops.validate("credit/1", vs="champoin", goals=goals)


def test_goals_come_from_a_file_the_last_time_or_the_settings(train: Train, project: Path) -> None:
    train()
    with pytest.raises(WrongUsage, match=r"There are no goals.*roc_auc >= 0\.80"):
        mlops.validate("credit")
    (project / "gates.txt").write_text("roc_auc >= 0.55\n", encoding="utf-8")
    with pytest.raises(UnknownName, match=r"Did you mean 'gates\.txt'"):
        mlops.validate("credit", goals="gate.txt")
    (project / "mlops.toml").write_text('goals = "gates.txt"\n', encoding="utf-8")
    assert list(outcome(mlops.validate("credit"))) == ["roc_auc >= 0.55"]
    assert list(outcome(mlops.validate("credit", goals="gates.txt"))) == ["roc_auc >= 0.55"]
    mlops.validate("credit", goals="f1 >= 0")
    assert list(outcome(mlops.validate("credit"))) == ["f1 >= 0"]


def test_wrong_usage_is_found_before_anything_is_recorded(train: Train) -> None:
    train()
    before = len(store.runs.find(experiment="credit"))
    with pytest.raises(BadGoal, match=r"(?s)2 goals can't be read.*line 1.*line 3"):
        mlops.validate("credit", goals="roc_aux >= 1\nf1 >= 0\nrecall == 1")
    with pytest.raises(UnknownName, match="Did you mean 'Home'"):
        mlops.validate("credit", goals="recall >= 0.1 by Hme")
    with pytest.raises(UnknownName, match="Did you mean 'Age'"):
        mlops.validate("credit", goals="drift(Agee) <= 0.1")
    with pytest.raises(UnknownName, match="Did you mean 'credit'"):
        mlops.validate("credti", goals="f1 >= 0")
    with pytest.raises(UnknownName):
        mlops.validate("credit", goals="f1 >= 0", on="nowhere.csv")
    assert len(store.runs.find(experiment="credit")) == before
    assert "mlops.verdict" not in store.versions.resolve("credit").tags


def test_other_rows_may_be_given(train: Train, data: Dataset, project: Path) -> None:
    train()
    goals = "accuracy >= 0.1\nrows >= 1"
    learned, unseen = store.datasets.frames(data)
    frame = unseen[[*NUMBERS, "Status"]].sample(200, random_state=0)
    frame.to_csv(project / "more.csv", index=False)
    for given in (frame, "more.csv", (frame[NUMBERS], frame["Status"])):
        verdict = mlops.validate("credit", goals=goals, on=given)
        assert (verdict.passed, verdict.rows) == (True, 200)
    gaps = frame.copy()
    gaps.loc[gaps.index[:20], "Status"] = None
    verdict = mlops.validate("credit", goals=goals, on=gaps)
    assert verdict.rows == 180
    assert "20 of 200 rows have no value in 'Status'" in verdict.warnings[0]
    assert "was trained on" in mlops.validate("credit", goals=goals, on=learned).warnings[0]
    assert mlops.validate("credit", goals=goals, on="credit-data").dataset == "credit-data"


def test_what_cannot_be_measured_fails_with_its_reason(train: Train, credit: pd.DataFrame) -> None:
    train()
    frame = credit[[*NUMBERS, "Status"]].head(300)
    goals = "accuracy >= 0\nroc_auc >= 0\nmodel_size <= 1 GB"

    def judged(on: pd.DataFrame) -> Verdict:
        verdict = mlops.validate("credit", goals=goals, on=on)
        assert [g.passed for g in verdict.goals] == [False, False, True]
        return verdict

    assert "lacks the columns Age, Price, which credit/1 needs" in reasons(
        judged(frame.drop(columns=["Age", "Price"]))
    )
    assert "has no target" in reasons(judged(frame.drop(columns="Status")))
    assert "the class 'ugly', which credit/1 does not know" in reasons(
        judged(frame.assign(Status=["ugly", *frame["Status"].iloc[1:]]))
    )
    assert "credit/1 raised ValueError: Input X contains NaN" in reasons(
        judged(frame.assign(Age=np.nan))
    )
    with pytest.raises(BadData, match="has no rows"):
        mlops.validate("credit", goals=goals, on=frame.head(0))
    good = mlops.validate("credit", goals=goals, on=frame[frame["Status"] == "good"])
    assert [g.passed for g in good.goals] == [True, False, True]
    assert "only one class ('good')" in reasons(good)


def test_a_small_group_fails_unless_it_is_allowed(train: Train) -> None:
    train()
    goals = "accuracy >= 0 by Home"
    verdict = mlops.validate("credit", goals=goals)
    assert not verdict.passed
    assert "too small (under 30)" in reasons(verdict)
    assert mlops.validate("credit", goals=goals, allow_small=True).passed


def test_the_verdict_is_the_same_every_time(train: Train) -> None:
    train()
    goals = "roc_auc >= 0.6 with 95%\nrecall gap <= 1 by Home\nroc_auc >= baseline"
    runs = [mlops.validate("credit", goals=goals, seed=s).goals for s in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_changed_files_are_not_judged_and_a_changed_champion_is_no_reason_to_pass(
    train: Train,
) -> None:
    train()
    mlops.validate("credit/1", goals="roc_auc >= 0.6")
    mlops.promote("credit/1")
    train()
    path = store.versions.local_path(store.versions.resolve("credit/1"))
    (path / "MLmodel").write_text((path / "MLmodel").read_text() + "\n# touched\n")
    verdict = mlops.validate("credit/2", goals="roc_auc >= champion - 0.1\nroc_auc >= 0.6")
    assert [g.passed for g in verdict.goals] == [False, True]
    assert "credit/1 can't be compared with" in reasons(verdict)
    with pytest.raises(NotIntact):
        mlops.validate("credit/1", goals="roc_auc >= 0.6")
    assert store.runs.find(verb="validate", experiment="credit")[0].info.status == "FAILED"


class Careless(ClassifierMixin, BaseEstimator):
    """A model that answers, but not always."""

    def fit(self, X: Any, y: Any) -> Careless:
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: Any) -> Any:
        answers = np.full(len(X), self.classes_[0], dtype=object)
        answers[:2] = None
        return answers


def test_a_model_in_memory_is_judged_and_not_stored(data: Dataset) -> None:
    bound = data.bindings
    fitted = LogisticRegression(max_iter=2000).fit(bound["X_train"][NUMBERS], bound["y_train"])
    goals = "roc_auc >= 0.6\nroc_auc >= baseline\nmodel_size <= 1 MB\nroc_auc >= champion"
    verdict = mlops.validate(fitted, goals=goals)
    assert (verdict.model, verdict.run_id) == ("LogisticRegression", "")
    assert [g.passed for g in verdict.goals] == [True, True, False, True]
    assert "only a saved model has files" in reasons(verdict)
    assert verdict.dataset_digest == data.split["test_digest"]
    assert not store.runs.find(verb="validate")
    with pytest.raises(WrongUsage, match="not fitted"):
        mlops.validate(LogisticRegression(), goals=goals)
    with pytest.raises(WrongUsage, match="no model that an installed flavor knows"):
        mlops.validate(3, goals=goals)
    gaps = mlops.validate(Careless().fit(bound["X_train"], bound["y_train"]), goals="accuracy >= 0")
    assert not gaps.passed
    assert "2 of 1336 predictions are missing (NaN)" in reasons(gaps)


def test_a_regression_is_judged_alike(credit: pd.DataFrame) -> None:
    kept = credit[["Age", "Amount", "Price"]]
    data = mlops.prepare(kept, name="prices", target="Price")
    with mlops.train("price", data="prices") as run:
        model = LinearRegression().fit(data.bindings["X_train"], data.bindings["y_train"])  # noqa: F841
    assert run.record is not None
    goals = "rmse <= 10000\nr2 >= 0.1 with 95%\nrmse <= baseline\nroc_auc >= 0.5"
    verdict = mlops.validate("price", goals=goals)
    assert [g.passed for g in verdict.goals] == [True, True, True, False]
    assert verdict.goals[0].value == pytest.approx(run.record.metrics["rmse"])
    text = mlops.validate("price", goals="rmse <= 1", on=kept.assign(Price="much").head(50))
    assert "predicts numbers, and the target 'Price' holds none" in reasons(text)


def test_without_recorded_data_the_rows_must_be_given(names: dict[str, Any]) -> None:
    with mlops.train("credit", data=(names["X_test"], names["y_test"])):
        model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
    with pytest.raises(WrongUsage, match="no unseen rows"):
        mlops.validate("credit", goals="roc_auc >= 0.6")
    given = (names["X_test"], names["y_test"])
    goals = "roc_auc >= 0.6\nroc_auc >= baseline\ndrift(Age) <= 0.2\nmissing(Age) <= 1%"
    verdict = mlops.validate("credit", goals=goals, on=given)
    assert [g.passed for g in verdict.goals] == [True, False, False, True]
    assert "no training data" in reasons(verdict)


def test_a_record_stands_for_its_model(train: Train, data: Dataset) -> None:
    train()
    verdict = mlops.validate("credit", goals="roc_auc >= 0.6")
    assert mlops.validate(verdict, goals="roc_auc >= 0.6").model == "credit/1"
    with pytest.raises(WrongUsage, match="left no model"):
        mlops.validate(data, goals="roc_auc >= 0.6")


def test_the_cell_magic_takes_goals_from_the_cell(ip: Any, train: Train) -> None:
    train()
    ip.user_ns["record"] = ip.run_cell_magic("validate", "credit@candidate", "roc_auc >= 0.6\n")
    assert ip.user_ns["record"].passed
    assert outcome(ip.user_ns["record"]) == {"roc_auc >= 0.6": True}


# --- What can go wrong ----------------------------------------------------------------------------


class Picky(ClassifierMixin, BaseEstimator):
    """A model that raises on one customer, or on all of an age."""

    def __init__(self, refuses: Any = (), age: float = -1.0) -> None:
        self.refuses = refuses
        self.age = age

    def fit(self, X: Any, y: Any) -> Picky:
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: Any) -> Any:
        if set(self.refuses) & set(X.index) or (X["Age"] == self.age).any():
            raise ArithmeticError("a rate can't be had.\nSee the manual.")
        return np.full(len(X), self.classes_[0])


def in_memory(data: Dataset, model: Any, goals: str = "accuracy >= 0", **options: Any) -> Verdict:
    bound = data.bindings
    fitted = model.fit(bound["X_train"][NUMBERS], bound["y_train"])
    return mlops.validate(fitted, goals=goals, **options)


def test_a_model_that_raises_on_one_row_is_told_which(data: Dataset) -> None:
    index = data.bindings["X_test"].index
    for at in (0, 700, len(index) - 1):
        said = reasons(in_memory(data, Picky(refuses=(index[at],))))
        assert "Picky raised ArithmeticError: a rate can't be had" in said
        assert f"(on the row with index {index[at]}; it answers the other 1,335)" in said
    said = reasons(in_memory(data, Picky(refuses=(index[900], index[40]))))
    assert f"(first on the row with index {index[40]})" in said
    several = Picky(age=float(data.bindings["X_test"]["Age"].iloc[3]))
    assert "first on the row with index" in reasons(in_memory(data, several))


def test_the_search_for_the_row_is_bounded(data: Dataset) -> None:
    frame = data.bindings["X_test"]
    asked: list[int] = []

    def ask(part: pd.DataFrame) -> None:
        asked.append(len(part))
        if frame.index[1000] in part.index:
            raise ValueError

    assert f"index {frame.index[1000]};" in faults.where(ask, frame)
    assert sum(asked) <= 3 * len(frame)
    assert len(asked) <= 2 * len(frame).bit_length()
    assert faults.where(lambda part: 1 / (len(part) < 900), frame) == ""  # only all at once
    assert faults.where(lambda part: 1 / 0, frame.head(1)).endswith(f"index {frame.index[0]})")
    doubled = frame.set_axis(["same"] * len(frame), axis=0)
    assert "first on the row with index same" in faults.where(lambda part: 1 / 0, doubled)


class Silent(Picky):
    """A model that has no answer for some."""

    def predict(self, X: Any) -> Any:
        said = np.full(len(X), self.classes_[0], dtype=object)
        said[X.index.isin(self.refuses)] = None
        return said


def test_missing_predictions_are_counted_and_named(data: Dataset) -> None:
    index = data.bindings["X_test"].index
    said = reasons(in_memory(data, Silent(refuses=tuple(index[[3, 9]]))))
    assert "2 of 1336 predictions are missing (NaN)" in said
    assert f"in the rows with index {index[3]}, {index[9]}." in said
    said = reasons(in_memory(data, Silent(refuses=tuple(index[:50]))))
    assert f"{index[4]} and 45 more" in said


def test_without_probabilities(data: Dataset) -> None:
    verdict = in_memory(data, Picky(), "roc_auc >= 0\nlog_loss <= 9\naccuracy >= 0")
    assert [g.passed for g in verdict.goals] == [False, False, True]
    assert "roc_auc needs probabilities, and this model gives none" in reasons(verdict)


def test_champions_that_cannot_be_compared_with(
    train: Train, data: Dataset, credit: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    goals = "accuracy >= champion - 1\naccuracy >= 0"
    train()
    # One that knows other classes.
    three = credit.assign(Status=credit["Status"].where(credit["Age"] < 50, "old"))
    bound = mlops.prepare(three[[*NUMBERS, "Status"]], name="three", target="Status").bindings
    with mlops.train("other", data="three"):
        model = LogisticRegression(max_iter=200).fit(bound["X_train"], bound["y_train"])
    verdict = mlops.validate("credit/1", goals=goals, vs="other/1")
    assert [g.passed for g in verdict.goals] == [False, True]
    assert "other/1 can't be compared with: it knows the classes" in reasons(verdict)
    # One that predicts numbers.
    prices = mlops.prepare(credit[[*NUMBERS]], name="prices", target="Price").bindings
    with mlops.train("price", data="prices"):
        model = LinearRegression().fit(prices["X_train"], prices["y_train"])  # noqa: F841
    assert "price/1 can't be compared with: price/1 predicts numbers" in reasons(
        mlops.validate("credit/1", goals=goals, vs="price/1")
    )
    # One that can't be loaded here, as its library is another by now.
    train()
    real = flavors.load

    def load(path: Path) -> Any:
        if path == store.versions.local_path(store.versions.resolve("credit/2")):
            raise AttributeError("module 'sklearn' has no attribute 'Gone'")
        return real(path)

    monkeypatch.setattr(flavors, "load", load)
    verdict = mlops.validate("credit/1", goals=goals, vs="credit/2")
    assert "credit/2 can't be loaded: AttributeError: module 'sklearn' has no" in reasons(verdict)
    with pytest.raises(MlopsError, match="credit/2 can't be loaded"):
        mlops.validate("credit/2", goals=goals)
    for wrong in ("credit/9", "nobody@champion", "@", "champoin"):
        with pytest.raises((UnknownName, WrongUsage)):
            mlops.validate("credit/1", goals=goals, vs=wrong)


def test_rows_whose_outcome_nobody_knows(train: Train, credit: pd.DataFrame) -> None:
    train()
    frame = credit[[*NUMBERS, "Status"]].head(50)
    with pytest.raises(BadData, match=r"None of the 50 rows of DataFrame in memory has a value"):
        mlops.validate("credit", goals="accuracy >= 0", on=frame.assign(Status=None))
    without = mlops.validate("credit", goals="accuracy >= 0", on=frame.drop(columns="Status"))
    assert "the data has no target to compare with: there is no column 'Status'" in reasons(without)


# --- What is kept ---------------------------------------------------------------------------------


def test_page_and_plots_stand_alone(train: Train) -> None:
    train()
    mlops.validate("credit/1", goals="roc_auc >= 0.6")
    mlops.promote("credit/1")
    train(["Price"])
    verdict = mlops.validate("credit/2", goals="roc_auc >= champion - 0.005")
    page = store.runs.fetch(verdict.run_id, "verdict.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<title>Verdict credit/2: failed</title>" in page
    for forbidden in ("<script", "http:", "https:", "src=", "@import", "onload"):
        assert forbidden not in page
    for name in ("roc", "precision-and-recall", "calibration"):
        file = store.runs.fetch(verdict.run_id, f"plots/{name}.svg")
        root = ElementTree.parse(file).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        words = "".join(root.itertext())
        assert "credit/2" in words
        assert "champion credit/1" in words
    assert set(verdict.curves["roc"]) == {"credit/2", "champion credit/1"}


def test_recorded_rows_are_read_once(
    train: Train, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    train()
    read: list[str] = []
    real = store.datasets.frame
    monkeypatch.setattr(
        store.datasets, "frame", lambda dataset: (read.append(dataset.name), real(dataset))[1]
    )
    for on in ("", "credit-data"):
        read.clear()
        verdict = mlops.validate("credit", goals="roc_auc >= baseline", on=on)
        assert read == ["credit-data"]
        assert verdict.dataset_digest == data.split["test_digest"]
        assert (verdict.dataset, verdict.origin) == ("credit-data", "dataset")


def test_of_a_model_in_memory_nothing_is_stored_and_that_is_said(data: Dataset) -> None:
    verdict = in_memory(data, LogisticRegression(max_iter=500), "roc_auc >= 0.5")
    assert "Nothing is stored" in verdict.warnings[-1]
    assert verdict.run_id == ""
    assert verdict.curves["roc"]


def test_a_store_that_goes_away_leaves_the_version_without_half_a_verdict(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    train()
    monkeypatch.setattr(store.outbox.Parcel, "_deliver", _unreachable)
    verdict = mlops.validate("credit/1", goals="roc_auc >= 0.5")
    assert verdict.passed
    assert "does not name this verdict" in verdict.warnings[-1]
    assert "mlops.verdict" not in store.versions.resolve("credit/1").tags
    monkeypatch.undo()


def _unreachable(*given: Any, **options: Any) -> Any:
    raise StoreUnreachable("The store did not take what the run has written: it is away.")


# --- Checks of the data, and functions as metrics -------------------------------------------------


def test_a_failed_check_fails_the_verdict_unless_it_is_waived(
    train: Train, data: Dataset, credit: pd.DataFrame
) -> None:
    train()
    learned, test = store.datasets.frames(data)
    mixed = pd.concat([test, learned.head(400)])
    verdict = mlops.validate("credit", goals="accuracy >= 0", on=mixed)
    assert all(g.passed for g in verdict.goals)
    failed = [c.name for c in verdict.checks if c.status == "failed"]
    assert failed
    assert not verdict.passed
    assert verdict.exit_code == 3
    assert failed[0] in str(verdict)
    with pytest.raises(Refused, match="its verdict is failed"):
        mlops.promote("credit/1")
    with pytest.raises(UnknownName, match="There is no check of the data 'sean rows'"):
        mlops.validate("credit", goals="accuracy >= 0", on=mixed, waive=["sean rows"])
    names = [name.replace(" ", "-").upper() for name in failed]
    waived = mlops.validate("credit", goals="accuracy >= 0", on=mixed, waive=names)
    assert waived.passed
    by = {c.name: (c.status, c.waived_by) for c in waived.checks if c.waived_by}
    who = store.runs.get(waived.run_id).data.tags["mlops.actor"]
    assert by == dict.fromkeys(failed, ("waived", who))
    assert f"waived: {failed[0]} (by {who})" in str(waived)
    assert mlops.promote("credit/1").verdict == waived.run_id


def net_gain(y_true: Any, y_pred: Any) -> float:
    """What a function of a notebook or a file may look like."""
    hit = (np.asarray(y_true) == "bad") & (np.asarray(y_pred) == "bad")
    return float(100 * hit.sum())


def test_a_function_of_the_notebook_is_a_metric_and_its_source_is_kept(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    train()
    session.attach({"net_gain": net_gain, "other": 3, "accuracy_score": accuracy_score})
    verdict = mlops.validate("credit", goals="net_gain >= 1")
    assert verdict.passed, reasons(verdict)
    kept = verdict.functions["net_gain"]
    assert "100 * hit.sum()" in kept["source"]
    assert not kept["file"]
    file = store.runs.fetch(verdict.run_id, "metrics/net_gain.py")
    assert "def net_gain" in file.read_text(encoding="utf-8")
    # Elsewhere the goals can't be asked again, and that is said before anything is done.
    session.attach({})
    before = len(store.runs.find(experiment="credit"))
    told = r"name the function 'net_gain', which was defined in the session that judged it"
    with pytest.raises(WrongUsage, match=told):
        mlops.validate("credit")
    with pytest.raises(WrongUsage, match=told):
        mlops.retrain("credit")
    assert len(store.runs.find(experiment="credit")) == before


def test_functions_of_the_settings_file(train: Train, project: Path) -> None:
    train()
    (project / "mlops.toml").write_text('metrics = "ours.py"\n', encoding="utf-8")
    with pytest.raises(UnknownName, match=r"file of metrics 'ours\.py'"):
        mlops.validate("credit", goals="gain >= 1")
    own = project / "ours.py"
    own.write_text("def gain(y_true, y_pred):\n    return 1 /", encoding="utf-8")
    with pytest.raises(WrongUsage, match=r"ours\.py, line 2: SyntaxError"):
        mlops.validate("credit", goals="gain >= 1")
    own.write_text("import nowhere_to_be_found\n", encoding="utf-8")
    with pytest.raises(WrongUsage, match=r"ours\.py, line 1: ModuleNotFoundError"):
        mlops.validate("credit", goals="gain >= 1")
    own.write_text("def gain(y_true, y_pred):\n    return 2.0\n", encoding="utf-8")
    session.attach({"gain": lambda y_true, y_pred: 9e9})  # the file's holds
    (project / "gates.txt").write_text("gain >= 1\ngain <= 3\n", encoding="utf-8")
    verdict = mlops.validate("credit", gates="gates.txt")
    assert verdict.passed, reasons(verdict)
    assert verdict.functions["gain"]["where"] == "ours.py"
    assert freshness.objection(store.versions.resolve("credit/1")) == ""
    own.write_text("def gain(y_true, y_pred):\n    return 3.0\n", encoding="utf-8")
    said = "the metric 'gain' was changed in ours.py since"
    assert said in freshness.objection(store.versions.resolve("credit/1"))
    own.write_text("", encoding="utf-8")
    assert "ours.py" in freshness.objection(store.versions.resolve("credit/1"))
