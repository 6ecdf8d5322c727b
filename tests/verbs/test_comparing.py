"""`compare`: the leaderboard, what it is sorted by, and what it says of what can't be compared."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.doors import parsing, views
from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.records import Comparison
from mlops_magics.verbs import session


def logged(name: str = "credit", **what: Any) -> str:
    """A finished run as anyone may log it with MLflow."""
    client = store.runs.connect()
    tags = what.pop("tags", {})
    run = client.create_run(store.runs.experiment_id(name), tags=tags, run_name=what.pop("as_", ""))
    run_id = str(run.info.run_id)
    for metric, value in what.pop("metrics", {}).items():
        client.log_metric(run_id, metric, value)
    for param, value in what.items():
        client.log_param(run_id, param, value)
    client.set_terminated(run_id, "FINISHED")
    return run_id


def values(record: Comparison, metric: str) -> list[Any]:
    return [row["metrics"].get(metric) for row in record.rows]


@pytest.fixture
def trained(names: dict[str, Any], credit: Any) -> Any:
    """A function that prepares data (another seed gives other test rows) and trains on it."""

    def train(seed: int = 0, **options: Any) -> Any:
        data = credit[["Seniority", "Time", "Age", "Amount", "Price", "Status"]]
        known = session.latest()
        if known is None or known.split["seed"] != seed:
            mlops.prepare(data, name="credit-data", target="Status", seed=seed)
        rows = session.latest()
        with mlops.train("credit", metric="roc_auc", data=rows) as run:
            model = names["fresh"](**options).fit(rows.X_train, rows.y_train)  # noqa: F841
        assert run.record is not None
        return run.record

    return train


def test_trained_versions_with_all_that_is_known(trained: Any) -> None:
    records = [trained(C=c) for c in (0.001, 1.0)]
    record = mlops.compare("credit")
    assert record.by == "roc_auc"
    assert record.greater_is_better
    assert record.total == 2
    best = max(records, key=lambda r: r.metrics["roc_auc"])
    row = record.rows[0]
    assert row["model"] == best.model
    assert row["metrics"] == pytest.approx(best.metrics)
    assert next(iter(row["metrics"])) == "roc_auc"
    assert row["params"]["logisticregression__C"] == best.params["logisticregression__C"]
    assert row["duration"] == pytest.approx(best.duration)
    assert row["resources"]["peak_memory_bytes"] > 0
    assert row["size"] == store.versions.size(store.versions.resolve(best.model))
    assert (row["dataset"], row["digest"]) == (best.dataset, best.digest)
    assert row["trust"] == "clean"
    assert row["comparable"] is True
    assert [r["aliases"] for r in record.rows if r["model"] == "credit/2"] == [["candidate"]]
    assert record.varying == ("logisticregression__C",)
    assert set(record.curves) == {"roc", "precision_recall", "calibration"}
    assert set(record.curves["roc"]) == {r["label"] for r in record.rows}
    assert record.warnings == ()
    assert "roc_auc against each parameter" in views.html(record)


def test_runs_measured_on_other_rows_are_marked(trained: Any) -> None:
    trained(seed=0, C=0.001)
    trained(seed=1, C=1.0)
    record = mlops.compare("credit")
    assert [row["comparable"] for row in record.rows] == [True, False]
    assert "1 run measured on other rows than the best" in record.warnings[0]
    assert "other rows" in views.text(record)
    logged(metrics={"roc_auc": 0.1})
    record = mlops.compare("credit")
    assert record.rows[2]["comparable"] is None
    assert "whose test rows are not recorded" in record.warnings[1]


def test_references_name_single_runs(trained: Any) -> None:
    first, second = trained(C=0.1), trained(C=1.0)
    trained(C=10.0)
    record = mlops.compare("credit@candidate", "credit/1", f"runs:/{second.run_id}")
    assert {row["model"] for row in record.rows} == {"credit/1", "credit/2", "credit/3"}
    record = mlops.compare(first, f"runs:/{second.run_id}")
    assert {row["run_id"] for row in record.rows} == {first.run_id, second.run_id}


def test_nothing_named_is_the_model_trained_last() -> None:
    with pytest.raises(WrongUsage, match="Nothing to compare was named"):
        mlops.compare()
    run_id = logged(metrics={"accuracy": 0.5})
    session.remember_run(run_id, "credit")
    assert mlops.compare().names == ("credit",)


def test_less_is_better_where_it_is_known_or_said() -> None:
    for value in (0.3, 0.1, 0.2):
        logged(metrics={"log_loss": value, "val_loss": value, "hits": value})
    assert values(mlops.compare("credit", by="log_loss"), "log_loss") == [0.1, 0.2, 0.3]
    assumed = mlops.compare("credit", by="val_loss")
    assert values(assumed, "val_loss") == [0.1, 0.2, 0.3]
    assert "Less val_loss is taken to be better" in assumed.warnings[0]
    assert "--by=+val_loss" in assumed.warnings[0]
    assert values(mlops.compare("credit", by="+val_loss"), "val_loss") == [0.3, 0.2, 0.1]
    assert values(mlops.compare("credit", by="hits"), "hits") == [0.3, 0.2, 0.1]
    for least in ({"by": "-hits"}, {"by": "hits", "smallest": True}):
        record = mlops.compare("credit", **least)
        assert values(record, "hits") == [0.1, 0.2, 0.3]
        assert record.warnings == ()


def test_the_command_line_reads_a_sign() -> None:
    bound = parsing.parse("compare", ["credit", "other", "--by=-loss", "--top", "5", "--all"])
    assert bound.args == ("credit", "other")
    assert bound.kwargs == {"by": "-loss", "top": 5, "all_": True}


def test_an_unknown_metric_is_answered_with_those_of_these_runs() -> None:
    logged(metrics={"roc_auc": 0.5, "gain_at_10": 1})
    logged(name="other", metrics={"gain_at_20": 1})
    with pytest.raises(UnknownName, match=r"'gain_at_11'. Did you mean 'gain_at_10'\?"):
        mlops.compare("credit", by="gain_at_11")
    with pytest.raises(UnknownName, match=r"no model 'credti'"):
        mlops.compare("credti")
    with pytest.raises(UnknownName, match=r"no model ''"):
        mlops.compare("")
    with pytest.raises(WrongUsage, match="A DataFrame can't be compared"):
        mlops.compare(pd.DataFrame())


def test_without_a_metric_named_the_usual_one_is_taken() -> None:
    logged(metrics={"zeta": 1, "accuracy": 0.5})
    assert mlops.compare("credit").by == "accuracy"
    logged(name="houses", metrics={"zeta": 1, "rmse": 3.0, "mae": 2.0})
    record = mlops.compare("houses")
    assert (record.by, record.greater_is_better) == ("rmse", False)
    logged(name="own", metrics={"zeta": 1, "system/cpu": 3})
    assert mlops.compare("own").by == "zeta"
    logged(name="bare")
    record = mlops.compare("bare")
    assert record.by == ""
    assert record.warnings == ("These runs have no metrics: the newest are first.",)


def test_ties_share_a_rank_and_what_has_no_value_has_none() -> None:
    for value in (0.8, 0.9, 0.8, 0.7, math.nan):
        logged(metrics={"auc": value})
    logged(metrics={"other": 1.0})
    record = mlops.compare("credit", by="auc")
    assert [row["rank"] for row in record.rows] == [1, 2, 2, 4, None, None]
    said = " ".join(record.warnings)
    assert "1 run without auc at the end." in said
    assert "1 run whose auc is not a number" in said
    assert len({row["label"] for row in record.rows}) == 6
    assert "NaN" in views.text(record)


def test_it_pages_and_counts_what_it_leaves_out() -> None:
    for i in range(7):
        logged(metrics={"auc": i / 10})
    for verb in ("trial", "trial", "prepare"):
        logged(metrics={"auc": 0.99}, tags={"mlops.verb": verb})
    pages = [mlops.compare("credit", by="auc", top=3, offset=o) for o in (0, 3, 6)]
    assert [v for p in pages for v in values(p, "auc")] == [0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert [r["rank"] for p in pages for r in p.rows] == [1, 2, 3, 4, 5, 6, 7]
    assert {(p.total, p.trials) for p in pages} == {(7, 2)}
    text = views.text(pages[1])
    assert "4 to 6 of 7 runs by auc, more is better" in text
    assert "2 trials of searches; --all shows them" in text
    everything = mlops.compare("credit", by="auc", all_=True)
    assert everything.total == 9
    assert [row["comparable"] for row in everything.rows] == [True, True, *[None] * 7]
    beyond = mlops.compare("credit", by="auc", offset=50)
    assert beyond.rows == ()
    assert beyond.warnings == ("There is no run after the first 50.",)
    with pytest.raises(WrongUsage, match="top is 0"):
        mlops.compare("credit", top=0)


def test_parameters_that_differ_come_as_what_they_were() -> None:
    logged(depth=3, rate=0.1, kind="a", early="true", fixed=1, steps="x, y", metrics={"auc": 0.7})
    logged(
        depth=5, rate="1e-3", kind="b", early="null", fixed=1, steps="x, z", metrics={"auc": 0.8}
    )
    logged(fixed=1, only=2, metrics={"auc": 0.6})
    record = mlops.compare("credit", by="auc")
    assert record.varying == ("depth", "early", "kind", "rate")
    params = record.rows[0]["params"]
    assert (params["depth"], params["rate"], params["kind"], params["early"]) == (
        5,
        0.001,
        "b",
        None,
    )
    logged(kind="k" * 500, metrics={"auc": 0.9})
    assert "k" * 100 not in views.text(mlops.compare("credit", by="auc"))
    html = views.html(record)
    assert html.count("<figure>") >= 4  # one against each, and all together
    assert "Parameters and metric together" in html


def test_curves_of_a_regression_are_residuals() -> None:
    for i in range(2):
        run_id = logged(metrics={"rmse": i}, tags={"mlops.verb": "train"}, as_=f"run-{i}")
        curve = {"sample": [[1, 0.5], [2, -0.5]], "quantiles": [[0, -0.5], [1, 0.5]]}
        curves = {"rows": 2, "residuals": curve}
        store.runs.connect().log_dict(run_id, curves, "mlops/curves.json")
    record = mlops.compare("credit")
    assert set(record.curves["residuals"]) == {"1. run-0", "2. run-1"}
    assert "truth − predicted" in views.html(record)


def test_in_a_notebook_several_variables_are_compared(ip: Any) -> None:
    for name in ("one", "other"):
        with mlops.train("credit", message=name) as training:
            pass
        ip.user_ns[name] = training.record
    with mlops.train("credit"):
        pass
    record = ip.run_line_magic("compare", "one other --by duration_s --all")
    assert {row["run_id"] for row in record.rows} == {
        ip.user_ns["one"].run_id,
        ip.user_ns["other"].run_id,
    }
