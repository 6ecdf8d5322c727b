"""`verify` and `audit`: whether records are untouched, and handing them to someone else."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from mlops_magics.errors import BadData, WrongUsage
from mlops_magics.records import RENDERERS, ModelCard, Verification, jsonable
from mlops_magics.verbs import looking
from mlops_magics.verbs.declaration import Reference, verb

#: A record: a file, a folder of files, or a model's reference.
RecordRef = Annotated[str, Reference("record")]


@dataclass(frozen=True, kw_only=True)
class Audit(Verification):
    """What is on record about something, collected and verified.

    Attributes
    ----------
    kind : str
        ``notebook`` or ``model``.
    exported : str
        The file that it was written to; empty if it was not.
    facts : mapping
        The record itself.
    """

    kind: str
    exported: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)


@verb()
def verify(*paths: RecordRef, key: str = "") -> Verification:
    """Prove that records are whole and untouched, or say exactly what is not.

    An executed notebook is compared with its seal: each cell's source, outputs and execution
    count, the order of the cells, every field of the record. That needs the file and the signer's
    public key, and neither store nor network. A notebook that is unchanged but sealed with a key
    that is not known here is not called intact: whoever changes a notebook can seal it anew.

    Parameters
    ----------
    paths : path
        Executed notebooks, or folders of them. Of a model, for example ``credit@champion``, the
        files are compared with what was registered, and every entry of its history with what the
        step has left: what was altered, removed or put in, and aliases that were moved by other
        means, are named.
    key : path, optional
        The public key (PEM) that must have signed. By default your own key and those in the key
        folder's ``trusted/`` are believed.

    Returns
    -------
    Verification
        For several files one for all: each problem begins with its file.

    Raises
    ------
    UnknownName
        If there is no such file or model.
    BadData
        If a folder holds no notebooks.
    """
    if not paths:
        raise WrongUsage("Nothing to verify was named.", "For example: mlops verify executed/")
    each = [looking.one(item, key) for path in paths for item in looking.items(path)]
    if len(each) == 1:
        return each[0]
    broken = [one for one in each if not one.intact]
    return Verification(
        path=", ".join(map(str, paths)),
        intact=not broken,
        problems=tuple(f"{one.path}: {problem}" for one in broken for problem in one.problems),
        signer=", ".join(sorted({one.signer for one in each if one.signer})),
        sealed=max((one.sealed for one in each), default=""),
        cells=sum(one.cells for one in each),
        warnings=(f"{len(each) - len(broken)} of {len(each)} records are intact.",),
    )


@verb()
def audit(
    ref: RecordRef,
    *,
    export: Literal["", "html", "json", "card"] = "",
    output: str = "",
    key: str = "",
) -> Audit:
    """Collect what is on record about an executed notebook or a model, to hand it on.

    A model's card tells it to people, in the fields of the usual templates: what it is for, how it
    was judged, also by group, its limits, data, owner, versions. It is made from recorded facts
    only; what is not recorded is said to be so, with the command that records it.

    Parameters
    ----------
    ref : path
        An executed notebook, or a model such as ``credit@champion``.
    export : str
        ``html``: one page that needs no script (of a notebook); ``card``: the model card (of a
        model), also one page without a script; ``json``: the facts as they are.
    output : path, optional
        Where the export goes; by default beside the notebook, or into this folder. A card is
        written as Markdown, with the metadata block of the Hugging Face Hub, where it ends in
        ``.md``.
    key : path, optional
        As in `verify`: the public key that must have signed.

    Returns
    -------
    Audit
        Its exit code is 5 if the record is not intact; it is exported all the same, and says so.

    Raises
    ------
    UnknownName
        If there is no such file or model.
    WrongUsage
        If this cannot be exported in that form.
    """
    if output and not export:
        raise WrongUsage("--output needs --export.", "Add --export html, json or card.")
    if looking.is_file(ref):
        return _audit_notebook(Path(ref).expanduser(), export, output, key)
    return _audit_model(ref, export, output)


def _audit_notebook(file: Path, export: str, output: str, key: str) -> Audit:
    if export == "card":
        raise WrongUsage(
            f"A card is of a model, and {file} is a notebook.",
            "Name the model: audit credit@champion --export card.",
        )
    content, finding, problem = looking.look(file, key)
    if not content:
        raise BadData(f"{file} is not a notebook that can be shown. {problem}")
    checked = looking.told(str(file), finding, problem)
    home = content.get("metadata", {}).get("mlops", {})
    facts = {"record": home.get("record", {}) if isinstance(home, Mapping) else {}}
    facts["seal"] = {
        "sealed": finding.sealed,
        "digest": finding.digest,
        "key": finding.key_id,
        "trusted": finding.trusted,
    }
    target = ""
    if export == "html":
        from mlops_magics.notebooks import export as page

        text = page.page(content, finding, file.name)
        target = _write(output, file.with_suffix(".html"), text)
    elif export == "json":
        body = {"ref": str(file), "verification": checked.to_dict(), **facts}
        target = _write(output, file.with_suffix(".audit.json"), _json(body))
    return _audit("notebook", checked, target, facts)


def _audit_model(ref: str, export: str, output: str) -> Audit:
    from mlops_magics import store

    if export == "html":
        raise WrongUsage(
            "A model's audit is exported as its card or as JSON; HTML is for executed notebooks.",
            "Use --export card, which is a page to read, or --export json.",
        )
    checked = looking.model(ref)
    version = store.versions.resolve(ref)
    events = [
        event
        for event in store.history.events(version.name)
        if event["model"] in ("", version.ref) or event["run_id"] == version.run_id
    ]
    facts: dict[str, Any] = {
        "model": {
            "ref": version.ref,
            "digest": version.digest,
            "aliases": list(version.aliases),
            "estimator": version.estimator,
            "tags": dict(version.tags),
        },
        "events": events,
        # What each step left: code, data, environment, parameters, who, when.
        "records": {e["run_id"]: _record_of(e["run_id"]) for e in events},
    }
    target = ""
    if export == "json":
        body = {"ref": version.ref, "verification": checked.to_dict(), **facts}
        name = f"{version.name}-{version.number}.audit.json"
        target = _write(output, Path.cwd() / name, _json(body))
    elif export == "card":
        from mlops_magics.verbs import carding

        facts["card"] = card = carding.make(version, checked, events)
        name = f"{version.name}-{version.number}.card.html"
        target = _write(output, Path.cwd() / name, _shown(card, output))
    return _audit("model", checked, target, facts)


def _audit(kind: str, checked: Verification, target: str, facts: Mapping[str, Any]) -> Audit:
    found = {f.name: getattr(checked, f.name) for f in fields(checked) if f.name != "bindings"}
    return Audit(kind=kind, exported=target, facts=facts, **found)


def _shown(card: ModelCard, output: str) -> str:
    """The card as the file is to have it; a record's looks are the doors' business."""
    form = "document" if Path(output).suffix.lower() == ".md" else "page"
    return str(pkgutil.resolve_name(RENDERERS[form])(card))


def _record_of(run_id: str) -> Any:
    from mlops_magics import store
    from mlops_magics.errors import StoreUnreachable

    try:
        return store.runs.read_json(run_id, "mlops/record.json")
    except StoreUnreachable:  # the step was killed before it could write one
        return None


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(jsonable(body), indent=1, ensure_ascii=False) + "\n"


def _write(output: str, beside: Path, text: str) -> str:
    from mlops_magics.notebooks import files

    target = Path(output).expanduser() if output else beside
    if target.is_dir():
        target = target / beside.name
    files.write(target, text.encode("utf-8"))
    return str(target)
