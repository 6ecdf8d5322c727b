"""`package --as onnx`, from a registered version: proven, small, and running on its own."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mlops_magics as mlops
from mlops_magics import flavors, settings, store
from mlops_magics.doors import cli
from mlops_magics.errors import BadData, MissingExtra, StepFailed, WrongUsage
from mlops_magics.serving import manifest
from tests.conftest import need

for _module in ("onnx", "onnxruntime", "skl2onnx"):
    need(_module)


@pytest.fixture
def train(credit_csv: Path) -> Callable[[Any], str]:
    """Trains an estimator behind the ready transformer, on all columns of the credit data."""
    from sklearn.pipeline import make_pipeline

    def run(estimator: Any) -> str:
        mlops.prepare(str(credit_csv), name="applicants", target="Status")
        dataset = store.datasets.find("applicants")
        train_rows, test_rows = store.datasets.frames(dataset)
        from mlops_magics.evidence import features

        X, y = train_rows.drop(columns="Status"), train_rows["Status"]
        X_test, y_test = test_rows.drop(columns="Status"), test_rows["Status"]  # noqa: F841
        with mlops.train("credit") as open_run:
            model = make_pipeline(features.transformer(train_rows, "Status"), estimator)
            model.fit(X, y)
        assert open_run.record is not None
        assert open_run.record.model is not None
        return open_run.record.model

    return run


def logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=500)


def run(folder: str, rows: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "run.py", *options],
        cwd=folder,
        input=rows,
        capture_output=True,
        text=True,
    )


def test_a_bundle_runs_on_its_own(
    train: Callable[[Any], str], credit: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    model = train(logistic())
    assert cli.main(["package", "credit", "--as", "onnx", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["model"], record["kind"], record["replayed"]) == (model, "onnx", True)
    assert record["path"] == str(settings.load().state / "packages" / "credit-1-onnx")
    place = Path(record["path"])
    made = manifest.checked(place)
    assert {f for f in made.files if not f.startswith("web/")} == {
        "README.md", "expected_answers.json", "input_example.json", "model.onnx", "parity.json",
        "requirements.txt", "run.py", "signature.json",
    }  # fmt: skip
    parity = record["measured"]["parity"]
    assert (parity["rows"], parity["labels_equal"]) == (len(credit), 1.0)
    assert parity["largest"] < 1e-9
    assert record["measured"]["latency"]["after"]["p50_ms"] > 0
    assert json.loads((place / "parity.json").read_text())["reference"].startswith("all 4,454 rows")
    assert len((place / "requirements.txt").read_text().splitlines()) == 2
    # In a process of its own, on rows with missing text and numbers.
    rows = credit[credit.isna().any(axis=1)].head(300)
    done = run(record["path"], rows.to_csv(index=False))
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    path = store.versions.local_path(store.versions.resolve(model))
    expected = flavors.load(path).predict(rows)
    assert [a["prediction"] for a in answers] == expected.tolist(), done.stderr
    lines = "\n".join(rows.to_json(orient="records", lines=True).splitlines())
    assert run(record["path"], lines).stdout == done.stdout
    assert "as the model did" in run(record["path"], "", "--check").stdout
    tags = store.runs.get(record["run_id"]).data.tags
    assert tags["mlops.package.digest"] == made.digest


def test_without_what_the_page_needs(
    train: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in an installation that was built where npm brought nothing."""
    from mlops_magics.serving.package import edge_web

    bare = tmp_path / "web"
    shutil.copytree(edge_web._HERE, bare, ignore=shutil.ignore_patterns("vendor"))
    monkeypatch.setattr(edge_web, "_HERE", bare)
    record = mlops.package(train(logistic()), as_="onnx")
    assert record.warnings == (
        "The web page was left out: this installation of mlops_magics has no onnxruntime-web.",
    )
    assert not any(f.startswith("web/") for f in record.files)
    assert "browser" not in (Path(record.path) / "README.md").read_text()
    (bare / "vendor").mkdir()
    (bare / "vendor/left_out.txt").write_text("npm could not fetch it (ENOTFOUND)\n")
    assert edge_web.add(tmp_path) == (
        "The web page was left out: when this installation of mlops_magics was built, npm could "
        "not fetch it (ENOTFOUND)."
    )


def test_again_the_same(train: Callable[[Any], str]) -> None:
    model = train(logistic())
    first, again = (mlops.package(model, as_="onnx") for _ in range(2))
    assert first.digest == again.digest
    text = str(first)
    assert "labels equal" in text
    assert "one row, median" in text
    with pytest.raises(WrongUsage, match="is an ONNX graph with a runner, and the target"):
        mlops.deploy(Path(first.path))


