"""`tune`: trials that disturb nothing, are kept whatever happens, and end in a candidate."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import records, store
from mlops_magics.errors import (
    BadData,
    Interrupted,
    MissingExtra,
    StepFailed,
    UnknownName,
    WrongUsage,
)
from mlops_magics.verbs import session
from tests.conftest import need

need("optuna")

PARABOLA = 'x = trial.suggest_float("x", -1, 1)\nscore = -(x - 0.5) ** 2\n'
MODEL = """
C = trial.suggest_float("C", 1e-4, 10, log=True)
model = fresh(C=C).fit(X_train, y_train)
"""


@pytest.fixture
def notebook(names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of a notebook that this process is taken to run."""
    names["__name__"] = "__main__"
    monkeypatch.setattr(session, "_namespace", names)
    return names


def search(code: Any = PARABOLA, trials: int = 6, **options: Any) -> records.Tuning:
    return mlops.tune("credit", code, trials=trials, **{"metric": "roc_auc", **options})


def values(record: records.Tuning) -> list[Any]:
    return [row["value"] for row in sorted(record.rows, key=lambda r: r["number"])]


def trials_of(record: records.Tuning) -> list[Any]:
    return store.runs.find(tags={"mlflow.parentRunId": record.run_id}, limit=500)


# What a trial is


def test_the_best_becomes_the_candidate_measured_on_rows_that_no_trial_has_seen(
    notebook: dict[str, Any],
) -> None:
    record = search(MODEL, tag="team=risk", message="a first look")

    for run_id in (record.run_id, store.versions.resolve("credit").run_id):
        tags = store.runs.get(run_id).data.tags
        assert (tags["team"], tags["mlflow.note.content"]) == ("risk", "a first look")
    assert record.status == "finished"
    assert record.trials == {"complete": 6}
    assert record.validation == "stratified"
    assert record.best["value"] == max(values(record)) == record.rows[0]["value"]
    version = store.versions.resolve("credit@candidate")
    assert record.model == version.ref
    run = store.runs.get(version.run_id)
    assert run.data.tags["mlops.tuned_by"] == record.run_id
    assert float(run.data.params["trial.C"]) == record.best["params"]["C"]
    assert float(run.data.params["logisticregression__C"]) == record.best["params"]["C"]
    # All training rows, and the test rows as they are.
    model = notebook["fresh"](C=record.best["params"]["C"])
    model.fit(notebook["X_train"], notebook["y_train"])
    score = model.score(notebook["X_test"], notebook["y_test"])
    assert record.metrics["accuracy"] == run.data.metrics["accuracy"] == pytest.approx(score)


def test_in_a_trial_all_names_of_rows_stand_for_training_rows(notebook: dict[str, Any]) -> None:
    seen: list[dict[str, Any]] = []
    notebook["look"] = lambda **rows: seen.append(rows)
    search(
        "trial.suggest_float('x', 0, 1)\n"
        "look(learned=X_train, valid=X_valid, test=X_test, y=y_train)\n"
        "score = 1.0",
        trials=1,
    )
    trial, final = seen
    whole = set(notebook["X_train"].index)
    assert set(trial["learned"].index) | set(trial["valid"].index) == whole
    assert not set(trial["learned"].index) & set(trial["valid"].index)
    assert trial["test"].index.equals(trial["valid"].index)
    assert len(trial["valid"]) == pytest.approx(len(whole) / 4, abs=1)
    # A code that needs validation rows gets them in the end too, beside the real test rows.
    assert final["learned"].index.equals(trial["learned"].index)
    assert final["test"] is notebook["X_test"]


def test_trials_disturb_neither_each_other_nor_the_notebook(notebook: dict[str, Any]) -> None:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    before = notebook["X_train"].copy()
    notebook |= {"scaler": scaler, "seen": [], "helper": _helper(notebook)}
    code = """
    x = trial.suggest_float("x", 0, 1)
    seen.append(x)
    X_train["Age"] = 0
    scaler.fit(X_train)
    new = 1
    score = len(seen) + helper()
    """
    record = search(textwrap.dedent(code), trials=3)
    rows = len(before)
    assert values(record) == [1 + rows] * 3
    assert notebook["seen"] == []
    assert not hasattr(scaler, "mean_")
    assert "new" not in notebook
    assert notebook["X_train"].equals(before)


def _helper(names: dict[str, Any]) -> Any:
    exec("def helper():\n    return len(X_train)", names)
    return names["helper"]


