"""A package: what is in it, that it is proven, and that it is all there or not at all."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mlops_magics.errors import BadData, NotIntact, StepFailed, WrongUsage
from mlops_magics.flavors import digest
from mlops_magics.serving import manifest
from mlops_magics.serving.package import assembling, comparing, isolation, lock
from tests.serving import models


def pins(package: Path) -> dict[str, str]:
    lines = (package / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines)


def test_what_is_in_it(package: Path, model: Path) -> None:
    made = manifest.checked(package)
    assert made.model == "credit/1"
    assert made.model_digest == digest(model)
    names = set(made.files)
    assert {"Dockerfile", "README.md", "requirements.txt", "model/MLmodel"} <= names
    assert {"mlops_magics/serving/app.py", "mlops_magics/flavors/sklearn.py"} <= names
    # What only the project's own side needs stays at home.
    assert not any("client.py" in n or "captured.py" in n or "/package/" in n for n in names)
    assert not any(n.startswith(("mlops_magics/store", "mlops_magics/verbs")) for n in names)
    assert all((package / n).stat().st_mode & 0o777 == 0o644 for n in names)


def test_requirements_are_exact_and_complete(package: Path) -> None:
    found = pins(package)
    names = {canonicalize_name(n) for n in found}
    assert {"scikit-learn", "skops", "starlette", "uvicorn", "pandas", "pyyaml"} <= names
    assert not {"mlflow", "mlops-magics", "ipython", "jupyterlab", "httpx"} & names
    for name, version in found.items():
        assert metadata.version(name) == version
        for line in metadata.requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in names, (name, line)


def test_the_same_twice(package: Path, model: Path, tmp_path: Path) -> None:
    again = models.package(model, tmp_path / "elsewhere" / "other-name")
    assert manifest.read(again).digest == manifest.read(package).digest
    assert manifest.read(again).files == manifest.read(package).files


def test_the_dockerfile(package: Path) -> None:
    text = (package / "Dockerfile").read_text().replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    words = [step[0] for step in steps]
    assert steps[0] == ["FROM", "python:3.11-slim"]
    # Not root, and before anything that runs.
    assert words.index("USER") < words.index("CMD")
    user = dict(steps)["USER"]
    assert user not in ("root", "0")
    # Requirements are installed before the rest is copied: a new model rebuilds only a layer.
    assert words.index("RUN") < len(words) - 1 - words[::-1].index("COPY")
    command = json.loads(dict(steps)["CMD"])  # exec form: signals reach the server itself
    assert command[:3] == ["python", "-m", "mlops_magics.serving"]
    health = re.search(r"CMD (\[.*\])", dict(steps)["HEALTHCHECK"])
    assert health is not None
    compile(json.loads(health[1])[2], "healthcheck", "exec")
    assert "/ping" in health[1]
    assert dict(steps)["STOPSIGNAL"] == "SIGTERM"
    # The command's options are ones that the server has.
    done = subprocess.run(
        [sys.executable, "-m", "mlops_magics.serving", *command[3:], "--replay"],
        cwd=package,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == manifest.answers(package), done.stderr


@pytest.mark.parametrize("how", ["changed", "missing", "added"])
def test_altered_it_is_not_opened(how: str, package: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    file = copy / "model" / ("extra.txt" if how == "added" else "model.skops")
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(b"something else")
    with pytest.raises(NotIntact, match=rf"{file.name} (was|is) {how}"):
        manifest.checked(copy)
    done = subprocess.run(
        [sys.executable, "-m", "mlops_magics.serving", str(copy), "--port", "0"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 5
    assert "is not as it was made" in done.stderr


def test_byte_code_is_no_change(package: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    (copy / "mlops_magics" / "__pycache__").mkdir(exist_ok=True)
    (copy / "mlops_magics" / "__pycache__" / "errors.pyc").write_bytes(b"")
    assert manifest.checked(copy).model == "credit/1"


def test_current_or_not(package: Path, model: Path, tmp_path: Path) -> None:
    assert assembling.is_current(package, digest(model))
    assert not assembling.is_current(package, "sha256:other")
    assert not assembling.is_current(tmp_path, digest(model))


def test_it_takes_the_place_of_an_older_one(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "packages" / "credit-1"
    models.package(model, place)
    (place / "mine.txt").write_text("left here")
    models.package(model, place)
    assert manifest.checked(place).model == "credit/1"
    assert [p.name for p in place.parent.iterdir()] == ["credit-1"]


def test_what_is_no_package_is_not_replaced(model: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("ten years of work")
    with pytest.raises(WrongUsage, match="exists and is no package"):
        models.package(model, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "ten years of work"


OURS = """
import sys

