"""`init`, `doctor` and the settings they are about."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import mlops_magics as mlops
from mlops_magics import settings
from mlops_magics.errors import UnknownName, WrongUsage


def test_init_writes_a_file_that_changes_nothing_until_it_is_edited(project: Path) -> None:
    before = settings.load()
    written = mlops.init()
    assert tomllib.loads(Path(written.path).read_text()) == {}
    assert settings.load() == before
    with pytest.raises(WrongUsage, match="exists already"):
        mlops.init()
    mlops.init(force=True)


def test_every_line_of_the_file_is_a_setting_that_exists(project: Path) -> None:
    text = Path(mlops.init().path).read_text()
    offered = [line[2:] for line in text.splitlines() if " = " in line and line.startswith("# ")]
    (project / "mlops.toml").write_text("\n".join(offered))
    settings.load()
    assert len(offered) >= 8


def test_the_order_is_arguments_environment_file_defaults(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.load().snapshot_mb == 500
    (project / "mlops.toml").write_text('snapshot_mb = 1\nactor = "file"\n')
    assert (settings.load().snapshot_mb, settings.load().actor) == (1, "file")
    monkeypatch.setenv("MLOPS_ACTOR", "environment")
    assert settings.load().actor == "environment"
    assert settings.load(actor="argument").actor == "argument"


def test_the_file_is_found_from_a_folder_below(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "mlops.toml").write_text("")
    (project / "notebooks").mkdir()
    monkeypatch.chdir(project / "notebooks")
    assert settings.load().database == project / "mlflow.db"


def test_pyproject_may_hold_them(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.mlops]\nactor = "team"\n')
    assert settings.load().actor == "team"


@pytest.mark.parametrize(
    ("content", "error", "told"),
    [
        ('actr = "x"', UnknownName, r"no setting 'actr'\. Did you mean 'actor'"),
        ("actor = ", WrongUsage, "not valid TOML"),
        ('snapshot_mb = "many"', WrongUsage, "wrong type"),
        ('capture = "perhaps"', WrongUsage, "true or false"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(
    project: Path, content: str, error: type[Exception], told: str
) -> None:
    (project / "mlops.toml").write_text(content)
    with pytest.raises(error, match=told):
        settings.load()


def test_doctor_finds_a_good_set_up_good_and_a_bad_store_bad(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert mlops.doctor().exit_code == 0
    monkeypatch.setenv("MLOPS_TRACKING_URI", "http://127.0.0.1:9")
    found = mlops.doctor()
    assert found.exit_code == 1
    store_check = next(c for c in found.checks if c.name == "store")
    assert not store_check.passed
    assert "does not answer" in store_check.found
    assert store_check.remedy
