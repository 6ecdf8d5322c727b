"""A model as an ONNX graph with a runner of one file: proven on all rows before it is shown."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from mlops_magics import flavors
from mlops_magics.errors import StepFailed
from mlops_magics.serving import manifest
from mlops_magics.serving.package import assembling, edge_texts, edge_web, isolation, placing
from mlops_magics.serving.package.reference import Reference

GRAPH, RUNNER, SIGNATURE, PARITY = "model.onnx", "run.py", "signature.json", "parity.json"
#: All that a bundle may import beside the standard library.
PACKAGES = ("numpy", "onnxruntime")
#: Rows of the example that is kept.
EXAMPLE_ROWS = 5


def bundle(
    model: Path,
    target: Path,
    about: Mapping[str, Any],
    python: str,
    reference: Reference,
    quantise: str = "",
) -> manifest.Manifest:
    """Make a bundle of a model's folder; `target` appears whole or not at all.

    Parameters
    ----------
    model : Path
        The folder that MLflow saved, whose digest the caller has checked.
    target : Path
        Where the bundle is to be; a package that is there is replaced.
    about : mapping
        Facts for the manifest: model, run_id, commit, created….
    quantise : str
        ``int8`` for weights in eight bits.

    Raises
    ------
    MissingExtra
        If onnx, onnxruntime or skl2onnx is not installed.
    BadData
        If a part of the model can't be converted; names it.
    StepFailed
        If the graph, or the runner in a process of its own, answers otherwise than the model.
    """
    from mlops_magics.flavors import onnx

    predictor = flavors.load(model)
    converted = onnx.convert(predictor)
    may_miss = onnx.missing.allowed(predictor, converted.inputs, reference.data)
    rows = onnx.missing.answerable(converted.inputs, may_miss, reference.data)
    notes = list(converted.notes)
    if left := len(reference.data) - len(rows):
        notes.append(f"{left:,} rows that the model can't answer were not compared: no value.")
        reference = replace(reference, data=rows)
    content, report = _proven(predictor, converted, reference, quantise)
    before = sum(file.stat().st_size for _, file in flavors.folder.files(model))
    sizes = {"before": before, "after": len(content)}
    with placing.aside(target) as folder:
        (folder / GRAPH).write_bytes(content)
        shutil.copyfile(Path(__file__).with_name("edge_run.py"), folder / RUNNER)
        _write(folder / SIGNATURE, _signature(about["model"], converted, may_miss))
        _write(folder / PARITY, {"reference": reference.source, **report, "size": sizes})
        if left_out := edge_web.add(folder):
            notes.append(left_out)
        pins = [f"{name}=={metadata.version(name)}" for name in PACKAGES]
        (folder / "requirements.txt").write_text("".join(f"{pin}\n" for pin in pins))
        readme = edge_texts.readme(
            about["model"],
            predictor.description,
            converted,
            may_miss,
            quantise,
            page=not left_out,
        )
        (folder / "README.md").write_text(readme, encoding="utf-8")
        latency = _example(folder, predictor, converted, reference, quantised=bool(quantise))
        _replay(folder)
        files = manifest.hashes(folder)
        made = manifest.Manifest(
            **about,
            model_digest=flavors.digest(model),
            digest=manifest.overall(files),
            files=files,
            python=python,
            server=assembling.VERSION,
            warnings=tuple(notes),
            measured={**report, "size": sizes, "latency": latency},
        )
        made.write(folder)
        placing.readable(folder)
    return made


def _proven(
    predictor: Any, converted: Any, reference: Reference, quantise: str
) -> tuple[bytes, dict[str, Any]]:
    """The graph to be kept, and how its answers compare with the model's."""
    from mlops_magics.flavors import onnx
    from mlops_magics.flavors.onnx import parity, quantising, sessions

    found = parity.compare(predictor, converted, sessions.opened(converted.content), reference.data)
    if not found.within():
        raise StepFailed(
            f"The ONNX graph does not answer as the model: {_words(found)}",
            "Nothing was packaged; --as folder keeps the model as it is.",
        )
    report = {"parity": {**asdict(found), "tolerance": parity.TOLERANCE}}
    if not quantise:
        return converted.content, report
    small = quantising.int8(onnx.convert(predictor, single=True).content)
    apart = parity.compare(predictor, converted, sessions.opened(small), reference.data)
    equal = apart.labels_equal
    enough = (
        apart.mean <= quantising.MOST_APART if equal is None else equal >= quantising.LEAST_EQUAL
    )
    if not enough:
        wanted = (
            f"a mean difference of {quantising.MOST_APART:g} at most"
            if equal is None
            else f"{quantising.LEAST_EQUAL:.0%} equal labels"
        )
        raise StepFailed(
            f"In eight bits the graph is too far from the model ({wanted} asked): {_words(apart)}",
            "Nothing was packaged; package it without --quantise.",
        )
    return small, {**report, "int8": asdict(apart)}