def fails(a):
    if "mlflow" not in sys.modules:  # as in a server
        raise RuntimeError("only where it was trained")
    return a

def turns(a):
    return a if "mlflow" in sys.modules else -a

def needs(a):
    import rich.table
    return a
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Saves a model that holds a function of the user's own module."""
    name = f"ours_{tmp_path.name.replace('-', '_')}"  # modules are cached by name
    (tmp_path / f"{name}.py").write_text(OURS)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(name)

    def save(function: str) -> Path:
        X = np.abs(np.random.default_rng(0).normal(size=(30, 2)))
        transformer = FunctionTransformer(getattr(module, function))
        model = make_pipeline(transformer, LogisticRegression())
        return models.save(model.fit(X, X[:, 0] > X[:, 1]), X, tmp_path / "model")

    return save


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("fails", "does not answer the input example: .*The model failed"),
        ("turns", r"answers differently from the model: predictions \d: "),
    ],
)
def test_nothing_is_left_of_a_package_that_fails_its_replay(
    function: str, words: str, small: Any, tmp_path: Path
) -> None:
    with pytest.raises(StepFailed, match=words):
        models.package(small(function), tmp_path / "packages" / "x-1")
    assert list((tmp_path / "packages").iterdir()) == []


def test_a_need_that_the_model_did_not_tell_is_found(small: Any, tmp_path: Path) -> None:
    package = models.package(small("needs"), tmp_path / "x-1")
    assert "rich" in pins(package)
    assert manifest.read(package).warnings == (
        "The model did not say that it needs rich; the replay found it.",
    )


def test_another_version_than_the_trained_one_is_kept_and_said(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    lines = (copy / "requirements.txt").read_text()
    (copy / "requirements.txt").write_text(re.sub(r"skops==.*", "skops==0.1", lines))
    package = models.package(copy, tmp_path / "x-1")
    assert pins(package)["skops"] == "0.1"
    assert manifest.read(package).warnings[0].startswith("The model was trained with skops 0.1;")


def test_a_model_without_an_example_is_packaged_and_not_replayed(
    model: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    meta = yaml.safe_load((copy / "MLmodel").read_text())
    meta["saved_input_example_info"] = None
    (copy / "MLmodel").write_text(yaml.safe_dump(meta))
    about = {"model": "credit/1", "run_id": "", "commit": "", "created": ""}
    made, replayed = assembling.assemble(copy, tmp_path / "x-1", about, "3.11")
    assert not replayed
    assert manifest.EXAMPLE not in made.files


def test_the_replay_sees_nothing_but_the_locked_packages(package: Path) -> None:
    names = {canonicalize_name(n) for n in pins(package)}
    assert isolation.replay(package, names).code == 0
    done = isolation.replay(package, names - {"joblib"})
    assert done.code != 0
    assert done.missing == "joblib"


def test_a_package_that_is_not_installed() -> None:
    with pytest.raises(BadData, match="'no-such-package', which is not installed"):
        lock.lock(["no-such-package==1.0"])
    with pytest.raises(BadData, match="can't be read"):
        lock.lock(["==1"])


def test_extras_bring_what_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {
        "made-up-a": ["made-up-b[fast] >= 1", "made-up-d; python_version < '3'"],
        "made-up-b": ["made-up-c; extra == 'fast'", "made-up-d; extra == 'slow'"],
        "made-up-c": ["made-up-a"],  # in a circle
        "made-up-d": [],
    }
    for name, lines in needs.items():
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        required = "".join(f"Requires-Dist: {line}\n" for line in lines)
        extras = "Provides-Extra: fast\nProvides-Extra: slow\n"
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{extras}{required}"
        )
    monkeypatch.syspath_prepend(tmp_path)
    assert lock.lock(["made-up-a==1.0"]).text() == (
        "made-up-a==1.0\nmade-up-b==1.0\nmade-up-c==1.0\n"
    )
    assert lock.lock(["made-up-b"]).names == {"made-up-b"}


@pytest.mark.parametrize(
    ("expected", "got", "words"),
    [
        ([0.1 + 0.2, "a", None], [0.3, "a", None], ""),
        ({"p": [1, 2]}, {"p": [1, 2]}, ""),
        ({"p": [1.0, 2.0]}, {"p": [1.0, 2.5]}, "p 2: 2.5 instead of 2.0"),
        ({"p": [1]}, {"p": [1], "q": 2}, "q: 2 instead of None"),
        ([1, 2], [1], ": [1] instead of [1, 2]"),
        (["good"], ["bad"], "1: 'bad' instead of 'good'"),
    ],
)
def test_answers_compared(expected: Any, got: Any, words: str) -> None:
    assert comparing.differs(expected, got) == words
