"""Each file before the parser or the schema of the scheduler that it is for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.schedulers import cron as crons
from mlops_magics.schedulers import marks, state
from mlops_magics.schedulers.base import Job
from tests.conftest import NEED_ALL, need
from tests.contracts import test_schedulers as kinds
from tests.schedulers import reading

CONDITION = "drift(Income) > 0.2\nmissing(Income) <= 5%"
COMMANDS = (("monitor", "credit", "--since", "1d"), ("retrain", "credit", "--if", CONDITION))


#: A Python that has Airflow, which needs an environment of its own.
AIRFLOW = os.environ.get("MLOPS_TESTS_AIRFLOW", "")


def needs(program: str) -> None:
    """Skip without a program; where CI installs all, its want is a failure."""
    if shutil.which(program) is None:
        assert not NEED_ALL, f"This needs {program}."
        pytest.skip(f"needs {program}")


def job(folder: Path, *commands: tuple[str, ...], every: str = "1d") -> Job:
    return kinds.TestCron().job(folder, *(commands or COMMANDS), every=every)


def written(kind: str, made: Job, to: Path, **options: str) -> list[Path]:
    """The files as `schedule` writes them."""
    scheduler = state.scheduler(kind)
    scheduler.check(made, options)
    to.mkdir(exist_ok=True)
    files = []
    for name, text in scheduler.files(made, options).items():
        files.append(to / name)
        files[-1].write_text(marks.marked(text, made.name))
    return files


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder whose name means something to everybody."""
    folder = tmp_path / "it's 5% $of"
    folder.mkdir()
    return folder


def test_github_takes_the_workflow(place: Path) -> None:
    (place / "requirements.txt").write_text("mlops_magics\n")
    options = {"secrets": "ALERT_URL,DB_PASSWORD", "python": "3.13", "timeout": "30"}
    [file] = written("github", job(place), place / "out", **options)
    check_schema("vendor.github-workflows", file)
    content = yaml.safe_load(file.read_text())
    run = content["jobs"]["mlops"]
    assert content["on"]["schedule"] == [{"cron": "0 6 * * *"}]
    assert content["permissions"] == {"contents": "read"}
    assert run["env"]["DB_PASSWORD"] == "${{ secrets.DB_PASSWORD }}"
    assert run["env"]["MLFLOW_TRACKING_URI"] == "${{ secrets.MLFLOW_TRACKING_URI }}"
    assert run["steps"][1]["with"]["cache"] == "pip"
    with pytest.raises(WrongUsage, match="every 5 minutes"):
        written("github", job(place, every="2m"), place)
    with pytest.raises(WrongUsage, match="names of variables"):
        written("github", job(place), place, secrets="hunter2!")


def check_schema(name: str, file: Path) -> None:
    """By the schemas of SchemaStore, which the checker carries."""
    need("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", name]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_finds_what_is_wrong(place: Path) -> None:
    file = place / "bad.yml"
    file.write_text("on: {schedule: [{crn: '0 6 * * *'}]}\njobs: {}\n")
    with pytest.raises(AssertionError, match="schema"):
        check_schema("vendor.github-workflows", file)


