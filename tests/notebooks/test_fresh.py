"""Making an environment from a lock: what is asked of the installer, and what it says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mlops_magics.notebooks import fresh

LOCK = """# Everything installed, exact.
a-b==1.0
c==2.0 \\
    --hash=sha256:11
    # sha256:22
d @ git+https://host/d.git@abc
ipykernel==7.0
mlops-magics @ file:///here
pip==25.0
unused==1.0
"""


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for uv that notes what it is asked, and fails where a file says so."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "uv").write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {folder}/asked\n'
        f'if [ -f {folder}/failure ] && [ "$1" = pip ]; then cat {folder}/failure >&2; exit 1; fi\n'
    )
    (folder / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    return folder


def test_what_is_installed(uv: Path, tmp_path: Path) -> None:
    (place := tmp_path / "place").mkdir()
    made = fresh.make(place, LOCK, ["a-b", "d", "mlops-magics", "pip"], "3.11.7")
    venv, imported, ours = (uv / "asked").read_text().splitlines()
    assert venv == f"venv --quiet --python 3.11 {place}/environment"
    assert imported.endswith(f"-r {place}/wanted.txt -c {place}/constraints.txt")
    assert ours.endswith("--no-deps mlops-magics @ file:///here")
    assert (place / "wanted.txt").read_text().splitlines() == [
        "a-b==1.0",
        "cyclopts",
        "d @ git+https://host/d.git@abc",
        "ipykernel==7.0",
        "ipython",
    ]
    assert (place / "constraints.txt").read_text().splitlines() == [
        "a-b==1.0", "c==2.0", "ipykernel==7.0", "pip==25.0", "unused==1.0",
    ]  # fmt: skip
    assert made.environment["PYTHONPATH"] == ""
    assert made.environment["PATH"].startswith(f"{place}/environment/bin:")
    assert made.kernel.program == made.python == f"{place}/environment/bin/python"
    assert not made.kernel.ours


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "  × No solution found when resolving dependencies:\n"
            "  ╰─▶ Because there is no version of a-b==1.0 and you require\n"
            "      a-b==1.0, your requirements are unsatisfiable.\n",
            "Because there is no version of a-b==1.0 and you require a-b==1.0, your requirements "
            "are unsatisfiable.",
        ),
        (
            "error: No solution found when resolving dependencies:\n"
            "  cause: Because there is no version of c==2.0, we can conclude no.\n",
            "Because there is no version of c==2.0, we can conclude no.",
        ),
        (
            "ERROR: Could not find a version (from versions: 1)\n"
            "ERROR: No matching distribution found for a-b==1.0\n\n[notice] hello\n",
            "No matching distribution found for a-b==1.0",
        ),
        ("something odd\n", "something odd"),
    ],
)
def test_the_installers_decisive_line(said: str, reason: str, uv: Path, tmp_path: Path) -> None:
    (uv / "failure").write_text(said)
    with pytest.raises(fresh.NotMadeError) as caught:
        fresh.make(tmp_path, LOCK, ["a-b"], "3.11.7")
    assert str(caught.value) == f"The environment could not be made: {reason}"


def test_a_lock_without_this_package(uv: Path, tmp_path: Path) -> None:
    with pytest.raises(fresh.NotMadeError, match="lacks mlops-magics itself"):
        fresh.make(tmp_path, "a==1\n", ["a"], "3.11.7")


def test_another_python_without_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(fresh.NotMadeError, match=r"recorded on Python 2\.7\.1, and this is"):
        fresh.make(tmp_path, LOCK, ["a"], "2.7.1")
    assert sys.version_info[0] == 3
