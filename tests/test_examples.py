"""The example notebook and the demo, executed for real from the first cell to the last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mlops_magics as mlops
from mlops_magics.doors import cli


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