def test_cron_takes_the_line(place: Path) -> None:
    needs("crontab")
    (place / ".env").write_text("DB_PASSWORD=hunter22\n")
    [file] = written("cron", job(place), place, environment=str(place / ".env"))
    done = subprocess.run(["crontab", "-n", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "hunter22" not in file.read_text()
    file.write_text(file.read_text().replace("0 6 * * *", "0 26 * * *"))
    assert subprocess.run(["crontab", "-n", str(file)], capture_output=True).returncode == 1
    with pytest.raises(WrongUsage, match=r"cron takes 998.*systemd"):
        written("cron", job(place, ("log", "a" * 900)), place)


def test_the_crontab_is_made_and_unmade_by_what_is_told(place: Path, tmp_path: Path) -> None:
    """With a crontab of its own, in the place of the user's."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    table = tmp_path / "table"
    table.write_text("# mine\n5 4 * * * true\n")
    (bin_ / "crontab").write_text(
        f'#!/bin/sh\n[ "$1" = -l ] && exec cat "{table}"\ncat > "{table}.new"\n'
        f'mv "{table}.new" "{table}"\n'
    )
    (bin_ / "crontab").chmod(0o755)
    made, scheduler = job(place), state.scheduler("cron")
    files = written("cron", made, place / "out")
    environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"}

    def shell(lines: tuple[str, ...]) -> None:
        for line in lines:
            subprocess.run(["/bin/sh", "-c", line], check=True, env=environment)

    for _ in range(2):  # once more changes nothing
        shell(scheduler.install(made, files))
        assert table.read_text() == f"# mine\n5 4 * * * true\n{files[0].read_text()}"
    shell(scheduler.uninstall(made, files))
    assert table.read_text() == "# mine\n5 4 * * * true\n"


def test_where_the_clock_is_not_utc_cron_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert not crons.machine_is_utc()
        [file] = written("cron", job(place), place)
        assert "\nCRON_TZ=UTC\n" in file.read_text()
    finally:
        monkeypatch.undo()
        time.tzset()


def test_systemd_takes_service_and_timer(place: Path) -> None:
    needs("systemd-analyze")
    (place / "my env").write_text("DB_PASSWORD=hunter22\n")
    options = {"environment": str(place / "my env"), "timeout": "5"}
    for every in ("15m", "1d", "1mo", "0 6 1,15 * 1-5"):
        files = written("systemd", job(place, every=every), place / "out", **options)
        done = verified(files)
        assert (done.returncode, done.stderr) == (0, ""), every
    service, timer = (file.read_text() for file in files)
    assert "hunter22" not in service
    assert "Persistent=true" in timer
    assert timer.count("OnCalendar=") == 2  # either day, as cron has it
    assert 'Environment="MLOPS_ACTOR=a $b %%c"' in service
    files[0].write_text(service.replace("Type=oneshot", "Type=onceonly"))
    assert "Failed to parse service type" in verified(files).stderr


def verified(files: list[Path]) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "verify", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("options", [{}, {"secret": "store", "claim": "work", "namespace": "ml"}])
def test_the_cluster_takes_the_cronjob(place: Path, options: dict[str, str]) -> None:
    validate = need("kubernetes_validate")
    [file] = written("kubernetes", job(place), place, image="registry.example/credit:1", **options)
    content = yaml.safe_load(file.read_text())
    validate.validate(content, "1.31", strict=True)
    spec = content["spec"]
    assert (spec["timeZone"], spec["concurrencyPolicy"]) == ("Etc/UTC", "Forbid")
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    told = {v["name"]: reading.references(v["value"]) for v in container["env"]}
    assert told == {"MLOPS_SCHEDULE": "contract", "MLOPS_ACTOR": "a $b %c", "HOME": "/work"}
    assert container.get("envFrom", []) == [
        {"secretRef": {"name": name}} for name in ([options["secret"]] if options else [])
    ]
    content["spec"]["concurencyPolicy"] = "Forbid"  # the check itself can fail
    with pytest.raises(validate.ValidationError):
        validate.validate(content, "1.31", strict=True)


@pytest.mark.parametrize(
    ("options", "told"),
    [({}, "-o image"), ({"image": "a", "memory": "lots"}, "an amount"),
     ({"image": "a", "secret": "My Secret"}, "can't be a name in a cluster"),
     ({"image": "a", "timeout": "0"}, "a number from 1 on")],
)  # fmt: skip
def test_what_no_cluster_takes_is_refused(place: Path, options: dict[str, str], told: str) -> None:
    with pytest.raises(WrongUsage, match=told):
        written("kubernetes", job(place), place, **options)


def test_airflow_takes_the_dags(place: Path, tmp_path: Path) -> None:
    """By Airflow itself; the task of each is rendered and run as a worker does it."""
    if not AIRFLOW:
        assert not NEED_ALL, "This needs MLOPS_TESTS_AIRFLOW."
        pytest.skip("needs MLOPS_TESTS_AIRFLOW, a Python that has Airflow")
    dags = tmp_path / "dags"
    written(
        "airflow", job(place), dags, program=f"'{place / 'mlops'}'".replace("it's", "it'\"'\"'s")
    )
    notebook(place / "watch {{ it }}.ipynb")
    command = ("execute", "watch {{ it }}.ipynb", "-p", "name", "{{ credit }}")
    [bash] = dags.iterdir()
    bash.rename(dags / "first.py")
    run = job(place, command, every="7h")
    written("airflow", run, tmp_path / "second", operator="papermill")
    text = (tmp_path / "second" / "mlops_contract.py").read_text()
    (dags / "second.py").write_text(text.replace("mlops_contract", "second"))
    script = Path(__file__).with_name("airflow_reading.py")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [AIRFLOW, str(script), str(dags), str(tmp_path / "airflow")],
        capture_output=True, text=True, env=clean,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == {}
    first, second = sorted(found["dags"], key=lambda dag: str(dag["operator"]))
    assert (first["operator"], first["error"]) == ("BashOperator", "")
    assert (first["schedule"], first["catchup"], first["max_active_runs"]) == (
        "0 6 * * *",
        False,
        1,
    )
    words = (place / "words").read_bytes().decode().removesuffix("\36\36").split("\36\36")
    assert [tuple(call.split("\36")) for call in words] == list(COMMANDS)
    assert (second["operator"], second["error"]) == ("PapermillOperator", "")
    assert second["schedule"] == "7:00:00"
    [executed] = place.glob("watch {{ it }}-executed-20260131T120000.ipynb")
    assert "the name is {{ credit }}" in executed.read_text()


def notebook(path: Path) -> None:
    """One with a parameter, which needs nothing but Python."""
    cells: list[Any] = [
        nbformat.v4.new_code_cell('name = ""', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell('print(f"the name is {name}")'),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


def test_papermills_operator_runs_a_notebook_and_nothing_else(place: Path) -> None:
    command = ("execute", "train.ipynb", "-p", "data", "a b.csv", "-p", "name", "{{ credit }}")
    [file] = written("airflow", job(place, command), place, operator="papermill", folder="/p q")
    task = reading.airflow_task({file.name: file.read_text()})
    assert task["input_nb"].endswith("train.ipynb")
    params = {reading.rendered(k): reading.rendered(v) for k, v in task["parameters"].items()}
    assert params == {"data": "a b.csv", "name": "{{ credit }}"}
    output = reading.rendered(task["output_nb"], ts_nodash="T")
    assert output == "/p q/train-executed-T.ipynb"
    with pytest.raises(WrongUsage, match="runs a notebook, and nothing else"):
        written("airflow", job(place), place, operator="papermill")
    with pytest.raises(WrongUsage, match="needs its file"):
        written("airflow", job(place, ("execute", "train")), place, operator="papermill")
    with pytest.raises(UnknownName, match="papermil"):
        written("airflow", job(place), place, operator="papermil")


def test_what_airflow_gets_from_its_variables_is_named_only(place: Path) -> None:
    [file] = written("airflow", job(place), place, variables="ALERT_URL")
    assert reading.airflow_task({file.name: file.read_text()})["env"] == {
        "MLOPS_SCHEDULE": "contract",
        "MLOPS_ACTOR": "a $b %c",
        "ALERT_URL": "{{ var.value.ALERT_URL }}",
    }
