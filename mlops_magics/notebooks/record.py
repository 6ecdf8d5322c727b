"""The record of an executed notebook: what happened, in its own metadata, sealed.

One record is one event: who ran which notebook with which parameters in which environment from
which code, what became of each cell, and which steps it took. It is written into the notebook
under ``metadata.mlops.record`` with secrets masked, and everything is sealed together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from mlops_magics.evidence import code, environment, manifests, seal, secrets
from mlops_magics.notebooks import files, kernels, parameters
from mlops_magics.notebooks.fitting import KEPT
from mlops_magics.notebooks.running import Outcome, Plan
from mlops_magics.records import SCHEMA_VERSION, jsonable

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]


def source_of(path: Path) -> dict[str, Any]:
    """The notebook that is run: where it lies, what was in it, and what it was made from."""
    content = path.read_bytes()
    found: dict[str, Any] = {
        "path": str(path),
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
    }
    try:
        earlier = json.loads(content)["metadata"]["mlops"]["record"]["event"]
    except (ValueError, KeyError, TypeError):
        return found
    return {**found, "follows": str(earlier)}


@dataclass(frozen=True)
class Surroundings:
    """What a run starts from, gathered before its first cell: a commit may come in between."""

    source: Mapping[str, Any]
    who: Mapping[str, Any]
    git: Mapping[str, Any]
    environment: Mapping[str, Any]
    packages: Mapping[str, Any]


def surroundings(source: Path, kernel: kernels.Kernel) -> Surroundings:
    """Gather who, which code and which environment."""
    return surroundings_of({source: kernel})[source]


def surroundings_of(sources: Mapping[Path, kernels.Kernel]) -> dict[Path, Surroundings]:
    """The same for several notebooks; what they have in common is gathered once."""
    who, machine = environment.who(), environment.describe()
    packages, git = cache(kernels.packages), cache(code.git)
    return {
        source: Surroundings(source_of(source), who, _git(source, git), machine, packages(kernel))
        for source, kernel in sources.items()
    }


def _git(source: Path, git: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """The project's repository: around the working directory, else around the notebook."""
    found = git(Path.cwd())
    if found or source in files.templates().values():
        return found  # a shipped notebook lies in our repository, not in the user's
    return git(source.parent)


def build(
    plan: Plan,
    outcome: Outcome,
    around: Surroundings,
    *,
    event: str,
    verb: str,
    arguments: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]] = (),
    run_id: str = "",
    attempt: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
    resumed: Mapping[str, Any] | None = None,
    checkpoint: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The record of one run; secrets are masked by name here, by value in `sealed`.

    Parameters
    ----------
    event : str
        The execution's id, which its steps carry too.
    steps : sequence of mapping
        What the verbs in the notebook left in the journal.
    run_id : str
        The MLflow run of the execution, if there is one.
    attempt : mapping, optional
        ``number`` and ``place`` of this one, and the ``earlier`` ones that were lost.
    warnings : sequence of str
        Beside the outcome's, which are part of them.
    resumed : mapping, optional
        The run that it went on from, and the cells that are kept from there.
    checkpoint : mapping, optional
        Where another one could go on, or why it could not.
    """
    body: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "event": event,
        "verb": verb,
        "arguments": secrets.mask(arguments),
        "who": around.who,
        "status": outcome.status,
        "reason": outcome.reason,
        "started": outcome.started,
        "ended": outcome.ended,
        "duration_s": outcome.duration,
        "notebook": around.source,
        "parameters": _effective(plan),
        "parameters_given": sorted(plan.params),
        "kernel": {
            "name": plan.kernel.name,
            "language": plan.kernel.language,
            "forked": outcome.forked,
        },
        "environment": around.environment,
        "packages": around.packages,
        "git": {k: v for k, v in around.git.items() if k != "diff"},
        "uncommitted": around.git.get("diff", ""),
        "cells": _cells(outcome),
        "failed_cell": outcome.failed_cell,
        "steps": list(steps),
        "warnings": list(warnings or outcome.warnings),
        "run_id": run_id,
        "attempt": attempt or {"number": 1, "place": "", "earlier": []},
        **({"resumed": resumed} if resumed else {}),
        **({"checkpoint": checkpoint} if checkpoint else {}),
    }
    return dict(jsonable(body))


def _effective(plan: Plan) -> dict[str, Any]:
    """Every parameter with the value that it had, given or by default where that is a literal."""
    return {**secrets.mask(_defaults(plan)), **plan.written}


def _defaults(plan: Plan) -> dict[str, Any]:
    if plan.kernel.language != "python":
        return {}
    return {
        p.name: p.default
        for p in parameters.declared(plan.notebook).values()
        if not p.required and p.default is not parameters.COMPUTED
    }


def _cells(outcome: Outcome) -> list[dict[str, Any]]:
    notebook = outcome.notebook
    return [
        {
            "id": cell.get("id"),
            "type": cell.cell_type,
            "status": state,
            "execution_count": cell.get("execution_count"),
            "duration_s": cell.metadata.get("papermill", {}).get("duration"),
            **({"kept_from": cell.metadata[KEPT]} if KEPT in cell.metadata else {}),
        }
        for cell, state in zip(notebook.cells, outcome.states, strict=True)
    ]


def masker_for(plan: Plan) -> secrets.Masker:
    """What finds the plan's secret parameters and this environment's secrets."""
    known = [plan.params[name] for name in plan.references]
    return secrets.Masker({"given": plan.params, "default": _defaults(plan)}, known=known)


def masked(notebook: nbformat.NotebookNode, masker: secrets.Masker) -> dict[str, Any]:
    """The notebook as plain JSON that holds no known secret; the one given is left alone."""
    return dict(masker(notebook, "notebook"))


def sealed(
    notebook: Mapping[str, Any],
    record: Mapping[str, Any],
    masker: secrets.Masker,
    key: CryptoSigner,
    name: str,
) -> tuple[dict[str, Any], str]:
    """The masked notebook with record and seal, and the sealed digest.

    Each cell's digests are added to the record, so that it can be read without the seal.
    """
    plain = _as_written(files.text_of(notebook))
    body = dict(masker(record, "record"))
    digests = [
        {"source": c["source"], "outputs": c["outputs"]} for c in manifests.manifest(plain)["cells"]
    ]
    body["cells"] = [{**cell, **found} for cell, found in zip(body["cells"], digests, strict=True)]
    body["masked"] = {"count": sum(masker.places.values()), "places": sorted(masker.places)}
    home = {manifests.HOME: {"record": _as_written(json.dumps(body))}}
    done = seal.sign({**plain, "metadata": {**plain["metadata"], **home}}, key, name)
    subject = seal.statement(done)["subject"][0]["digest"]["sha256"]
    return done, f"sha256:{subject}"


def _as_written(text: str) -> dict[str, Any]:
    """What a reader of the written text will have; JSON has no NaN."""
    try:
        return manifests.parse(text)
    except manifests.UnreadableError:
        return dict(jsonable(json.loads(text)))
