"""`init --ci`: valid workflows, whose steps do what they are for when a shell runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

import mlops_magics as mlops
from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.schedulers import pull_requests
from tests.schedulers import reading
from tests.schedulers.test_schedule_files import check_schema
from tests.verbs import governed

TRAIN = """\
import warnings

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

%load_ext mlops_magics
warnings.simplefilter("ignore")
loans = pd.read_csv(data)[["Seniority", "Time", "Age", "Amount", "Price", "Status"]].dropna()
%prepare loans --name credit --target Status --positive bad
"""
FIT = """\
%%train credit
model = make_pipeline(features, LogisticRegression(C=c)).fit(X_train, y_train)
"""
#: In GitHub's place: keeps comments in a file, and takes the options that the step gives.
GH = """\
#!{python}
import json, os, pathlib, sys
from sys import argv
file = pathlib.Path({file!r})
kept = json.loads(file.read_text()) if file.exists() else []
method = argv[argv.index("--method") + 1] if "--method" in argv else "GET"
assert argv[1] == "api" and os.environ["GH_TOKEN"] == "secret"
if method == "GET":
    assert argv[argv.index("--jq") + 1].startswith(".[] | select(.user.login")
    assert "repos/ada/credit/issues/7/comments" in argv
    print("\\n".join(str(i) for i, body in enumerate(kept, 1) if body.startswith({sign!r})))
    sys.exit()
body = pathlib.Path(argv[argv.index("-F") + 1].removeprefix("body=@")).read_text()
if method == "POST":
    assert argv[4] == "repos/ada/credit/issues/7/comments"
    kept.append(body)
else:
    head, number = argv[4].rsplit("/", 1)
    assert (method, head) == ("PATCH", "repos/ada/credit/issues/comments")
    kept[int(number) - 1] = body
file.write_text(json.dumps(kept))
"""


@pytest.fixture
def repository(project: Path, credit_csv: Path) -> Path:
    """A git project with a training notebook, goals and what it needs."""
    subprocess.run(["git", "init", "-q", "."], check=True)
    cells: list[Any] = [
        nbformat.v4.new_code_cell(
            'data: str = ""\nc: float = 1.0', metadata={"tags": ["parameters"]}
        ),
        nbformat.v4.new_code_cell(TRAIN),
        nbformat.v4.new_code_cell(FIT),
    ]
    spec = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    book = nbformat.v4.new_notebook(cells=cells, metadata=spec)
    nbformat.write(book, project / "train.ipynb")
    (project / "loans 5%.csv").write_bytes(credit_csv.read_bytes())
    (project / "requirements.txt").write_text("mlops_magics\n")
    (project / "goals.txt").write_text("roc_auc >= 0.55\nroc_auc >= champion - 0.05\n")
    (project / "mlops.toml").write_text('goals = "goals.txt"\n')
    return project


PARAMS = {"data": "loans 5%.csv", "c": "0.5"}


def test_github_takes_the_workflow(repository: Path) -> None:
    options = {"secrets": "DATA_KEY", "timeout": "20"}
    written = mlops.init(ci="github", params=PARAMS, options=options)
    file = Path(written.path)
    assert file == repository / ".github" / "workflows" / "mlops-verdict.yml"
    check_schema("vendor.github-workflows", file)
    content = yaml.safe_load(file.read_text())
    job = content["jobs"]["verdict"]
    assert content["permissions"] == {"contents": "read"}
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "pull_request_target" not in file.read_text()  # whose code would see the secrets
    assert job["env"]["DATA_KEY"] == "${{ secrets.DATA_KEY }}"
    steps = {s.get("name", s.get("uses")): s for s in job["steps"]}
    assert steps["actions/setup-python@v6"]["with"]["cache"] == "pip"
    assert "head.repo.full_name == github.repository" in steps["Comment"]["if"]
    assert steps["Keep"]["if"] == "!cancelled()"
    mlops.init(ci="github", params=PARAMS)  # ours, and not edited
    file.write_text(file.read_text().replace("3.12", "3.13"))
    with pytest.raises(WrongUsage, match="was edited"):
        mlops.init(ci="github", params=PARAMS)


def test_gitlab_takes_the_job(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(mlops.init(ci="gitlab", params=PARAMS).path)
    assert file == repository / ".gitlab-ci.yml"
    check_schema("vendor.gitlab-ci", file)
    [job] = yaml.safe_load(file.read_text()).values()
    assert job["cache"]["key"] == {"files": ["requirements.txt"]}
    assert job["artifacts"]["reports"]["junit"] == "mlops-ci/verdict.xml"
    below = repository / "models"
    below.mkdir()
    for name in ("train.ipynb", "mlops.toml"):
        (repository / name).rename(below / name)
    monkeypatch.chdir(below)
    file = Path(mlops.init(ci="gitlab", params=PARAMS, output="../other.yml").path)
    check_schema("vendor.gitlab-ci", file)
    [job] = yaml.safe_load(file.read_text()).values()
    assert job["script"][0] == "cd models"
    assert job["artifacts"]["paths"] == ["models/mlops-ci/"]


def test_what_the_notebook_would_refuse_is_refused_at_once(repository: Path) -> None:
    with pytest.raises(UnknownName, match=r"'dta'.*'data'"):
        mlops.init(ci="github", params={"dta": "x"})
    with pytest.raises(WrongUsage, match="needs data"):
        mlops.init(ci="github", notebook="train")  # the shipped one
    with pytest.raises(UnknownName, match=r"no CI system 'githb'.*'github'"):
        mlops.init(ci="githb")
    with pytest.raises(UnknownName, match="no option 'image'"):
        mlops.init(ci="github", params=PARAMS, options={"image": "x"})
    with pytest.raises(UnknownName, match=r"no notebook 'trian\.ipynb'"):
        mlops.init(ci="github", notebook="trian.ipynb")
    assert not (repository / ".github").exists()


class Runner:
    """Runs the steps of the workflow as GitHub's runner does: by bash -e, those that are due."""

    def __init__(self, repository: Path, scratch: Path, *, fork: bool = False) -> None:
        file = repository / ".github" / "workflows" / "mlops-verdict.yml"
        steps = yaml.safe_load(file.read_text())["jobs"]["verdict"]["steps"]
        self.steps = [s for s in steps if "run" in s and s["name"] != "Install"]
        self.repository, self.fork = repository, fork
        self.summary, self.comments = scratch / "summary.md", scratch / "comments.json"
        program = scratch / "gh"
        told = {"python": sys.executable, "file": str(self.comments), "sign": pull_requests.SIGN}
        program.write_text(GH.format(**told))
        program.chmod(0o755)
        self.summary.write_text("")
        own = Path(sys.executable).parent
        self.environment = {
            **os.environ,
            "PATH": f"{scratch}:{own}:{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_REPOSITORY": "ada/credit",
            "MLFLOW_TRACKING_URI": "",  # an unset secret
        }
        self.known = {"github.token": "secret", "github.event.pull_request.number": "7"}

    def run(self, but: str = "") -> dict[str, int]:
        """The exit code of each step that ran; one is taken as done."""
        codes: dict[str, int] = {}
        for step in self.steps:
            condition = step.get("if", "")
            if (
                step["name"] == but
                or (any(codes.values()) and "!cancelled()" not in condition)
                or (self.fork and "head.repo" in condition)
            ):
                continue
            given = {k: self._expanded(v) for k, v in step.get("env", {}).items()}
            codes[step["name"]] = subprocess.run(
                ["bash", "-e", "-c", reading.expanded(step["run"])],
                cwd=self.repository,
                env={**self.environment, **given},
            ).returncode
        return codes

    def _expanded(self, text: str) -> str:
        for name, value in self.known.items():
            text = text.replace(f"${{{{ {name} }}}}", value)
        return text


