"""`verify` and `audit`: whether records are untouched, and handing them to someone else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mlops_magics import settings
from mlops_magics.errors import BadData, NotIntact, UnknownName, WrongUsage
from mlops_magics.records import Verification, jsonable
from mlops_magics.verbs.declaration import Reference, verb

if TYPE_CHECKING:
    from mlops_magics.evidence.seal import Finding

#: A record: a file, a folder of files, or a model's reference.
RecordRef = Annotated[str, Reference("record")]

_SUFFIX = ".ipynb"


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
        files are compared with what was registered.
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
    each = [_verify(item, key) for path in paths for item in _items(path)]
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


def _items(path: str) -> Iterator[str]:
    """The path itself, or every notebook in the folder."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        yield str(path)
        return
    found = [
        str(file)
        for file in sorted(folder.rglob(f"*{_SUFFIX}"))
        if ".ipynb_checkpoints" not in file.parts
    ]
    if not found:
        raise BadData(f"The folder {path} holds no notebooks.", "Name one that `execute` wrote to.")
    yield from found


def _verify(path: str, key: str) -> Verification:
    if not _is_file(path):
        return _verify_model(path)
    _, finding, problem = _look(Path(path).expanduser(), key)
    return _verification(path, finding, problem)


def _is_file(path: str) -> bool:
    """Whether it is a file; a path that looks like one and is not there is refused."""
    file = Path(path).expanduser()
    if file.is_file():
        return True
    if file.suffix == _SUFFIX or file.exists():
        beside = file.parent if file.parent.is_dir() else Path()
        raise UnknownName("record", path, map(str, beside.glob(f"*{_SUFFIX}")))
    return False


def _look(file: Path, key: str) -> tuple[dict[str, Any], Finding, str]:
    """The notebook, what its seal tells, and why it can't be read if it can't."""
    from mlops_magics.evidence import keys, manifests, seal

    if key:
        given = Path(key).expanduser()
        trusted: Mapping[str, Any] = {given.stem: keys.read_public(given)}
    else:
        trusted = keys.trusted(settings.load().keys)
    try:
        content = manifests.parse(file.read_bytes())
    except OSError as error:
        raise BadData(f"{file} can't be read: {error.strerror}.") from error
    except manifests.UnreadableError as error:
        return {}, seal.Finding(), f"It can't be relied on: {error}."
    return content, seal.verify(content, trusted), ""


def _verification(path: str, finding: Finding, problem: str) -> Verification:
    problems = [problem] if problem else list(finding.problems)
    if finding.sealed and not finding.problems and not finding.trusted:
        problems = [
            f"Nothing was changed since it was sealed, but the key {finding.key_id[:16]}… is not "
            "known here. Check it with --key FILE, the signer's signing.pub."
        ]
    known = finding.trusted or "a key not known here"
    return Verification(
        path=path,
        intact=finding.intact,
        problems=tuple(problems),
        signer=f"{known} ({finding.key_id[:16]}…)" if finding.key_id else "",
        sealed=finding.sealed,
        cells=finding.cells,
    )


def _verify_model(ref: str) -> Verification:
    """Compare a model's files with the digest that was registered with it."""
    from mlops_magics import store

    try:
        version = store.versions.resolve(ref)
    except UnknownName as error:
        error.hint = f"{error.hint.strip()} There is no file of that name either."
        raise
    problems: tuple[str, ...] = ()
    try:
        store.versions.local_path(version)
    except NotIntact as error:
        problems = (error.message,)
    return Verification(path=version.ref, intact=not problems, problems=problems)


@verb()
def audit(
    ref: RecordRef,
    *,
    export: Literal["", "html", "json"] = "",
    output: str = "",
    key: str = "",
) -> Audit:
    """Collect what is on record about an executed notebook or a model, to hand it on.

    Parameters
    ----------
    ref : path
        An executed notebook, or a model such as ``credit@champion``.
    export : str
        ``html``: one page that needs no script (of a notebook); ``json``: the facts as they are.
    output : path, optional
        Where the export goes; by default beside the notebook, or into this folder.
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
        raise WrongUsage("--output needs --export.", "Add --export html or --export json.")
    if _is_file(ref):
        return _audit_notebook(Path(ref).expanduser(), export, output, key)
    return _audit_model(ref, export, output)


def _audit_notebook(file: Path, export: str, output: str, key: str) -> Audit:
    content, finding, problem = _look(file, key)
    if not content:
        raise BadData(f"{file} is not a notebook that can be shown. {problem}")
    checked = _verification(str(file), finding, problem)
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
            "A model's audit is exported as JSON; HTML is for executed notebooks.",
            "Use --export json.",
        )
    checked = _verify_model(ref)
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
    return _audit("model", checked, target, facts)


def _audit(kind: str, checked: Verification, target: str, facts: Mapping[str, Any]) -> Audit:
    found = {f.name: getattr(checked, f.name) for f in fields(checked) if f.name != "bindings"}
    return Audit(kind=kind, exported=target, facts=facts, **found)


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
