"""`schedule`: jobs, files that are ours, and what `status` says of their runs."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.doors import cli
from mlops_magics.errors import BadGoal, UnknownName, WrongUsage
from mlops_magics.records import Deployment, Schedule
from mlops_magics.schedulers import state
from mlops_magics.targets import state as deployments
from tests.schedulers import reading
from tests.verbs import governed


@pytest.fixture
def deployed() -> Deployment:
    """A deployment, as far as a schedule looks at it."""
    found = Deployment(name="scoring", model="credit/1", target="local", url="", status="stopped")
    deployments.save(found)
    return found


def test_a_deployment_is_monitored_and_its_model_retrained(
    deployed: Deployment, project: Path
) -> None:
    watched = mlops.schedule("scoring", every="6h")
    assert watched.command == ("mlops monitor scoring --since 6h",)
    assert (watched.kind, watched.cron) == ("cron", "0 */6 * * *")
    whole = mlops.schedule(
        "credit", every="1w", if_="drift(Income) > 0.2\n", promote=True, as_="systemd"
    )
    assert whole.command == (
        "mlops monitor credit --since 7d",
        "mlops retrain credit --if 'drift(Income) > 0.2' --promote",
    )
    assert Path(whole.path) == project / "schedules" / "mlops-credit.service"
    assert [Path(f).suffix for f in whole.files] == [".service", ".timer"]
    # A step like any other: with its record, and the files as they were written.
    run = store.runs.get(whole.run_id)
    assert run.data.tags["mlops.verb"] == "schedule"
    assert store.runs.read_json(whole.run_id, "schedule.json")["cron"] == "0 6 * * 1"
    kept = store.runs.fetch(whole.run_id, "files/mlops-credit.timer")
    assert kept.read_text() == Path(whole.files[1]).read_text()
    assert store.runs.experiment_name(run.info.experiment_id) == "credit"


def test_what_can_not_be_scheduled_is_told(deployed: Deployment, project: Path) -> None:
    refused: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (WrongUsage, "How often", {}),
        (UnknownName, r"no deployment or notebook 'scorin'.*'scoring'", {"name": "scorin"}),
        (UnknownName, "no scheduler 'crn'.*'cron'", {"as_": "crn"}),
        (UnknownName, "no option 'imge'.*'image'", {"as_": "kubernetes", "options": {"imge": "x"}}),
        (UnknownName, "no verb 'monitr'.*'monitor'", {"run": ["monitr credit"]}),
        (WrongUsage, "6h or 8h", {"every": "7h", "as_": "github"}),
        (WrongUsage, "does not go with --run", {"run": ["status"], "promote": True}),
        (WrongUsage, "-p does not go with a model", {"params": {"a": 1}}),
        (WrongUsage, "can't be split", {"run": ["monitor 'credit"]}),
        (BadGoal, "drft", {"if_": "drft(Income) > 0.2"}),
        (
            WrongUsage,
            "is no place for one.*env:PASSWORD",
            {"name": "train", "params": {"password": "a"}},
        ),
        (WrongUsage, "is no place for one", {"run": ["execute x.ipynb -p api_key sk-12345678"]}),
    ]
    for error, told, options in refused:
        given = {"name": "scoring", "every": "1d" if told != "How often" else "", **options}
        with pytest.raises(error, match=told):
            mlops.schedule(**given)
    assert not (project / "schedules").exists()
    assert state.all() == []


def test_a_model_that_is_not_deployed_needs_rows_to_look_at(names: dict[str, Any]) -> None:
    governed.train(names)
    with pytest.raises(WrongUsage, match=r"not deployed.*--run \"monitor credit --data"):
        mlops.schedule("credit", every="1d")
    record = mlops.schedule("credit", every="1d", run=["mlops monitor credit --data 'a b.csv'"])
    assert record.command == ("mlops monitor credit --data 'a b.csv'",)


def test_a_notebook_is_executed(project: Path) -> None:
    (project / "books").mkdir()
    nbformat.write(nbformat.v4.new_notebook(), project / "books" / "a day.ipynb")
    params = {"day": "it's", "token": "env:TOKEN"}
    record = mlops.schedule("books/a day.ipynb", every="1d", params=params)
    assert record.name == "a-day"
    words = "'books/a day.ipynb' -p day 'it'\"'\"'s' -p token env:TOKEN"
    assert record.command == (f"mlops execute {words}",)
    shipped = mlops.schedule("train", every="1mo", params={"data": "x.csv"}, as_="airflow")
    assert shipped.command == ("mlops execute train -p data x.csv",)


def test_nobodys_file_is_replaced(deployed: Deployment, project: Path) -> None:
    file = Path(mlops.schedule("scoring", every="1d").path)
    again = mlops.schedule("scoring", every="1d", at="07:00")  # unchanged since: ours to replace
    assert "0 7 * * *" in file.read_text()
    assert len(state.all()) == 1
    file.write_text(file.read_text().replace("0 7 ", "0 8 "))
    for options in ({"every": "1h"}, {"remove": True}):
        with pytest.raises(WrongUsage, match="was edited since it was written"):
            mlops.schedule("scoring", **options)
    assert "0 8 * * *" in file.read_text()
    assert state.all()[0].cron == again.cron
    mlops.schedule("scoring", every="1h", force=True)
    assert "0 * * * *" in file.read_text()
    file.write_text("mine\n")
    with pytest.raises(WrongUsage, match="was not written by mlops"):
        mlops.schedule("scoring", every="1h")
    other = mlops.schedule("scoring", every="1h", output="elsewhere")
    assert other.warnings == (f"{file} is still there from before.",)
    path = project / "elsewhere" / "scoring.cron"
    path.rename(path.with_name("other.cron"))
    with pytest.raises(WrongUsage, match="belongs to scoring"):
        mlops.schedule("other", every="1d", run=["status"], output="elsewhere")


def test_one_is_removed(deployed: Deployment, project: Path) -> None:
    cron = mlops.schedule("scoring", every="1d")
    mlops.schedule("scoring", every="1d", as_="systemd")
    with pytest.raises(WrongUsage, match="--as cron or systemd"):
        mlops.schedule("scoring", remove=True)
    gone = mlops.schedule("scoring", remove=True, as_="systemd")
    assert gone.status == "removed"
    assert "systemctl --user disable" in gone.install[0]
    assert [s.kind for s in state.all()] == ["cron"]
    assert sorted(p.name for p in (project / "schedules").iterdir()) == ["scoring.cron"]
    Path(cron.path).unlink()  # by hand, before
    assert mlops.schedule("scoring", remove=True).status == "removed"
    assert mlops.status().schedules == ()
    with pytest.raises(UnknownName, match="no schedule 'scoring'"):
        mlops.schedule("scoring", remove=True)


def test_settings_that_hold_here_hold_for_the_job(
    deployed: Deployment, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.setenv("MLOPS_ACTOR", "robot $1 %")
    record = mlops.schedule("scoring", every="1d", as_="systemd")
    assert 'Environment="MLOPS_ACTOR=robot $1 %%"' in Path(record.path).read_text()
    # Elsewhere they are that machine's, but for a server's address.
    away = mlops.schedule("scoring", every="1d", as_="airflow")
    assert "robot" not in Path(away.path).read_text()
    assert any("name a server" in w for w in away.warnings)
    assert any("are files of this machine" in w for w in away.warnings)


def test_a_password_in_an_address_is_written_nowhere(
    deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_TRACKING_URI", "http://ada:hunter22@127.0.0.1:9")
    with pytest.raises(WrongUsage, match="MLOPS_TRACKING_URI holds a password"):
        mlops.schedule("scoring", every="1d")


def test_in_a_folder_of_a_repository_the_workflow_goes_to_its_top(
    deployed: Deployment, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    subprocess.run(["git", "init", "-q", "."], check=True)
    (project / "models").mkdir()
    (project / "models" / "mlops.toml").write_text('state = "../.mlops"\n')
    monkeypatch.chdir(project / "models")
    record = mlops.schedule("scoring", every="1d", as_="github")
    assert Path(record.path) == project / ".github" / "workflows" / "mlops-scoring.yml"
    content = yaml.safe_load(Path(record.path).read_text())
    assert content["defaults"]["run"]["working-directory"] == "models"


@pytest.mark.slow
def test_the_crontab_line_runs_the_loop_and_status_tells_of_it(
    credit: pd.DataFrame, names: dict[str, Any], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the environment that cron gives: the job breaks a threshold, and still goes on."""
    governed.train(names)
    later = names["X_test"].assign(Price=names["X_test"]["Price"] * 3)
    later.to_csv(project / "new 5% rows.csv", index=False)
    for column, promise in (("Price", "<= 0.2"), ("Age", "> 0.2")):
        (project / f"{column}.txt").write_text(f"drift({column}) {promise}\n")
    record = mlops.schedule(
        "credit",
        every="1h",
        run=[
            "monitor credit --data 'new 5% rows.csv' --thresholds Price.txt",
            "retrain credit --if 'drift(Age) > 0.2' --notebook train",
        ],
    )
    assert [s["last_run"] for s in mlops.status().schedules] == [None]
    (project / "goals.txt").write_text("roc_auc >= 0.6\n")
    (project / "mlops.toml").write_text('goals = "goals.txt"\n')
    bare = {"HOME": str(project), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "ada"}
    bare["MLOPS_KEYS"] = str(project.parent / "keys")
    line = reading.cron({"": Path(record.path).read_text()})
    done = subprocess.run(["/bin/sh", "-c", line], env=bare, cwd="/", check=False)
    log = (project / ".mlops" / "schedules" / "credit.log").read_text()
    assert done.returncode == 3, log
    assert "Monitoring" in log
    [seen] = mlops.status().schedules
    assert seen["outcome"] == "monitor: broken, retrain: not fired", log
    assert not seen["overdue"]
    assert datetime.now(UTC) - datetime.fromisoformat(seen["last_run"]) < timedelta(minutes=2)
    assert datetime.fromisoformat(seen["next_run"]) > datetime.now(UTC)
    capsys.readouterr()
    assert cli.main(["status"]) == 0
    shown = capsys.readouterr().out
    assert "Schedules" in shown
    assert "monitor: broken" in shown
    assert record.next_run.replace("T", " ").replace("Z", " UTC") in shown