def test_a_helper_of_the_notebook_sees_the_rows_of_the_trial(notebook: dict[str, Any]) -> None:
    notebook["helper"] = _helper(notebook)
    record = search("trial.suggest_int('n', 1, 9)\nscore = helper() + 0 * len(X_valid)", trials=1)
    assert record.best["value"] == len(notebook["X_train"]) - record_held(notebook)


def record_held(notebook: dict[str, Any]) -> int:
    return round(len(notebook["X_train"]) / 4)


def test_different_algorithms_with_parameters_of_their_own(notebook: dict[str, Any]) -> None:
    from sklearn.tree import DecisionTreeClassifier

    notebook["DecisionTreeClassifier"] = DecisionTreeClassifier
    code = """
    if trial.suggest_categorical("algorithm", ["logistic", "tree"]) == "tree":
        model = DecisionTreeClassifier(max_depth=trial.suggest_int("depth", 1, 4))
    else:
        model = fresh(C=trial.suggest_float("C", 0.1, 1))
    model.fit(X_train, y_train)
    """
    record = search(textwrap.dedent(code), trials=8)
    assert {tuple(sorted(row["params"])) for row in record.rows} == {
        ("C", "algorithm"),
        ("algorithm", "depth"),
    }


def test_a_metric_of_which_less_is_better_and_folds(notebook: dict[str, Any]) -> None:
    record = search(MODEL, metric="log_loss", folds=3, trials=3)
    assert record.direction == "minimize"
    assert record.best["value"] == min(values(record))
    assert record.validation == "3 folds"


def test_the_groups_of_the_dataset_stay_together(credit: Any) -> None:
    data = mlops.prepare(credit.dropna(), name="credit", target="Status", group="Job")
    learned: list[Any] = []

    def note(*rows: Any) -> None:  # a list of the test itself would be copied for the trial
        learned.append(rows)

    def objective(trial: Any) -> float:
        note(X_train, X_test)  # type: ignore[name-defined]  # noqa: F821  # bound by tune
        return float(trial.suggest_float("x", 0, 1))

    record = mlops.tune("credit", objective, trials=1, metric="roc_auc", data=data)
    inner, held = learned[0]
    assert not set(inner["Job"]) & set(held["Job"])
    assert "groups of Job" in record.validation


def test_a_function_may_return_the_model(notebook: dict[str, Any]) -> None:
    exec(
        "def objective(trial):\n"
        "    return fresh(C=trial.suggest_float('C', 0.1, 1)).fit(X_train, y_train)",
        notebook,
    )
    record = search(notebook["objective"], trials=2)
    assert record.model == "credit/1"


def test_a_file_with_a_prepared_dataset(project: Path, credit: Any) -> None:
    mlops.prepare(credit.dropna(), name="credit", target="Status")
    session._dataset = None  # as in another process
    script = project / "study.py"
    script.write_text(
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.pipeline import make_pipeline\n"
        "C = trial.suggest_float('C', 0.1, 1)\n"
        "model = make_pipeline(features, LogisticRegression(C=C)).fit(X_train, y_train)\n"
    )
    record = search(script, trials=2, data="credit")
    assert record.model == "credit/1"
    assert record.metrics["roc_auc"] > 0.7
    with pytest.raises(UnknownName, match=r"Did you mean 'study.py'"):
        search("stduy.py", trials=2)


def test_what_makes_a_comparison_doubtful_is_said(notebook: dict[str, Any]) -> None:
    notebook |= {"rows": notebook["X_train"], "classes": notebook["y_train"]}
    code = "model = fresh(C=trial.suggest_float('C', 0.1, 1)).fit(rows, classes)"
    assert "does not read X_train" in search(code, trials=1).warnings[0]
    del notebook["X_train"]
    code = "trial.suggest_int('n', 1, 9)\nscore = len(X_test)"
    assert "the trials see X_test" in search(code, trials=1).warnings[0]


# The same again


def test_the_same_seed_gives_the_same_trials() -> None:
    first, again, other = search(), search(), search(seed=1)
    assert values(first) == values(again) != values(other)
    assert "earlier search with the same code" in again.warnings[0]


