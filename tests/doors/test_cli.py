"""The command line, as a user's shell sees it."""

from __future__ import annotations

import json
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics.doors import cli
from mlops_magics.verbs import declaration
from mlops_magics.verbs.options import Option


def mlops_command(*words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlops_magics.doors.cli", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
    )


def test_help_lists_every_verb_with_its_summary(capsys: Any) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    for name, found in declaration.declarations().items():
        assert f"  {name} " in out
        assert found.summary in out


@pytest.mark.parametrize("name", sorted(declaration.declarations()))
def test_every_verb_has_whole_help(name: str, capsys: Any) -> None:
    """Each parameter stands in the help with words of its own."""
    import inspect

    from mlops_magics.doors import parsing

    found = declaration.find(name)
    assert found.summary.endswith("."), "the summary is a sentence"
    text = parsing.help_text(name)
    documented = inspect.getdoc(found.function) or ""
    hints = typing.get_type_hints(found.function, include_extras=True)
    for parameter in inspect.signature(found.function).parameters:
        marks = getattr(hints.get(parameter), "__metadata__", ())
        spelled = next((m.names for m in marks if isinstance(m, Option)), None)
        shown = spelled or (parameter.rstrip("_").replace("_", "-"),)
        assert f"\n{parameter} : " in documented or f"\n*{parameter} : " in documented, parameter
        assert all(word.lower() in text.lower() for word in shown), parameter


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["promot"], 2, "Did you mean 'promote'?"),
        (["promote"], 2, "promote needs MODEL."),
        (["promote", "nothing"], 2, "There is no model 'nothing'"),
        (["promote", "credit", "--overide", "x"], 2, "Did you mean '--override'?"),
        (["history", "nothing"], 2, "There is no model or dataset with a history 'nothing'"),
        (["train", "credit"], 1, "needs code"),
    ],
)
def test_bad_input_gets_one_sentence_and_its_exit_code(
    words: list[str], code: int, told: str, capsys: Any
) -> None:
    assert cli.main(words) == code
    shown = capsys.readouterr()
    assert told in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert shown.out == ""


def test_a_promotion_without_a_verdict_exits_3(names: dict[str, Any], capsys: Any) -> None:
    X_test, y_test = names["X_test"], names["y_test"]
    with mlops.train("credit", data=(X_test, y_test)):
        model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
    assert cli.main(["promote", "credit@candidate"]) == 3
    assert "it has not been validated" in capsys.readouterr().err
    assert cli.main(["promote", "credit@candidate", "--override", "the very first", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["overridden"] is True


def test_json_is_the_only_thing_on_standard_output(project: Path) -> None:
    (project / "noisy.py").write_text("print('the user prints this')\n")
    done = mlops_command("train", "credit", "noisy.py", "--json", folder=project)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "finished"
    assert "the user prints this" in done.stderr


def test_the_users_exception_keeps_its_traceback_and_ours_stays_out(project: Path) -> None:
    (project / "broken.py").write_text("def f():\n    return 1 / 0\nf()\n")
    done = mlops_command("train", "credit", "broken.py", folder=project)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "broken.py" in done.stderr
    assert "mlops_magics/" not in done.stderr


@pytest.mark.parametrize("name", sorted(set(declaration.declarations()) - {"tune"}))
def test_defaults_hold_also_where_pydantic_is_loaded(name: str) -> None:
    # The parser then checks values against annotations, its own defaults among them.
    import pydantic  # noqa: F401

    from mlops_magics.doors import parsing

    assert parsing.parse(name, ["x" for _ in parsing.positional(name)])
