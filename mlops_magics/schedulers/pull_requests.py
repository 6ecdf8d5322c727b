"""What a CI system does with a pull request: train, judge, tell, keep.

The Markdown of a verdict is what the command line adds to the summary of a job; here it gets a
file of its own for that, which the comment and the summary are then made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_magics.errors import UnknownName
from mlops_magics.schedulers import documents, github, quoting
from mlops_magics.schedulers.base import number

#: Where everything that is kept of a run goes.
KEPT = "mlops-ci"

_TRAINED = (
    "import json, sys; steps = json.load(sys.stdin)['steps']; "
    "print(next((s.get('model') or '' for s in reversed(steps) if s['verb'] == 'train'), ''))"
)
_JUDGE = f"""\
model=$(python -c "{_TRAINED}" < {KEPT}/execution.json)
[ -n "$model" ] || {{ echo "The notebook trained no model." >&2; exit 1; }}
GITHUB_STEP_SUMMARY={KEPT}/verdict.md mlops validate "$model" --junit {KEPT}/verdict.xml
"""
#: The first line of the comment, by which it is found again.
SIGN = "<!-- mlops: verdict -->"
_TELL = f"""\
mkdir -p {KEPT}
{{
  echo '{SIGN}'
  cat {KEPT}/verdict.md 2>/dev/null || echo 'There is no verdict: the log says what failed.'
}} > {KEPT}/comment.md
cat {KEPT}/comment.md >> "$GITHUB_STEP_SUMMARY"
"""
# A comment holds 65,536 characters.
_COMMENT = f"""\
head -c 60000 {KEPT}/comment.md > {KEPT}/body.md
comments="repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments"
ours='.[] | select(.user.login == "github-actions[bot]")'
ours="$ours | select(.body | startswith(\\"{SIGN}\\")) | .id"
id=$(gh api --paginate "$comments" --jq "$ours" | head -n 1)
if [ -n "$id" ]; then
  gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -F body=@{KEPT}/body.md
else
  gh api --method POST "$comments" -F body=@{KEPT}/body.md
fi
"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the workflow is made of.

    Attributes
    ----------
    command : tuple of str
        The words behind ``mlops`` that execute the training notebook.
    folder, top : Path
        The project's folder and the repository's.
    """

    command: tuple[str, ...]
    folder: Path
    top: Path
    options: Mapping[str, str] = field(default_factory=dict)

    def take(self, *known: str) -> None:
        """Refuse options that are none of these."""
        for name in self.options:
            if name not in known:
                raise UnknownName("option", name, known)

    @property
    def train(self) -> str:
        """Executes the notebook."""
        kept = ("--output", f"{KEPT}/", "--html", "--json")
        [line] = quoting.lines(("mlops",), [(*self.command, *kept)])
        return f"mkdir -p {KEPT}\n{line} > {KEPT}/execution.json\n"


@dataclass(frozen=True, kw_only=True)
class Made:
    """A workflow, and where in the repository it goes."""

    text: str
    place: str


def for_github(asked: Asked) -> Made:
    """A workflow of GitHub Actions with no more rights than the comment needs."""
    asked.take("python", "install", "secrets", "runner", "timeout")
    request = "github.event.pull_request"
    always = "!cancelled()"
    # A fork's token may only read.
    own = f"{request}.head.repo.full_name == github.repository"
    kept = (asked.folder / KEPT).relative_to(asked.top).as_posix()
    options = asked.options
    steps: list[dict[str, Any]] = [
        *github.prepared(asked.folder, asked.top, options),
        {"name": "Train", "run": quoting.github(asked.train)},
        {"name": "Judge against the champion", "run": _JUDGE},
        {"name": "Summary", "if": always, "run": _TELL},
        {
            "name": "Comment",
            "if": f"{always} && {own}",
            "env": {"GH_TOKEN": _given("github.token"), "NUMBER": _given(f"{request}.number")},
            "run": _COMMENT,
        },
        {
            "name": "Keep",
            "if": always,
            "uses": "actions/upload-artifact@v4",
            "with": {"name": KEPT, "path": quoting.github(f"{kept}/"), "if-no-files-found": "warn"},
        },
    ]
    job = {
        "runs-on": quoting.github(options.get("runner", "ubuntu-latest")),
        "timeout-minutes": number(options, "timeout", 60),
        "permissions": {"contents": "read", "pull-requests": "write"},
        "env": github.secrets(options),
        "steps": steps,
    }
    content = {
        "name": "mlops verdict",
        "on": {"pull_request": None},
        "permissions": {"contents": "read"},
        # A newer commit of the request makes the older one's run needless.
        "concurrency": {
            "group": f"mlops-verdict-{_given(f'{request}.number')}",
            "cancel-in-progress": True,
        },
        **github.directory(asked.folder, asked.top),
        "jobs": {"verdict": job},
    }
    return Made(text=documents.dump(content), place=".github/workflows/mlops-verdict.yml")


def for_gitlab(asked: Asked) -> Made:
    """A job of GitLab's: the verdict as a test report, everything else as artifacts."""
    asked.take("image", "install")
    folder = asked.folder.relative_to(asked.top).as_posix()
    found = github.needs(asked.folder)
    cache: dict[str, Any] = {"paths": [".cache/pip"]}
    if found:
        cache["key"] = {"files": [found if folder == "." else f"{folder}/{found}"]}
    below = "" if folder == "." else f"{folder}/"
    enter = [] if folder == "." else [quoting.lines(("cd",), [(folder,)])[0]]
    job = {
        "image": asked.options.get("image", "python:3.12"),
        "rules": [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}],
        "variables": {"PIP_CACHE_DIR": "$CI_PROJECT_DIR/.cache/pip"},
        "cache": cache,
        "script": [
            *enter,
            asked.options.get("install") or github.installing(asked.folder),
            asked.train,
            _JUDGE,
        ],
        "artifacts": {
            "when": "always",
            "paths": [f"{below}{KEPT}/"],
            "reports": {"junit": f"{below}{KEPT}/verdict.xml"},
        },
    }
    return Made(text=documents.dump({"mlops verdict": job}), place=".gitlab-ci.yml")


def _given(expression: str) -> str:
    return f"${{{{ {expression} }}}}"


SYSTEMS: Mapping[str, Callable[[Asked], Made]] = {"github": for_github, "gitlab": for_gitlab}