def _words(found: Any) -> str:
    """How the answers differ, and the rows where they do most."""
    told = ""
    if found.labels_equal is not None:
        other = round(found.rows * (1 - found.labels_equal))
        told = f"{other:,} of {found.rows:,} labels are others, "
    rows = "; ".join(f"row {row}: {ours} became {theirs}" for row, ours, theirs in found.worst)
    return f"{told}the largest difference is {found.largest:.3g}. Worst: {rows}."


def _signature(model: str, converted: Any, may_miss: Sequence[bool]) -> dict[str, Any]:
    from mlops_magics.flavors.onnx import fields

    return {
        "model": model,
        "task": converted.task,
        "inputs": [
            _input(field, may) for field, may in zip(converted.inputs, may_miss, strict=True)
        ],
        "array": converted.array,
        "outputs": list(converted.outputs),
        "classes": list(converted.classes),
        "missing_number": "NaN",
        "missing_text": fields.MISSING,
    }


def _input(field: Any, may_miss: bool) -> dict[str, Any]:
    return {
        "name": field.name,
        "type": field.type,
        "required": field.required,
        "width": field.width,
        "may_miss": may_miss,
    }


def _example(
    folder: Path, predictor: Any, converted: Any, reference: Reference, *, quantised: bool
) -> dict[str, Any]:
    """Keep the first rows with the model's answers; how long the first one takes both.

    In eight bits the answers are the graph's own, whose distance from the model's is reported.
    """
    from mlops_magics.flavors.onnx import sessions
    from mlops_magics.serving.package import edge_run

    head = reference.data[:EXAMPLE_ROWS]
    rows = _rows(head, converted)
    _write(folder / manifest.EXAMPLE, rows)
    runner = edge_run.Model(folder)
    answers = runner.predict(rows) if quantised else _answers(predictor, converted, head)
    _write(folder / manifest.ANSWERS, answers)
    one = head[:1]
    return {
        "before": sessions.latency(lambda: predictor.answers(one)),
        "after": sessions.latency(lambda: runner.predict(rows[:1])),
    }


def _rows(data: Any, converted: Any) -> list[Any]:
    """Rows as JSON has them: null where a value is missing, and a word for what is infinite."""
    if converted.array:
        return [[_plain(float(v)) for v in row] for row in data]
    names = [field.name for field in converted.inputs]
    plain = data[names].astype(object)
    plain = plain.where(plain.notna(), None)
    return [
        {name: _plain(v) for name, v in zip(names, row, strict=True)}
        for row in plain.itertuples(index=False, name=None)
    ]


def _plain(value: Any) -> Any:
    value = getattr(value, "item", lambda: value)()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _answers(predictor: Any, converted: Any, data: Any) -> list[dict[str, Any]]:
    """What the model itself answers, in the runner's form."""
    predictions = predictor.predict(data).reshape(-1).tolist()
    if converted.task == "regression":
        return [{"prediction": float(value)} for value in predictions]
    if "probabilities" not in converted.outputs:
        return [{"prediction": value} for value in predictions]
    labels = [c if isinstance(c, str) else json.dumps(c) for c in converted.classes]
    chances = predictor.predict_proba(data).astype(float).tolist()
    return [
        {"prediction": value, "probabilities": dict(zip(labels, row, strict=True))}
        for value, row in zip(predictions, chances, strict=True)
    ]


def _replay(folder: Path) -> None:
    """Let the runner check the example where nothing but its two packages is installed."""
    done = isolation.replay(folder, PACKAGES, (RUNNER, "--check"))
    if done.code != 0:
        said = (done.output.strip() or done.log.strip()).splitlines() or [""]
        raise StepFailed(
            f"The runner does not answer the example as the model does: {said[-1]}",
            "Nothing was packaged.",
        )


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
