"""The graph of a model and the model itself: the same to whoever asks, whatever they ask."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_magics import flavors
from mlops_magics.errors import BadData, MlopsError, WrongUsage
from mlops_magics.serving import graph, manifest, runtimes
from mlops_magics.serving.app import Server
from mlops_magics.serving.hot import Hot
from mlops_magics.serving.package import comparing, graphing, isolation
from mlops_magics.serving.package.reference import Reference
from mlops_magics.serving.service import Service
from tests.serving import models, test_protocol
from tests.serving.models import JSON
from tests.serving.test_hostile import ANYTHING, LEAVES
from tests.serving.test_process import free_port

MANY = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Three:
    """A model behind its own library, behind its graph, and behind the graph alone."""

    def __init__(self, model: Path, rows: Any, place: Path) -> None:
        self.model = model
        native = flavors.load(model)
        place.mkdir()
        graphing.add(place, native, lambda: Reference(data=rows, source="these"))
        meta = flavors.folder.read(model)
        example = (model / "serving_input_example.json").read_bytes()

        def made(load: Callable[[], Any]) -> Service:
            facts = meta.inputs, meta.parameters, meta.output
            return Service(graph.Graph(place / graph.FOLDER, *facts, load), example)

        self.native = Service(native, example)
        self.both = made(lambda: native)
        self.alone = made(_is_not_installed)
        served = Server(self.alone, {"model": "credit/1"}).first
        self.hot = Hot(served, self.alone.predictor)  # type: ignore[arg-type]

    def check(self, body: bytes, content_type: str = JSON) -> int:
        """Ask all for the same; the status."""
        wanted = self.native.answer(body, content_type, "id")
        for service in (self.both, self.alone):
            got = service.answer(body, content_type, "id")
            assert (got.status, got.error) == (wanted.status, wanted.error), body[:500]
            expected, found = json.loads(wanted.body), json.loads(got.body)
            assert comparing.differs(expected, found, within=comparing.PROVEN) == "", body[:500]
        asked = self.hot.read("mlflow", body) if content_type == JSON else None
        if asked is not None:
            assert wanted.status == 200, body[:500]
            raw = self.hot.run(asked.rows, asked.method)
            text, outputs = self.hot.written(asked, raw)
            assert (text, outputs) == (got.body, got.outputs)
            assert len(asked.rows) == got.rows
        return wanted.status

    def is_quick(self, content: Any) -> bool:
        """Whether a request is answered on the short way."""
        return self.hot.read("mlflow", json.dumps(content).encode()) is not None


def _is_not_installed() -> Any:
    raise MlopsError("The model needs the module 'sklearn', which is not installed here.")


@pytest.fixture(scope="module")
def lending(model: Path, credit_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Three:
    rows = pd.read_csv(credit_csv).dropna(subset=["Status"]).drop(columns=["Status"]).head(600)
    return Three(model, rows, tmp_path_factory.mktemp("lending") / "g")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Three:
    """A model that takes nothing that it has not learned: no gap, no other word, no other year."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "size": rng.normal(100, 30, 200),
            "year": rng.choice([1990, 2000, 2010], 200),
            "kind": rng.choice(["flat", "house", "it's"], 200),
            "new": rng.choice([True, False], 200),
        }
    )
    columns = make_column_transformer((OneHotEncoder(), ["kind", "year"]), remainder="passthrough")
    trained = make_pipeline(columns, LinearRegression()).fit(X, X["size"] * 2 + X["new"])
    place = tmp_path_factory.mktemp("strict")
    return Three(models.save(trained, X, place / "m"), X, place / "g")


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Three:
    X = np.random.default_rng(0).normal(size=(60, 3))
    trained = RandomForestClassifier(5, random_state=0).fit(X, (X[:, 0] > 0).astype(int))
    place = tmp_path_factory.mktemp("matrix")
    return Three(models.save(trained, X, place / "m"), X, place / "g")


