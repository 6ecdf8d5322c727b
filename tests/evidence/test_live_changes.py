"""Packages that are changed on disk while the process that imported them lives on."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_magics.evidence import live_changes


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path that packages are installed in."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in ("tried_package", "quiet_package"):
        sys.modules.pop(name, None)


def install(folder: Path, name: str, version: str, code: str) -> None:
    for old in folder.glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "RECORD").write_text(f"{name}.py,,\n")
    (folder / f"{name}.py").write_text(code)
    # Two installs within one tick of the clock would look like none.
    stamp = folder.stat().st_mtime_ns
    os.utime(folder, ns=(stamp + 1_000_000, stamp + 1_000_000))
    importlib.invalidate_caches()


def test_an_upgrade_under_the_imported_package(site: Path) -> None:
    install(site, "tried_package", "1.0", "__version__ = '1.0'")
    live_changes.note()
    importlib.import_module("tried_package")
    assert live_changes.found() == []
    install(site, "tried_package", "2.0", "__version__ = '2.0'")
    (change,) = live_changes.found()
    assert change.body() == {"name": "tried-package", "loaded": "1.0", "on_disk": "2.0"}
    assert change.reason == "tried-package 1.0 was loaded, but 2.0 is installed now."


def test_an_upgrade_before_the_import(site: Path) -> None:
    install(site, "tried_package", "1.0", "__version__ = '1.0'")
    live_changes.note()
    install(site, "tried_package", "2.0", "__version__ = '2.0'")
    importlib.import_module("tried_package")
    assert live_changes.found() == []


def test_one_that_was_removed(site: Path) -> None:
    install(site, "quiet_package", "1.0", "")
    importlib.import_module("quiet_package")
    live_changes.note()
    shutil.rmtree(site / "quiet_package-1.0.dist-info")
    os.utime(site, ns=(1, 1))
    (change,) = live_changes.found()
    assert change.reason == "quiet-package 1.0 was loaded, but it has been uninstalled since."


def test_one_that_is_not_imported(site: Path) -> None:
    install(site, "tried_package", "1.0", "")
    live_changes.note()
    install(site, "tried_package", "2.0", "")
    assert live_changes.found() == []