def test_the_runner_says_what_is_wrong(train: Callable[[Any], str], credit: pd.DataFrame) -> None:
    record = mlops.package(train(logistic()), as_="onnx")
    row = {k: v for k, v in credit.iloc[0].to_dict().items() if k != "Status"}
    row = json.loads(json.dumps(row, default=float))

    def said(**changed: Any) -> str:
        content = {k: v for k, v in {**row, **changed}.items() if v != "absent"}
        done = run(record.path, json.dumps(content))
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr.strip()

    assert said(Age="absent", age=30.0) == (
        "Row 1 lacks the column 'Age'. You sent 'age': is that it?"
    )
    assert said(Age="old") == "Row 1 has 'old' in the column 'Age', which needs a number."
    assert said(Records=1) == "Row 1 has 1 in the column 'Records', which needs text."
    assert run(record.path, "{").stderr.startswith("Line 1 is no JSON")
    short = io.StringIO()
    csv.DictWriter(short, ["Seniority"]).writerows([{"Seniority": "Seniority"}, {"Seniority": "1"}])
    assert "lacks the column" in run(record.path, short.getvalue()).stderr


def test_a_graph_that_answers_otherwise_leaves_nothing(
    train: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops_magics.flavors.onnx import heads

    model = train(logistic())
    right = heads.likeliest

    def wrong(graph: Any, chances: str, classes: Any) -> Any:
        return right(graph, graph.add("Sqrt", chances), classes)

    monkeypatch.setattr("mlops_magics.flavors.onnx.foreign.likeliest", wrong)
    with pytest.raises(
        StepFailed, match=r"0 of 4,454 labels are others.*Worst: row \d+: "
    ) as failed:
        mlops.package(model, as_="onnx")
    assert str(failed.value).count("became") == 5
    newest = store.runs.find(experiment="credit", verb="package")[0]
    assert newest.info.status == "FAILED"
    packages = settings.load().state / "packages"
    assert not packages.exists() or not list(packages.iterdir())


def test_eight_bits_only_where_there_are_weights(
    train: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.neural_network import MLPClassifier
    from sklearn.tree import DecisionTreeClassifier

    model = train(MLPClassifier((64, 64), max_iter=8, random_state=0))
    whole = mlops.package(model, as_="onnx")
    limit = "mlops_magics.flavors.onnx.quantising.LEAST_EQUAL"
    monkeypatch.setattr(limit, 1.0)
    with pytest.raises(StepFailed, match="In eight bits the graph is too far from the model"):
        mlops.package(model, as_="onnx", quantise="int8")
    monkeypatch.setattr(limit, 0.95)
    small = mlops.package(model, as_="onnx", quantise="int8")
    assert small.measured["size"]["after"] < whole.measured["size"]["after"] / 2
    report = small.measured["int8"]
    assert 0.95 <= report["labels_equal"] < 1
    assert 0 < report["mean"] <= report["largest"]
    assert small.measured["parity"]["labels_equal"] == 1.0
    with pytest.raises(BadData, match="no weights that eight bits could hold"):
        mlops.package(train(DecisionTreeClassifier(max_depth=3)), as_="onnx", quantise="int8")
    with pytest.raises(WrongUsage, match="Only an ONNX graph is quantised"):
        mlops.package(model, quantise="int8")


def test_without_a_prepared_dataset_the_example_is_compared(names: dict[str, Any]) -> None:
    X_test, y_test = names["X_test"], names["y_test"]  # noqa: F841
    with mlops.train("credit"):
        model = names["fresh"]().fit(names["X_train"], names["y_train"])  # noqa: F841
    record = mlops.package("credit", as_="onnx")
    assert record.measured["parity"]["rows"] == 5
    assert any("on its input example only" in note for note in record.warnings)
    # This one has no step for missing values; the graph would answer all the same.
    row = names["X_test"].iloc[0].to_dict()
    done = run(record.path, json.dumps({**row, "Age": None}, default=float))
    said = "Row 1 has no value in the column 'Age', and the model can't do without."
    assert (done.returncode, done.stderr.strip()) == (2, said)


def test_without_what_converts_it(
    train: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train(logistic())
    monkeypatch.setattr(
        "mlops_magics.flavors.onnx.converting.NEEDED", {"no_such_module": "skl2onnx"}
    )
    with pytest.raises(MissingExtra, match=r"skl2onnx is not installed.*mlops_magics\[onnx\]"):
        mlops.package(model, as_="onnx")
    place = Path(mlops.package(model).path)
    assert manifest.read(place).why_no_graph == (
        "skl2onnx is not installed. pip install 'mlops_magics[onnx]'"
    )
    assert not (place / "graph").exists()
    assert not (place / "requirements-onnx.txt").exists()


def test_a_folder_holds_the_graph_that_its_server_answers_by(train: Callable[[Any], str]) -> None:
    model = train(logistic())
    record = mlops.package(model)
    assert {"graph/model.onnx", "requirements-onnx.txt", "model/MLmodel"} <= set(record.files)
    report = record.measured["graph"]
    assert report["reference"] == "all 4,454 rows of applicants, training and test"
    assert (report["labels_equal"], report["largest"] < 1e-9) == (1.0, True)
    again = mlops.package(model, output=str(Path(record.path).with_name("again")))
    assert again.digest == record.digest