def test_a_notebook_without_a_verb_is_seen_when_it_was_scheduled(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [nbformat.v4.new_code_cell("1 + 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), project / "plain.ipynb")
    mlops.schedule("plain.ipynb", every="1d")
    mlops.execute("plain.ipynb")  # by hand
    assert mlops.status().schedules[0]["last_run"] is None
    monkeypatch.setenv("MLOPS_SCHEDULE", "plain")
    mlops.execute("plain.ipynb")
    assert mlops.status().schedules[0]["outcome"] == "execute: finished"


@pytest.mark.parametrize("every", ["1m", "1h"])
def test_a_run_that_did_not_come_is_overdue(
    deployed: Deployment, project: Path, every: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = mlops.schedule("scoring", every=every)
    early = datetime.now(UTC) - timedelta(hours=5)
    kept = dataclasses.replace(record, since=early.isoformat(timespec="seconds"))
    state.file("scoring", "cron").write_text(kept.to_json())
    Path(record.path).unlink()
    [seen] = mlops.status().schedules
    assert seen["overdue"]
    assert "no run came" in seen["note"]
    assert cli.main(["status"]) == 0
    assert "✗ overdue" in capsys.readouterr().out
    assert f"{record.path} is gone." in seen["note"]


def test_a_state_that_can_not_be_read_is_told(deployed: Deployment, project: Path) -> None:
    from mlops_magics.errors import MlopsError

    mlops.schedule("scoring", every="1d")
    file = state.file("scoring", "cron")
    file.write_text(file.read_text()[:40])
    with pytest.raises(MlopsError, match=r"scoring@cron\.json can't be read"):
        mlops.status()


def test_from_the_command_line(deployed: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["schedule", "scoring", "--every", "0 6 * * 1", "--as", "kubernetes"]
    words += ["-o", "image", "a:1", "--if", "drift(Income) > 0.2", "--json"]
    assert cli.main(words) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["record"] == Schedule.__name__
    assert body["options"] == {"image": "a:1"}
    assert body["command"][1] == "mlops retrain credit --if 'drift(Income) > 0.2'"
    assert body["install"][0].startswith("kubectl apply -f ")
    assert cli.main(["schedule", "scoring", "--every", "7h"]) == 2
    assert "6h or 8h" in capsys.readouterr().err
