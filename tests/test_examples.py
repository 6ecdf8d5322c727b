"""The example notebook and the demo, executed for real from the first cell to the last."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.doors import cli
from mlops_magics.serving import captured
from tests import containers
from tests.conftest import need
from tests.targets import images


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_runs_the_whole_loop_to_a_record_that_is_intact(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["verification"]["intact"]
    verbs = [step["step"] for step in record["steps"]]
    assert verbs == [
        "prepare",
        "train",
        "validate",
        "promote",
        "package",
        "deploy",
        "monitor",
        "execute",
        "validate",
        "promote",
        "retrain",
        "undeploy",
    ]
    by_verb = {step["step"]: step["figures"] for step in record["steps"]}
    assert "rows: 4454" in by_verb["prepare"]
    assert "roc_auc" in by_verb["train"]
    assert "drifted: Income" in by_verb["monitor"]
    assert "outcome: promoted" in by_verb["retrain"]

    folder = Path(record["folder"])
    page = (folder / "01_credit_risk.html").read_text()
    assert "<script" not in page
    # A figure changed by hand is found, with the cell that it stands in.
    notebook = Path(record["notebook"])
    content = json.loads(notebook.read_text())
    for number, cell in enumerate(content["cells"], 1):
        for output in cell.get("outputs", []):
            html = "".join(output.get("data", {}).get("text/html", ""))
            if "roc_auc" in html and "credit/1" in html:
                output["data"]["text/html"] = html.replace("0.8", "0.9")
                changed = number
    notebook.write_text(json.dumps(content))
    found = mlops.verify(str(notebook))
    assert not found.intact
    assert any(f"cell {changed}" in p.lower() for p in found.problems), found.problems
    # The demo works in a folder of its own and leaves everything else alone.
    assert not (project / "mlflow.db").exists()
    assert mlops.status().models == ()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_tracking_is_told_as_it_is(project: Path) -> None:
    notebook = Path(__file__).parents[1] / "example_notebooks" / "02_tracking.ipynb"
    done = mlops.execute(str(notebook), output="tracking.ipynb")
    assert done.status == "finished", done.failed_cell
    assert mlops.verify("tracking.ipynb").intact
    linear, wild, boosted, tuned, stale, template = (
        store.versions.resolve(f"credit/{number}") for number in range(1, 7)
    )
    stamps = [v.tags["mlops.trust"] for v in (linear, wild, boosted, tuned, stale, template)]
    assert stamps == ["clean", "clean", "clean", "clean", "stale", "clean"]
    assert (
        stale.tags["mlops.trust_reason"]
        == "rules.py was edited after it had been imported as rules."
    )
    assert linear.tags["mlops.reproduction"] == "reproduced"
    assert wild.tags["mlops.reproduction"] == "differs"
    verdict = store.runs.get(wild.tags["mlops.reproduction_run"])
    assert "random_state is not set" in verdict.data.tags["mlops.summary"]
    assert store.runs.get(tuned.run_id).data.tags["mlops.tuned_by"]
    assert store.runs.get(template.run_id).data.params["logisticregression__C"] == "0.1"
    assert store.runs.get(tuned.run_id).data.metrics["expected_loss"] == 0.127


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_verdicts_are_told_as_they_are(project: Path) -> None:
    notebook = Path(__file__).parents[1] / "example_notebooks" / "03_verdicts.ipynb"
    done = mlops.execute(str(notebook), output="verdicts.ipynb")
    assert done.status == "finished", done.failed_cell
    assert mlops.verify("verdicts.ipynb").intact
    first, second = (store.versions.resolve(f"credit/{number}") for number in (1, 2))
    assert [v.tags["mlops.verdict.passed"] for v in (first, second)] == ["false", "true"]
    assert second.tags["mlops.explanation"]
    assert store.versions.resolve("credit@champion").number == 1  # it was rolled back
    told = mlops.history("credit")
    assert told.intact
    summaries = " ".join(e["summary"] for e in told.events)
    for said in ("overridden: True", "held: 1 of 2 agreed", "approved by: bea", "two branches"):
        assert said in summaries
    assert mlops.verify("credit").intact
    # What the notebook showed while the database was changed stands in it.
    outputs = [
        "".join(output.get("data", {}).get("text/plain", ""))
        for cell in json.loads(Path("verdicts.ipynb").read_text())["cells"]
        for output in cell.get("outputs", [])
    ]
    assert any("was altered: actor was changed" in text for text in outputs)
    card = Path("credit.card.html").read_text()
    assert "Retail credit, model desk" in card
    assert "not recorded" in card


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_deployment_is_told_as_it_is(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    containers.need_programs("podman", "runc", "mmdebstrap")
    notebook = Path(__file__).parents[1] / "example_notebooks" / "04_deploy.ipynb"
    params = {"engine": "podman", "base": str(containers.base_tar())}
    with images.engine(tmp_path_factory.mktemp("example")):
        done = mlops.execute(str(notebook), output="deploy.ipynb", params=params)
        assert done.status == "finished", done.failed_cell
    assert mlops.verify("deploy.ipynb").intact
    cells = json.loads(Path("deploy.ipynb").read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    said = "\n".join(
        "".join(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
        for output in outputs
    )
    assert re.search(r"[\d,]{4,} requests, 0 without an answer", said)
    assert "canary credit/2 gets 20% of the requests" in said
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert store.versions.resolve("credit@champion").number == 1  # it was rolled back
    by_name = {found.name: found for found in mlops.status().deployments}
    assert {name: one.status for name, one in by_name.items()} == {
        "credit": "stopped",
        "credit-box": "stopped",
    }
    kept = captured.read(Path(by_name["credit"].capture))
    assert set(kept["model"]) == {"credit/1", "credit/2"}
    assert (kept["status"] == 200).all()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_month_is_told_as_it_was(project: Path) -> None:
    need("distributed")
    notebook = Path(__file__).parents[1] / "example_notebooks" / "05_monitor_retrain.ipynb"
    done = mlops.execute(str(notebook), output="month.ipynb")
    assert done.status == "finished", done.failed_cell
    assert mlops.verify("month.ipynb").intact

    told = mlops.history("credit")
    assert told.intact
    days = [e for e in told.events if e["verb"] == "monitor"]
    *month, back = [store.runs.read_json(e["run_id"], "monitoring.json") for e in days]
    assert len(month) == 28
    assert [record["rows"] for record in month] == [400] * 28
    # From day 16 on, until the new version serves; whoever is told hears of both once.
    assert [record["passed"] for record in month] == [True] * 15 + [False] * 6 + [True] * 7
    assert [len(record["alerts"]) for record in month] == [0] * 15 + [1] + [0] * 5 + [1] + [0] * 6
    lines = Path("told.txt").read_text().splitlines()
    assert lines == ["credit: over a threshold: drift(Income) <= 0.2", "credit: well again"]

    # Estimated on the day, before any label; measured of the whole month, it agrees.
    before, then = (
        month[day]["performance"]["estimated"]["metrics"]["accuracy"]["value"] for day in (14, 15)
    )
    assert then < before - 0.02
    assert "metrics" not in month[15]["performance"]
    assert [(c["feature"], c["at"][:10]) for c in back["changes"]] == [("Income", "2026-10-16")]
    labelled = back["performance"]["estimated"]["labelled"]
    assert labelled["rows"] == 11_200
    assert not any(figure["far"] for figure in labelled["metrics"].values())
    real = [w["measured"]["metrics"]["accuracy"] for w in back["windows"]]
    assert sum(real[15:]) / 13 < sum(real[:15]) / 15 - 0.02

    verbs = [e["verb"] for e in told.events if e["verb"] != "monitor"]
    assert verbs[:6] == ["prepare", "train", "validate", "promote", "package", "deploy"]
    fired = ["retrain", "prepare", "train", "execute", "validate", "promote"]
    rest = ["retrain", "package", "deploy", "retrain", "undeploy", "execute"]
    assert verbs[6:] == ["retrain", *fired, *rest]
    outcomes = [
        store.runs.get(e["run_id"]).data.tags["mlops.outcome"]
        for e in told.events
        if e["verb"] == "retrain"
    ]
    assert outcomes == ["not fired", "promoted", "not fired", "not fired"]
    assert store.versions.resolve("credit@champion").number == 2

    runs = [json.loads(f.read_text())["metadata"]["mlops"] for f in Path("book").glob("*.ipynb")]
    records = [run["record"] for run in runs]
    assert [record["status"] for record in records] == ["finished"] * 12
    again = [record["attempt"] for record in records if record["attempt"]["number"] == 2]
    assert again
    assert all(len(attempt["earlier"]) == 1 for attempt in again)
