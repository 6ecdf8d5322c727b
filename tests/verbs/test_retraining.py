"""`retrain`: fires or not, trains again in a real kernel, and never harms the champion."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_notebook

from mlops_magics import drift, settings, store
from mlops_magics.errors import BadGoal, MlopsError, StepFailed, UnknownName, WrongUsage
from mlops_magics.evidence import secrets
from mlops_magics.records import Monitoring
from mlops_magics.verbs import recipes, trained_by
from mlops_magics.verbs.preparing import prepare
from mlops_magics.verbs.promoting import promote
from mlops_magics.verbs.retraining import retrain
from mlops_magics.verbs.steps import step
from mlops_magics.verbs.training import train
from mlops_magics.verbs.validating import validate

GOALS = "roc_auc >= 0.70"


@pytest.fixture
def champion(credit_csv: Path) -> str:
    """A champion that was trained, judged and promoted in this very project."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    data = prepare(str(credit_csv), name="credit", target="Status", positive="bad", seed=3)
    bound = data.bindings
    with warnings.catch_warnings(), train("credit", metric="roc_auc"):
        warnings.simplefilter("ignore")
        learner = LogisticRegression(max_iter=50)
        model = make_pipeline(bound["features"], learner).fit(bound["X_train"], bound["y_train"])
    assert model is not None
    assert validate("credit@candidate", goals=GOALS).passed
    return promote("credit@candidate").version


def monitored(factor: float) -> None:
    """A monitoring record of rows whose incomes were multiplied."""
    dataset = store.datasets.find("credit")
    _, held = store.datasets.frames(dataset)
    now = held.drop(columns="Status").assign(Income=held["Income"] * factor)
    profile = {k: v for k, v in dataset.profile.items() if k != "Status"}
    features = drift.report.compare(profile, now)
    record = Monitoring(
        deployment="credit", passed=True, features=tuple(features), rows=len(now), model="credit/1"
    )
    with step("monitor", experiment="credit", arguments={}) as current:
        current.json("monitoring.json", record)


def write(name: str, *sources: str, parameters: str = "") -> str:
    cells = [new_code_cell(source) for source in sources]
    if parameters:
        cells.insert(0, new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    nbformat.write(new_notebook(cells=cells), name)
    return name


def who_is_champion() -> str:
    return store.versions.resolve("credit@champion").ref


def outcome_on_record(run_id: str) -> Any:
    return store.runs.read_json(run_id, "retraining.json")["outcome"]


def test_fires_trains_with_what_is_on_record_and_promotes(champion: str) -> None:
    monitored(3.0)
    done = retrain("credit", if_="drift(Income) > 0.2", promote=True)
    assert done.fired
    assert "drift(Income) > 0.2" in done.reason
    assert done.outcome == "promoted"
    assert done.exit_code == 0
    assert (done.candidate, done.champion) == ("credit/2", "credit/2")
    assert who_is_champion() == "credit/2"
    assert done.verdict is not None
    assert [g.text for g in done.verdict.goals] == [GOALS]
    # The shipped template, with the recorded data, target, class, seed and algorithm.
    assert done.execution is not None
    assert done.execution.params["target"] == "Status"
    assert done.execution.params["positive"] == "bad"
    assert done.execution.params["seed"] == 3
    assert done.execution.params["metric"] == "roc_auc"
    assert done.execution.params["algorithm"] == "logistic"
    # The record links cause, run and outcome.
    assert outcome_on_record(done.run_id) == "promoted"
    tags = store.runs.get(done.run_id).data.tags
    cause = store.runs.find(verb="monitor", experiment="credit")[0]
    assert cause.info.run_id in tags["mlops.follows"]
    # The new version was made by a headless notebook: the next time, that one is taken.
    recipe = recipes.recipe_of(store.versions.resolve("credit@champion"), "", {"seed": 4})
    assert Path(recipe.notebook).name == "train.ipynb"
    assert recipe.params["seed"] == 4
    assert recipe.params["algorithm"] == "logistic"


def test_where_it_takes_two_the_promotion_is_held(champion: str, project: Path) -> None:
    (project / "mlops.toml").write_text("approval = 2\n")
    done = retrain("credit", promote=True)
    assert (done.outcome, done.exit_code, done.candidate) == ("held", 4, "credit/2")
    assert done.promotion is not None
    assert done.promotion.needed == 2
    assert who_is_champion() == "credit/1"
    assert "promote credit/2 --approve" in str(done)


def test_not_better_leaves_the_champion(champion: str) -> None:
    validate("credit@champion", goals="roc_auc >= 0.9999")
    done = retrain("credit", promote=True)
    assert done.outcome == "not better"
    assert done.exit_code == 3
    assert done.champion == champion == who_is_champion()
    assert done.candidate == "credit/2"
    assert outcome_on_record(done.run_id) == "not better"


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("drift(Income) > 0.2", "drift(Income) > 0.2"),
        ("drift(Incme) > 0.2", "drift(Incme)"),
        ("roc_auc < 0.7", "roc_auc < 0.7"),
    ],
)
def test_not_fired(condition: str, said: str, champion: str) -> None:
    """Also when the condition can't be measured: then it says why."""
    monitored(1.0)
    done = retrain("credit", if_=condition)
    assert not done.fired
    assert done.outcome == "not fired"
    assert done.exit_code == 0
    assert said in done.reason
    assert done.execution is None
    assert done.champion == champion
    assert outcome_on_record(done.run_id) == "not fired"


