"""How a model came about, as a card tells it: the model itself, its inputs, code, environment."""

from __future__ import annotations

import hashlib
from typing import Any

from mlops_magics import flavors, store
from mlops_magics.records import CardFact, CardSection, CardTable
from mlops_magics.verbs import card_statements
from mlops_magics.verbs.card_sources import Sources

_LOCK = "mlops/requirements.txt"
#: Parameters that say nothing: MLflow has None as text.
_NOTHING = ("", "null", "None")


def details(sources: Sources, said: dict[str, CardFact]) -> CardSection:
    """Model details: what it is, whose, since when."""
    version = sources.version
    registry = f"registry, {version.ref}"
    size = version.tags.get("mlops.size", "")
    trained = sources.of_record("Trained", "started", form="moment")
    facts = (
        CardFact(name="Version", value=version.ref, source=registry),
        CardFact(
            name="Aliases",
            value=", ".join(f"@{a}" for a in version.aliases) or "none",
            source=registry,
        ),
        CardFact(name="Estimator", value=version.estimator, source=registry),
        CardFact(name="Task", value=version.tags.get("mlops.task"), source=registry),
        *card_statements.texts(sources),
        *(said[key] for key in ("owner", "contact", "license")),
        trained,
        sources.of_record("Trained by", "who", "actor"),
        CardFact(
            name="Size", value=int(size) if size.isdigit() else None, source=registry, form="bytes"
        ),
        CardFact(name="Content", value=version.digest, source=registry, form="digest"),
        CardFact(name="Run", value=version.run_id, source=registry),
    )
    return CardSection(name="Model details", facts=facts)


def interface(sources: Sources) -> CardSection:
    """What goes in and what comes out."""
    path, trouble = sources.tried(lambda: store.versions.local_path(sources.version))
    folder: Any = None
    if path is not None:
        folder, trouble = sources.tried(lambda: flavors.folder.read(path))
    source = f"MLmodel of {sources.version.ref}"
    output = folder.output if folder is not None else None
    needs, _ = sources.tried(lambda: (path / "requirements.txt").read_text(encoding="utf-8"))
    libraries = [line.strip() for line in (needs or "").splitlines() if line.strip()]
    facts = [
        CardFact(name="Output", value=output, source=source, trouble=trouble),
        CardFact(
            name="Libraries it needs",
            value=", ".join(libraries),
            source=f"requirements.txt of {sources.version.ref}",
            trouble=trouble,
        ),
    ]
    inputs = folder.inputs if folder is not None else ()
    if not inputs:
        facts.insert(0, CardFact(name="Inputs", source=source, trouble=trouble))
    rows = tuple(
        (
            i.name or "–",
            i.type if i.shape is None else f"{i.type} {list(i.shape)}",
            "yes" if i.required else "no",
        )
        for i in inputs
    )
    table = CardTable(
        title="Inputs", columns=("input", "type", "required"), rows=rows, source=source
    )
    return CardSection(name="Inputs and output", facts=tuple(facts), tables=(table,))


def making(sources: Sources) -> CardSection:
    """The code, the environment, the parameters, what it used."""
    record = sources.record
    notebook = record.get("notebook") or {}
    headless = " (headless)" if notebook.get("headless") else ""
    facts = (
        *_trust(sources),
        CardFact(
            name="Notebook",
            value=f"{notebook['path']}{headless}" if notebook.get("path") else None,
            source=sources.trained,
            trouble=sources.trouble,
        ),
        *_code(sources),
        sources.of_record("Python", "environment", "python"),
        sources.of_record("Operating system", "environment", "os"),
        sources.of_record("Processor", "environment", "processor"),
        CardFact(
            name="Installed libraries",
            value=len(record["packages"]) if record.get("packages") else None,
            source=sources.trained,
            trouble=sources.trouble,
        ),
        _lock(sources),
        sources.of_record("Used", "resources", form="used"),
    )
    params = {k: v for k, v in sources.params.items() if v not in _NOTHING}
    table = CardTable(
        title=f"Parameters ({len(params)}; those without a value are left out)",
        columns=("parameter", "value"),
        rows=tuple(sorted(params.items())),
        source=f"run {sources.version.run_id}",
        long=True,
    )
    return CardSection(name="How it was made", facts=facts, tables=(table,))


def _trust(sources: Sources) -> tuple[CardFact, ...]:
    """Each stamp with its reason: cells, code, data."""
    trust = sources.record.get("trust") or {}
    if not trust:
        return (sources.of_record("Cells", "trust"),)
    return tuple(
        CardFact(name=str(k).capitalize(), value=v, source=sources.trained)
        for k, v in trust.items()
    )


def _code(sources: Sources) -> tuple[CardFact, ...]:
    """The commit; that there is none is told by the stamp of the code."""
    git = sources.record.get("git") or {}
    if not git.get("commit"):
        return () if sources.record.get("trust") else (sources.of_record("Commit", "git"),)
    changes = "kept with the run" if git.get("dirty") else "none"
    return (
        sources.of_record("Commit", "git", "commit"),
        CardFact(name="Uncommitted changes", value=changes, source=sources.trained),
    )


def _lock(sources: Sources) -> CardFact:
    run_id = sources.version.run_id
    content, trouble = sources.tried(lambda: store.runs.fetch(run_id, _LOCK).read_bytes())
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}" if content else None
    return CardFact(
        name="Lock", value=digest, source=f"{_LOCK} of run {run_id}", trouble=trouble, form="digest"
    )
