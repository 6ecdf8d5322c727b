"""Which names an expression hands on, and what a call looks like from outside."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class Link(NamedTuple):
    """How the object of one name may share something with that of `name`.

    ``same`` object, a ``part`` of it (``x.a``, ``x[0]``), or it ``holds`` it (``[x]``, ``f(x)``).
    `fresh` says that `name` had been bound before by the same cell.
    """

    name: str
    how: Literal["same", "part", "holds"]
    fresh: bool = False


@dataclass(frozen=True)
class Call:
    """A call, as far as it may change an object in place.

    Attributes
    ----------
    function : str
        As written, ``plt.plot``; empty where it is no dotted name.
    root : str
        The name that a method is called on, also ``df`` in ``df["a"].fillna()``; empty otherwise.
    method : str
        The attribute that is called; empty for a plain function.
    direct : bool
        Whether no other call stands between `root` and `method`.
    deep : bool
        Whether the method is that of a part of `root`, as in ``d["a"].sort()``.
    positional, named : the names that each argument hands over
    fate : str
        Whether the value is ``used``, ``shown`` as the cell's last expression, or ``dropped``.
    inplace : bool
        Whether ``inplace=True`` stands in it.
    fresh : frozenset of str
        Names that the same cell had bound before.
    """

    function: str
    root: str
    method: str
    direct: bool
    positional: tuple[frozenset[str], ...]
    named: dict[str, frozenset[str]] = field(hash=False)
    fate: Literal["used", "shown", "dropped"] = "used"
    inplace: bool = False
    deep: bool = False
    fresh: frozenset[str] = frozenset()

    @property
    def arguments(self) -> frozenset[str]:
        """All names that are handed over."""
        return frozenset().union(*self.positional, *self.named.values())


def root(node: ast.AST, *, through_calls: bool = False) -> str | None:
    """The name that a chain of attributes and items begins with."""
    while True:
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.Await):
            node = node.value
        elif isinstance(node, ast.Call) and through_calls:
            node = node.func
        else:
            return None


def dotted(node: ast.AST) -> str:
    """``a.b.c`` as text, ``f()`` for a call without arguments; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    if isinstance(node, ast.Call) and not node.args and not node.keywords:
        before = dotted(node.func)
        return f"{before}()" if before else ""
    return ""


def text(node: ast.AST) -> str | None:
    """The value of a literal text."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def constant_truth(node: ast.expr) -> bool | None:
    """Whether a condition is always true or false where a notebook runs; ``None``: it depends."""
    if isinstance(node, ast.Constant):
        return bool(node.value)
    if ast.unparse(node) in ("__name__ == '__main__'", "'__main__' == __name__"):
        return True
    if dotted(node) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        return False
    return None


def call(node: ast.Call, fate: Literal["used", "shown", "dropped"], bound: Collection[str]) -> Call:
    """What a call looks like from outside, where `bound` are the names that the cell has bound."""
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    on = node.func.value if isinstance(node.func, ast.Attribute) else None
    straight = root(on) if on is not None else None
    named = {k.arg or "**": _handed(k.value) for k in node.keywords}
    receiver = (root(on, through_calls=True) or "") if on is not None else ""
    positional = tuple(_handed(a) for a in node.args)
    concerned = frozenset({receiver, dotted(node.func)}).union(*positional, *named.values())
    return Call(
        function=dotted(node.func),
        root=receiver,
        method=method,
        direct=straight is not None,
        deep=isinstance(on, ast.Attribute | ast.Subscript),
        positional=positional,
        named=named,
        fate=fate,
        fresh=concerned.intersection(bound),
        inplace=any(
            k.arg == "inplace" and isinstance(k.value, ast.Constant) and k.value.value is True
            for k in node.keywords
        ),
    )


def _handed(node: ast.expr) -> frozenset[str]:
    # The value of another call is a new object.
    return frozenset() if isinstance(node, ast.Call) else frozenset(o.name for o in links(node))


def links(node: ast.expr) -> set[Link]:
    """The names whose objects the value of an expression may share."""
    return set(_links(node))


def _links(node: ast.expr | None) -> Iterator[Link]:
    match node:
        case ast.Name():
            yield Link(node.id, "same")
        case ast.Attribute() | ast.Subscript():
            if (name := root(node)) is not None:
                yield Link(name, "part")
            else:
                yield from _held(root(node, through_calls=True))
        case ast.Starred() | ast.Await() | ast.NamedExpr():
            yield from _links(node.value)
        case ast.IfExp():
            yield from _links(node.body)
            yield from _links(node.orelse)
        case ast.BoolOp():
            for value in node.values:
                yield from _links(value)
        case ast.Tuple() | ast.List() | ast.Set():
            for item in node.elts:
                yield from _held(*(o.name for o in _links(item)))
        case ast.Dict():
            for item in node.values:
                yield from _held(*(o.name for o in _links(item)))
        case ast.BinOp():
            for side in (node.left, node.right):
                yield from _held(*(o.name for o in _links(side)))
        case ast.Call():
            if isinstance(node.func, ast.Attribute):
                yield from _held(root(node.func.value, through_calls=True))
            for argument in (*node.args, *(k.value for k in node.keywords)):
                yield from _held(*(o.name for o in _links(argument)))
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            own = {n.id for g in node.generators for n in ast.walk(g.target)
                   if isinstance(n, ast.Name)}  # fmt: skip
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name) and inner.id not in own:
                    yield Link(inner.id, "holds")


def _held(*names: str | None) -> Iterator[Link]:
    yield from (Link(name, "holds") for name in names if name)


def elements(node: ast.expr) -> set[Link]:
    """The names whose objects an element of an iterable may share."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return {o for item in node.elts for o in links(item)}
    if isinstance(node, ast.Call):
        return {Link(o.name, "part") for o in links(node)}
    return {Link(o.name, "part") for o in links(node)}


def made(node: ast.expr) -> list[str]:
    """The plain functions and classes that an expression calls."""
    return [
        inner.func.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
    ]