def test_interrupted_and_resumed_it_is_as_if_it_had_not_been() -> None:
    whole = search(trials=14)
    stop = PARABOLA + "if trial.number == 5 and globals().get('stops', [1]).pop():\n    raise stop"
    session._namespace = {"stop": KeyboardInterrupt, "stops": Once()}
    with pytest.raises(Interrupted, match="5 of 14 trials are done and kept") as caught:
        search(stop, trials=14)
    record: Any = caught.value.record
    assert record.status == "interrupted"
    assert record.trials == {"complete": 5, "interrupted": 1}
    assert record.best["value"] == max(values(whole)[:5])
    assert all(row["run_id"] for row in record.rows)
    run = store.runs.get(record.run_id)
    assert run.data.tags["mlops.status"] == "interrupted"

    session._namespace = {"stop": KeyboardInterrupt, "stops": [0]}
    resumed = search(stop, trials=14, resume=True)
    assert resumed.status == "finished"
    assert resumed.trials == {"complete": 14, "interrupted": 1}
    assert [v for v in values(resumed) if v is not None] == values(whole)
    follows = store.runs.get(resumed.run_id).data.tags["mlops.follows"]
    assert record.run_id in follows
    # Each trial has one run, below the search that did it.
    assert len(trials_of(record)) == 6
    assert len(trials_of(resumed)) == 9
    assert len({row["run_id"] for row in resumed.rows}) == 15


class Once(list[int]):
    """Says yes each time that it is asked."""

    def __init__(self) -> None:
        super().__init__([1])

    def __deepcopy__(self, memo: Any) -> Once:
        return Once()


def test_a_killed_search_goes_on(project: Path) -> None:
    code = "import os, time\n" + PARABOLA + "if os.path.exists('slow'): time.sleep(60)\n"
    (project / "study.py").write_text(code)
    program = "import mlops_magics as m; m.tune('credit', 'study.py', trials=9, metric='roc_auc')"
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _ended(project):
            time.sleep(0.02)
        (project / "slow").touch()
        time.sleep(0.3)
    finally:
        process.kill()
        process.wait()
    (project / "slow").unlink()
    done = _ended(project)
    assert done > 0
    record = search(project / "study.py", trials=done + 3, resume=True)
    assert record.trials == {"complete": done + 3}
    assert all(row["run_id"] for row in record.rows)
    assert len({row["run_id"] for row in record.rows}) == done + 3


def _ended(project: Path) -> int:
    files = list((project / ".mlops" / "studies").glob("*.journal"))
    return files[0].read_text().count('"op_code":4') if files else 0


def test_resuming_what_is_not_there_or_was_changed() -> None:
    with pytest.raises(WrongUsage, match=r"no search for credit .* Begin it without --resume"):
        search(resume=True)
    search(trials=1)
    with pytest.raises(WrongUsage, match="the folds were changed since"):
        search(PARABOLA + "y = 1", resume=True)


def test_resuming_what_is_complete_trains_the_best_again() -> None:
    search(trials=2)
    record = search(trials=2, resume=True)
    assert record.trials == {"complete": 2}
    assert "All 2 trials were done before" in record.warnings[0]


def test_the_data_has_changed_since(credit: Any) -> None:
    complete = credit.dropna()
    mlops.prepare(complete, name="credit", target="Status")
    search(trials=1)
    mlops.prepare(complete[:-1], name="credit", target="Status")
    assert "The data is not what it was" in search(trials=2, resume=True).warnings[0]


@pytest.mark.parametrize("jobs", [1, 2])
def test_hopeless_trials_are_pruned(jobs: int) -> None:
    code = """
    import optuna
    x = trial.suggest_float("x", 0, 1)
    for step in range(4):
        trial.report(x if trial.number < 8 else -1, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    score = x
    """
    record = search(textwrap.dedent(code), trials=11, jobs=jobs)
    pruned = {row["number"] for row in record.rows if row["state"] == "pruned"}
    assert {9, 10} <= pruned
    runs = {run.info.run_id: run for run in trials_of(record)}
    last = next(row for row in record.rows if row["number"] == 10)
    assert runs[last["run_id"]].info.status == "FINISHED"


def test_an_open_search_is_not_opened_twice() -> None:
    search(trials=1)
    again = "mlops_magics.tune('credit', code, trials=2, metric='roc_auc', resume=True)"
    twice = f"{PARABOLA}import mlops_magics\nif trial.number == 1:\n    {again}\n"
    session._namespace = {"code": twice}
    record = search(twice, trials=2)
    assert "open in another process" in record.rows[-1]["reason"]


