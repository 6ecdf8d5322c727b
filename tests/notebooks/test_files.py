"""Notebook files: found, read, and written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from mlops_magics.errors import BadData, MlopsError, UnknownName
from mlops_magics.notebooks import files


def put(path: Path, source: str = "1") -> Path:
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), path)
    return path


def test_find_by_path_with_and_without_suffix(project: Path) -> None:
    put(project / "a.ipynb")
    assert files.find("a.ipynb") == files.find("a") == files.find(str(project / "a.ipynb"))


def test_a_shipped_template_by_name() -> None:
    assert files.find("train").name == "train.ipynb"
    assert set(files.templates()) == {"train", "validate", "monitor"}


def test_a_file_comes_before_a_template(project: Path) -> None:
    put(project / "train.ipynb")
    assert files.find("train.ipynb").parent == project


def test_missing_is_answered_with_the_nearest(project: Path) -> None:
    put(project / "credit_risk.ipynb")
    with pytest.raises(UnknownName, match=r"Did you mean 'credit_risk.ipynb'"):
        files.find("credit_rsk.ipynb")
    with pytest.raises(UnknownName, match=r"Did you mean 'train'"):
        files.find("trian")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a notebook"),
        ("hello", "not a notebook"),
        ("{}", "not a notebook"),
        ("[]", "not a notebook"),
        ('{"cells": 5, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "not a notebook"),
        ('{"cells": [{}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "not a notebook"),
    ],
)
def test_not_a_notebook(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.ipynb"
    file.write_text(text)
    with pytest.raises(BadData, match=said):
        files.read(file)


def test_not_text(tmp_path: Path) -> None:
    file = tmp_path / "x.ipynb"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadData, match="can't be read"):
        files.read(file)


def test_an_old_notebook_gets_ids(tmp_path: Path) -> None:
    file = tmp_path / "old.ipynb"
    cell = {"cell_type": "code", "metadata": {}, "source": ["1\n", "2"], "outputs": []}
    old = {"cells": [{**cell, "execution_count": None}], "metadata": {}, "nbformat": 4}
    file.write_text(json.dumps({**old, "nbformat_minor": 2}))
    read = files.read(file)
    assert read.nbformat_minor == 5
    assert read.cells[0].id
    assert read.cells[0].source == "1\n2"


def test_write_replaces_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "new" / "x.ipynb"
    files.write(file, b"one")
    files.write(file, b"two")
    assert file.read_bytes() == b"two"
    assert os.listdir(file.parent) == ["x.ipynb"]
    assert file.stat().st_mode & 0o600 == 0o600


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "folder" / "x.ipynb"
    files.write(file, b"old")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(MlopsError, match=r"can't be written: No space left on device. Make room"):
        files.write(file, b"new")
    assert file.read_bytes() == b"old"
    assert os.listdir(file.parent) == ["x.ipynb"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 256 kB, where this machine lets us mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here; the injected fault is tested above")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    file = small_disk / "x.ipynb"
    files.write(file, b"old")
    with pytest.raises(MlopsError, match="No space left on device"):
        files.write(file, b"x" * 1_000_000)
    assert file.read_bytes() == b"old"
    assert os.listdir(small_disk) == ["x.ipynb"]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(MlopsError, match="Choose another place with --output"):
        files.write(tmp_path / "x" / "y.ipynb", b"")


def test_dumps_what_utf8_can_not_hold() -> None:
    assert json.loads(files.dumps({"a": "\ud800"})) == {"a": "\ud800"}
