"""Gates: goals that nobody who judges a model can lower, from a file or from the settings."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.doors import cli
from mlops_magics.errors import BadGoal, Refused, UnknownName, WrongUsage
from mlops_magics.verbs import freshness, gates

NUMBERS = ["Seniority", "Time", "Age", "Amount", "Price"]


@pytest.fixture
def version(credit: pd.DataFrame, project: Path) -> store.versions.Version:
    data = mlops.prepare(
        credit[[*NUMBERS, "Home", "Status"]], name="credit-data", target="Status", positive="bad"
    )
    with warnings.catch_warnings(), mlops.train("credit", data="credit-data") as run:
        warnings.simplefilter("ignore")
        learner = LogisticRegression(max_iter=500)
        model = learner.fit(data.bindings["X_train"][NUMBERS], data.bindings["y_train"])  # noqa: F841
    assert run.record is not None
    return store.versions.resolve(str(run.record.model))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def insist(project: Path, text: str, name: str = "gates.txt") -> None:
    write(project / name, text)
    write(project / "mlops.toml", f'gates = "{name}"\n')


def test_gates_need_no_other_goals_and_are_marked(
    version: store.versions.Version, project: Path
) -> None:
    write(project / "ci.txt", "roc_auc >= 0.6  # at least\nmodel_size <= 50 MB\n")
    verdict = mlops.validate("credit@candidate", gates="ci.txt")
    assert verdict.passed
    assert [(g.text, g.gate) for g in verdict.goals] == [
        ("roc_auc >= 0.6", True),
        ("model_size <= 50 MB", True),
    ]
    assert verdict.gates == "ci.txt"
    assert verdict.gates_digest.startswith("sha256:")
    tags = store.versions.resolve("credit/1").tags
    assert tags["mlops.verdict.gates_digest"] == verdict.gates_digest
    kept = store.runs.fetch(verdict.run_id, "gates.txt").read_text(encoding="utf-8")
    assert "roc_auc >= 0.6" in kept
    # What only gates asked is not what the model is judged by next time.
    with pytest.raises(WrongUsage, match="There are no goals"):
        mlops.validate("credit")


def test_the_settings_gates_hold_whatever_a_notebook_gives(
    version: store.versions.Version, project: Path
) -> None:
    insist(project, "roc_auc >= 0.99\nroc_auc >= 0.5\n")
    verdict = mlops.validate("credit", goals="roc_auc  >= 0.5\nf1 >= 0")
    assert {g.text: (g.passed, g.gate) for g in verdict.goals} == {
        "roc_auc >= 0.99": (False, True),
        "roc_auc >= 0.5": (True, True),
        "f1 >= 0": (True, False),
    }
    assert not verdict.passed
    # With a file of its own in addition, both hold.
    write(project / "ci.txt", "recall >= 0")
    both = mlops.validate("credit", gates="ci.txt")
    assert [g.text for g in both.goals] == ["roc_auc >= 0.99", "roc_auc >= 0.5", "recall >= 0"]
    assert both.gates == "gates.txt, ci.txt"


def test_what_would_judge_gates_otherwise_is_refused(
    version: store.versions.Version, project: Path, credit: pd.DataFrame
) -> None:
    insist(project, "roc_auc >= champion - 0.01\naccuracy >= 0 by Home\n")
    with pytest.raises(WrongUsage, match=r"gates\.txt are judged with vs = 'champion'.*'credit/1'"):
        mlops.validate("credit", vs="credit/1")
    with pytest.raises(WrongUsage, match="with allow_small = false, and true is asked for"):
        mlops.validate("credit", allow_small=True)
    insist(
        project,
        'goals = "roc_auc >= 0.5"\non = "credit-data"\nseed = 7\n[credit]\n'
        'goals = "accuracy >= 0 by Home"\nallow_small = true\n[other]\ngoals = "f1 >= 1"\n',
        "gates.toml",
    )
    with pytest.raises(WrongUsage, match="with on = 'credit-data', and a DataFrame is asked for"):
        mlops.validate("credit", on=credit.head(50))
    verdict = mlops.validate("credit")
    assert verdict.passed
    assert [g.text for g in verdict.goals] == ["roc_auc >= 0.5", "accuracy >= 0 by Home"]
    again = mlops.validate("credit", seed=7, allow_small=True, on="credit-data")
    assert again.goals == verdict.goals


def test_all_that_is_wrong_with_a_file_is_said_at_once(
    version: store.versions.Version, project: Path
) -> None:
    write(
        project / "ci.toml",
        'goals = """\nroc_aux >= 0.7\nf1 >= 0\nrecall == 1\n"""\nseeds = 3\nvs = 1\n'
        '[credit]\ngoals = ["f1 >= 0"]\nallow_small = 1\n',
    )
    with pytest.raises(BadGoal) as raised:
        mlops.validate("credit", gates="ci.toml")
    said = str(raised.value)
    assert said.startswith("6 things are wrong with the gates in ci.toml.")
    for part in (
        "goals, line 1, column 1: There is no metric 'roc_aux'. Did you mean 'roc_auc'",
        "recall == 1",
        "seeds: there is no such key. Did you mean 'seed'?",
        "vs = 1: vs is text",
        "[credit] goals = ['f1 >= 0']: goals is text",
        "[credit] allow_small = 1: allow_small is true or false",
    ):
        assert part in said
    lines = "\n".join(f"metric_{i} >= {i}" for i in range(40))
    write(project / "many.txt", lines)
    with pytest.raises(BadGoal, match=r"^40 things are wrong") as raised:
        mlops.validate("credit", gates="many.txt")
    assert str(raised.value).count("There is no metric") == 40
    with pytest.raises(BadGoal, match=r"no\.toml is not valid TOML"):
        mlops.validate("credit", gates=str(write(project / "no.toml", "goals = f1 >= 0")))
    with pytest.raises(BadGoal, match=r"There is no goal in empty\.txt"):
        mlops.validate("credit", gates=str(write(project / "empty.txt", "# none\n")))
    with pytest.raises(UnknownName, match=r"Did you mean 'many\.txt'"):
        mlops.validate("credit", gates="man.txt")
    write(project / "mlops.toml", 'gates = "gone.txt"')
    with pytest.raises(UnknownName, match="The setting `gates` names it"):
        mlops.validate("credit", goals="f1 >= 0")


def test_promote_insists_on_them_and_notices_their_change(
    version: store.versions.Version, project: Path
) -> None:
    assert mlops.validate("credit/1", goals="f1 >= 0").passed
    insist(project, "roc_auc >= 0.5\n")
    with pytest.raises(Refused, match=r"stale: it was reached without the gates in gates\.txt"):
        mlops.promote("credit/1")
    assert mlops.validate("credit/1").passed
    assert freshness.objection(store.versions.resolve("credit/1")) == ""
    write(project / "gates.txt", "# a comment\n\nroc_auc  >= 0.5\n")
    assert freshness.objection(store.versions.resolve("credit/1")) == ""
    write(project / "gates.txt", "roc_auc >= 0.5\nrecall >= 0.9\nf1 >= 0.1\n")
    said = freshness.objection(store.versions.resolve("credit/1"))
    assert (
        "gates in gates.txt were changed since: 'recall >= 0.9' and 1 more was not judged" in said
    )
    write(project / "gates.txt", "f1 >= 0\n")
    assert "f1 >= 0" in freshness.objection(store.versions.resolve("credit/1"))
    # The file of a machine that judged is no promise to this one, once it is gone.
    (project / "mlops.toml").unlink()
    (project / "gates.txt").unlink()
    assert freshness.objection(store.versions.resolve("credit/1")) == ""


def test_the_digest_is_of_what_is_asked() -> None:
    digests = {}
    for name, text in {
        "a.txt": "f1 >= 0 # x\n",
        "b.txt": "\n f1  >=  0",
        "c.txt": "f1 >= 0.1",
        "d.toml": 'goals = "f1 >= 0"',
        "e.toml": 'goals = "f1 >= 0"\nseed = 1',
    }.items():
        digests[name] = gates.read(write(Path(name), text), "credit").digest
    assert digests["a.txt"] == digests["b.txt"] == digests["d.toml"]
    assert len(set(digests.values())) == 3


def test_ci_sees_it_by_exit_code_json_summary_and_junit(
    version: store.versions.Version,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(project / "gates.txt", "roc_auc >= 0.99\nmodel_size <= 50 MB\n")
    summary = write(project / "summary.md", "# Before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    words = ["validate", "credit@candidate", "--gates", "gates.txt", "--junit", "out/report.xml"]
    assert cli.main([*words, "--json", "--quiet"]) == 3
    record = json.loads(capsys.readouterr().out)
    assert record["record"] == "Verdict"
    assert record["passed"] is False
    told = summary.read_text(encoding="utf-8")
    assert told.startswith("# Before\n")
    assert "credit/1" in told
    assert r"| ✗ failed | roc\_auc &gt;= 0.99" in told
    suite = ElementTree.parse(project / "out" / "report.xml").getroot()[0]
    cases = {case.get("name"): case for case in suite}
    assert suite.get("failures") == "1"
    assert cases["roc_auc >= 0.99"].find("failure") is not None
    assert cases["model_size <= 50 MB"].find("failure") is None
    write(project / "gates.txt", "roc_auc >= 0.5\n")
    assert cli.main([*words, "--quiet"]) == 0
