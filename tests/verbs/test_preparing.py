"""`prepare`: what it records, what it binds, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlops_magics import store
from mlops_magics.errors import BadData, MlopsError, UnknownName, WrongUsage
from mlops_magics.evidence.data import fingerprint
from mlops_magics.verbs import session
from mlops_magics.verbs.preparing import prepare


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test prepares last is not the next test's dataset."""
    monkeypatch.setattr(session, "_dataset", None)


def test_credit(credit: pd.DataFrame, credit_csv: Path) -> None:
    dataset = prepare(credit_csv, name="credit", target="Status")
    assert (dataset.name, dataset.rows, dataset.target) == ("credit", 4454, "Status")
    assert (dataset.task, dataset.positive) == ("classification", "good")
    assert dataset.digest == fingerprint(credit)
    assert [c.name for c in dataset.schema] == list(credit.columns)
    assert dataset.source == credit_csv.as_posix()
    assert dataset.split["train_rows"] + dataset.split["test_rows"] == 4454
    assert session.latest() is dataset
    json.loads(dataset.to_json())

    bound = dataset.bindings
    assert list(bound) == ["X_train", "X_test", "y_train", "y_test", "features"]
    assert len(bound["X_train"]) == len(bound["y_train"]) == dataset.split["train_rows"]
    whole = pd.concat([bound["X_test"], bound["y_test"]], axis=1)[credit.columns]
    assert fingerprint(whole) == dataset.split["test_digest"]
    assert dataset.profile["Age"]["rows"] == dataset.split["train_rows"]
    for estimator in (LogisticRegression(max_iter=500), HistGradientBoostingClassifier()):
        model = make_pipeline(bound["features"], estimator)
        model.fit(bound["X_train"], bound["y_train"])
        assert model.score(bound["X_test"], bound["y_test"]) > 0.75


