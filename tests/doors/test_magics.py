"""`%%train` in a real IPython shell: the run tells the truth and the cell stays the user's own."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_magics import store
from mlops_magics.errors import StepFailed


def last_run(name: str = "credit") -> Any:
    return store.runs.find(experiment=name, verb="train")[0]


def status(name: str = "credit") -> tuple[str, str]:
    run = last_run(name)
    return run.info.status, run.data.tags["mlops.status"]


def test_a_cell_becomes_a_finished_run_with_a_registered_candidate(ip: Any) -> None:
    result = ip.run_cell(
        "%%train credit\nmodel = fresh().fit(X_train, y_train)\nmodel.score(X_test, y_test)"
    )

    assert result.success
    assert status() == ("FINISHED", "finished")
    version = store.versions.resolve("credit@candidate")
    run = last_run()
    assert version.run_id == run.info.run_id
    # The last expression is the cell's own value, and the recorded accuracy is that very number.
    assert run.data.metrics["accuracy"] == pytest.approx(result.result)
    assert run.data.params["logisticregression__max_iter"] == "500"
    source = store.runs.fetch(run.info.run_id, "mlops/source.py").read_text()
    assert source.startswith("model = fresh()")
    record = store.runs.read_json(run.info.run_id, "mlops/record.json")
    assert record["cell"]["raw"].startswith("%%train credit")
    assert record["packages"]["scikit-learn"]
    assert record["resources"]["peak_memory_bytes"] > 0


def test_the_users_exception_is_their_own_and_the_run_failed(ip: Any, capsys: Any) -> None:
    result = ip.run_cell("%%train credit\nx = 1\n1 / 0")

    assert isinstance(result.error_in_exec, ZeroDivisionError)
    assert status() == ("FAILED", "failed")
    shown = capsys.readouterr()
    assert "----> 3 1 / 0" in shown.out  # the line number is the cell's
    assert "recorded as failed" in shown.err


def test_interrupted(ip: Any) -> None:
    ip.run_cell("%%train credit\nraise KeyboardInterrupt")
    assert status()[1] == "interrupted"


def test_top_level_await_other_magics_and_shell_escapes_work_inside(ip: Any, capsys: Any) -> None:
    result = ip.run_cell("%%train credit\nimport asyncio\nawait asyncio.sleep(0)\n40 + 2")
    assert result.result == 42
    assert ip.run_cell("%%train credit\n!echo from the shell\n%pwd").success
    assert "from the shell" in capsys.readouterr().out
    ip.run_cell("%%train credit\n%%time\nmodel = fresh().fit(X_train, y_train)")
    assert "Wall time" in capsys.readouterr().out
    assert store.versions.resolve("credit").number == 1


def test_a_syntax_error_opens_no_run(ip: Any) -> None:
    ip.run_cell("%%train credit\nx = 1")
    ip.run_cell("%%train credit\nx = = 1")
    assert len(store.runs.find(experiment="credit")) == 1
    ip.run_cell("plain = 1")  # and nothing is left open for the next cell
    assert len(store.runs.find(experiment="credit")) == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "train needs NAME."),
        ("credit --metrik roc_auc", "Did you mean '--metric'?"),
        ("credit --metric roc_auk", "Did you mean 'roc_auc'"),
        ("credit --tag team", "KEY=VALUE"),
        ("'my model'", "can't be a name"),
        ("credit --data credti", "There is no prepared dataset 'credti'"),
    ],
)
def test_wrong_arguments_get_one_sentence_and_the_cell_does_not_run(
    ip: Any, capsys: Any, line: str, told: str
) -> None:
    result = ip.run_cell(f"%%train {line}\nran = True")

    assert not result.success
    assert "ran" not in ip.user_ns
    out = capsys.readouterr().out
    assert told in out
    assert "Traceback" not in out


def test_the_users_own_mlflow_calls_land_in_the_run(ip: Any) -> None:
    ip.run_cell(
        "%%train credit\nimport mlflow\nmlflow.log_metric('mine', 3.5)\nmlflow.log_param('p', 7)"
    )
    run = last_run()
    assert run.data.metrics["mine"] == 3.5
    assert run.data.params["p"] == "7"
    import mlflow

    assert mlflow.active_run() is None


def test_a_run_that_the_user_opens_inside_and_leaves_open_is_closed(ip: Any) -> None:
    ip.run_cell("%%train credit\nimport mlflow\nmlflow.start_run(nested=True)\n1")
    import mlflow

    assert mlflow.active_run() is None
    assert status() == ("FINISHED", "finished")


def test_run_cell_magic_works_too_and_does_not_swallow_a_failure(ip: Any) -> None:
    ip.run_cell_magic("train", "credit", "model = fresh().fit(X_train, y_train)")
    assert store.versions.resolve("credit").number == 1
    with pytest.raises(StepFailed, match="recorded as failed"):
        ip.run_cell_magic("train", "credit", "1 / 0")


def test_line_magics_return_records_and_bind_nothing_else(ip: Any) -> None:
    ip.run_cell("%%train credit\nmodel = fresh().fit(X_train, y_train)")
    result = ip.run_cell("moved = %promote credit@candidate --override 'first one'")
    assert result.success
    assert ip.user_ns["moved"].version == "credit/1"
    assert "Promotion" in ip.display_formatter.format(ip.user_ns["moved"])[0]["text/html"]


def test_json_prints_one_document(ip: Any, capsys: Any) -> None:
    import json

    ip.run_cell("%%train credit\nmodel = fresh().fit(X_train, y_train)")
    capsys.readouterr()
    ip.run_cell("%history credit --json")
    assert json.loads(capsys.readouterr().out)["record"] == "History"


def test_ipythons_own_history_magic_still_works(ip: Any, capsys: Any) -> None:
    ip.run_cell("answer = 42", store_history=True)
    capsys.readouterr()
    ip.run_cell("%history -n 1")
    assert "answer = 42" in capsys.readouterr().out


def test_help_is_the_same_everywhere(ip: Any, capsys: Any) -> None:
    from mlops_magics.doors import cli

    ip.run_cell("%promote --help")
    in_notebook = capsys.readouterr().out
    assert cli.main(["promote", "--help"]) == 0
    assert capsys.readouterr().out == in_notebook
    inspected = ip.object_inspect_text("%promote")
    for line in in_notebook.strip().splitlines()[:8]:
        assert line.strip() in inspected


def test_unloading_gives_everything_back(ip: Any) -> None:
    ip.run_line_magic("unload_ext", "mlops_magics")
    assert ip.find_line_magic("promote") is None
    assert ip.find_cell_magic("train") is None
    assert "IPython" in type(ip.find_line_magic("history").__self__).__module__
    ip.run_line_magic("load_ext", "mlops_magics")
    assert ip.find_line_magic("promote") is not None


def test_completion_offers_options_models_and_aliases(ip: Any) -> None:
    ip.run_cell("%%train credit\nmodel = fresh().fit(X_train, y_train)")

    def offered(line: str) -> list[str]:
        return list(ip.complete("", line, len(line))[1])

    assert "--override" in offered("%promote credit --ov")
    assert "credit@candidate" in offered("%promote credit@")
    assert "credit/1" in offered("%validate cred")


class TestWhichModel:
    def test_the_last_of_two(self, ip: Any, capsys: Any) -> None:
        ip.run_cell(
            "%%train credit\na = fresh().fit(X_train, y_train)\n"
            "b = fresh(C=.1).fit(X_train, y_train)"
        )
        assert last_run().data.params["logisticregression__C"] == "0.1"
        record = store.runs.read_json(last_run().info.run_id, "mlops/record.json")
        assert "left 2 models (a, b); took 'b'" in record["warnings"][0]

    def test_the_named_one(self, ip: Any) -> None:
        ip.run_cell(
            "%%train credit --model a\na = fresh(C=.5).fit(X_train, y_train)\n"
            "b = fresh(C=.1).fit(X_train, y_train)"
        )
        assert last_run().data.params["logisticregression__C"] == "0.5"

    def test_one_bound_to_two_names_counts_once(self, ip: Any) -> None:
        ip.run_cell("%%train credit\na = b = fresh().fit(X_train, y_train)")
        record = store.runs.read_json(last_run().info.run_id, "mlops/record.json")
        assert record["warnings"] == []

    def test_fitted_again_in_place(self, ip: Any) -> None:
        ip.run_cell("model = fresh()")
        ip.run_cell("%%train credit\nmodel.fit(X_train, y_train);")
        assert store.versions.resolve("credit").number == 1

    def test_the_search_and_not_its_best_estimator(self, ip: Any) -> None:
        ip.run_cell(
            "%%train credit\nfrom sklearn.model_selection import GridSearchCV\n"
            "s = GridSearchCV(fresh(), {'logisticregression__C': [.1, 1]}, cv=2)\n"
            "s.fit(X_train, y_train)\n"
            "best = s.best_estimator_"
        )
        assert "GridSearchCV" in store.versions.resolve("credit").estimator

    def test_none_is_said_and_the_run_stands(self, ip: Any) -> None:
        ip.run_cell("%%train credit\nx = 1")
        assert status() == ("FINISHED", "finished")
        assert store.versions.names() == []


def test_regression(ip: Any, credit: Any) -> None:
    ip.user_ns["y_train"] = credit["Price"].loc[ip.user_ns["X_train"].index]
    ip.user_ns["y_test"] = credit["Price"].loc[ip.user_ns["X_test"].index]
    ip.run_cell(
        "%%train price --metric r2\nfrom sklearn.linear_model import LinearRegression\n"
        "m = LinearRegression().fit(X_train.drop(columns='Price'), y_train)"
    )
    assert set(last_run("price").data.metrics) == {"rmse", "mae", "r2"}


def test_one_class_in_the_test_set_leaves_auc_undefined_and_says_why(ip: Any) -> None:
    good = ip.user_ns["y_test"] == "good"
    ip.user_ns["X_test"], ip.user_ns["y_test"] = (
        ip.user_ns["X_test"][good],
        ip.user_ns["y_test"][good],
    )
    ip.run_cell("%%train credit\nmodel = fresh().fit(X_train, y_train)")
    run = last_run()
    assert "roc_auc" not in run.data.metrics
    assert "accuracy" in run.data.metrics
    record = store.runs.read_json(run.info.run_id, "mlops/record.json")
    assert any(w.startswith("roc_auc was not measured") for w in record["warnings"])
    assert store.versions.resolve("credit").number == 1