@pytest.mark.parametrize("form", test_protocol.FORMS)
@pytest.mark.parametrize("params", [None, {"predict_method": "predict_proba"}])
def test_every_form(form: str, params: Any, lending: Three) -> None:
    body = test_protocol.FORMS[form](models.rows(lending.model))
    if params and isinstance(body, dict):
        body = {"params": params, **body}
    lending.check(body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize("form", test_protocol.CSV)
def test_every_csv(form: str, lending: Three) -> None:
    lending.check(test_protocol.CSV[form](models.rows(lending.model)), "text/csv")


@MANY
@given(changes=st.dictionaries(st.integers(0, 12), LEAVES | ANYTHING, min_size=1))
def test_any_value_in_a_column(changes: dict[int, Any], lending: Three) -> None:
    rows = models.rows(lending.model)[:2]
    names = list(rows[0])
    rows[0] |= {names[at]: value for at, value in changes.items()}
    table = {"columns": names, "data": [list(row.values()) for row in rows]}
    lending.check(json.dumps({"dataframe_records": rows}).encode())
    lending.check(json.dumps({"dataframe_split": table}).encode())


WHAT_THE_STRICT_ONE_IS_SENT: list[dict[str, Any]] = [
    {},
    {"size": None},
    {"size": math.inf},
    {"size": -math.inf},
    {"size": 1e300},
    {"size": 7},
    {"size": 2**60},
    {"year": 2000.0},
    {"year": 1991},
    {"year": None},
    {"year": 2**70},
    {"kind": "castle"},
    {"kind": "castle's"},
    {"kind": ""},
    {"kind": None},
    {"kind": "it's"},
    {"kind": "ca\x00stle"},
    {"new": 1},
    {"new": None},
    {"new": "yes"},
    {"other": 5},
]


@pytest.mark.parametrize("changes", WHAT_THE_STRICT_ONE_IS_SENT)
def test_what_a_model_refuses_its_graph_refuses_in_its_words(
    changes: dict[str, Any], strict: Three
) -> None:
    row = {"size": 90.5, "year": 2010, "kind": "flat", "new": True, **changes}
    strict.check(json.dumps({"dataframe_records": [row]}).encode())
    strict.check(json.dumps({"dataframe_records": [row, row | {"kind": "house"}]}).encode())
    for name in list(row):
        lacking = {k: v for k, v in row.items() if k != name}
        strict.check(json.dumps({"dataframe_records": [lacking]}).encode())


@pytest.mark.parametrize("form", test_protocol.ARRAYS)
def test_arrays(form: str, matrix: Three) -> None:
    matrix.check(json.dumps(test_protocol.ARRAYS[form]).encode())


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300, 2**60, True, "1", None, [1]])
def test_values_of_an_array(value: Any, matrix: Three) -> None:
    matrix.check(json.dumps({"inputs": [[value, 0.5, 1], [1, 2, 3]]}).encode())
    matrix.check(b"a,b,c\n%s,0.5,1\n" % str(value).encode(), "text/csv")


@pytest.mark.parametrize(
    ("end", "status"),
    [("", 200), ("\n", 200), (" \r\n\t", 200), ("\u00a0", 400), ("\x0b", 400), ("{}", 400)],
)
def test_what_stands_behind_the_json(end: str, status: int, lending: Three) -> None:
    body = json.dumps({"dataframe_records": models.rows(lending.model)[:1]})
    assert lending.check((body + end).encode()) == status


def test_the_short_way_is_taken_by_what_is_usual(
    lending: Three, strict: Three, matrix: Three
) -> None:
    rows = models.rows(lending.model)
    table = test_protocol.split(rows)
    probable = {"params": {"predict_method": "predict_proba"}}
    for content in (
        {"dataframe_records": rows},
        {"dataframe_split": table},
        {"dataframe_split": {**table, "index": [0, 1, 2, 3, 4]}},
        {"dataframe_split": table, **probable},
        {"instances": rows},
        {"inputs": rows[:1]},
        {"dataframe_records": [{**rows[0], "Income": None, "Home": None, "shoe_size": 3}]},
    ):
        assert lending.is_quick(content), content
    for content in (
        {"dataframe_records": rows * 10},
        {"dataframe_records": [{**rows[0], "Income": math.nan}]},
        {"dataframe_records": [{**rows[0], "Age": 30.0}]},
        {"dataframe_records": [{**rows[0], "Home": ""}]},
        {"dataframe_records": rows, "params": {}},
    ):
        assert not lending.is_quick(content), content
    assert matrix.is_quick({"inputs": [[1, 2.5, 3]]})
    assert not matrix.is_quick({"inputs": [[1, 2.5]]})
    flat = {"size": 90.5, "year": 2010, "kind": "flat", "new": True}
    assert strict.is_quick({"dataframe_records": [flat]})
    assert not strict.is_quick({"dataframe_records": [{**flat, "kind": "castle"}]})


def test_tensors_on_the_short_way(lending: Three) -> None:
    rows = models.rows(lending.model)
    kinds = {"long": "INT64", "double": "FP64", "string": "BYTES"}
    inputs = [
        {
            "name": one.name,
            "shape": [2, 1] if number % 2 else [2],
            "datatype": kinds[one.type],
            "data": [row[one.name] for row in rows[:2]],
        }
        for number, one in enumerate(lending.native.predictor.columns)
    ]
    inference = lending.hot.served.inference
    for content in ({"inputs": inputs}, {"id": "7", "inputs": inputs[::-1]}):
        body = json.dumps(content).encode()
        asked = lending.hot.read("v2", body)
        assert asked is not None
        raw = lending.hot.run(asked.rows, asked.method)
        text, outputs = lending.hot.written(asked, raw)
        wanted = lending.alone._whole(inference.steps(body, None))
        assert (text, outputs) == (wanted.body, wanted.outputs)
    for wrong in (
        {"inputs": inputs[1:]},
        {"inputs": [inputs[0], *inputs[:-1]]},
        {"inputs": inputs, "id": None},
        {"inputs": inputs, "outputs": [{"name": "predict_proba"}]},
        {"inputs": [{**inputs[0], "datatype": "FP64"}, *inputs[1:]]},
        {"inputs": [{**inputs[0], "shape": [1, 2]}, *inputs[1:]]},
    ):
        assert lending.hot.read("v2", json.dumps(wrong).encode()) is None


