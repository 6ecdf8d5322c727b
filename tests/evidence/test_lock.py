"""The environment lock, and what is imported, from metadata on disk alone."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from mlops_magics.evidence import installed, loaded, lock, lockfiles

Install = Callable[..., Path]
ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is all of the path; modules imported from it are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = dict(sys.modules)
    monkeypatch.setattr(sys, "path", [str(folder)])
    yield folder
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Install:
    """Puts a distribution there as an installer would."""

    def write(name: str, version: str, files: dict[str, str], direct: Any = None) -> Path:
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        lines = []
        for path, text in files.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
            lines.append(f"{path},sha256={digest.rstrip('=')},{len(text)}\n")
        if direct:
            (info / "direct_url.json").write_text(json.dumps(direct))
        (info / "RECORD").write_text("".join([*lines, f"{info.name}/RECORD,,\n"]))
        # Two installs may fall into one tick of the clock.
        os.utime(site, (1, len(list(site.iterdir()))))
        return info

    return write


def lines() -> list[str]:
    return [line for line in lock.text().splitlines() if not line.startswith("#")]


def test_everything_installed_is_pinned_and_can_be_read() -> None:
    found = {}
    for line in lines():
        requirement = Requirement(line)
        found[installed.normalised(requirement.name)] = requirement
    told = importlib.import_module("importlib.metadata").distributions()
    assert set(found) == {installed.normalised(d.metadata["Name"]) for d in told}
    assert str(found["pandas"].specifier).startswith("==")


def test_where_a_distribution_came_from(install: Install, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    install("a", "1.0", {}, {"url": f"file://{tmp_path}/mine", "dir_info": {"editable": True}})
    install(
        "b", "1.0", {}, {"url": "file:///gone/b.whl", "archive_info": {"hash": f"sha256={ONE}"}}
    )
    vcs = {"vcs": "git", "commit_id": "abc"}
    direct = {"url": "https://user:pw@host/x.git", "vcs_info": vcs, "subdirectory": "s"}
    install("c", "1.0", {}, direct)
    whl = {"url": "https://host/d-1.0.whl", "archive_info": {"hashes": {"sha256": TWO}}}
    install("d", "1.0+cpu", {}, whl)
    install("e_E", "1.0rc1", {})
    install("f", "1.0ubuntu0~22", {})
    text = lock.text()
    assert lines() == [
        f"a @ file://{tmp_path}/mine",
        "b==1.0",
        f"    # sha256:{ONE}",
        "c @ git+https://host/x.git@abc#subdirectory=s",
        f"d @ https://host/d-1.0.whl#sha256={TWO}",
        f"    # sha256:{TWO}",
        "e-e==1.0rc1",
    ]
    assert "# b: it was installed from file:///gone/b.whl, which is gone." in text
    assert "# f: 1.0ubuntu0~22 is no version that an index knows; left out." in text
    assert "Hashes are known of 2 of 6" in text
    assert "pw" not in text


UV = f"""
version = 1

[[package]]
name = "a"
version = "1.0"
dependencies = [{{ name = "b" }}]
sdist = {{ url = "https://host/a.tar.gz", hash = "sha256:{TWO}", size = 1 }}
wheels = [
    {{ url = "https://host/a.whl", hash = "sha256:{ONE}", size = 1 }},
]
"""
POETRY = f"""
[[package]]
name = "A"
version = "1.0"
files = [
    {{file = "a.whl", hash = "sha256:{ONE}"}},
    {{file = "a.tar.gz", hash = "sha256:{TWO}"}},
]
"""
PYLOCK = f"""
lock-version = "1.0"
[[packages]]
name = "a"
version = "1.0"
[packages.sdist]
hashes = {{sha256 = "{TWO}"}}
[[packages.wheels]]
hashes = {{sha256 = "{ONE}"}}
"""
REQUIREMENTS = f"""
--index-url https://host
a[extra]==1.0 \\
    --hash=sha256:{ONE} \\
    --hash=sha256:{TWO}
b==2.0 ; python_version > "3"
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.lock", UV),
        ("poetry.lock", POETRY),
        ("pylock.toml", PYLOCK),
        ("requirements-dev.txt", REQUIREMENTS),
    ],
)
def test_hashes_of_the_projects_own_lock_file(
    name: str, text: str, install: Install, project: Path
) -> None:
    install("a", "1.0", {})
    (project / name).write_text(text)
    assert lockfiles.hashes(project) == {("a", "1.0"): (f"sha256:{ONE}", f"sha256:{TWO}")}
    assert lines() == ["a==1.0 \\", f"    --hash=sha256:{ONE} \\", f"    --hash=sha256:{TWO}"]
    install("b", "2.0", {})  # one without a hash: pip would refuse the others'
    assert lines() == ["a==1.0", f"    # sha256:{ONE}", f"    # sha256:{TWO}", "b==2.0"]
    (project / name).write_text(text.replace("1.0", "1.1"))
    os.utime(project / name, ns=(1, 1))
    assert lines() == ["a==1.0", "b==2.0"]


