"""What a CI system sees of a notebook: a summary, JUnit XML, and what it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import fsspec
import nbformat
import pytest
import xmlschema
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import mlops_magics as mlops
from mlops_magics.doors import cli
from mlops_magics.records import NotebookHelp
from mlops_magics.verbs import junit

#: What readers of JUnit XML agree on, after the description that Jenkins' plugin gives of it.
SCHEMA = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:simpleType name="moment"><xs:restriction base="xs:string">
    <xs:pattern value="\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d"/>
  </xs:restriction></xs:simpleType>
  <xs:complexType name="why"><xs:simpleContent><xs:extension base="xs:string">
    <xs:attribute name="message" type="xs:string"/><xs:attribute name="type" type="xs:string"/>
  </xs:extension></xs:simpleContent></xs:complexType>
  <xs:element name="testcase"><xs:complexType><xs:sequence>
      <xs:choice minOccurs="0">
        <xs:element name="skipped" type="why"/>
        <xs:element name="error" type="why"/>
        <xs:element name="failure" type="why"/>
      </xs:choice>
      <xs:element name="system-out" type="xs:string" minOccurs="0"/>
      <xs:element name="system-err" type="xs:string" minOccurs="0"/>
    </xs:sequence>
    <xs:attribute name="name" type="xs:string" use="required"/>
    <xs:attribute name="classname" type="xs:string" use="required"/>
    <xs:attribute name="time" type="xs:decimal"/>
  </xs:complexType></xs:element>
  <xs:element name="testsuite"><xs:complexType><xs:sequence>
      <xs:element ref="testcase" minOccurs="0" maxOccurs="unbounded"/>
    </xs:sequence>
    <xs:attribute name="name" type="xs:string" use="required"/>
    <xs:attribute name="tests" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="failures" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="errors" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="skipped" type="xs:nonNegativeInteger"/>
    <xs:attribute name="time" type="xs:decimal"/>
    <xs:attribute name="timestamp" type="moment"/>
  </xs:complexType></xs:element>
  <xs:element name="testsuites"><xs:complexType><xs:sequence>
    <xs:element ref="testsuite" minOccurs="0" maxOccurs="unbounded"/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>
"""

CELLS = [
    new_markdown_cell("# Work"),
    new_code_cell(
        "depth: int = 1  # levels\napi_token: str = ''", metadata={"tags": ["parameters"]}
    ),
    new_markdown_cell("## Count"),
    new_code_cell("print(depth)"),
    new_code_cell("# a remark\nraise ValueError(f'\\x00\\x1b <no> {api_token}')"),
    new_code_cell("never"),
]


@pytest.fixture
def work(project: Path) -> str:
    nbformat.write(new_notebook(cells=CELLS), project / "work.ipynb")
    return "work.ipynb"


def suite_of(text: str) -> Any:
    xmlschema.XMLSchema(SCHEMA).validate(text)
    return ElementTree.fromstring(text)[0]


