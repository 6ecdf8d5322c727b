"""What only people can say of a model: what it is for, whose it is, where it must not be used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlops_magics.records import CardFact
from mlops_magics.verbs import noting
from mlops_magics.verbs.card_sources import Sources
from mlops_magics.verbs.options import pair

#: The tag by which each is recorded → what it is called, and the other spellings that are read.
ASKED: dict[str, tuple[str, tuple[str, ...]]] = {
    "owner": ("Owner", ()),
    "contact": ("Contact", ()),
    "license": ("Licence", ("licence",)),
    "intended_use": ("Intended use", ()),
    "intended_users": ("Intended users", ("users",)),
    "out_of_scope": ("Out of scope", ("out_of_scope_use",)),
    "factors": ("Factors", ("relevant_factors",)),
    "limits": ("Limits", ("limitations",)),
    "ethics": ("Ethical considerations", ("ethical_considerations",)),
    "caveats": ("Caveats and recommendations", ("recommendations",)),
}
#: With what stands in the registry nobody's name is kept.
_NAMELESS = "MLflow keeps neither who wrote it nor when"


def command(ref: str, key: str) -> str:
    """What records a statement about a version."""
    return f'mlops log --run {ref} --tag {key}="…"'


def of(sources: Sources) -> dict[str, CardFact]:
    """Each of `ASKED`, from the nearest place that says it.

    The version's own run goes before the registry's tags of the version, these before those of the
    model, and what was said of an earlier version comes last, as what it is.
    """
    own, whole, trouble = sources.registered()
    trouble = trouble or sources.run_trouble
    earlier: list[tuple[str, Mapping[str, str]]] | None = None
    found = {}
    for key, (name, others) in ASKED.items():
        keys = (key, *others)
        said = (
            _first(sources.tags, keys, lambda k: _of_run(sources, k))
            or _first(own.tags, keys, lambda k: f"tag {k} of {sources.version.ref}; {_NAMELESS}")
            or _first(
                whole.tags,
                keys,
                lambda k: f"tag {k} of the registered model {sources.version.name}; {_NAMELESS}",
            )
        )
        if said is None:
            if earlier is None:
                earlier = sources.tried(sources.earlier_tags)[0] or []
            said = _inherited(earlier, keys)
        value, source = said or (None, "")
        found[key] = CardFact(
            name=name,
            value=value,
            source=source,
            said=True,
            command=command(sources.version.ref, key),
            trouble="" if said else trouble,
        )
    return found


def texts(sources: Sources) -> tuple[CardFact, ...]:
    """What people wrote about it freely."""
    own, whole, _ = sources.registered()
    note = sources.tags.get("mlflow.note.content", "")
    by = sources.tags.get("mlops.actor") or "unknown"
    given = (
        (note, "Note", f"note of run {sources.version.run_id}, trained by {by}"),
        (own.text, "Description", f"registry, description of {sources.version.ref}; {_NAMELESS}"),
        (
            whole.text,
            "Description of the model",
            f"registry, description of {sources.version.name}; {_NAMELESS}",
        ),
    )
    return tuple(CardFact(name=n, value=t, source=s, said=True) for t, n, s in given if t.strip())


def _first(tags: Mapping[str, str], keys: tuple[str, ...], source: Any) -> tuple[str, str] | None:
    return next(((tags[k].strip(), source(k)) for k in keys if tags.get(k, "").strip()), None)


def _of_run(sources: Sources, key: str) -> str:
    """Which run says it and, as far as that is noted, who said it when."""
    where = f"tag {key} of run {sources.version.run_id}"
    later = _noted(sources.tags.get(noting.AFTER, ""))
    for note in reversed(later):
        if key in note.get("what", ()):
            return f"by {note.get('who')}, {_day(note.get('at'))}, {where}"
    given = sources.record.get("arguments", {}).get("tag") or ()
    at_first = dict(pair(str(t)) for t in ([given] if isinstance(given, str) else given))
    if at_first.get(key) == sources.tags.get(key):
        by, at = sources.tags.get("mlops.actor"), _day(sources.started)
        return f"by {by}, {at}, with the training, {where}"
    return f"{where}; who set it and when is not noted"


def _day(at: Any) -> str:
    """To the minute, as a sentence has it."""
    return f"{str(at)[:16].replace('T', ' ')} UTC"


def _noted(text: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [n for n in found if isinstance(n, Mapping)] if isinstance(found, list) else []


def _inherited(
    earlier: list[tuple[str, Mapping[str, str]]], keys: tuple[str, ...]
) -> tuple[str, str] | None:
    for ref, tags in earlier:
        if said := _first(tags, keys, lambda k, ref=ref: f"as said of {ref} (tag {k} of its run)"):
            return said
    return None