def test_a_failed_training_leaves_the_champion_serving(champion: str) -> None:
    notebook = write("bad.ipynb", "1", "raise MemoryError('too much')")
    with pytest.raises(
        StepFailed, match=r"failed at cell 2: MemoryError: too much.*credit/1 stays"
    ):
        retrain("credit", notebook=notebook, promote=True)
    assert who_is_champion() == champion
    run = store.runs.find(verb="retrain", experiment="credit")[0]
    assert run.data.tags["mlops.status"] == "failed"


def test_a_notebook_that_trains_something_else(champion: str) -> None:
    notebook = write("other.ipynb", "print('nothing')")
    with pytest.raises(StepFailed, match="registered no new version of credit"):
        retrain("credit", notebook=notebook)
    assert who_is_champion() == champion


def test_refused_before_anything_is_trained(champion: str) -> None:
    with pytest.raises(UnknownName, match=r"no model 'credt'. Did you mean 'credit'"):
        retrain("credt")
    with pytest.raises(WrongUsage, match="never monitored"):
        retrain("credit", if_="drift(Income) > 0.2")
    with pytest.raises(BadGoal):
        retrain("credit", if_="drift(Income) >>> 0.2")
    with pytest.raises(BadGoal, match="compares with the champion, and a condition asks"):
        retrain("credit", if_="roc_auc < champion")
    with pytest.raises(UnknownName, match="no notebook 'trian'"):
        retrain("credit", notebook="trian")
    with pytest.raises(UnknownName, match="no parameter 'algoritm'"):
        retrain("credit", params={"algoritm": "forest"})
    assert not Path("executed").exists()
    held = FileLock(settings.load().state / "retrain-credit.lock")
    with held, pytest.raises(MlopsError, match="being retrained already"):
        retrain("credit")
    assert who_is_champion() == champion


def test_no_goals_to_judge_by(credit: pd.DataFrame) -> None:
    from sklearn.linear_model import LogisticRegression

    X, y = credit[["Age", "Amount"]], credit["Status"]
    with train("credit"):
        model = LogisticRegression().fit(X, y)
    assert model is not None
    with pytest.raises(WrongUsage, match="no goals to judge credit by"):
        retrain("credit")


def test_a_recorded_secret_has_to_be_given_anew(
    champion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = Path(write("own.ipynb", "1", parameters="db_password: str = ''\nrows: int = 1"))
    had = {"db_password": secrets.MASK, "rows": "5", "gone": "x"}
    monkeypatch.setattr(trained_by, "notebook", lambda _: (notebook.resolve(), had))
    version = store.versions.resolve("credit")
    with pytest.raises(WrongUsage, match="Give it anew: -p db_password"):
        recipes.recipe_of(version, "", {})
    recipe = recipes.recipe_of(version, "", {"db_password": "hunter22"})
    assert recipe.params == {"db_password": "hunter22", "rows": "5"}
    assert recipe.shown == {"db_password": secrets.MASK, "rows": "5"}


def test_learns_from_new_data_and_answers_a_record_once(
    champion: str, credit: pd.DataFrame, project: Path
) -> None:
    monitored(3.0)
    done = retrain("credit", if_="drift(Income) > 0.2", data=credit.head(3000))
    assert (done.outcome, done.candidate) == ("held", "credit/2")
    assert done.execution is not None
    learned = store.versions.resolve("credit/2").dataset_run
    assert store.datasets.by_run(learned).rows == 3000
    again = retrain("credit", if_="drift(Income) > 0.2")
    assert (again.fired, again.outcome) == (False, "not fired")
    assert f"answered already, by run {done.run_id}" in again.reason
    with pytest.raises(WrongUsage, match="have no labels of their own"):
        retrain("credit", since="30d")
    with pytest.raises(WrongUsage, match="has no parameter 'data'"):
        retrain("credit", data="new.csv", notebook=write("bare.ipynb", "1"))