def test_the_step_is_one_finished_run(credit: pd.DataFrame) -> None:
    dataset = prepare(credit, name="credit", target="Status", seed=7)
    run = store.runs.get(dataset.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlops.verb"] == "prepare"
    assert run.data.tags["mlops.digest"] == dataset.digest
    assert run.data.metrics["rows"] == 4454
    assert run.data.params["seed"] == "7"
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == "credit"
    record = store.runs.read_json(dataset.run_id, "mlops/record.json")
    assert record["dataset"]["digest"] == dataset.digest
    assert record["arguments"]["data"] == "<DataFrame (4454, 14)>"


def test_equal_content_again_is_a_new_run_of_the_same_digest(credit: pd.DataFrame) -> None:
    one = prepare(credit, name="credit", target="Status")
    same = prepare(credit.copy(), name="credit", target="Status")
    other = prepare(credit, name="credit", target="Status", seed=1)
    assert one.digest == same.digest == other.digest
    assert one.run_id != same.run_id
    assert one.split == same.split
    assert one.split["test_digest"] != other.split["test_digest"]


def test_names_come_from_the_file_or_the_dataset(credit: pd.DataFrame, project: Path) -> None:
    credit.head(50).to_csv(project / "my credit (v2).csv.gz", index=False)
    assert prepare("my credit (v2).csv.gz").name == "my-credit-v2"
    assert prepare(credit.head(50)).name == "data"
    again = prepare("data", target="Status")
    assert (again.name, again.target) == ("data", "Status")
    assert prepare("data", name="other").name == "other"


def test_from_a_recorded_dataset(credit_csv: Path) -> None:
    first = prepare(credit_csv, name="credit", target="Status")
    again = prepare("credit", target="Price", test=0.5)
    assert again.digest == first.digest
    assert again.source == first.source
    assert again.task == "regression"
    assert store.runs.get(again.run_id).data.tags["mlops.follows"] == first.run_id


def test_features_and_target_apart(credit: pd.DataFrame) -> None:
    dataset = prepare((credit.drop(columns="Status"), credit["Status"]), target="Status")
    assert dataset.rows == 4454
    assert dataset.positive == "good"
    arrays = prepare((np.eye(30), np.arange(30) % 2), name="arrays", target="y")
    assert (arrays.positive, list(arrays.bindings["X_train"].columns)[:2]) == (1, ["x0", "x1"])


def test_without_a_target(credit: pd.DataFrame) -> None:
    dataset = prepare(credit)
    assert (dataset.target, dataset.task, dataset.positive) == (None, "none", None)
    assert list(dataset.bindings) == ["X_train", "X_test", "features"]
    assert len(dataset.bindings["features"].fit_transform(dataset.bindings["X_train"]))


def test_by_group_and_by_time(credit: pd.DataFrame) -> None:
    grouped = prepare(credit, target="Status", group="Age")
    ages = [set(grouped.bindings[n]["Age"]) for n in ("X_train", "X_test")]
    assert not ages[0] & ages[1]
    assert grouped.split["group"] == "Age"
    dated = prepare(credit, target="Status", time="Seniority")
    assert (
        dated.bindings["X_train"]["Seniority"].max() < dated.bindings["X_test"]["Seniority"].min()
    )


@pytest.mark.parametrize(
    ("values", "positive", "expected"),
    [
        (["yes", "no"], "", "yes"),
        (["yes", "no"], "no", "no"),
        ([0, 1], "", 1),
        ([0, 1], "0", 0),
        ([1, 2], 2, 2),
        ([True, False], "", True),
        ([True, False], "False", False),
        ([0.0, 1.0], "", 1.0),
        (pd.Categorical(["b", "a"] * 20), "", "b"),
    ],
)
def test_the_positive_class(values: Any, positive: Any, expected: Any) -> None:
    column = values if isinstance(values, pd.Categorical) else values * 20
    dataset = prepare(pd.DataFrame({"x": range(40), "y": column}), target="y", positive=positive)
    assert dataset.positive == expected
    assert type(dataset.positive) is type(expected)
    assert store.datasets.by_run(dataset.run_id).positive == expected


def small(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": range(10), "y": ["a", "b"] * 5, **columns})


@pytest.mark.parametrize(
    ("frame", "options", "error", "message"),
    [
        (small()[:0], {}, BadData, "no rows"),
        (small(y=["a", None] * 5), {}, BadData, r"5 of 10 rows have no value in the target 'y'"),
        (small(y=[1.5, np.nan] * 5), {}, BadData, r"df\.dropna\(subset=\['y'\]\)"),
        (small(), {"target": "Y1"}, UnknownName, r"no column 'Y1'.*Did you mean 'y'"),
        (small(), {"group": "z"}, UnknownName, "no column 'z'"),
        (small(), {"time": "z"}, UnknownName, "no column 'z'"),
        (small(), {"group": "y"}, WrongUsage, "can't be both target and group"),
        (small(), {"group": "x", "time": "x"}, WrongUsage, "both group and time"),
        (small(y="a"), {}, BadData, "'a' in every row"),
        (small(y=pd.date_range("2020", periods=10)), {}, BadData, "holds dates"),
        (small(y=[1, "a"] * 5), {}, BadData, "mixed values"),
        (small(y=[[1]] * 10), {}, BadData, "mixed values or objects"),
        (small(y=[np.inf, 1.5] + [0.5] * 8), {}, BadData, "infinite"),
        (small(), {"test": 0}, WrongUsage, "between 0 and 1"),
        (small(), {"test": 1.2}, WrongUsage, "between 0 and 1"),
        (small(), {"positive": "c"}, UnknownName, r"no class of 'y' 'c'.*Known: a, b"),
        (small(y=list("abc") * 3 + ["a"]), {"positive": "a"}, WrongUsage, "has 3 classes"),
        (small(y=np.arange(10) / 3), {"positive": "1"}, WrongUsage, "is a quantity"),
        (small(), {"target": "", "positive": "a"}, WrongUsage, "needs a target"),
        (small()[["y"]], {}, BadData, "no column beside the target"),
        (small()[:1], {}, BadData, "in every row"),
        (small(), {"name": "my data"}, WrongUsage, "can't be a name"),
        (pd.DataFrame([[1, 2]], columns=["y", "y"]), {}, BadData, "more than one column"),
        ("nothing.csv", {}, UnknownName, "no file 'nothing.csv'"),
        ("nothing", {}, UnknownName, "no file, prepared dataset or variable 'nothing'"),
    ],
    ids=lambda v: str(v) if isinstance(v, str | dict) else "",
)
def test_what_it_refuses(
    frame: Any, options: dict[str, Any], error: type[MlopsError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        prepare(frame, **{"target": "y", "name": "refused", **options})
    assert caught.value.exit_code == 2
    assert store.runs.find(experiment="refused") == []


def test_what_it_warns_of() -> None:
    random = np.random.default_rng(0)
    rows = 200
    frame = pd.DataFrame(
        {
            "x": random.normal(size=rows),
            "copy": ["a", "b"] * (rows // 2),
            "one": 1,
            "gone": np.nan,
            "endless": np.where(np.arange(rows) % 3, np.inf, 1.0),
            "lists": [[1], [2]] * (rows // 2),
            "customer": [f"c{i}" for i in range(rows)],
            "y": ["a", "b"] * (rows // 2),
        }
    )
    said = " ".join(prepare(frame, target="y").warnings)
    for words in (
        "'copy' is equal to the target",
        "'one' has the same value",
        "'gone' has no value",
        "'customer' looks like an id",
        "'endless' is infinite in",
    ):
        assert said.count(words) == 1, words
    assert "`features` leaves out 'customer'" not in said  # said already


def test_one_sided_classes_are_said() -> None:
    frame = pd.DataFrame({"day": range(100), "y": ["a"] * 80 + ["b"] * 20})
    dataset = prepare(frame, target="y", time="day", test=0.2)
    assert any("lack the class 'b', which the test has" in w for w in dataset.warnings)
    assert any("test rows lack the class 'a'" in w for w in dataset.warnings)


def test_five_rows() -> None:
    dataset = prepare(pd.DataFrame({"x": range(5), "y": list("aabbb")}), target="y")
    assert (dataset.split["train_rows"], dataset.split["test_rows"]) == (4, 1)
    assert any("not stratified" in w for w in dataset.warnings)


def test_any_content() -> None:
    rows = 60
    frame = pd.DataFrame(
        {
            "mixed": [1, "a", None] * (rows // 3),
            "lists": [[1, 2], None] * (rows // 2),
            "category": pd.Categorical(["u", "v", None] * (rows // 3)),
            "zoned": pd.date_range("2020", periods=rows, tz="Europe/Berlin"),
            "nullable": pd.array([1, None] * (rows // 2), dtype="Int64"),
            "none": [None] * rows,
            "y": np.arange(rows) / 7,
        }
    )
    dataset = prepare(frame, target="y")
    train, test = store.datasets.frames(dataset)
    assert fingerprint(train) == dataset.split["train_digest"]
    assert fingerprint(test) == dataset.split["test_digest"]
    X = dataset.bindings["X_train"]
    assert np.isfinite(
        dataset.bindings["features"].fit_transform(X, dataset.bindings["y_train"])
    ).all()


def test_the_users_frame_stays_as_it_is(credit: pd.DataFrame) -> None:
    before = fingerprint(credit)
    dataset = prepare(credit, target="Status")
    dataset.bindings["X_train"].loc[:, "Age"] = 0
    assert fingerprint(credit) == before


def test_a_failure_in_the_middle_is_a_failed_run(
    credit: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops_magics.evidence import profile

    def full(frame: pd.DataFrame) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(profile, "profile", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(credit, name="credit", target="Status")
    (run,) = store.runs.find(verb="prepare", experiment="credit")
    assert run.info.status == "FAILED"
    assert session.latest() is None
    with pytest.raises(UnknownName):
        store.datasets.find("credit")
