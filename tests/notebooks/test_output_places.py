"""Notebooks that go to another file system: a real one in memory, and a real server's."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.notebooks import places
from mlops_magics.verbs.auditing import verify
from mlops_magics.verbs.executing import execute
from tests.conftest import need
from tests.targets import sshd


@pytest.fixture
def work(project: Path) -> str:
    cells = [
        new_code_cell("import os\nprint('seen')\nos.system(os.environ.get('IN_MID_RUN', ':'))")
    ]
    nbformat.write(new_notebook(cells=cells), project / "work.ipynb")
    return "work.ipynb"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An SSH server, and fsspec told how to log in there."""
    need("paramiko")
    sshd.need()
    running = sshd.Devices(tmp_path / "ssh")
    options = {"port": running.port, "username": getpass.getuser()}
    options |= {"key_filename": str(running.folder / "user")}
    monkeypatch.setitem(fsspec.config.conf, "sftp", options)
    yield running
    running.stop()


def test_paths_and_uris(project: Path) -> None:
    assert places.find("a/b.ipynb", "n.ipynb") == Path("a/b.ipynb")
    assert places.find("file:///a/b.ipynb", "n.ipynb") == Path("/a/b.ipynb")
    assert places.find("file:///a/", "n.ipynb") == Path("/a/n.ipynb")
    found = places.find("memory://runs/", "n.ipynb")
    assert isinstance(found, places.Remote)
    assert (found.uri, found.name) == ("memory://runs/n.ipynb", "n.ipynb")
    assert found.beside(".html").uri == "memory://runs/n.html"
    assert places.shown("sftp://me:secret@host/a") == "sftp://me@host/a"
    with pytest.raises(WrongUsage, match="names no place"):
        places.find("s4://bucket/a", "n.ipynb")


def test_memory_has_the_notebook_and_its_page_and_nothing_is_left_here(
    work: str, project: Path
) -> None:
    files = fsspec.filesystem("memory")
    done = execute(work, output="memory://runs/today/out", html=True)
    assert (done.output, done.html) == (
        "memory://runs/today/out.ipynb",
        "memory://runs/today/out.html",
    )
    assert done.exit_code == 0
    (project / "copy.ipynb").write_bytes(files.cat_file("/runs/today/out.ipynb"))
    assert verify("copy.ipynb").intact
    assert b"Sealed and intact" in files.cat_file("/runs/today/out.html")
    assert not list(project.glob("executed/*"))


def test_what_takes_no_files_is_refused_before_a_cell_runs(
    work: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IN_MID_RUN", f"touch {project}/ran")
    import zipfile

    with zipfile.ZipFile("there.zip", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(MlopsError, match=r"zip://out.ipynb::there.zip can't be written"):
        execute(work, output="zip://out.ipynb::there.zip")
    assert not (project / "ran").exists()


def test_a_server_has_it_whole_and_one_that_goes_away_loses_nothing(
    work: str, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    done = execute(work, output=f"sftp://127.0.0.1{there}/new/out.ipynb", html=True)
    assert (done.exit_code, done.warnings) == (0, ())
    assert sorted(os.listdir(there / "new")) == ["out.html", "out.ipynb"]
    assert verify(str(there / "new" / "out.ipynb")).intact

    # The one that serves our session goes too, as by a cut line.
    pids = f"$(ps -o pid= --ppid {server.process.pid}) {server.process.pid}"
    monkeypatch.setenv("IN_MID_RUN", f"kill -9 {pids}")
    lost = execute(work, output=f"sftp://127.0.0.1{there}/late.ipynb", html=True)
    assert (lost.status, lost.exit_code) == ("finished", 1)
    assert lost.unwritten == f"sftp://127.0.0.1{there}/late.ipynb"
    assert "can't be written" in lost.warnings[0]
    assert f"It is kept in {lost.output}." in lost.warnings[0]
    assert verify(lost.output).intact
    assert lost.html is not None
    assert Path(lost.html).exists()
    # What was there at the start is whole, and says that nothing has run.
    begun = nbformat.read(there / "late.ipynb", as_version=4)
    assert begun.cells[0].execution_count is None
