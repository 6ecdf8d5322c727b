"""What belongs to a function's own scope, and what is read where it is defined."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator


def defaults(arguments: ast.arguments) -> Iterator[ast.expr]:
    """What parameters are set to by default, which is read where the function is defined."""
    yield from arguments.defaults
    yield from (d for d in arguments.kw_defaults if d is not None)


def annotated(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    """Likewise what stands behind colons and the arrow."""
    arguments = node.args
    for argument in (
        *arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs,
        *(a for a in (arguments.vararg, arguments.kwarg) if a is not None),
    ):  # fmt: skip
        if argument.annotation is not None:
            yield argument.annotation
    if node.returns is not None:
        yield node.returns


def local_names(body: Iterable[ast.AST]) -> tuple[set[str], set[str]]:
    """The names that a function's body binds: its own, and those it declares global."""
    found: set[str] = set()
    shared: set[str] = set()
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue  # another scope
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Global):
            shared.update(node.names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(a.asname or a.name.partition(".")[0] for a in node.names)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
        waiting += ast.iter_child_nodes(node)
    return found - shared, shared
