"""`verify` says intact or what is not; `audit` hands the record on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mlops_magics import settings
from mlops_magics.errors import BadData, UnknownName, WrongUsage
from mlops_magics.evidence import keys, seal
from mlops_magics.verbs.auditing import audit, verify
from mlops_magics.verbs.executing import execute


def sealed(name: str, text: str = "seen") -> Path:
    """A sealed notebook, made without a kernel."""
    cells = [new_markdown_cell("# Risk"), new_code_cell(f"print({text!r})")]
    cells[1].outputs = [nbformat.v4.new_output("stream", text=f"{text}\n")]
    notebook = json.loads(nbformat.writes(new_notebook(cells=cells)))
    notebook["metadata"]["mlops"] = {"record": {"event": "1", "status": "finished"}}
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    signed = seal.sign(notebook, keys.signer(settings.load().keys), file.name)
    file.write_text(json.dumps(signed))
    return file


def alter(file: Path, text: str = "another") -> None:
    notebook = json.loads(file.read_text())
    notebook["cells"][1]["outputs"][0]["text"] = [f"{text}\n"]
    file.write_text(json.dumps(notebook))


def test_an_executed_notebook_with_one_altered_output(project: Path) -> None:
    """The whole way: executed by a kernel, then one figure is made prettier."""
    nbformat.write(new_notebook(cells=[new_code_cell("print('roc_auc 0.71')")]), "a.ipynb")
    done = execute("a.ipynb", output="out.ipynb")
    assert verify("out.ipynb").intact
    text = Path("out.ipynb").read_text()
    assert text.count("roc_auc 0.71\\n") == 1
    Path("out.ipynb").write_text(text.replace("roc_auc 0.71\\n", "roc_auc 0.91\\n"))
    checked = verify("out.ipynb")
    assert not checked.intact
    assert checked.exit_code == 5
    [problem] = checked.problems
    assert problem.startswith("Cell 1 (")
    assert problem.endswith("the outputs were changed.")
    assert done.digest


def test_one(project: Path) -> None:
    checked = verify(str(sealed("a.ipynb")))
    assert checked.intact
    assert checked.exit_code == 0
    assert checked.cells == 2
    assert checked.signer.startswith("own key (")


def test_many_and_folders(project: Path) -> None:
    sealed("records/a.ipynb")
    alter(sealed("records/deep/b.ipynb"))
    sealed("records/.ipynb_checkpoints/c.ipynb").write_text("not looked at")
    checked = verify("records")
    assert not checked.intact
    assert checked.problems[0].startswith("records/deep/b.ipynb: Cell 2")
    assert len(checked.problems) == 1
    assert checked.cells == 4
    assert checked.warnings == ("1 of 2 records are intact.",)
    assert verify("records/a.ipynb", str(sealed("c.ipynb"))).intact


def test_a_record_without_a_seal_in_a_folder(project: Path) -> None:
    sealed("records/a.ipynb")
    nbformat.write(new_notebook(), "records/b.ipynb")
    assert verify("records").problems == ("records/b.ipynb: It carries no seal.",)


def test_what_can_not_be_verified(project: Path) -> None:
    (project / "empty").mkdir()
    with pytest.raises(BadData, match="holds no notebooks"):
        verify("empty")
    sealed("abc.ipynb")
    with pytest.raises(UnknownName, match=r"Did you mean 'abc.ipynb'"):
        verify("abd.ipynb")
    with pytest.raises(WrongUsage, match="Nothing to verify"):
        verify()


@pytest.mark.parametrize("text", ["", "{", '{"a": 1, "a": 2}', "[1]"])
def test_a_damaged_file_is_not_intact(text: str, project: Path) -> None:
    Path("a.ipynb").write_text(text)
    checked = verify("a.ipynb")
    assert checked.exit_code == 5
    assert "can't be relied on" in checked.problems[0]


def test_truncated(project: Path) -> None:
    file = sealed("a.ipynb")
    file.write_bytes(file.read_bytes()[:-10])
    assert not verify("a.ipynb").intact


def test_an_unknown_key_is_named_and_can_be_given(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed("a.ipynb")
    public = settings.load().keys / "signing.pub"
    monkeypatch.setenv("MLOPS_KEYS", str(tmp_path / "of-someone-else"))
    checked = verify("a.ipynb")
    assert not checked.intact
    assert "Nothing was changed since it was sealed" in checked.problems[0]
    assert "not known here" in checked.signer
    assert verify("a.ipynb", key=str(public)).intact
    alter(Path("a.ipynb"))
    assert "the outputs were changed" in verify("a.ipynb").problems[0]


def test_the_wrong_key(project: Path, tmp_path: Path) -> None:
    sealed("a.ipynb")
    keys.signer(tmp_path / "other")
    checked = verify("a.ipynb", key=str(tmp_path / "other" / "signing.pub"))
    assert not checked.intact


def test_verification_needs_no_store_and_no_notebook_library(project: Path) -> None:
    import subprocess
    import sys

    sealed("a.ipynb")
    code = (
        "import sys; from mlops_magics.verbs.auditing import verify;"
        "print(verify('a.ipynb').intact,"
        "[m for m in ('mlflow', 'nbformat', 'pandas', 'jsonschema') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "True []"


def test_audit_as_html(project: Path) -> None:
    record = audit(str(sealed("a.ipynb")), export="html")
    assert record.kind == "notebook"
    assert record.exported == "a.html"
    assert "Sealed and intact" in Path("a.html").read_text()


def test_audit_of_an_altered_record_says_so_first(project: Path) -> None:
    file = sealed("a.ipynb")
    alter(file, "<b>bold</b>")
    record = audit("a.ipynb", export="html", output="pages.html")
    assert record.exit_code == 5
    text = Path("pages.html").read_text()
    assert "Changed since it was sealed" in text
    assert "the outputs were changed" in text
    assert text.index("Not as it was sealed") < text.index("&lt;b&gt;bold")


def test_audit_as_json(project: Path) -> None:
    (project / "handed").mkdir()
    record = audit(str(sealed("a.ipynb")), export="json", output="handed")
    body: dict[str, Any] = json.loads((project / "handed" / "a.audit.json").read_text())
    assert body["record"] == {"event": "1", "status": "finished"}
    assert body["verification"]["intact"] is True
    assert body["seal"]["digest"] == record.facts["seal"]["digest"]


def test_audit_of_what_is_no_record(project: Path) -> None:
    Path("a.ipynb").write_text("{")
    with pytest.raises(BadData, match="can be shown"):
        audit("a.ipynb")
    with pytest.raises(WrongUsage, match="needs --export"):
        audit("a.ipynb", output="x.html")
    with pytest.raises(UnknownName, match="no model 'credt'"):
        audit("credt")


def test_a_model_is_verified_and_audited(project: Path, credit: Any) -> None:
    from sklearn.linear_model import LogisticRegression

    from mlops_magics import store
    from mlops_magics.verbs.training import train

    with train("credit"):
        model = LogisticRegression().fit(credit[["Age", "Amount"]], credit["Status"])
    assert model is not None
    checked = verify("credit@candidate")
    assert checked.intact
    assert checked.path == "credit/1"
    record = audit("credit", export="json")
    assert record.kind == "model"
    body = json.loads(Path("credit-1.audit.json").read_text())
    assert body["model"]["digest"].startswith("sha256:")
    assert [e["verb"] for e in body["events"]] == ["train"]
    [kept] = body["records"].values()
    assert kept["packages"]["scikit-learn"]
    assert kept["who"]["actor"]
    with pytest.raises(WrongUsage, match=r"as its card or as JSON.*--export card"):
        audit("credit", export="html")

    folder = store.versions.local_path(store.versions.resolve("credit"))
    conda = folder / "conda.yaml"
    conda.write_text(conda.read_text() + "# changed")
    changed = verify("credit")
    assert not changed.intact
    assert changed.exit_code == 5
    assert changed.problems
