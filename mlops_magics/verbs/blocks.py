"""The code inside a ``with`` statement, out of the file that it stands in."""

from __future__ import annotations

import ast


def inside(source: str, line: int) -> str:
    """The body of the ``with`` statement whose head covers `line` (from 1).

    All of `source` where there is no such statement, as for a cell, whose line is 0.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a cell with shell escapes or magics
        return source
    heads = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.With | ast.AsyncWith) and node.lineno <= line <= node.body[0].lineno
    ]
    if not heads:
        return source
    innermost = max(heads, key=lambda node: node.lineno)
    return "\n".join(map(ast.unparse, innermost.body))