@pytest.mark.slow
def test_the_steps_train_judge_and_tell(
    repository: Path, tmp_path: Path, names: dict[str, Any]
) -> None:
    """Passed, then found wanting, then a notebook that fails; one comment for all."""
    champion = governed.train(names)
    mlops.promote(champion.ref, override="to have one")
    mlops.init(ci="github", params=PARAMS)
    runner = Runner(repository, tmp_path)
    assert set(runner.run().values()) == {0}
    [comment] = json.loads(runner.comments.read_text())
    assert comment.startswith(f"{pull_requests.SIGN}\n")
    assert "credit/2" in comment
    assert "passed" in comment
    assert comment in runner.summary.read_text()
    kept = repository / pull_requests.KEPT
    assert mlops.verify(kept / "train.ipynb").intact
    assert "<testsuite" in (kept / "verdict.xml").read_text()

    (repository / "goals.txt").write_text("roc_auc >= champion + 0.2\n")
    mlops.validate("credit/2", goals="goals.txt")  # what is judged by from now on
    (kept / "verdict.md").unlink()
    codes = Runner(repository, tmp_path).run(but="Train")
    assert codes == {"Judge against the champion": 3, "Summary": 0, "Comment": 0}
    [comment] = json.loads(runner.comments.read_text())
    assert "champion + 0.2" in comment
    assert "failed" in comment

    book = (repository / "train.ipynb").read_text()
    (repository / "train.ipynb").write_text(book.replace("import warnings", "1 / 0"))
    for old in kept.iterdir():
        old.unlink()  # a checkout is fresh
    codes = Runner(repository, tmp_path, fork=True).run()
    assert codes == {"Train": 1, "Summary": 0}
    assert "There is no verdict" in (tmp_path / "summary.md").read_text()
    assert len(json.loads(runner.comments.read_text())) == 1
