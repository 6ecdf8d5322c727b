"""The model card: what is recorded stands in it with its source, what is not is said to be so."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LinearRegression, LogisticRegression

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.doors import cli, views
from mlops_magics.errors import WrongUsage
from mlops_magics.records import CardFact, CardSection, Explanation, ModelCard
from mlops_magics.store.versions import Version
from mlops_magics.verbs.steps import step
from tests.verbs import governed

GOALS = """
roc_auc >= 0.6
roc_auc >= champion - 0.5
recall >= 0.99 by Home
model_size <= 50 MB
"""
NUMBERS = ["Seniority", "Age", "Amount"]


def prepared(credit: pd.DataFrame) -> Any:
    kept = credit[[*NUMBERS, "Home", "Status"]]
    return mlops.prepare(kept, name="credit-data", target="Status", positive="bad", test=0.3)


def trained(data: Any, **options: Any) -> Version:
    with mlops.train("credit", data="credit-data", **options) as run:
        model = LogisticRegression().fit(data.X_train[NUMBERS], data.y_train)  # noqa: F841
    assert run.record is not None
    assert run.record.model is not None
    return store.versions.resolve(run.record.model)


@pytest.fixture
def version(names: dict[str, Any]) -> Version:
    """One that was trained, and of which nothing else is recorded."""
    return governed.train(names)


def card(ref: str) -> ModelCard:
    found = mlops.audit(ref, export="card").facts["card"]
    assert isinstance(found, ModelCard)
    return found


def page(ref: str) -> str:
    return Path(mlops.audit(ref, export="card").exported).read_text(encoding="utf-8")


def fact(section: CardSection, name: str) -> CardFact:
    return next(f for f in section.facts if f.name == name)


def words(section: CardSection) -> str:
    """All that a section says."""
    tables = [str(cell) for t in section.tables for row in t.rows for cell in row]
    return " ".join([*map(str, section.facts), *tables, *section.notes])


def test_a_whole_card(credit: pd.DataFrame, project: Path) -> None:
    """Trained on recorded data, judged by group against a champion, promoted in spite of it."""
    data = prepared(credit)
    trained(data, tag=["owner=Risk team", "limits=Not for firms."])
    mlops.validate("credit/1", goals="roc_auc >= 0.6")
    mlops.promote("credit/1")
    second = trained(data, message="with more care", tag=["intended_use=Ranking applications"])
    verdict = mlops.validate("credit/2", goals=GOALS)
    assert not verdict.passed
    mlops.promote("credit/2", override="agreed with the risk team")

    done = mlops.audit("credit@champion", export="card")
    assert done.exported == str(project / "credit-2.card.html")
    assert done.exit_code == 0
    found = done.facts["card"]
    assert (found.model, found.standing, found.intact) == ("credit/2", "failed", True)

    details = found.section("Model details")
    assert fact(details, "Aliases").value == "@candidate, @champion"
    assert fact(details, "Content").value == second.digest
    assert fact(details, "Note").value == "with more care"
    owner = fact(details, "Owner")
    assert (owner.value, owner.source) == (
        "Risk team",
        "as said of credit/1 (tag owner of its run)",
    )
    use = fact(found.section("Intended use"), "Intended use")
    assert use.value == "Ranking applications"
    assert re.match(r"by \w+, .* UTC, with the training, tag intended_use of run ", use.source)

    limits = found.section("Limits")
    assert fact(limits, "Limits").value == "Not for firms."
    by = next(g for g in verdict.goals if " by " in g.text)
    assert by.reason in words(limits)
    assert "goal not met: recall >= 0.99 by Home" in words(limits)
    assert "too small (under 30)" in words(limits)

    evaluation = found.section("Evaluation")
    assert fact(evaluation, "Verdict").value.startswith("failed; nothing that it rests on")
    assert fact(evaluation, "Compared with").value == "champion credit/1"
    kept = store.runs.get(verdict.run_id).data.metrics
    assert dict(evaluation.tables[0].rows) == kept
    assert found.verdict == store_verdict(verdict)

    assert found.dataset is not None
    assert found.dataset.digest == data.digest
    rows = fact(found.section("Training data"), "Rows")
    assert rows.value == len(credit)
    assert data.run_id in rows.source
    assert [row[0] for row in found.section("Inputs and output").tables[0].rows] == NUMBERS
    assert "agreed with the risk team" in words(found.section("Approval"))
    assert "in spite of: its verdict is failed" in words(found.section("Approval"))
    assert "credit/2 (this one)" in words(found.section("Versions"))
    assert fact(found.section("Integrity and history"), "Model and history").value == "intact"

    text = Path(done.exported).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "color-scheme:light dark" in text
    assert not re.findall(r'(?:src|href)="(?!#)', text), "nothing is loaded from elsewhere"
    for group in by.groups:
        assert f">{group['group']}</td>" in text
    assert "<svg" in text
    assert "Precision and recall" in text


def store_verdict(verdict: Any) -> Any:
    """A verdict as it is after it was written and read again."""
    from mlops_magics import records

    return records.read(
        records.Verdict,
        json.loads(verdict.to_json()),
        goals=records.GoalResult,
        checks=records.DataCheck,
    )


def test_what_is_not_recorded_is_said_with_a_command_that_works(
    version: Version, capsys: Any
) -> None:
    found = card("credit")
    assert found.standing == "not judged"
    assert "Owner" in found.unsaid
    owner = fact(found.section("Model details"), "Owner")
    assert not owner.known
    assert owner.command == 'mlops log --run credit/1 --tag owner="…"'
    assert owner.command.replace('"', "&quot;") in page("credit")

    given = owner.command.replace('"…"', "Risk & co").split(maxsplit=5)
    assert cli.main(given[1:]) == 0
    capsys.readouterr()
    after = card("credit")
    owner = fact(after.section("Model details"), "Owner")
    assert owner.value == "Risk & co"
    assert re.match(r"by \w+, \d{4}-\d\d-\d\d \d\d:\d\d UTC, tag owner of run ", owner.source)
    assert "Owner" not in after.unsaid
    assert "Risk &amp; co" in page("credit")


def test_a_tag_of_which_nobody_noted_who_set_it(version: Version) -> None:
    store.runs.log(version.run_id, tags={"owner": "somebody"})
    owner = fact(card("credit").section("Model details"), "Owner")
    assert owner.source.endswith("who set it and when is not noted")


def test_what_people_write_in_the_registry(version: Version) -> None:
    client = store.runs.connect()
    client.update_registered_model("credit", "Scores applicants.")
    client.update_model_version("credit", "1", "The first one.")
    client.set_registered_model_tag("credit", "contact", "risk@example.org")
    client.set_registered_model_tag("credit", "licence", "for all versions")
    store.versions.tag(version, "licence", "for this version")
    details = card("credit").section("Model details")
    assert fact(details, "Description").value == "The first one."
    assert fact(details, "Description of the model").value == "Scores applicants."
    assert fact(details, "Contact").value == "risk@example.org"
    assert "registered model credit" in fact(details, "Contact").source
    assert fact(details, "Licence").value == "for this version"


def test_without_verdict_data_or_explanation(version: Version) -> None:
    found = card("credit")
    verdict = fact(found.section("Evaluation"), "Verdict")
    assert not verdict.known
    assert verdict.command.startswith("mlops validate credit/1")
    assert "what it is good for was not judged" in words(found.section("Limits"))
    assert fact(found.section("Explanation"), "Explanation").command == "mlops explain credit/1"
    assert not fact(found.section("Training data"), "Dataset").known
    own = store.runs.get(version.run_id).data.metrics
    metrics = dict(found.section("Evaluation").tables[0].rows)
    assert metrics == {name: own[name] for name in metrics}
    assert "roc_auc" in metrics


def test_a_stale_verdict(version: Version) -> None:
    governed.judged(version, digest="sha256:of-another")
    found = card("credit")
    assert found.standing == "stale"
    told = "passed, and stale since: the model was changed since"
    assert fact(found.section("Evaluation"), "Verdict").value == told
    assert "verdict stale" in words(found.section("Limits"))
    assert "! verdict stale" in page("credit")


def test_a_failed_verdict_may_be_stale_too(version: Version) -> None:
    governed.judged(version, passed=False, digest="sha256:of-another")
    assert card("credit").standing == "stale"


def test_an_altered_verdict_is_not_relied_on(version: Version) -> None:
    run_id = governed.judged(version, passed=False)
    file = store.runs.fetch(run_id, "verdict.json")
    file.write_text(file.read_text().replace("false", "true"))
    found = card("credit")
    assert found.standing == "can't be relied on"
    assert "its record was altered" in fact(found.section("Evaluation"), "Verdict").value
    assert not found.intact
    assert "Files or history are not as they were recorded" in page("credit")


def test_a_tampered_history_is_said(version: Version) -> None:
    store.runs.connect().set_tag(version.run_id, "mlops.actor", "eve")
    done = mlops.audit("credit", export="card")
    assert done.exit_code == 5
    section = done.facts["card"].section("Integrity and history")
    assert fact(section, "Model and history").value == "not intact"
    assert "actor was changed" in words(section)


@pytest.mark.parametrize(
    ("file", "section"),
    [("mlops/record.json", "How it was made"), ("mlops/requirements.txt", "How it was made")],
)
def test_a_file_that_is_gone_does_not_take_the_card_along(
    version: Version, file: str, section: str
) -> None:
    store.runs.fetch(version.run_id, file).unlink()
    found = card("credit")
    assert "there is no" in " ".join(f.trouble for f in found.section(section).facts)
    assert "can&#x27;t be read: " in page("credit")
    assert fact(found.section("Model details"), "Content").value == version.digest


@pytest.mark.parametrize("content", ["", "[]", '{"goals": 3}', '{"goals": [{"texts": 1}]}'])
def test_a_verdict_that_can_not_be_read(version: Version, content: str) -> None:
    run_id = governed.judged(version)
    store.runs.fetch(run_id, "verdict.json").write_text(content)
    found = card("credit")
    assert found.standing == "can't be relied on"
    assert found.verdict is None
    assert fact(found.section("Evaluation"), "Verdict").trouble
    assert "its verdict can't be read: " in words(found.section("Limits"))
    assert "✗ can&#x27;t be relied on" in page("credit")


def test_a_dataset_whose_record_is_gone(credit: pd.DataFrame) -> None:
    data = prepared(credit)
    trained(data)
    store.runs.fetch(data.run_id, "dataset/dataset.json").unlink()
    found = card("credit")
    assert found.dataset is None
    dataset = fact(found.section("Training data"), "Dataset")
    assert dataset.value == "credit-data"
    assert "there is no" in dataset.trouble


def test_a_version_whose_run_is_gone(version: Version) -> None:
    with step("promote", experiment="credit", arguments={}) as current:
        current.tags({"mlops.model": version.ref})
    from tests.verbs.test_custody import edit

    for table in ("tags", "params", "metrics", "latest_metrics"):
        edit(f"delete from {table} where run_uuid = ?", version.run_id)
    edit("delete from runs where run_uuid = ?", version.run_id)
    found = card("credit")
    assert not found.intact
    assert "no run" in fact(found.section("Model details"), "Owner").trouble
    assert "training run missing" in words(found.section("Limits"))
    assert "can't be read: " in words(found.section("Approval")), "the step left no promotion.json"
    assert fact(found.section("Model details"), "Estimator").value == "LogisticRegression"


def test_files_of_the_model_that_were_changed(version: Version) -> None:
    folder = store.versions.local_path(version)
    (folder / "conda.yaml").write_text("# changed\n")
    section = card("credit").section("Inputs and output")
    assert "digest differs" in fact(section, "Inputs").trouble


def test_files_of_the_model_that_are_gone(version: Version) -> None:
    shutil.rmtree(store.versions.local_path(version))
    found = card("credit")
    assert not found.intact
    assert "are not at" in fact(found.section("Inputs and output"), "Inputs").trouble
    assert "are not at" in words(found.section("Integrity and history"))


def test_a_model_that_was_registered_by_other_means(project: Path) -> None:
    client = store.runs.connect()
    client.create_registered_model("plain")
    (project / "m").mkdir()
    client.create_model_version("plain", source=str(project / "m"))
    found = card("plain/1")
    assert found.lead == "A model."
    assert not fact(found.section("Model details"), "Trained").known
    assert "This can&#x27;t be read" not in page("plain/1"), "no section is lost"


def test_a_regression(credit: pd.DataFrame, project: Path) -> None:
    kept = credit[[*NUMBERS, "Price"]]
    data = mlops.prepare(kept, name="prices", target="Price", test=0.3)
    with mlops.train("price", data="prices"):
        model = LinearRegression().fit(data.X_train, data.y_train)  # noqa: F841
    mlops.validate("price", goals="r2 >= 0.1")
    text = page("price")
    assert "truth − predicted" in text
    mlops.audit("price", export="card", output="card.md")
    head = yaml.safe_load(Path("card.md").read_text(encoding="utf-8").split("---\n")[1])
    assert head["pipeline_tag"] == "tabular-regression"


HOSTILE = "<script>alert(1)</script> [x](javascript:y) | `a` \n# b\n---"


def test_what_people_write_never_becomes_markup(version: Version, project: Path) -> None:
    store.runs.log(version.run_id, tags={"owner": HOSTILE, "mlflow.note.content": HOSTILE})
    store.versions.tag(version, "license", HOSTILE)
    text = page("credit")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    mlops.audit("credit", export="card", output="card.md")
    document = Path("card.md").read_text(encoding="utf-8")
    head, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", document, re.DOTALL).groups()  # type: ignore[union-attr]
    assert yaml.safe_load(head)["license"] == HOSTILE.strip()
    assert "<script" not in body
    assert "](" not in body.replace("\\]", "")
    assert not re.search(r"^# b", body, re.MULTILINE)


def test_markdown_with_the_metadata_of_the_hub(credit: pd.DataFrame, project: Path) -> None:
    trained(prepared(credit), tag=["license=mit"])
    verdict = mlops.validate("credit/1", goals="roc_auc >= 0.6\nrecall >= 0.1 by Home")
    done = mlops.audit("credit", export="card", output="handed-over.MD")
    document = Path(done.exported).read_text(encoding="utf-8")
    head = yaml.safe_load(document.split("---\n")[1])
    assert head["license"] == "mit"
    assert head["library_name"] == "sklearn"
    assert head["pipeline_tag"] == "tabular-classification"
    [entry] = head["model-index"]
    [result] = entry["results"]
    assert result["dataset"] == {"name": "credit-data", "type": "credit-data"}
    told = {m["type"]: m["value"] for m in result["metrics"]}
    assert told["roc_auc"] == verdict.goals[0].value
    assert head["metrics"] == list(told)
    assert "\n# Model card credit/1 " in document
    # The same sections and the same groups as on the page.
    text = page("credit")
    sections = re.findall(r"^## (.+)$", document, re.MULTILINE)
    assert sections == re.findall(r"<h2>(.+?)</h2>", text)
    groups = [g["group"] for g in verdict.goals[1].groups]
    assert len(groups) > 2
    for group in groups:
        assert f"| {group} |" in document
        assert f">{group}</td>" in text


def test_nothing_unrecorded_stands_in_the_metadata(version: Version) -> None:
    mlops.audit("credit", export="card", output="card.md")
    head = yaml.safe_load(Path("card.md").read_text(encoding="utf-8").split("---\n")[1])
    assert "license" not in head
    assert "model-index" not in head, "there is no data to name beside the figures"


def test_what_became_of_it(version: Version) -> None:
    features = [{"name": "Age", "drifted": True}, {"name": "Time", "drifted": False}]
    goals = [{"text": "rows >= 9", "passed": False, "reason": "3 is below 9."}]
    for verb, file, told in (
        ("deploy", "deployment.json", {"name": "front", "target": "local", "status": "up"}),
        (
            "monitor",
            "monitoring.json",
            {"deployment": "front", "passed": False, "features": features, "goals": goals},
        ),
    ):
        with step(verb, experiment="credit", arguments={}) as current:
            current.tags({"mlops.model": version.ref})
            current.json(file, told)
    found = card("credit")
    assert re.search(r"deploy front local up \w+", words(found.section("In operation")))
    assert "front over threshold None Age" in words(found.section("In operation"))
    assert "rows >= 9: 3 is below 9. Drift in Age." in words(found.section("Limits"))


def test_an_explanation(version: Version) -> None:
    told = Explanation(
        model=version.ref,
        about="the probability of 'bad'",
        metric="roc_auc",
        importances=({"feature": "Age", "permutation": 0.2, "interval": [0.1, 0.3]},),
        words=("Age matters most.",),
        rows=({"row": 7, "contributions": [{"feature": "Name", "value": "Jane Doe"}]},),
        model_digest=version.digest,
    )
    with step("explain", experiment="credit", arguments={}) as current:
        current.json("explanation.json", told)
    store.versions.tag(version, "mlops.explanation", current.run_id)
    section = card("credit").section("Explanation")
    assert section.notes == ()
    assert current.run_id in section.facts[0].source
    text = page("credit")
    assert "Age matters most." in text
    assert "Jane Doe" not in text + card("credit").to_json(), "single rows are people"

    file = store.runs.fetch(current.run_id, "explanation.json")
    file.write_text(file.read_text().replace(version.digest, "sha256:other"))
    assert "explains other files" in words(card("credit").section("Explanation"))
    file.unlink()
    assert "there is no" in fact(card("credit").section("Explanation"), "Explanation").trouble


def test_secrets_stay_out(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "s3cr3t-value")
    store.runs.log(
        version.run_id,
        params={"db_password": "hunter2-and-more"},
        tags={"caveats": "ask with s3cr3t-value"},
    )
    done = mlops.audit("credit", export="card")
    text = Path(done.exported).read_text(encoding="utf-8")
    assert "db_password" in text
    assert "hunter2-and-more" not in text + done.facts["card"].to_json()
    assert "s3cr3t-value" not in text + done.facts["card"].to_json()
    assert "ask with •••" in text


def test_a_card_is_of_a_model(project: Path) -> None:
    Path("a.ipynb").write_text("{}")
    with pytest.raises(WrongUsage, match=r"A card is of a model, and a\.ipynb is a notebook"):
        mlops.audit("a.ipynb", export="card")


def test_the_command_and_its_json(version: Version, project: Path, capsys: Any) -> None:
    (project / "handed").mkdir()
    words = ["audit", "credit@candidate", "--export", "card", "--output", "handed"]
    assert cli.main(words) == 0
    assert "credit-1.card.html" in capsys.readouterr().out
    assert (project / "handed" / "credit-1.card.html").is_file()
    assert cli.main([*words, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["kind"] == "model"
    assert body["facts"]["card"]["record"] == "ModelCard"
    assert body["facts"]["card"]["sections"][0]["name"] == "Model details"


def test_a_card_in_a_terminal(version: Version) -> None:
    text = views.text(card("credit"))
    assert "Intended use" in text
    assert 'not recorded; to record it: mlops log --run credit/1 --tag owner="…"' in text
