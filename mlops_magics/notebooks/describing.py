"""What a notebook says of its own parameters, read from its text; no kernel is started."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Mapping
from typing import Any

from mlops_magics.evidence import secrets
from mlops_magics.notebooks import parameters
from mlops_magics.notebooks.parameters import COMPUTED, Parameter


def of_parameters(notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Name, type, default, whether it is required, and the comment beside it, of each parameter.

    The comment stands behind the assignment, or in the lines right above it.

    Raises
    ------
    BadData
        If the parameters cell can't be read.
    """
    cell = parameters.cell_of(notebook)
    said = _comments(parameters.plain(cell["source"])) if cell else {}
    return [
        {
            "name": found.name,
            "type": str(found.kind),
            "default": _default(found),
            "required": found.required,
            "help": _help(found, said),
        }
        for found in parameters.declared(notebook).values()
    ]


def heading(notebook: Mapping[str, Any]) -> str:
    """The notebook's first heading; empty if it has none."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and (
            found := re.search(r"^#+\s+(.+)$", cell["source"], re.MULTILINE)
        ):
            return re.sub(r"[*_`]", "", found[1]).strip()
    return ""


def _default(found: Parameter) -> str:
    """As it stands in the cell; a secret's is masked."""
    if found.required:
        return ""
    hidden = secrets.names_secret(found.name) and found.default not in (None, "", COMPUTED)
    return secrets.MASK if hidden else str(secrets.Masker()(found.code))


def _comments(source: str) -> dict[int, tuple[str, bool]]:
    """Line → its comment, and whether the comment has the line to itself."""
    lines = source.splitlines()
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return {}
    return {
        token.start[0]: (
            _text(token.string),
            not lines[token.start[0] - 1][: token.start[1]].strip(),
        )
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _text(comment: str) -> str:
    """A comment's words; what it says of a type is said already, or for a tool."""
    text = re.sub(r"^#+\s*(type:[^#]*#?|noqa\S*)?", "", comment)
    return text.strip()


def _help(found: Parameter, said: Mapping[int, tuple[str, bool]]) -> str:
    first, last = found.lines
    beside = [said[n][0] for n in range(first, last + 1) if n in said]
    if any(beside):
        return " ".join(filter(None, beside))
    above: list[str] = []
    line = first - 1
    while line in said and said[line][1]:
        above.insert(0, said[line][0])
        line -= 1
    return " ".join(filter(None, above))