def test_a_torn_journal_is_mended(project: Path) -> None:
    record = search(trials=2)
    with open(record.study, "a") as journal:
        journal.write('{"op_code":4,"worker')
    assert search(trials=3, resume=True).trials == {"complete": 3}


def test_time_runs_out() -> None:
    record = search("import time\n" + PARABOLA + "time.sleep(0.1)", trials=500, timeout=0.5)
    assert record.status == "finished"
    assert 0 < len(record.rows) < 20
    assert "Stopped after 0.5 s" in record.warnings[0]


# Trials as runs


def test_trials_are_child_runs_as_if_logged_one_by_one() -> None:
    code = """
    import optuna
    x = trial.suggest_float("x", -1, 1)
    trial.set_user_attr("rows", 7)
    trial.set_user_attr("note", "a")
    for step in range(3):
        trial.report(x * step, step)
    if trial.number == 1:
        raise optuna.TrialPruned
    if trial.number == 2:
        raise ValueError("x is bad")
    if trial.number == 3:
        x = float("nan")
    score = x
    """
    record = search(textwrap.dedent(code), trials=5)
    assert record.trials == {"complete": 2, "pruned": 1, "failed": 2}
    client = store.runs.connect()
    for row in record.rows:
        run = client.get_run(row["run_id"])
        tags = run.data.tags
        assert tags["mlflow.parentRunId"] == record.run_id
        assert tags["mlops.verb"] == "trial"
        assert tags["state"] == row["state"]
        assert tags["note"] == "a"
        assert float(run.data.params["x"]) == row["params"]["x"]
        assert run.info.status == ("FAILED" if row["state"] == "failed" else "FINISHED")
        assert run.data.metrics["rows"] == 7
        assert run.data.metrics.get("roc_auc") == row["value"]
        history = client.get_metric_history(row["run_id"], "reported")
        assert [(m.step, m.value) for m in history] == [
            (step, row["params"]["x"] * step) for step in range(3)
        ]
        assert client.list_artifacts(row["run_id"]) == []
    reasons = {row["number"]: row["reason"] for row in record.rows}
    assert reasons[2] == "ValueError: x is bad"
    assert "NaN" in reasons[3]
    parent = client.get_run(record.run_id)
    assert parent.data.tags["mlops.verb"] == "tune"
    assert parent.data.metrics["trials_failed"] == 2
    assert [event["verb"] for event in store.history.events("credit")] == ["tune", "train"]
    assert len(store.runs.read_json(record.run_id, "mlops/trials.json")) == 5


def test_a_trial_may_log_to_mlflow_itself() -> None:
    code = "import mlflow\n" + PARABOLA + "mlflow.log_param('x', x)\n"
    record = search(code, trials=3)
    assert record.trials == {"complete": 3}
    own = [run for run in trials_of(record) if "mlops.verb" not in run.data.tags]
    assert {float(run.data.params["x"]) for run in own} == {r["params"]["x"] for r in record.rows}
    assert {run.info.status for run in own} == {"FINISHED"}


def test_a_store_that_goes_away_and_comes_back_gets_every_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlops_magics.errors import StoreUnreachable
    from mlops_magics.store import children

    real, calls = children.write, []

    def away(*arguments: Any) -> dict[str, str]:
        calls.append(1)
        if len(calls) == 1:
            raise StoreUnreachable("The store does not answer.")
        return real(*arguments)

    monkeypatch.setattr(children, "write", away)
    record = search(trials=4)
    assert len(calls) > 1
    assert len(trials_of(record)) == 4


def test_a_search_with_failing_trials_at_the_beginning_is_stopped_with_the_users_exception() -> (
    None
):
    code = "trial.suggest_int('n', 1, 9)\n1 / 0\n"
    with pytest.raises(ZeroDivisionError) as caught:
        search(code, trials=50)
    frames = [frame.lineno for frame in caught.traceback]
    assert frames[-1] == 1  # counted from 0
    run = store.runs.find(verb="tune")[0]
    assert run.info.status == "FAILED"
    assert len(store.runs.find(tags={"mlflow.parentRunId": run.info.run_id})) == 5


def test_without_optuna_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"mlops_magics\[tune\]"):
        search()


# Wrong from the start: one sentence, and nothing is recorded


