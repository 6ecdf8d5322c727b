"""The canonical form of a notebook: what a seal speaks about, and what it leaves out.

A notebook file may be written in many ways that mean the same: text as one string or as a list
of lines, keys in any order, any indentation, ``2.0`` or ``2``. The canonical form is the same
for all of them: JSON with sorted keys, no white space, everything but ASCII escaped, integral
floats as integers. Every digest is the SHA-256 of that.

Everything in a notebook counts except what only changes how it is presented:

- notebook metadata: `LAYOUT_OF_NOTEBOOK`
- cell metadata: `LAYOUT_OF_CELL`, and within ``jupyter``: `LAYOUT_OF_JUPYTER`
- how the JSON itself is laid out (white space, order of keys, escapes)
- the seal itself, which can't hold its own digest; it is protected by its signature

The state of widgets counts: it is something that a reader sees.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

#: Where a sealed notebook keeps its record and its seal, in the notebook's metadata.
HOME = "mlops"

#: Notebook metadata that front ends keep for themselves.
LAYOUT_OF_NOTEBOOK = frozenset(
    {
        "celltoolbar",
        "hide_input",
        "livereveal",
        "orig_nbformat",
        "rise",
        "signature",
        "toc",
        "toc-autonumbering",
        "toc-showcode",
        "toc-showmarkdowntxt",
        "toc-showtags",
        "varInspector",
        "vscode",
    }
)

#: Cell metadata that folds, hides or arranges.
LAYOUT_OF_CELL = frozenset(
    {
        "collapsed",
        "deletable",
        "editable",
        "heading_collapsed",
        "hidden",
        "hide_input",
        "jp-MarkdownHeadingCollapsed",
        "scrolled",
        "slideshow",
        "trusted",
        "vscode",
    }
)

#: Keys of a cell's ``metadata.jupyter`` that fold or hide.
LAYOUT_OF_JUPYTER = frozenset({"outputs_hidden", "source_hidden"})


class UnreadableError(ValueError):
    """A text that is not one unambiguous JSON document."""


def parse(text: str | bytes) -> dict[str, Any]:
    """Read a notebook strictly.

    Python's parser takes the last of two equal keys and others take the first, so a file with
    both could show one thing to a reader and another to a verifier: it is refused, and so are
    ``NaN`` and infinities, which are not JSON.

    Raises
    ------
    UnreadableError
        If the text is not UTF-8, not JSON, not an object, or ambiguous.
    """
    try:
        content = json.loads(
            text.decode("utf-8") if isinstance(text, bytes) else text,
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except UnreadableError:
        raise
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, an endless number…
        raise UnreadableError(f"it is not readable JSON: {error}") from error
    if not isinstance(content, dict):
        raise UnreadableError("it is not a JSON object")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UnreadableError(f"the key {twice!r} stands twice in one object")
    return found


def _refuse(constant: str) -> Any:
    raise UnreadableError(f"{constant} is not JSON")


def _finite(literal: str) -> float:
    value = float(literal)
    if value in (float("inf"), float("-inf")):
        raise UnreadableError(f"the number {literal[:40]} is too large")
    return value


def digest(value: Any) -> str:
    """``sha256:…`` of any JSON value in its canonical form."""
    return f"sha256:{hashlib.sha256(canonical(value)).hexdigest()}"


def canonical(value: Any) -> bytes:
    """A JSON value as the bytes that are hashed.

    Raises
    ------
    ValueError
        For NaN and infinities.
    TypeError
        For what JSON has no form for.
    """
    return json.dumps(
        _integral(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")


def _integral(value: Any) -> Any:
    """Integral floats as integers: a front end in JavaScript writes ``2.0`` back as ``2``."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, Mapping):
        return {key: _integral(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_integral(item) for item in value]
    return value


def text_of(value: Any) -> Any:
    """Text as one string, whether it was stored as one or as a list of lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value


def _bundle(data: Any) -> Any:
    """A MIME bundle; JSON types keep their lists, text is joined as in `text_of`."""
    if not isinstance(data, Mapping):
        return data
    return {
        kind: item if kind == "application/json" or kind.endswith("+json") else text_of(item)
        for kind, item in data.items()
    }


def _output(output: Any) -> Any:
    if not isinstance(output, Mapping):
        return output
    whole = dict(output)
    if "text" in whole:
        whole["text"] = text_of(whole["text"])
    if "data" in whole:
        whole["data"] = _bundle(whole["data"])
    return whole


def _cell_metadata(metadata: Any) -> Any:
    if not isinstance(metadata, Mapping):
        return metadata
    kept = {key: value for key, value in metadata.items() if key not in LAYOUT_OF_CELL}
    jupyter = kept.get("jupyter")
    if isinstance(jupyter, Mapping):
        kept["jupyter"] = {k: v for k, v in jupyter.items() if k not in LAYOUT_OF_JUPYTER}
        if not kept["jupyter"]:
            del kept["jupyter"]
    return kept


def cells(notebook: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each cell as digests: of its source, its outputs, and all else that it holds.

    Yields
    ------
    dict
        ``id``, ``type``, ``source``, ``outputs``, ``count`` (the execution count as it is), and
        ``rest`` (metadata, attachments and any further key).
    """
    listed = notebook.get("cells", [])
    for cell in listed if isinstance(listed, list) else [listed]:
        held = dict(cell) if isinstance(cell, Mapping) else {"source": cell}
        named, kind = held.pop("id", None), held.pop("cell_type", None)
        source, count = text_of(held.pop("source", "")), held.pop("execution_count", None)
        outputs = held.pop("outputs", [])
        if isinstance(outputs, list):
            outputs = [_output(output) for output in outputs]
        held["metadata"] = _cell_metadata(held.get("metadata", {}))
        if isinstance(held.get("attachments"), Mapping):
            held["attachments"] = {k: _bundle(v) for k, v in held["attachments"].items()}
        yield {
            "id": named,
            "type": kind,
            "source": digest(source),
            "outputs": digest(outputs),
            "count": count,
            "rest": digest(held),
        }


def manifest(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that counts in a notebook, as digests small enough to sign and to compare.

    Returns
    -------
    dict
        ``cells`` as in `cells`, in order; ``record`` (field of the record → digest);
        ``metadata`` (other notebook metadata → digest); ``format`` (any further top-level key,
        such as ``nbformat``, as it is).
    """
    metadata = notebook.get("metadata", {})
    metadata = dict(metadata) if isinstance(metadata, Mapping) else {"metadata": metadata}
    home = metadata.pop(HOME, {})
    home = dict(home) if isinstance(home, Mapping) else {"record": {HOME: home}}
    home.pop("seal", None)
    record = home.pop("record", {})
    record = dict(record) if isinstance(record, Mapping) else {"record": record}
    metadata |= {f"{HOME}.{name}": value for name, value in home.items()}
    return {
        "cells": list(cells(notebook)),
        "record": {name: digest(value) for name, value in sorted(record.items())},
        "metadata": {
            name: digest(value)
            for name, value in sorted(metadata.items())
            if name not in LAYOUT_OF_NOTEBOOK
        },
        "format": {k: v for k, v in notebook.items() if k not in {"cells", "metadata"}},
    }