def test_lock_files_are_looked_for_up_to_the_project(install: Install, project: Path) -> None:
    install("a", "1.0", {})
    below = project / "notebooks" / "more"
    below.mkdir(parents=True)
    (project / "uv.lock").write_text(UV)
    assert lockfiles.hashes(below) == {}  # nothing says that it is the same project
    (project / "pyproject.toml").write_text("")
    assert ("a", "1.0") in lockfiles.hashes(below)
    (below / "pyproject.toml").write_text("")
    assert lockfiles.hashes(below) == {}


def test_an_install_is_noticed(install: Install, site: Path) -> None:
    install("a", "1.0", {})
    assert lines() == ["a==1.0"]
    (site / "a-1.0.dist-info").rename(site / "a-1.1.dist-info")
    os.utime(site, ns=(5, 5))  # two changes may fall into one tick of the clock
    assert lines() == ["a==1.1"]


def test_what_is_imported(install: Install, site: Path, tmp_path: Path) -> None:
    install("alpha", "1.0", {"alpha_mod/__init__.py": "", "alpha_mod/part.py": ""})
    install("beta", "1.0", {"beta_mod.py": ""})
    install("left", "1.0", {"shared/left.py": ""})
    install("right", "1.0", {"shared/right.py": ""})
    project = tmp_path / "mine"
    project.mkdir()
    (project / "gamma_mod.py").write_text("")
    install("gamma", "1.0", {}, {"url": f"file://{project}", "dir_info": {"editable": True}})
    (site / "by_hand.py").write_text("x = 1")
    sys.path.append(str(project))
    for name in ("alpha_mod.part", "shared.right", "gamma_mod", "by_hand"):
        importlib.import_module(name)
    found = loaded.loaded()
    assert found.distributions == ("alpha", "gamma", "right")
    by_hand = next(m for m in found.modules if m.name == "by_hand")
    assert by_hand.file == str(site / "by_hand.py")
    (site / "by_hand.py").write_text("x = 2")
    os.utime(site / "by_hand.py", (1, 1))
    again = next(m for m in loaded.loaded().modules if m.name == "by_hand")
    assert again.digest != by_hand.digest
    assert lock.describe()["imported"] == ("alpha", "gamma", "right")


def test_a_package_without_metadata_and_one_without_a_record(site: Path) -> None:
    (site / "bare-1.0.dist-info").mkdir()
    (site / "nobodys").mkdir()
    (site / "nobodys" / "__init__.py").write_text("")
    importlib.import_module("nobodys")
    found = lock.describe()
    assert found["unlisted"] == ["bare"]
    assert "nobodys" in [m.name for m in found["modules"]]
    assert lines() == ["bare==1.0"]


def test_a_file_patched_in_place_is_named(install: Install, site: Path) -> None:
    info = install("alpha", "1.0", {"alpha_mod.py": "x = 1\n", "other_mod.py": "y = 1\n"})
    os.utime(info / "RECORD", (1_000_000, 1_000_000))
    (site / "alpha_mod.py").write_text("x = 2\n")  # other_mod.py is younger too, and as recorded
    importlib.import_module("alpha_mod")
    importlib.import_module("other_mod")
    assert loaded.loaded().altered == (str(site / "alpha_mod.py"),)


def test_two_builds_of_one_version_are_told_apart(install: Install, site: Path) -> None:
    info = install("alpha", "1.0", {"alpha_mod.py": "x = 1\n"})
    importlib.import_module("alpha_mod")
    first = lock.describe()["records"]["alpha"]
    with (info / "RECORD").open("a") as record:  # as another installer does
        record.write(f"__pycache__/alpha_mod.pyc,,\n{info.name}/INSTALLER,sha256=uv,2\n")
    os.utime(site, ns=(5, 5))
    assert lock.describe()["records"]["alpha"] == first
    (info / "RECORD").write_text("alpha_mod.py,sha256=other,6\n")
    os.utime(site, ns=(6, 6))
    assert lock.describe()["records"]["alpha"] != first


def test_no_second_process_and_no_import(monkeypatch: pytest.MonkeyPatch) -> None:
    def boom(*_: Any, **__: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", boom)
    before = set(sys.modules)
    lock.text()
    lock.describe()
    assert {m for m in set(sys.modules) - before if not m.startswith(("csv", "_csv"))} == set()


def test_a_requirements_file_that_pins_nothing_has_no_hashes(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pandas\nscikit-learn>=1.6\n")
    assert lockfiles.hashes(tmp_path) == {}
