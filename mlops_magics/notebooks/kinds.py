"""The types that a notebook's parameters can have, and how a value is read as one of them."""

from __future__ import annotations

import ast
import json
import numbers
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any


class MismatchError(ValueError):
    """A value that is not of the kind; its text says why, where the kind alone does not."""


@dataclass(frozen=True)
class Kind:
    """A type as a parameters cell names it.

    Attributes
    ----------
    name : str
        ``int``, ``float``, ``bool``, ``str``, ``list``, ``dict``, ``none``, ``literal``,
        ``union``, ``any`` (nothing is known) or ``other`` (a type that can't be checked here).
    of : tuple
        The kinds within (items, values, alternatives); for ``literal`` the values allowed.
    """

    name: str
    of: tuple[Any, ...] = ()

    def __str__(self) -> str:
        if self.name == "literal":
            return " or ".join(map(repr, self.of))
        if self.name == "union":
            return " or ".join(map(str, self.of))
        if self.name == "none":
            return "None"
        if self.name in {"any", "other"}:
            return "a plain value"
        return f"{self.name}[{', '.join(map(str, self.of))}]" if self.of else self.name


ANY, OTHER, NONE = Kind("any"), Kind("other"), Kind("none")

#: Names in annotations → kinds; notebooks hand over lists and dictionaries only.
_NAMES = {
    **{n: n for n in ("int", "float", "bool", "str")},
    **dict.fromkeys(("list", "List", "tuple", "Tuple", "Sequence", "set", "Set"), "list"),
    **dict.fromkeys(("dict", "Dict", "Mapping", "MutableMapping"), "dict"),
    **dict.fromkeys(("Any", "object"), "any"),
}


def of_annotation(node: ast.expr) -> Kind:
    """The kind that an annotation names; `OTHER` for what is no plain type."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return NONE
        if isinstance(node.value, str):  # an annotation in quotes
            try:
                return of_annotation(ast.parse(node.value, mode="eval").body)
            except SyntaxError:
                return OTHER
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([of_annotation(node.left), of_annotation(node.right)])
    if isinstance(node, ast.Subscript):
        return _subscripted(_last_name(node.value), node.slice)
    name = _NAMES.get(_last_name(node))
    return Kind(name) if name else OTHER


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):  # typing.Optional
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _subscripted(name: str, index: ast.expr) -> Kind:
    items = list(index.elts) if isinstance(index, ast.Tuple) else [index]
    if name == "Literal":
        try:
            return Kind("literal", tuple(ast.literal_eval(i) for i in items))
        except ValueError:
            return OTHER
    if name == "Optional":
        return _union([*(of_annotation(i) for i in items), NONE])
    if name == "Union":
        return _union([of_annotation(i) for i in items])
    if name == "Annotated":
        return of_annotation(items[0])
    outer = _NAMES.get(name)
    if outer == "list":
        within = [of_annotation(i) for i in items if not _is_ellipsis(i)]
        return Kind("list", (within[0],) if len(set(within)) == 1 else ())
    if outer == "dict" and len(items) == 2:
        return Kind("dict", (of_annotation(items[0]), of_annotation(items[1])))
    return OTHER


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _union(kinds: list[Kind]) -> Kind:
    flat: list[Kind] = []
    for kind in kinds:
        flat.extend(kind.of if kind.name == "union" else [kind])
    return Kind("union", tuple(flat))


def of_value(value: Any) -> Kind:
    """The kind of a default, where nothing is annotated."""
    if value is None:
        return ANY
    for name, type_ in {"bool": bool, "int": int, "float": float, "str": str}.items():
        if isinstance(value, type_):
            return Kind(name)
    if isinstance(value, list | tuple | set | frozenset):
        return Kind("list")
    return Kind("dict") if isinstance(value, dict) else ANY


def read(kind: Kind, value: Any) -> Any:
    """`value` as the kind's plain Python value; text is read as it is typed at a prompt.

    Raises
    ------
    MismatchError
        If it is not of that kind.
    """
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()  # a numpy scalar
    if isinstance(value, PurePath):
        value = str(value)
    return _of_text(kind, value) if isinstance(value, str) else _typed(kind, value)


def _of_text(kind: Kind, text: str) -> Any:
    """Text, as every value of a command line is; only containers are parsed."""
    match kind.name:
        case "str" | "other":
            return text
        case "int" if re.fullmatch(r"\s*[+-]?\d+\s*", text):
            return int(text)
        case "float":
            try:
                return float(text)
            except ValueError:
                raise MismatchError from None
        case "bool" if text.strip().lower() in {"true", "false"}:
            return text.strip().lower() == "true"
        case "none" if text.strip().lower() in {"none", "null"}:
            return None
        case "list" | "dict":
            return _typed(kind, _parsed(kind, text))
        case "literal":
            for allowed in kind.of:
                if text == str(allowed):
                    return allowed
        case "union":
            # None first: `str | None` would else take the word for a string.
            alternatives = sorted(kind.of, key=lambda k: k.name != "none")
            return _first(alternatives, text, _of_text)
        case "any":
            try:
                return _plain(json.loads(text, parse_constant=_not_json))
            except ValueError:
                return text
    raise MismatchError


def _not_json(constant: str) -> Any:
    raise ValueError(constant)


def _parsed(kind: Kind, text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    example = "[1, 2]" if kind.name == "list" else '{"a": 1}'
    raise MismatchError(f"write it as JSON, for example '{example}'")


def _first(kinds: list[Kind] | tuple[Kind, ...], value: Any, how: Any) -> Any:
    for kind in kinds:
        try:
            return how(kind, value)
        except MismatchError:
            continue
    raise MismatchError


def _typed(kind: Kind, value: Any) -> Any:
    """A value that has a type already: nothing is converted but int to float."""
    match kind.name:
        case "str" if isinstance(value, str):
            return value
        case "int" if _is(numbers.Integral, value):
            return int(value)
        case "float" if _is(numbers.Real, value):
            return float(value)
        case "bool" if isinstance(value, bool):
            return value
        case "none" if value is None:
            return None
        case "literal":
            for allowed in kind.of:
                if type(allowed) is type(value) and allowed == value:
                    return allowed
        case "union":
            return _first(kind.of, value, _typed)
        case "list" if isinstance(value, list | tuple):
            items = kind.of[0] if kind.of else ANY
            return [_typed(items, v) for v in value]
        case "dict" if isinstance(value, Mapping):
            if not all(isinstance(key, str) for key in value):
                raise MismatchError("its keys have to be strings")
            values = kind.of[1] if kind.of else ANY
            return {key: _typed(values, v) for key, v in value.items()}
        case "any" | "other":
            return _plain(value)
    raise MismatchError


def _is(number: type, value: Any) -> bool:
    """Whether it is such a number; to Python a boolean is one, to a user it is not."""
    return isinstance(value, number) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    """What can be written into a notebook's cell; anything else would arrive as its text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(v) for key, v in value.items()}
    raise MismatchError("only numbers, text, booleans, None, lists and dictionaries can be given")
