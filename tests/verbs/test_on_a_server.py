"""Promotions and their history on a team's MLflow server, from several processes at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import store
from tests.verbs import governed

CODE = "import sys, mlops_magics as m; print(m.promote(sys.argv[1]).to_json(None))"


@pytest.mark.slow
def test_two_promotions_at_the_same_instant_and_a_history_that_shows_every_change(
    names: dict[str, Any], server: Any, project: Path, tmp_path: Path
) -> None:
    for strength in (1.0, 0.1):
        governed.judged(governed.train(names, C=strength))
    # Two people on two machines: a state and a key of their own, nothing shared but the server.
    processes = []
    for number in (1, 2):
        own = {
            **os.environ,
            "MLOPS_ACTOR": f"person {number}",
            "MLOPS_STATE": str(tmp_path / f"state-{number}"),
            "MLOPS_KEYS": str(tmp_path / f"keys-{number}"),
        }
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", CODE, f"credit/{number}"],
                stdout=subprocess.PIPE,
                text=True,
                env=own,
            )
        )
    moved = [json.loads(p.communicate(timeout=180)[0]) for p in processes]
    first, second = sorted(moved, key=lambda p: p["at"])
    assert (first["previous"], second["previous"]) == (None, first["version"])
    assert store.versions.resolve("credit@champion").ref == second["version"]
    assert store.versions.names() == ["credit"]  # no lock was left

    for number in (1, 2):
        trusted = tmp_path / "keys" / "trusted"
        trusted.mkdir(exist_ok=True)
        key = tmp_path / f"keys-{number}" / "signing.pub"
        (trusted / f"person-{number}.pub").write_text(key.read_text())
    found = mlops.verify("credit")
    assert found.intact, found.problems
    assert found.entries == 6

    # Somebody with access to the server's disk changes what the first one has recorded.
    (file,) = [
        f
        for f in (server.folder / "artifacts").rglob("promotion.json")
        if first["run_id"] in f.parts
    ]
    file.write_text(file.read_text().replace(first["actor"], "nobody"))
    (problem,) = mlops.verify("credit").problems
    assert "promotion.json was changed" in problem
