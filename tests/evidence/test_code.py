"""The state of a git repository: exact, bounded, and empty where there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.evidence import code


def run(*words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run(["git", *who, *words], check=True, capture_output=True)


@pytest.fixture
def repository(project: Path) -> Path:
    """A repository on branch `work` with one commit of one file."""
    run("init", "-q", "-b", "work")
    (project / "train.py").write_text("C = 1\n")
    run("add", ".")
    run("commit", "-qm", "first")
    return project


def test_no_repository() -> None:
    assert code.git() == {}


def test_no_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert code.git() == {}


def test_clean(repository: Path) -> None:
    found = code.git()
    assert found["root"] == str(repository)
    assert len(found["commit"]) == 40
    assert found["branch"] == "work"
    assert not found["dirty"]
    assert (found["diff"], found["diff_truncated"], found["untracked"]) == ("", False, 0)


def test_a_repository_without_a_commit(project: Path) -> None:
    run("init", "-q", "-b", "work")
    (project / "new.py").write_text("1\n")
    found = code.git()
    assert (found["commit"], found["branch"]) == (None, "work")
    assert (found["untracked"], found["diff"]) == (1, "")
    run("add", ".")
    assert code.git()["dirty"]


def test_changes_from_a_folder_below(repository: Path) -> None:
    (repository / "train.py").write_text("C = 2\n")
    (repository / "new.py").write_text("1\n")
    (below := repository / "below").mkdir()
    found = code.git(below)
    assert found["dirty"]
    assert "-C = 1\n+C = 2\n" in found["diff"]
    assert found["untracked"] == 1
    assert found["diff_notes"] == []


def test_a_renamed_file_and_a_detached_head(repository: Path) -> None:
    run("checkout", "-q", "--detach")
    run("mv", "train.py", "a name with spaces.py")
    found = code.git()
    assert found["branch"] == ""
    assert found["dirty"]
    assert "rename to a name with spaces.py" in found["diff"]


def test_a_binary_file_is_named_only(repository: Path) -> None:
    (repository / "model.bin").write_bytes(bytes(range(256)))
    run("add", ".")
    run("commit", "-qm", "binary")
    (repository / "model.bin").write_bytes(bytes(reversed(range(256))))
    found = code.git()
    assert "Binary files a/model.bin and b/model.bin differ" in found["diff"]
    assert not found["diff_truncated"]


def test_a_long_diff_is_cut_and_git_stopped(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "DIFF_LIMIT", 100_000)
    (repository / "train.py").write_text("".join(f"x{i} = {i}\n" for i in range(100_000)))
    ended: list[Any] = []
    real = subprocess.Popen.wait

    def wait(process: Any, *options: Any, **more: Any) -> Any:
        ended.append((process.args, real(process, *options, **more)))
        return ended[-1][1]

    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    found = code.git()
    assert len(found["diff"]) == 100_000
    assert found["diff_truncated"]
    assert found["diff_notes"] == [
        "The recorded diff is cut: only its first 100,000 bytes are kept."
    ]
    assert any("diff" in words and status == -9 for words, status in ended)


def test_a_file_of_50_mb_is_named_and_the_rest_kept(repository: Path) -> None:
    data = repository / "data [1].csv"
    data.write_bytes(b"1,2,3,4\n" * 10)
    run("add", ".")
    run("commit", "-qm", "data")
    data.write_bytes(b"5,6,7,8,9\n" * 5_000_000)
    (repository / "train.py").write_text("C = 2\n")
    found = code.git()
    assert found["diff_truncated"]
    assert found["diff_notes"] == [
        "data [1].csv (50 MB) was changed and is too large for the recorded diff."
    ]
    assert "+C = 2\n" in found["diff"]
    assert "data" not in found["diff"]
    assert len(found["diff"]) < 1000


def test_a_deleted_file_of_50_mb(repository: Path) -> None:
    data = repository / "data.csv"
    data.write_bytes(b"5,6,7,8,9\n" * 5_000_000)
    run("add", ".")
    run("commit", "-qm", "data")
    data.unlink()
    found = code.git()
    assert "deleted file" in found["diff"]
    assert len(found["diff"]) < 1000


def test_a_file_of_50_mb_that_became_small(repository: Path) -> None:
    data = repository / "data.csv"
    data.write_bytes(b"5,6,7,8,9\n" * 5_000_000)
    run("add", ".")
    run("commit", "-qm", "data")
    data.write_bytes(b"5,6\n")
    assert "Binary files a/data.csv and b/data.csv differ" in code.git()["diff"]


def test_more_changed_files_than_a_command_names(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "_NAMED", 2)
    names = [f"f{i}.py" for i in range(4)]
    for name in names:
        (repository / name).write_text("1\n")
    run("add", ".")
    run("commit", "-qm", "more")
    for name in names:
        (repository / name).write_text("2\n")
    (repository / "f3.py").write_bytes(b"5,6,7,8,9\n" * 1_000_000)
    found = code.git()
    assert found["diff"].count("+2\n") == 3
    assert found["diff_notes"] == [
        "f3.py (10 MB) was changed and is too large for the recorded diff."
    ]
