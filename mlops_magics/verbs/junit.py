"""A verdict as JUnit XML, which every CI system shows: a test case a goal and a check."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from mlops_magics import notebooks
from mlops_magics.records import Verdict


def write(verdict: Verdict, path: str) -> None:
    """Write the verdict to a file, whole or not at all.

    Raises
    ------
    MlopsError
        If it can't be written.
    """
    notebooks.files.write(Path(path).expanduser(), document(verdict).encode("utf-8"))


def document(verdict: Verdict) -> str:
    """The XML document."""
    checks = [(f"data: {c.name}", c.found, c.status == "failed") for c in verdict.checks]
    cases = [*checks, *((g.text, g.reason, not g.passed) for g in verdict.goals)]
    suite = ElementTree.Element(
        "testsuite",
        name=f"validate {verdict.model}",
        tests=str(len(cases)),
        failures=str(sum(failed for _, _, failed in cases)),
        timestamp=verdict.at,
    )
    for name, reason, failed in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=verdict.model, name=name)
        if failed:
            ElementTree.SubElement(case, "failure", message=reason)
        else:
            ElementTree.SubElement(case, "system-out").text = reason
    whole = ElementTree.Element("testsuites")
    whole.append(suite)
    ElementTree.indent(whole)
    return ElementTree.tostring(whole, encoding="unicode", xml_declaration=True)
