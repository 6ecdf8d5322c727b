"""The house rules that a machine can check: what loads what, and who imports whom."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HEAVY = ("mlflow", "sklearn", "pandas", "numpy", "papermill", "nbformat", "cyclopts", "matplotlib")

PROBE = """
import json, sys
{code}
print(json.dumps([m for m in {heavy!r} if m in sys.modules]))
"""


@pytest.mark.parametrize(
    ("what", "code", "allowed"),
    [
        (
            "%load_ext",
            "from IPython.core.interactiveshell import InteractiveShell\n"
            "InteractiveShell().run_line_magic('load_ext', 'mlops_magics')",
            (),
        ),
        ("import", "import mlops_magics as m; m.train, m.deploy, dir(m)", ()),
        ("mlops --help", "from mlops_magics.doors import cli; cli.overview()", ()),
        (
            "mlops deploy --help",
            "from mlops_magics.doors import parsing; parsing.help_text('deploy')",
            ("cyclopts",),
        ),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_used(
    what: str, code: str, allowed: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code, heavy=HEAVY)],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert set(loaded) <= set(allowed), f"{what} imports {loaded}"


def test_every_verb_of_the_python_door_is_the_function_itself() -> None:
    import mlops_magics
    from mlops_magics.verbs import declaration

    for name, found in declaration.declarations().items():
        assert getattr(mlops_magics, name) is found.function


def test_a_verb_is_found_without_importing_the_others() -> None:
    look = "import sys; from mlops_magics.verbs import declaration as d; print(d.find('{}').name, "
    look += "'mlops_magics.verbs.monitoring' in sys.modules)"
    for name in ("status", "log", "init"):
        told = subprocess.run(
            [sys.executable, "-c", look.format(name)], capture_output=True, text=True, check=True
        )
        assert told.stdout.split() == [name, "False"]


def test_files_of_tests_have_names_of_their_own() -> None:
    """Of two that are called alike pytest reads one, and stops at the other."""
    names = Counter(file.name for file in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_an_unknown_verb_is_answered_with_those_that_exist() -> None:
    import mlops_magics

    with pytest.raises(AttributeError, match=r"no verb 'trian'.*train"):
        _ = mlops_magics.trian