def test_summary_and_junit_of_a_run_that_fails(
    work: str, project: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    monkeypatch.setenv("HIDDEN_HERE", "tok-5f3a9c17e2")
    words = ["-p", "depth", "3", "-p", "api_token", "env:HIDDEN_HERE", "--junit", "out/cells.xml"]
    assert cli.main(["execute", work, *words, "--json", "--quiet"]) == 1
    record = json.loads(capsys.readouterr().out)

    told = (project / "summary.md").read_text(encoding="utf-8")
    assert "work.ipynb ✗ failed" in told
    assert "depth 3, api\\_token env:HIDDEN\\_HERE" in told
    assert "- cells: run 6, failed 1, never ran 1" in told
    assert "> Stopped at cell 6: ValueError: \ufffd\ufffd &lt;no&gt; •••" in told
    assert f"- output: {record['output']}".replace("_", "\\_") in told

    text = (project / "out" / "cells.xml").read_text(encoding="utf-8")
    suite = suite_of(text)
    assert {k: suite.get(k) for k in ("tests", "failures", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "skipped": "1",
    }
    names = [case.get("name") for case in suite]
    assert names == [
        "cell 2: Work",
        "cell 3: depth = 3",
        "cell 5: Count",
        "cell 6: raise ValueError(f'\\x00\\x1b <no> {api_token}')",
        "cell 7: never",
    ]
    failure = suite[3].find("failure")
    assert failure.get("message") == "ValueError: \ufffd\ufffd <no> •••"
    assert "Traceback (most recent call last)" in failure.text
    assert suite[4].find("skipped") is not None
    assert float(suite[2].get("time")) >= 0
    assert "tok-5f3a9c17e2" not in text + told + json.dumps(record)


def test_a_grid_with_secrets_by_reference_goes_to_a_uri(
    work: str, project: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    monkeypatch.setenv("HIDDEN_A", "tok-5f3a9c17e2")
    monkeypatch.setenv("HIDDEN_B", "tok-77aa31bc90")
    words = ["--grid", "api_token=env:HIDDEN_A,env:HIDDEN_B", "-p", "depth", "2"]
    words += ["--output", "memory://team/night", "--junit", "cells.xml", "--html"]
    assert cli.main(["execute", work, *words, "--json", "--quiet"]) == 1
    record = json.loads(capsys.readouterr().out)

    assert record["folder"] == "memory://team/night/"
    assert [run["varied"] for run in record["runs"]] == [
        {"api_token": "env:HIDDEN_A"},
        {"api_token": "env:HIDDEN_B"},
    ]
    files = fsspec.filesystem("memory")
    told = (project / "summary.md").read_text(encoding="utf-8")
    text = (project / "cells.xml").read_text(encoding="utf-8")
    for number, run in zip("12", record["runs"], strict=True):
        assert run["output"].startswith(f"memory://team/night/{number}-work-api_token=env_HIDDEN")
        assert not run["unwritten"]
        assert "Count" in files.cat(run["html"]).decode()
        told += files.cat(run["output"]).decode()
    assert not list((project / "executed").rglob("*.*"))  # nothing is left on the way
    assert "2 failed" in told
    xmlschema.XMLSchema(SCHEMA).validate(text)
    suites = ElementTree.fromstring(text)
    assert [suite.get("name").rsplit(" ", 1)[1] for suite in suites] == [
        "api_token=env:HIDDEN_A",
        "api_token=env:HIDDEN_B",
    ]
    assert "tok-" not in told + text + json.dumps(record)


def test_junit_of_a_run_that_stopped_before_its_first_cell() -> None:
    record: dict[str, Any] = {"status": "failed", "reason": "no kernel", "failed_cell": None}
    record |= {"notebook": {"path": "/a/work.ipynb"}, "started": "2026-01-02T03:04:05.678Z"}
    record["cells"] = [{"type": "code", "status": "never ran"}]
    notebook = {"cells": [{"cell_type": "code", "source": ["1"]}]}
    suite = junit.of_cells({**notebook, "metadata": {"mlops": {"record": record}}})
    assert [case.get("name") for case in suite] == ["cell 1: 1", "the run"]
    assert suite[1].find("failure").get("message") == "failed: no kernel"


def test_the_parameters_of_a_notebook_without_a_kernel(
    work: str, project: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*_: Any) -> None:
        raise AssertionError("a kernel was started")

    monkeypatch.setattr("mlops_magics.notebooks.booting.Boot.__enter__", boom)
    assert cli.main(["execute", work, "--help-notebook"]) == 0
    shown = capsys.readouterr().out
    assert "mlops execute" in shown
    assert "levels" in shown
    found = mlops.execute(work, help_notebook=True)
    assert isinstance(found, NotebookHelp)
    assert found.title == "Work"
    assert [p.name for p in found.parameters] == ["depth", "api_token"]
    assert found.to_dict()["parameters"][0] == {
        "name": "depth",
        "type": "int",
        "default": "1",
        "required": False,
        "help": "levels",
    }
    assert "levels" in found._repr_html_()
    train = mlops.execute("train", help_notebook=True)
    assert {"name", "data", "target"} <= {p.name for p in train.parameters}
    assert not (project / "mlflow.db").exists()
    assert not (project / "executed").exists()
