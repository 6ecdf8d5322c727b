"""Keeping secrets out of what is written: values that are named like secrets are masked.

Two kinds of value are secret: a parameter whose name says so, and the value of an environment
variable whose name says so. Each is replaced wherever it stands as text, in all the spellings
that a notebook gives it (quoted in code, escaped in HTML or JSON, in a URL). What was masked is
counted and placed, never repeated.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "•••"

#: The words that make a name a secret's; whole words, so that ``tokenizer`` is none.
_WORDS = re.compile(
    r"(?:^|[_\W])(?:pass(?:word|wd|phrase|code)|pwd|secret|secrets|token|credentials?"
    r"|auth(?:orization)?|(?:api|access|private|secret|account|storage|encryption)[_-]?key"
    r"|connection[_-]?string|dsn)(?:$|[_\W])",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

#: Variables that are named like secrets and hold a place: the shell's working directory, an
#: agent's socket, a file in which a secret lies.
_PLACES = re.compile(r"PWD|OLDPWD|.*_(?:SOCK|FILE|PATH|DIR|HOME)", re.IGNORECASE)

#: Shorter values are too common to be replaced wherever they stand.
SHORTEST = 6
#: Values that are settings rather than secrets, whatever their variable is called.
_PLAIN = re.compile(r"(?:true|false|none|null|yes|no|enabled|disabled|\d{1,8})", re.IGNORECASE)


def names_secret(name: str) -> bool:
    """Whether a parameter or variable of that name holds a secret.

    Examples
    --------
    >>> [names_secret(n) for n in ("DB_PASSWORD", "apiKey", "max_tokens", "tokenizer")]
    [True, True, False, False]
    """
    return bool(_WORDS.search(_CAMEL.sub("_", name)))


def mask(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same names, with `MASK` for each secret that has a value; nested mappings too."""
    return {
        name: MASK
        if names_secret(str(name)) and value not in (None, "")
        else mask(value)
        if isinstance(value, Mapping)
        else value
        for name, value in values.items()
    }


def naming() -> str:
    """The pattern, to be searched for without regard to case, of names that are a secret's."""
    return _WORDS.pattern


def known(
    parameters: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What each secret value is called → the value: parameters by name, variables as ``$NAME``."""
    around = os.environ if environment is None else environment
    found = {f"${n}": v for n, v in around.items() if not _PLACES.fullmatch(n)}
    held = {**{n: v for n, v in found.items() if names_secret(n[1:])}, **parameters}
    return {
        label: value
        for label, given in held.items()
        for value in _secrets({label.removeprefix("$"): given})
    }


class Masker:
    """Replaces known secret values in any JSON value, and counts where.

    Parameters
    ----------
    parameters : mapping, optional
        Named values; those that are named like secrets are.
    environment : mapping, optional
        Likewise, ``os.environ`` by default.

    Attributes
    ----------
    places : Counter
        Where something was masked → how often, over all calls.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.places: Counter[str] = Counter()
        around = os.environ if environment is None else environment
        kept = {name: value for name, value in around.items() if not _PLACES.fullmatch(name)}
        values = {*_secrets(parameters or {}), *_secrets(kept)}
        spellings = {s for value in values for s in _spellings(value)}
        # Longest first: a spelling that holds another is replaced as a whole.
        ordered = sorted(spellings, key=lambda s: (-len(s), s))
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, value: Any, place: str = "") -> Any:
        """`value` with every secret in its strings replaced; keys are left alone."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            masked, count = self._pattern.subn(MASK, value)
            if count:
                self.places[place] += count
            return masked
        if isinstance(value, Mapping):
            return {key: self(item, place) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item, place) for item in value]
        return value


def _secrets(named: Mapping[str, Any]) -> Iterable[str]:
    for name, value in named.items():
        if isinstance(value, Mapping):
            yield from _secrets(value)
        elif (
            isinstance(value, str)
            and names_secret(str(name))
            and len(value.strip()) >= SHORTEST
            and not _PLAIN.fullmatch(value.strip())
        ):
            yield value.strip()


def _spellings(secret: str) -> set[str]:
    """The ways in which one value is written in sources, outputs and links."""
    return {
        secret,
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        secret.encode("unicode_escape").decode("ascii").replace('"', r"\""),  # Papermill's
        html.escape(secret),
        html.escape(secret, quote=False),
        quote(secret, safe=""),
        quote_plus(secret),
    }
