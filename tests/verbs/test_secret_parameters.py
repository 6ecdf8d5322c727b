"""A secret given by reference reaches the kernel, and is found in no file, not even on the way."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from mlops_magics import store
from mlops_magics.verbs import recipes
from mlops_magics.verbs.auditing import verify
from mlops_magics.verbs.executing import execute

TOKEN, KEY, PIN = "tok-5f3a9c17e2", "-----BEGIN KEY-----\nMIIB'\"x\n-----END KEY-----", 91827364
VALUES = [TOKEN.encode(), b"MIIB'", b"MIIB\\'", str(PIN).encode()]

CELLS = [
    "%load_ext mlops_magics\nimport time\nprint(len(api), len(key), pin + 1 - 1)\ntime.sleep(2.5)",
    "print(api, repr(key), key, f'{api}!', {'a': api})\napi",
    "from IPython.display import HTML\nHTML(f'<b>{api}</b>')",
    "%prepare loans.csv --name loans --target Status",
    "%%train credit --data loans\nfrom sklearn.dummy import DummyClassifier\n"
    "model = DummyClassifier().fit(X_train, y_train)\nused = len(api)",
    "%xmode Verbose\nassert 'tok' not in str(In[2]), In[2]\nprint([api in str(c) for c in In])",
    "%%train credit --data loans\nraise RuntimeError(f'login with {api} and {key} failed')",
]


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Files that held a value at any moment, among all that anything here writes."""
    own = tmp_path / "tmp"
    own.mkdir()
    monkeypatch.setenv("TMPDIR", str(own))
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    seen: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        for file in tmp_path.rglob("*"):
            with suppress(OSError):
                content = file.read_bytes() if file.is_file() and not file.is_symlink() else b""
                seen.update(str(file) for value in VALUES if value in content)

    def watch() -> None:
        while not ended.wait(0.1):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    ended.set()
    thread.join()


def test_written_nowhere_and_found_again(
    found: set[str],
    project: Path,
    tmp_path: Path,
    credit: Any,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SERVICE_ENTRY", TOKEN)
    monkeypatch.setenv("SERVICE_PIN", str(PIN))
    # What the variables hold is known to the process alone; the file is the user's own.
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "key.pem").write_text(f"{KEY}\n")
    credit.head(300).to_csv("loans.csv", index=False)
    parameters = "api: str = ''\nkey: str = ''\npin: int = 0\nnote = 'n'"
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(source) for source in CELLS]
    nbformat.write(new_notebook(cells=cells), "work.ipynb")
    (project / "p.yaml").write_text("pin: env:SERVICE_PIN\n")
    given = {"api": "env:SERVICE_ENTRY", "key": f"file:{elsewhere / 'key.pem'}", "note": "env::x"}

    done = execute("work.ipynb", params=given, file="p.yaml", html=True, junit="cells.xml")

    assert done.failed_cell is not None
    assert (done.status, done.failed_cell["number"]) == ("failed", 9), done.failed_cell
    assert done.failed_cell["message"] == "login with ••• and ••• failed"
    saved = json.loads(Path(done.output).read_text())
    assert saved["cells"][2]["outputs"][0]["text"] == [f"{len(TOKEN)} {len(KEY)} •••\n"]
    assert "True" not in str(saved["cells"][7]["outputs"])  # nor does the kernel's history hold it
    written = {**given, "pin": "env:SERVICE_PIN"}
    assert done.params == written
    assert saved["metadata"]["mlops"]["record"]["parameters"] == written
    assert saved["metadata"]["papermill"]["parameters"] == written
    assert "".join(saved["cells"][1]["source"]) == (
        '# Parameters\nnote = "env:x"\n'
        'pin = "•••"  # from env:SERVICE_PIN\napi = "•••"  # from env:SERVICE_ENTRY\n'
        f'key = "•••"  # from {given["key"]}\n'
    )
    assert verify(done.output).intact
    assert (project / "cells.xml").exists()

    time.sleep(0.3)
    values = [TOKEN, KEY, str(PIN)]
    for file in tmp_path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [v for v in VALUES if v in content], file
    assert not found
    assert not [v for v in values if v in done.to_json()]

    # The references are on record, and are read again when the model is trained again.
    version = store.versions.resolve("credit@candidate")
    assert dict(store.runs.get(done.run_id).data.params)["api"] == "env:SERVICE_ENTRY"
    recipe = recipes.recipe_of(version, "", {})
    assert recipe.params == recipe.shown == written
    monkeypatch.delenv("SERVICE_ENTRY")
    from mlops_magics.errors import WrongUsage

    with pytest.raises(WrongUsage, match="no such environment variable"):
        execute(recipe.notebook, params=recipe.params)
