"""Finding the parameters of cells: literal assignments that can be made before anything runs.

A name is lifted if each of its assignments in the cells is a literal at the top level and nothing
reads the name before the last of them. Setting it first then changes nothing. Where that can't be
told from the text, the assignment stays where it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Cell magics whose body is Python of the notebook.
_PYTHON = {"train", "tune", "time", "capture", "prun"}

#: After these, a name may have a value that the text does not show.
_OPAQUE_MAGICS = re.compile(r"^\s*%(run|store|rerun|recall|macro|load|loadpy|reset\w*)\b")
_OPAQUE_CALLS = {"exec", "globals", "locals", "vars", "setattr"}

_ESCAPED = re.compile(r"^\s*[%!]|\?\s*$")
_ASSIGNED = re.compile(r"^(\s*[\w\s,.\[\]'\"]*?=\s*)[%!](?!=)")

_ANNOTATIONS = (bool, int, float, str, list, tuple, dict, set)


@dataclass(frozen=True)
class Lifted:
    """One parameter that was found.

    Attributes
    ----------
    value : object
        What the literal says.
    annotation : str
        Its type; empty where the literal does not tell one.
    cell : int
        The position of the cell (from 0) that assigned it last.
    """

    name: str
    value: Any
    annotation: str
    cell: int


@dataclass(frozen=True)
class _Assignment:
    name: str
    value: ast.expr
    annotation: str
    cell: int
    first: int  # lines, from 0
    last: int


@dataclass
class _Seen:
    """What is found while the statements of all cells are gone through in order."""

    order: int = 0
    assignments: dict[str, list[_Assignment]] = field(default_factory=dict)
    assigned_at: dict[str, int] = field(default_factory=dict)
    read_at: dict[str, int] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)  # names that are bound in other ways as well
    opaque: bool = False

    def read(self, names: set[str]) -> None:
        """Note that names are used here."""
        for name in names:
            self.read_at.setdefault(name, self.order)

    def escape(self, line: str) -> None:
        """A line that is IPython's: it may use any name that stands in it."""
        self.opaque = self.opaque or bool(_OPAQUE_MAGICS.match(line))
        self.read(_words(line))


def lift(sources: Sequence[str]) -> tuple[list[Lifted], list[str]]:
    """The parameters of cells, and the cells without them.

    The assignments become comments, so that every line keeps its number.

    Parameters
    ----------
    sources : sequence of str
        The cells as typed, in the order in which they run.
    """
    seen = _Seen()
    for position, source in enumerate(sources):
        _look_through(seen, position, source)
    found, lines = [], [source.split("\n") for source in sources]
    for name, assignments in seen.assignments.items():
        if name in seen.kept or seen.read_at.get(name, seen.order) < seen.assigned_at[name]:
            continue
        last = assignments[-1]
        value = ast.literal_eval(last.value)
        found.append(Lifted(name, value, _annotation(last, value), last.cell))
        for one in assignments:
            for number in range(one.first, one.last + 1):
                lines[one.cell][number] = f"# {lines[one.cell][number]}"
    return found, ["\n".join(cell) for cell in lines]


def _look_through(seen: _Seen, position: int, source: str) -> None:
    python, escaped = _without_escapes(source)
    try:
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree: ast.Module = compile(python, "<cell>", "exec", flags)
    except (SyntaxError, ValueError):
        seen.kept |= _words(source)  # another language, or IPython's syntax within a line
        return
    original, plain = source.split("\n"), python.split("\n")
    bodies = sorted((s.lineno, s.end_lineno or s.lineno) for s in tree.body)
    for statement in tree.body:
        first, last = statement.lineno - 1, (statement.end_lineno or statement.lineno) - 1
        for number in [n for n in escaped if n <= last]:
            seen.escape(escaped.pop(number))
        seen.order += 1
        alone = sum(a <= last + 1 and b >= first + 1 for a, b in bodies) == 1
        unchanged = original[first : last + 1] == plain[first : last + 1]
        if not (alone and unchanged and _assignment(seen, position, statement, original[last])):
            _other(seen, statement)
    for line in escaped.values():
        seen.escape(line)


def _assignment(seen: _Seen, position: int, statement: ast.stmt, line: str) -> bool:
    """Whether the statement is the assignment of a literal that may be lifted; noted if so."""
    target: ast.expr
    if isinstance(statement, ast.AnnAssign):
        target, value = statement.target, statement.value
        annotated = ast.unparse(statement.annotation)
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value, annotated = statement.targets[0], statement.value, ""
    else:
        return False
    rest = line.encode()[statement.end_col_offset or 0 :].decode("utf-8", "replace").strip()
    if value is None or not isinstance(target, ast.Name) or target.id.startswith("_"):
        return False
    if seen.opaque or not _is_literal(value) or not (rest == "" or rest.startswith("#")):
        return False
    one = _Assignment(
        target.id,
        value,
        annotated,
        position,
        statement.lineno - 1,
        (statement.end_lineno or statement.lineno) - 1,
    )
    seen.assignments.setdefault(target.id, []).append(one)
    seen.assigned_at[target.id] = seen.order
    return True


def _is_literal(value: ast.expr) -> bool:
    try:
        return ast.literal_eval(value) is not ...
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False


def _other(seen: _Seen, statement: ast.stmt) -> None:
    for node in ast.walk(statement):
        seen.kept |= set(_bound(node))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            seen.read({node.id})
            seen.opaque = seen.opaque or node.id in _OPAQUE_CALLS
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            seen.read({node.target.id})
        elif isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            seen.opaque = True


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a node of the tree binds or takes away, in whatever scope."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest


def _without_escapes(source: str) -> tuple[str, dict[int, str]]:
    """A cell as Python of the same lines, and by number (from 0) the lines that are IPython's."""
    lines, escaped = source.split("\n"), {}
    first = 0
    while first < len(lines) and (not lines[first].strip() or lines[first].startswith("%%")):
        line = lines[first]
        if line.startswith("%%"):
            if (re.match(r"%%(\w*)", line) or [""])[1] not in _PYTHON:
                break  # its body is no Python, and neither is this line
            escaped[first], lines[first] = line, ""
        first += 1
    continued = False
    for number in range(first, len(lines)):
        line = lines[number]
        indent = line[: len(line) - len(line.lstrip())]
        if continued or (_ESCAPED.search(line) and not line.startswith("%%")):
            escaped[number] = line
            # One statement for all the lines of a command that goes on.
            lines[number] = "" if continued else f"{indent}pass"
            continued = line.endswith("\\")
        elif match := _ASSIGNED.match(line):
            escaped[number], lines[number] = line, f"{match[1]}get_ipython()"
    return "\n".join(lines), escaped


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d]\w*", text))


def _annotation(assignment: _Assignment, value: Any) -> str:
    if assignment.annotation:
        return assignment.annotation
    return next((t.__name__ for t in _ANNOTATIONS if type(value) is t), "")
