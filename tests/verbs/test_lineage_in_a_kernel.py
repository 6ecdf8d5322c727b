"""Lineage in a real kernel, whose front end gives each cell an id."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.verbs import lineage

DATA = "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2, 3, 4], 'y': [0, 1, 0, 1]})"
TRAIN = (
    "%%train credit\nfrom sklearn.linear_model import LogisticRegression\n"
    "model = LogisticRegression().fit(df[['a']], df.y)"
)


class Kernel:
    """Runs cells as JupyterLab does."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, id: str, source: str) -> None:
        content = {"code": source, "silent": False, "store_history": True, "allow_stdin": False,
                   "user_expressions": {}, "stop_on_error": True}  # fmt: skip
        message = self.client.session.msg("execute_request", content, metadata={"cellId": id})
        self.client.shell_channel.send(message)
        while True:
            reply = self.client.get_shell_msg(timeout=120)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                break
        assert reply["content"]["status"] == "ok", reply["content"]


@pytest.fixture
def kernel(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "work.ipynb"))
    manager, client = start_new_kernel(env=dict(os.environ), cwd=str(project))
    yield Kernel(client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def save(project: Path, *cells: tuple[str, str]) -> None:
    body = [
        {"cell_type": "code", "id": id, "metadata": {}, "outputs": [], "execution_count": None,
         "source": source}
        for id, source in cells
    ]  # fmt: skip
    whole = {"cells": body, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (project / "work.ipynb").write_text(json.dumps(whole))


def test_a_stale_model_is_caught_and_a_clean_one_is_not(kernel: Kernel, project: Path) -> None:
    cells = [
        ("one", "%load_ext mlops_magics"),
        ("two", DATA),
        ("three", "import asyncio\nawait asyncio.sleep(0)\ndf['b'] = 1"),
        ("four", "unrelated = 1"),
        ("five", TRAIN),
    ]
    save(project, *cells)
    for cell in cells:
        kernel.run(*cell)
    clean = store.versions.resolve("credit/1")
    body = store.runs.read_json(clean.run_id, lineage.CELLS)
    assert (body["stamp"], body["reasons"]) == ("clean", [])
    assert [cell["id"] for cell in body["cells"]] == ["one", "two", "three", "five"]
    assert [cell["number"] for cell in body["cells"]] == [1, 2, 3, 5]

    kernel.run("three", "other = 2")
    kernel.run("five", TRAIN)
    stale = store.versions.resolve("credit/2")
    assert stale.tags["mlops.trust"] == "stale"
    assert stale.tags["mlops.trust_reason"] == (
        "Read `df` as cell 3 left it, but cell 3 has since been run with other code."
    )


def test_a_headless_run_knows_its_cells_too(project: Path) -> None:
    first, unused, default = ("a", DATA), ("b", "noise = 1"), ("c", "C = 1.0")
    fit = TRAIN.replace("LogisticRegression()", "LogisticRegression(C=C)")
    save(project, ("0", "%load_ext mlops_magics"), first, unused, default, ("d", fit))
    body = json.loads((project / "work.ipynb").read_text())
    body["cells"][3]["metadata"]["tags"] = ["parameters"]
    (project / "work.ipynb").write_text(json.dumps(body))
    done = mlops.execute("work.ipynb", params={"C": 0.5})
    assert done.status == "finished", done.failed_cell
    version = store.versions.resolve("credit")
    assert version.tags["mlops.trust"] == "clean"
    cells = store.runs.read_json(version.run_id, lineage.CELLS)["cells"]
    # The parameters that were given stand in a cell of their own, below the defaults.
    assert [cell["id"] for cell in cells[:2] + cells[3:]] == ["0", "a", "d"]
    assert "C = 0.5" in cells[2]["source"]
    assert [cell["number"] for cell in cells] == [1, 2, 5, 6]
