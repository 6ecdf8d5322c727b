"""Keeping secrets out of what is written: values that are named like secrets are masked.

Three kinds of value are secret: a parameter whose name says so, one that was given by reference
(``env:NAME``, ``file:PATH``), and the value of an environment variable whose name says so. Each is
replaced wherever it stands as text, in all the spellings
that a notebook gives it (quoted in code, escaped in HTML or JSON, in a URL). What was masked is
counted and placed, never repeated.
"""

from __future__ import annotations

import builtins
import html
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "•••"

#: The name among Python's builtins under which a headless kernel holds the secrets it was given.
GIVEN = "__mlops_given__"
#: How the cell with a kernel's parameters asks for one of them: no cell holds the value itself.
_ASKED = re.compile(re.escape(GIVEN) + r"\[['\"]\w+['\"]\]")

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


def is_reference(value: object) -> bool:
    """Whether a value names where a secret lies, and is none itself.

    Examples
    --------
    >>> [is_reference(v) for v in ("env:TOKEN", "file:key.pem", "env::text", "file:///a.csv")]
    [True, True, False, False]
    """
    if not isinstance(value, str):
        return False
    scheme, colon, rest = value.partition(":")
    return bool(colon) and scheme in ("env", "file") and not rest.startswith((":", "//"))


def mask(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same names, with `MASK` for each secret that has a value; nested mappings too.

    A reference stays: it tells where the secret lies.
    """
    return {
        name: MASK
        if names_secret(str(name)) and value not in (None, "") and not is_reference(value)
        else mask(value)
        if isinstance(value, Mapping)
        else value
        for name, value in values.items()
    }


def naming() -> str:
    """The pattern, to be searched for without regard to case, of names that are a secret's."""
    return _WORDS.pattern


def known(parameters: Mapping[str, Any], always: Iterable[str] = ()) -> dict[str, str]:
    """What each secret value is called → the value: parameters by name, variables as ``$NAME``.

    Parameters
    ----------
    always : iterable of str
        The parameters that are secret whatever they are called.
    """
    variables = {n: v for n, v in os.environ.items() if not _PLACES.fullmatch(n)}
    named = {f"${n}": value for n, v in variables.items() for value in _secrets({n: v})}
    named |= {n: value for n, v in parameters.items() for value in _secrets({n: v})}
    return named | {n: value for n in always for value in long_enough(parameters[n])}


class Masker:
    """Replaces known secret values in any JSON value, and counts where.

    Parameters
    ----------
    parameters : mapping, optional
        Named values; those that are named like secrets are.
    environment : mapping, optional
        Likewise, ``os.environ`` by default.
    known : object, optional
        A value, or values in lists and mappings, that are secret whatever they are called. Those
        that this very kernel was given are known always.

    Attributes
    ----------
    places : Counter
        Where something was masked → how often, over all calls.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        known: object = None,
    ) -> None:
        self.places: Counter[str] = Counter()
        around = os.environ if environment is None else environment
        kept = {name: value for name, value in around.items() if not _PLACES.fullmatch(name)}
        values = {*_secrets(parameters or {}), *_secrets(kept)}
        values |= {*long_enough(known), *long_enough(getattr(builtins, GIVEN, None))}
        spellings = {s for value in values for s in _spellings(value)}
        # Longest first: a spelling that holds another is replaced as a whole.
        ordered = sorted(spellings, key=lambda s: (-len(s), s))
        self._pattern = re.compile("|".join([_ASKED.pattern, *map(re.escape, ordered)]))

    def __call__(self, value: Any, place: str = "") -> Any:
        """`value` with every secret in its strings replaced; keys are left alone."""
        if isinstance(value, str):
            masked, count = self._pattern.subn(_masked, value)
            if count:
                self.places[place] += count
            return masked
        if isinstance(value, Mapping):
            return {key: self(item, place) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item, place) for item in value]
        return value


def _masked(found: re.Match[str]) -> str:
    # In code a text stands for it, so that the masked code can be read as code.
    return f'"{MASK}"' if found[0].startswith(GIVEN) else MASK


def long_enough(value: object) -> Iterable[str]:
    """The texts and numbers in a value that are long enough to be looked for."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from long_enough(item)
    elif isinstance(value, str | int | float) and len(text := str(value).strip()) >= SHORTEST:
        yield text


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