@pytest.mark.parametrize(
    ("code", "options", "error", "told"),
    [
        (PARABOLA, {"trials": 0}, WrongUsage, "--trials must be at least 1"),
        (PARABOLA, {"jobs": 0}, WrongUsage, "--jobs must be at least 1"),
        (PARABOLA, {"timeout": -1}, WrongUsage, "--timeout must not be negative"),
        (PARABOLA, {"tag": ["team"]}, WrongUsage, "KEY=VALUE"),
        (PARABOLA, {"metric": "rocauc"}, UnknownName, "Did you mean 'roc_auc'"),
        (PARABOLA, {"on": "dsk"}, UnknownName, "Did you mean 'dask'"),
        (PARABOLA, {"on": "ftp://h:1"}, UnknownName, "Did you mean 'tcp://…'"),
        (PARABOLA, {"on": "tcp://203.0.113.1:8786"}, WrongUsage, "tls://"),
        (PARABOLA, {"on": "tcp://nowhere"}, WrongUsage, "no host and port"),
        ("x = 1", {}, WrongUsage, "never uses `trial`"),
        ("", {}, WrongUsage, "needs code"),
        ("trial = = 1", {}, BadData, r"not valid Python: .* \(line 1\)"),
        ("await f(trial)", {}, WrongUsage, "await outside of a function"),
        (MODEL, {"folds": 1}, WrongUsage, "--folds must be 0 or at least 2"),
        (MODEL, {"metric": "p95_latency"}, WrongUsage, "not measured of a model's answers"),
        (MODEL, {"metric": "profit"}, WrongUsage, "needs an amount"),
        (lambda: 1, {}, WrongUsage, "a plain function that takes the trial"),
        (print, {}, WrongUsage, "print must be a plain function"),
    ],
)
def test_bad_input(
    notebook: dict[str, Any], code: Any, options: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as caught:
        search(code, **options)
    assert "\n" not in str(caught.value)
    assert store.runs.find(verb="tune") == []


@pytest.mark.parametrize(
    ("code", "options", "told"),
    [
        ("trial", {}, "neither a fitted model nor a score"),
        ("trial\nmodel = fresh()", {}, "neither a fitted model nor a score"),
        ("trial\nscore = [1]", {}, "cross_val_score"),
        (MODEL, {"metric": "rmse"}, "rmse belongs to a regression"),
        (
            "score = trial.suggest_categorical('c', [(1, 2)]) and 1",
            {},
            "A choice of 'c' is of type",
        ),
        (lambda trial: "text", {}, "returned a str"),
    ],
)
def test_what_no_trial_can_be_judged_by_stops_at_the_first(
    notebook: dict[str, Any], code: Any, options: Any, told: str
) -> None:
    with pytest.raises(WrongUsage, match=told):
        search(code, **options)
    run = store.runs.find(verb="tune")[0]
    assert run.info.status == "FAILED"


# In a notebook and on the command line


def test_in_a_cell(ip: Any, capsys: Any) -> None:
    result = ip.run_cell(
        "%%tune credit --trials 2 --metric roc_auc\n"
        "C = trial.suggest_float('C', 0.1, 1)\n!echo from the shell\n"
        "model = fresh(C=C).fit(X_train, y_train)"
    )
    assert result.success
    assert result.result.model == "credit/1"
    assert "C" not in ip.user_ns
    shown = capsys.readouterr().out
    assert "from the shell" in shown
    assert "2 of 2 trials" in shown
    # What is recorded is a cell that trains this very model.
    last = store.runs.read_json(store.versions.resolve("credit").run_id, "mlops/cells.json")[
        "cells"
    ][-1]["source"]
    assert last.startswith("%%train credit --metric roc_auc\n")
    assert ip.run_cell(last).success
    first, again = store.versions.of("credit")
    assert store.runs.get(first.run_id).data.metrics == store.runs.get(again.run_id).data.metrics


def test_a_search_binds_nothing_that_a_later_cell_could_read(ip: Any) -> None:
    from mlops_magics.evidence import names

    code = ip.transform_cell("%%tune credit --trials 2 --metric f1\nmodel = fresh(C=trial.x)")
    facts = names.analyse(code)
    assert not facts.writes
    assert "fresh" in facts.reads


def test_interrupted_in_a_cell_it_shows_what_was_done_and_stops_the_notebook(
    ip: Any, capsys: Any
) -> None:
    result = ip.run_cell(
        "%%tune credit --trials 9 --metric roc_auc\nscore = trial.suggest_float('x', 0, 1)\n"
        "if trial.number == 2:\n    raise KeyboardInterrupt"
    )
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    shown = capsys.readouterr().out
    assert "interrupted" in shown
    assert "Interrupted: 2 of 9 trials are done and kept; the same with --resume" in shown
    assert "Traceback" not in shown


def test_the_users_exception_in_a_cell_is_shown_alone(ip: Any, capsys: Any) -> None:
    result = ip.run_cell("%%tune credit --trials 9 --metric roc_auc\nx = trial.number\n1 / 0")
    assert isinstance(result.error_in_exec, ZeroDivisionError)
    shown = capsys.readouterr().out
    assert "----> 2 1 / 0" in shown
    assert "searching.py" not in shown


def test_a_magic_below_is_refused(ip: Any, capsys: Any) -> None:
    ip.run_cell("%%tune credit --trials 9 --metric roc_auc\n%time x = trial.number")
    assert "would run in the notebook's names" in capsys.readouterr().out


def test_on_the_command_line(project: Path, capsys: Any) -> None:
    from mlops_magics.doors import cli

    (project / "study.py").write_text(PARABOLA)
    words = ["tune", "credit", "study.py", "--trials", "2", "--metric", "roc_auc"]
    assert cli.main(words) == 0
    assert "2 of 2 trials" in capsys.readouterr().err
    (project / "study.py").write_text(PARABOLA + "1 / 0\n")
    assert cli.main(words) == 1
    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert "fault of mlops_magics" not in told
    (project / "study.py").write_text(PARABOLA + "raise KeyboardInterrupt")
    assert cli.main(words) == 130
    assert "--resume" in capsys.readouterr().err


# In parallel


def test_several_at_a_time(notebook: dict[str, Any]) -> None:
    notebook["double"] = lambda x: 2 * x
    code = """
    C = trial.suggest_float("C", 0.1, 1)
    if trial.number == 1:
        raise ValueError("a bad C")
    model = fresh(C=double(C)).fit(X_train, y_train)
    """
    record = search(textwrap.dedent(code), trials=6, jobs=2)
    assert record.trials == {"complete": 5, "failed": 1}
    assert sorted(row["number"] for row in record.rows) == list(range(6))
    assert record.rows[-1]["reason"] == "ValueError: a bad C"
    assert len(trials_of(record)) == 6
    assert record.model == "credit/1"


def test_a_worker_process_that_dies_costs_its_trials_and_not_the_search() -> None:
    code = PARABOLA + "import os\nif trial.number == 3:\n    os._exit(1)\n"
    record = search(code, trials=7, jobs=2)
    assert record.trials["complete"] >= 5
    assert sum(record.trials.values()) == 7
    assert "worker was lost" in record.rows[-1]["reason"]


def test_what_cannot_be_sent_to_another_process_is_named(notebook: dict[str, Any]) -> None:
    import threading

    notebook["lock"] = threading.Lock()
    with pytest.raises(WrongUsage, match=r"'lock' \(a lock\) can't be sent"):
        search(PARABOLA + "lock", jobs=2)


def test_the_users_exception_in_a_worker_keeps_its_traceback(notebook: dict[str, Any]) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        search("trial.suggest_int('n', 1, 9)\n1 / 0\n", trials=9, jobs=2)
    assert "line 2" in "".join(caught.value.__notes__)


def test_ctrl_c_ends_the_workers(project: Path) -> None:
    (project / "study.py").write_text("import time\n" + PARABOLA + "time.sleep(0.2)\n")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlops_magics.doors.cli", "tune", "credit", "study.py"),
            *("--trials", "500", "--metric", "roc_auc", "--jobs", "2"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and _ended(project) < 4:
            time.sleep(0.05)
        time.sleep(0.1)  # one has just ended: now the next, which takes twice as long, is under way
        os.killpg(process.pid, signal.SIGINT)  # as a terminal and a notebook do
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
    assert process.returncode == 130
    assert "interrupted" in out
    assert "with --resume goes on" in err
    record = search(project / "study.py", trials=6, resume=True)
    assert record.trials["interrupted"] == 2
    assert record.trials["complete"] >= 6


def test_a_scheduler_that_does_not_answer_is_said_in_seconds() -> None:
    need("distributed")
    began = time.monotonic()
    with pytest.raises(StepFailed, match="does not answer"):
        search(on="tcp://127.0.0.1:9")
    assert time.monotonic() - began < 30