def test_what_a_request_sets_is_the_models_own_business(lending: Three) -> None:
    predictor: Any = lending.alone.predictor
    with pytest.raises(graph.Beyond):
        predictor.answer(None, {"factor": 2})


@pytest.mark.parametrize("runtime", runtimes.CHOICES)
def test_which_one_answers(runtime: str, package: Path, proven: Path) -> None:
    assert runtimes.name(runtimes.load(proven, runtime)) == (
        "native" if runtime == "native" else "onnx"
    )
    if runtime == "onnx":
        with pytest.raises(WrongUsage, match="has no graph: there are no rows on which"):
            runtimes.load(package, runtime)
    else:
        assert runtimes.name(runtimes.load(package, runtime)) == "native"


def test_a_graph_that_can_not_be_opened(proven: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(proven, copy)
    (copy / graph.FOLDER / graph.MODEL).write_bytes(b"no graph")
    assert runtimes.name(runtimes.load(copy)) == "native"
    with pytest.raises(BadData, match="can't be used"):
        runtimes.load(copy, "onnx")


ASKED = """
import json, subprocess, sys, time, urllib.request
from urllib.error import HTTPError, URLError

port, folder = sys.argv[1:]
process = subprocess.Popen(
    [sys.executable, "-S", "-m", "mlops_magics.serving", ".", "--port", port, "--capture", folder]
)

def ask(path, body=None, kind="application/json"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"content-type": kind})
    try:
        return urllib.request.urlopen(request, timeout=10).read().decode()
    except HTTPError as error:
        return error.read().decode()

for _ in range(200):
    try:
        ask("/ping")
        break
    except URLError:
        time.sleep(0.05)
try:
    example = open("input_example.json", "rb").read()
    table = json.loads(example)["dataframe_split"]
    line = ",".join(table["columns"]) + "\\n" + ",".join(map(str, table["data"][0])) + "\\n"
    odd = json.loads(example)
    odd["dataframe_split"]["data"][0][8] = float("inf")
    print(json.dumps([
        json.loads(ask("/invocations", example)),
        json.loads(ask("/invocations", line.encode(), "text/csv")),
        json.loads(ask("/invocations", json.dumps(odd).encode())),
        json.loads(ask("/metadata"))["runtime"],
        "mlops_model_info" in ask("/metrics"),
        sorted(json.loads(ask("/openapi.json"))["paths"])[0],
    ]))
finally:
    process.terminate()
    process.wait()
"""


def test_it_runs_with_what_the_graph_needs_and_no_more(proven: Path, tmp_path: Path) -> None:
    names = {line.partition("==")[0] for line in (proven / graph.REQUIREMENTS).open()}
    canonical = [name.lower().replace("_", "-") for name in names]
    place = str(tmp_path / "capture")
    done = isolation.replay(proven, canonical, ("-c", ASKED, str(free_port()), place))
    assert done.code == 0, done.log
    answered, as_csv, infinite, runtime, counted, path = json.loads(done.output)
    assert answered == manifest.answers(proven)
    assert as_csv["predictions"] == answered["predictions"][:1]
    assert infinite["message"] == "Column 'Income' is infinite in row 1."
    assert (runtime, counted, path) == ("onnx", True, "/health")


def test_what_is_packaged(proven: Path) -> None:
    made = manifest.checked(proven)
    assert made.why_no_graph == ""
    assert {"graph/model.onnx", "graph/signature.json", "graph/parity.json"} <= set(made.files)
    names = {line.partition("==")[0] for line in (proven / graph.REQUIREMENTS).open()}
    assert {"onnxruntime", "numpy", "starlette"} <= names
    assert not {"scikit-learn", "scipy", "skops", "pandas", "onnx"} & names
    report = json.loads((proven / graph.FOLDER / graph.PARITY).read_text())
    assert report["labels_equal"] == 1.0
    assert report["largest"] <= report["tolerance"] == 1e-5
    assert report["rows"] > 500


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.arange(80).reshape(40, 2), "shape"),
        (None, "neither classifies nor predicts numbers"),
    ],
)
def test_models_without_a_graph(y: Any, words: str, tmp_path: Path) -> None:
    from sklearn.cluster import KMeans

    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    trained = KMeans(2, n_init=1).fit(X) if y is None else Ridge().fit(X, y)
    native = flavors.load(models.save(trained, X, tmp_path / "m"))
    with pytest.raises(BadData, match=words):
        graphing.add(tmp_path, native, lambda: Reference(data=X, source="these"))
    assert not (tmp_path / graph.FOLDER).exists()


def test_a_model_whose_graph_differs_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    trained = LogisticRegression().fit(X, X["a"] > 0)
    native = flavors.load(models.save(trained, X, tmp_path / "m"))
    real: Any = native.answers
    off = np.array([0.0, 0.001])
    monkeypatch.setattr(native, "answers", lambda frame: (real(frame)[0], real(frame)[1] + off))
    with pytest.raises(BadData, match=r"the largest difference is 0\.001"):
        graphing.add(tmp_path, native, lambda: Reference(data=X, source="these"))
