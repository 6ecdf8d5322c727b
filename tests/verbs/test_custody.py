"""A history in which nothing is altered, removed or moved unnoticed: tried by hand in SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import settings, store
from mlops_magics.doors import cli
from tests.verbs import governed


@pytest.fixture
def history(names: dict[str, Any]) -> list[str]:
    """Two versions, judged and promoted: the ids of their six runs."""
    for strength in (1.0, 0.1):
        version = governed.train(names, C=strength)
        governed.judged(version)
        mlops.promote(version.ref)
    found = mlops.verify("credit")
    assert found.intact, found.problems
    assert found.entries == 6
    return [e["run_id"] for e in mlops.history("credit").events]


def edit(statement: str, *values: Any) -> None:
    """What somebody with the database at hand would do."""
    database = settings.load().database
    assert database is not None
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute(statement, values).rowcount > 0
        connection.commit()


def problems(*, in_files: bool = False) -> str:
    found = mlops.verify("credit")
    assert not found.intact
    assert found.exit_code == 5
    assert mlops.history("credit").intact is in_files  # which does not look into files
    return " ".join(found.problems)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("mlops.actor", "actor was changed"),
        ("mlops.summary", "summary was changed"),
        ("mlops.arguments", "arguments was changed"),
        ("mlops.verb", "verb was changed"),
    ],
)
def test_an_altered_fact_is_named(history: list[str], key: str, says: str) -> None:
    edit("update tags set value = 'eve' where key = ? and run_uuid = ?", key, history[2])
    assert says in (told := problems())
    assert "Entry 3 (" in told


def test_an_altered_time_is_named(history: list[str]) -> None:
    edit("update runs set start_time = start_time - 86400000 where run_uuid = ?", history[2])
    assert "started was changed" in problems()


def test_a_removed_run_leaves_a_gap(history: list[str]) -> None:
    mlops_client = store.runs.connect()
    mlops_client.delete_run(history[1])
    assert "Entry 2 was removed." in problems()


def test_a_run_that_was_removed_from_the_database(history: list[str]) -> None:
    edit("delete from tags where run_uuid = ?", history[4])
    edit("delete from runs where run_uuid = ?", history[4])
    assert "Entry 5 was removed." in problems()


def test_an_end_that_was_cut_off(history: list[str]) -> None:
    store.runs.connect().delete_run(history[5])
    assert "Entry 6 was removed from the end" in problems()


def test_an_end_that_was_cut_off_with_its_head(history: list[str]) -> None:
    # Whoever removes the last entry and sets the head in the store back is found by this machine.
    entry = store.ledger.entry_of(store.runs.get(history[4]))
    assert entry is not None
    edit("update experiment_tags set value = ? where key = 'mlops.head'", f"5 {entry.hash}")
    store.runs.connect().delete_run(history[5])
    told = problems()
    assert "Entry 6 was removed from the end (what this machine has seen of it shows it)" in told


def test_an_altered_entry_does_not_fit_its_signature(history: list[str]) -> None:
    edit(
        "update tags set value = replace(value, '\"number\":3', '\"number\":7') "
        "where key = 'mlops.entry' and run_uuid = ?",
        history[2],
    )
    told = problems()
    assert "Entry 3 was removed" in told
    assert "its signature does not fit" in told


def test_an_entry_that_was_removed_from_its_run(history: list[str]) -> None:
    edit("delete from tags where key = 'mlops.entry' and run_uuid = ?", history[3])
    told = problems()
    assert "Entry 4 was removed" in told
    assert "stands in no entry" in told


def test_an_altered_file_is_named(history: list[str]) -> None:
    for name in ("promotion.json", "mlops/record.json"):
        file = store.runs.fetch(history[2], name)
        file.write_text(file.read_text() + " ")
        assert f"{name} was changed" in problems(in_files=True)
    store.runs.fetch(history[2], "promotion.json").unlink()
    assert "promotion.json is gone" in problems(in_files=True)


@pytest.mark.parametrize(
    "tables", [("latest_metrics",), ("metrics", "latest_metrics")], ids=" and ".join
)
def test_an_altered_metric_is_named(history: list[str], tables: tuple[str, ...]) -> None:
    mlops.log({"accuracy": 0.99}, run="credit/1")  # added afterwards: that alters nothing
    mlops.log({"expected_loss": 0.2}, run="credit/1")
    assert mlops.verify("credit").intact
    for table in tables:
        edit(
            f"update {table} set value = 0.999 where key = 'accuracy' and run_uuid = ?", history[3]
        )
    assert "Entry 4 (train" in (told := problems(in_files=True))
    assert "the metric 'accuracy' was changed" in told


def test_an_altered_parameter_is_named(history: list[str]) -> None:
    edit("update params set value = '9' where key = 'C' and run_uuid = ?", history[0])
    assert "the parameter 'C' was changed" in problems(in_files=True)


def test_a_model_that_was_exchanged_with_its_digest_is_named(history: list[str]) -> None:
    # The digest in the registry is changed to fit other files.
    edit("update model_version_tags set value = 'sha256:0' where key = 'mlops.digest'")
    assert "The digest of credit/1 in the registry is not that of the model" in problems(
        in_files=True
    )


def test_an_alias_that_was_moved_by_other_means(history: list[str]) -> None:
    store.versions.set_alias("credit", "champion", 1)
    assert (
        "The alias champion names credit/1, and by the history it names credit/2: it was moved by "
        "other means." in problems()
    )
    store.runs.connect().delete_registered_model_alias("credit", "champion")
    assert "The alias champion is gone" in problems()


def test_an_alias_that_no_step_has_set(history: list[str]) -> None:
    store.versions.set_alias("credit", "shadow", 1)
    assert "no step of the history has moved it there" in problems()


def test_a_run_that_was_put_in(history: list[str]) -> None:
    run_id = store.runs.start("credit", name="promote", verb="promote", tags={})
    store.runs.finish(run_id, "finished")
    assert f"Run {run_id} (promote" in (told := problems())
    assert "put in by hand" in told


def test_a_signer_who_is_not_known_here_is_named(
    history: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLOPS_KEYS", str(tmp_path / "keys of an auditor"))
    found = mlops.verify("credit")
    assert not found.intact
    assert len(found.problems) == 1
    assert "that signed 6 entries of the history is not known here" in found.problems[0]
    assert mlops.history("credit").intact  # nothing was altered; who signed is another question
    trusted = tmp_path / "keys of an auditor" / "trusted"
    trusted.mkdir(parents=True)
    (trusted / "team.pub").write_text((tmp_path / "keys" / "signing.pub").read_text())
    found = mlops.verify("credit")
    assert found.intact, found.problems
    assert found.signer == "team"


def test_a_history_from_before_there_were_entries_is_no_false_alarm(
    history: list[str], names: dict[str, Any]
) -> None:
    edit("delete from tags where key like 'mlops.entry%'")
    edit("delete from experiment_tags where key = 'mlops.head'")
    for file in (settings.load().state / "heads").iterdir():
        file.unlink()
    assert mlops.verify("credit").intact
    governed.judged(governed.train(names))
    assert mlops.verify("credit").entries == 2
    assert mlops.verify("credit").intact


def test_a_key_that_cannot_be_used_loses_no_step(
    names: dict[str, Any], project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    governed.train(names)
    (tmp_path / "keys" / "signing.pem").chmod(0o644)
    governed.train(names)
    assert "is not signed" in problems()
    assert [e["status"] for e in mlops.history("credit").events] == ["finished"] * 2


def test_from_the_command_line(history: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "credit@champion"]) == 0
    assert "entries of the history" in capsys.readouterr().out
    edit("update tags set value = 'eve' where key = 'mlops.actor' and run_uuid = ?", history[0])
    assert cli.main(["verify", "credit"]) == 5
    assert "actor was changed" in capsys.readouterr().out
