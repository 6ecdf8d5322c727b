"""Where code comes from: the git commit and what was changed since."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

#: A diff is kept up to this many characters; a longer one is cut, and the record says so.
DIFF_LIMIT = 1_000_000


def git(folder: Path | None = None) -> dict[str, Any]:
    """The state of the git repository around `folder` (the working directory by default).

    Returns
    -------
    dict
        Empty outside a repository or without git. Otherwise ``root``, ``commit`` (``None`` before
        the first one), ``branch``, ``dirty``, ``diff`` (uncommitted changes of tracked files) and
        ``diff_truncated``; ``untracked`` counts files git does not know.
    """
    where = folder or Path.cwd()
    root = _git(where, "rev-parse", "--show-toplevel")
    if root is None:
        return {}
    commit = _git(where, "rev-parse", "--verify", "--quiet", "HEAD")
    status = (_git(where, "status", "--porcelain", "--untracked-files=normal") or "").splitlines()
    diff = (_git(where, "diff", "--no-ext-diff", "HEAD") or "") if commit else ""
    return {
        "root": root.strip(),
        "commit": commit.strip() if commit else None,
        "branch": (_git(where, "branch", "--show-current") or "").strip(),
        "dirty": any(not line.startswith("??") for line in status),
        "untracked": sum(line.startswith("??") for line in status),
        "diff": diff[:DIFF_LIMIT],
        "diff_truncated": len(diff) > DIFF_LIMIT,
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            capture_output=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")
