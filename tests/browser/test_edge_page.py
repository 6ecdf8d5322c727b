"""The page of a bundle in a real browser: it answers as run.py does, and says what is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from mlops_magics.evidence import features
from mlops_magics.serving.package import bundling, edge_run, edge_web
from mlops_magics.serving.package.reference import Reference
from tests.conftest import NEED_ALL, need
from tests.serving import models
from tests.serving.test_process import free_port, until

for _module in ("onnx", "onnxruntime", "skl2onnx", "playwright"):
    need(_module)

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
if not NEED_ALL:
    if not CHROMIUM:
        pytest.skip("no chromium on the PATH", allow_module_level=True)
    if edge_web._missing():
        pytest.skip(edge_web._missing(), allow_module_level=True)

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def bundle(model: Any, X: Any, target: Path, name: str) -> Path:
    saved = models.save(model, X, target.with_name(f"{target.name}-model"))
    about = {"model": f"{name}/3", "run_id": "", "commit": "", "created": ""}
    made = bundling.bundle(saved, target, about, "3.11", Reference(data=X, source="all rows"))
    assert not made.warnings, made.warnings
    return target


@pytest.fixture(scope="session")
def site(credit_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classifiers with words, missing values and free text, a regression, and one of arrays."""
    place = tmp_path_factory.mktemp("site")
    credit = pd.read_csv(credit_csv).dropna(subset=["Status"])
    part = credit[credit.isna().any(axis=1)].head(200)
    rows = pd.concat([part, credit.head(400)])
    X, y = rows.drop(columns="Status"), rows["Status"]
    ready = features.transformer(rows, "Status")
    bundle(make_pipeline(ready, LogisticRegression(max_iter=300)).fit(X, y), X, place / "credit",
           "credit")  # fmt: skip
    X = credit[["Seniority", "Age", "Price"]].head(300).assign(
        Owner=credit["Home"].head(300) == "owner", Price=credit["Price"].head(300) / 3
    )  # fmt: skip
    bundle(Ridge().fit(X, credit["Amount"].head(300)), X, place / "amount", "amount")
    first = credit.head(300)
    words = first["Home"].fillna("none") + " and " + first["Job"].fillna("no work")
    X = pd.DataFrame({"Words": words, "Age": first["Age"].astype(float)})
    parts = make_column_transformer((TfidfVectorizer(), "Words"), ("passthrough", ["Age"]))
    wordy = make_pipeline(parts, LogisticRegression(max_iter=300))
    bundle(wordy.fit(X, first["Status"]), X, place / "words", "words")
    values = np.random.default_rng(0).uniform(0, 15, (600, 3))
    tree = DecisionTreeClassifier(max_depth=8, random_state=0)
    bundle(tree.fit(values, values[:, 0].astype(int)), values, place / "rooms", "rooms")
    return place


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    port = free_port()
    words = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    process = subprocess.Popen(
        words, cwd=site, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(url, trust_env=False).status_code == 200
        except httpx.ConnectError:
            return False

    until(answers)
    yield url
    process.kill()
    process.wait()


# Of the module and not of the session: while it is open, this thread has a running event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page whose every complaint is a failure, those of the content security policy too."""
    context = browser.new_context()
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    context.close()
    assert not said
    hosts = {httpx.URL(url).host for url in asked if not url.startswith("data:")}
    assert hosts == {"127.0.0.1"}


def opened(page: Any, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("#status[data-mark]")
    assert page.inner_text("#status") == "It answers its example as the model did."


def predicted(page: Any, values: dict[str, str]) -> dict[str, Any]:
    """Fill in the fields, ask, and read what is shown."""
    for name, value in values.items():
        field = page.get_by_label(name, exact=True)
        if field.evaluate("e => e.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    page.evaluate("document.getElementById('answer').hidden = true")
    page.click("button")
    page.wait_for_selector("#answer:not([hidden]), #problem:not([hidden])")
    if page.is_visible("#problem"):
        return {"problem": page.inner_text("#problem")}
    bars = page.query_selector_all(".bar")
    return {
        "prediction": page.inner_text("#prediction"),
        "probabilities": {
            bar.query_selector("dt").inner_text(): bar.query_selector(".share").inner_text()
            for bar in bars
        },
    }


def expected(answer: dict[str, Any]) -> dict[str, Any]:
    """What run.py answers, as the page writes it."""
    chances = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
    return {
        "prediction": answer["prediction"],
        "probabilities": {
            f"{label} ◂ prediction" if label == answer["prediction"] else label: f"{p:.1%}".replace(
                "%", " %"
            )
            for label, p in chances
        },
    }


def test_numbers_words_and_missing_values(page: Any, address: str, site: Path) -> None:
    runner = edge_run.Model(site / "credit")
    example = json.loads((site / "credit/input_example.json").read_text())
    opened(page, f"{address}/credit/web/")
    assert page.title() == "credit version 3"
    assert page.input_value("#field-0") == str(example[0]["Seniority"])
    changes: list[dict[str, str]] = [
        {},
        {"Age": "58", "Income": "35", "Price": " 1.5e3 "},
        {"Home": "owner", "Job": "partime"},
        {"Home": "", "Job": "", "Income": "", "Assets": "NA", "Marital": ""},
        {"Home": "a word that nobody knows — 🏠", "Debt": "-0.5"},
    ]
    for change in changes:
        page.select_option("#example", "0")
        row = example[0] | change
        assert predicted(page, change) == expected(runner.predict([row])[0]), change
    page.select_option("#example", "3")  # shows the answer at once
    page.wait_for_function("document.getElementById('field-0').value !== ''")
    assert predicted(page, {}) == expected(runner.predict([example[3]])[0])


def test_free_text(page: Any, address: str, site: Path) -> None:
    runner = edge_run.Model(site / "words")
    opened(page, f"{address}/words/web/")
    for words in (
        "owner and fixed",
        "RENT, rent; Fixed…",
        "nothing that was learned",
        "é 🏠 owner",
    ):
        row = {"Words": words, "Age": "33"}
        assert predicted(page, row) == expected(runner.predict([row])[0]), words


def test_a_regression_with_truth(page: Any, address: str, site: Path) -> None:
    runner = edge_run.Model(site / "amount")
    opened(page, f"{address}/amount/web/")
    row = {"Seniority": "12", "Age": "44", "Price": "1200.5", "Owner": "false"}
    for change in ({}, {"Owner": "true"}, {"Age": "18", "Seniority": "-1"}):
        wanted = runner.predict([row | change])[0]["prediction"]
        found = predicted(page, row | change)
        assert float(found["prediction"]) == pytest.approx(wanted, rel=1e-6)
        assert found["probabilities"] == {}


def test_an_array_and_more_classes_than_bars(page: Any, address: str, site: Path) -> None:
    runner = edge_run.Model(site / "rooms")
    opened(page, f"{address}/rooms/web/")
    for row in ([1.5, 2, 3], [14.2, 0.1, 1e1], [None, 7.0, 7.0]):  # a tree may miss numbers
        wanted = runner.predict([row])[0]
        words = ["" if value is None else str(value) for value in row]
        found = predicted(page, {"Row": ", ".join(words)})
        assert found["prediction"] == str(wanted["prediction"])
        assert len(found["probabilities"]) == 6
        assert next(iter(found["probabilities"])) == f"{wanted['prediction']} ◂ prediction"
        assert list(found["probabilities"])[-1] == "10 others"
    for text, said in {
        "1, 2": "The row must be a list of 3 numbers.",
        "1 2 3 4": "The row must be a list of 3 numbers.",
        "1 two 3": 'There is "two", which is no number.',
    }.items():
        assert predicted(page, {"Row": text})["problem"] == said


def test_what_does_not_fit_is_said_at_its_field(page: Any, address: str) -> None:
    opened(page, f"{address}/amount/web/")
    good = {"Seniority": "12", "Age": "44", "Price": "1200.5"}
    wanted = 'There is "{}" in the column "{}", which needs a whole number.'
    for name, value, said in [
        ("Age", "old", wanted.format("old", "Age")),
        ("Age", "4.5", wanted.format("4.5", "Age")),
        ("Seniority", "0x10", wanted.format("0x10", "Seniority")),
        ("Age", "inf", wanted.format("inf", "Age")),
        ("Price", "", 'There is no value in the column "Price", and the model can\'t do without.'),
    ]:
        assert predicted(page, good | {name: value})["problem"] == said
        field = page.get_by_label(name, exact=True)
        assert field.get_attribute("aria-invalid") == "true"
        assert field.evaluate("e => e === document.activeElement")
        assert not page.is_visible("#answer")
    # Put right, it is answered and nothing is left of the complaint.
    assert "prediction" in predicted(page, good)
    assert page.query_selector("[aria-invalid]") is None


def test_the_same_sentences_and_numbers_as_the_runner(page: Any, address: str, site: Path) -> None:
    """Rows of JSON through model.js itself, as a page of somebody's own would use it."""
    opened(page, f"{address}/credit/web/")
    runner = edge_run.Model(site / "credit")
    row = json.loads((site / "credit/input_example.json").read_text())[0]
    for change in (
        {"Income": None},
        {"Income": "nan"},
        {"Income": "1e400"},
        {"Income": "-inf"},
        {"Income": True},
        {"Income": []},
        {"Income": "0x1"},
        {"Income": ".5e1"},
        {"Age": "58.0"},
        {"Age": "58.5"},
        {"Age": "-nan"},
        {"Home": 3},
        {"Home": None},
        {"Home": "constructor"},
        {"__proto__": 1},
    ):
        found = page.evaluate(
            """async (text) => {
                const {Model} = await import("./model.js");
                globalThis.model ??= await Model.load(new URL("../", location.href));
                return model.predict([JSON.parse(text)]).catch((error) => error.message);
            }""",
            json.dumps(row | change),
        )
        try:
            wanted: Any = runner.predict([row | change])
        except edge_run.BadRow as error:
            wanted = str(error)
            assert isinstance(found, str), change
            assert found[:10] == wanted[:10]
            continue
        assert found[0]["prediction"] == wanted[0]["prediction"], change
        assert found[0]["probabilities"] == pytest.approx(wanted[0]["probabilities"], abs=1e-6)


def test_a_model_that_was_changed_is_told(page: Any, address: str, site: Path) -> None:
    shutil.copytree(site / "rooms", site / "other")
    answers = site / "other/expected_answers.json"
    kept = json.loads(answers.read_text())
    kept[1]["prediction"] += 1
    answers.write_text(json.dumps(kept))
    page.goto(f"{address}/other/web/")
    page.wait_for_selector("#status[data-mark=bad]")
    assert "does not answer its example as the model did: row 2" in page.inner_text("#status")


def test_a_model_that_is_not_there(browser: Any, address: str, site: Path) -> None:
    shutil.copytree(site / "rooms", site / "half")
    (site / "half/model.onnx").unlink()
    page = browser.new_page()
    page.goto(f"{address}/half/web/")
    page.wait_for_selector("#status[data-mark=bad]")
    said = "The model can't be run here: /half/model.onnx can't be read (404)."
    assert page.inner_text("#status") == said
    page.close()
