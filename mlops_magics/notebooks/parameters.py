"""A notebook's parameters: what its tagged cell declares, and whether what is given fits.

The cell tagged ``parameters`` is read as text, never run. Every name that it assigns is a
parameter; its type is its annotation's, else its default's. Whatever does not fit is refused
before a kernel starts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops_magics.errors import BadData, UnknownName, WrongUsage
from mlops_magics.evidence import secrets
from mlops_magics.notebooks import kinds
from mlops_magics.notebooks.kinds import Kind

TAG = "parameters"
INJECTED = "injected-parameters"

#: The default of a parameter whose value can't be known without running the cell.
COMPUTED = object()


@dataclass(frozen=True)
class Parameter:
    """One parameter as the notebook declares it.

    Attributes
    ----------
    default : object
        The literal that it is set to; `COMPUTED` if it is no literal.
    required : bool
        It is annotated without a value, or set to ``...``.
    lines : tuple of int
        The first and the last line of its assignment in the cell, from 1.
    code : str
        Its default as it is written; empty if it has none.
    """

    name: str
    kind: Kind
    default: Any = COMPUTED
    required: bool = False
    lines: tuple[int, int] = (0, 0)
    code: str = ""


def cell_of(notebook: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first cell tagged ``parameters``; ``None`` if there is none."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and TAG in cell.get("metadata", {}).get("tags", ()):
            return dict(cell)
    return None


def declared(notebook: Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters that the parameters cell declares, by name; empty without one.

    Raises
    ------
    BadData
        If that cell can't be read as Python.
    """
    cell = cell_of(notebook)
    return {p.name: p for p in _read(plain(cell["source"]))} if cell else {}


def plain(source: str) -> str:
    """A cell's Python; magics and shell lines are IPython's, and declare nothing."""
    lines = ("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    return "\n".join(lines)


def _read(source: str) -> Iterator[Parameter]:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise BadData(
            f"The parameters cell can't be read: {error.msg} in line {error.lineno}.",
            "It holds plain assignments, such as `depth: int = 5`.",
        ) from None
    for statement in tree.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind = kinds.of_annotation(statement.annotation)
            found = [_parameter(statement.target.id, kind, statement.value)]
        elif isinstance(statement, ast.Assign):
            found = [p for t in statement.targets for p in _assigned(t, statement.value)]
        else:
            continue
        lines = (statement.lineno, statement.end_lineno or statement.lineno)
        yield from (replace(parameter, lines=lines) for parameter in found)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[Parameter]:
    if isinstance(target, ast.Name):
        yield _parameter(target.id, None, value)
    elif isinstance(target, ast.Tuple | ast.List):
        values: list[ast.expr] = []
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
            values = value.elts
        for position, within in enumerate(target.elts):
            # Without matching values the names are known and their types are not.
            yield from _assigned(within, values[position] if values else ast.Name("_"))


def _parameter(name: str, kind: Kind | None, value: ast.expr | None) -> Parameter:
    if value is None:
        return Parameter(name, kind or kinds.ANY, required=True)
    code = ast.unparse(value)
    try:
        default = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return Parameter(name, kind or kinds.ANY, code=code)
    if default is ...:
        return Parameter(name, kind or kinds.ANY, required=True)
    return Parameter(name, kind or kinds.of_value(default), default, code=code)


def check(
    notebook: Mapping[str, Any],
    given: Mapping[str, Any],
    language: str = "python",
    references: Mapping[str, str] = {},
) -> dict[str, Any]:
    """The given parameters as the types that the notebook declares.

    Parameters
    ----------
    given : mapping
        Name → value. Text is read as the declared type (``"7"`` for an int), so that a command
        line and Python agree; a value of another type is refused.
    language : str
        The kernel's. Only Python's parameters can be read; for another language it is only
        checked that there is a cell for them.
    references : mapping
        Of the values that were read from where they lie: name → reference. No message shows them.

    Raises
    ------
    UnknownName
        If the notebook has no parameter of that name.
    WrongUsage
        If a value has the wrong type, a required one is missing, or the notebook has no
        parameters cell although some are given.
    BadData
        If the parameters cell can't be read.
    """
    if cell_of(notebook) is None:
        if given:
            raise WrongUsage(
                f"The notebook has no parameters cell, but was given {_listed(given)}.",
                "Tag the cell that sets its parameters with 'parameters'.",
            )
        return {}
    if language != "python":
        return dict(given)
    known = declared(notebook)
    for name in given:
        if name not in known:
            raise UnknownName("parameter", name, known)
    checked = {n: _checked(known[n], value, references.get(n, "")) for n, value in given.items()}
    missing = [p for p in known.values() if p.required and p.name not in given]
    if missing:
        example = " ".join(f"-p {p.name} …" for p in missing)
        raise WrongUsage(
            f"The notebook needs {_listed({f'{p.name} ({p.kind})': 0 for p in missing})}.",
            f"Give {example}",
        )
    return checked


def _checked(parameter: Parameter, value: Any, reference: str = "") -> Any:
    if reference and parameter.kind == kinds.ANY:
        return value  # a secret of nothing but figures is no number, unless the notebook says so
    try:
        return kinds.read(parameter.kind, value)
    except kinds.MismatchError as error:
        why = f": {error}" if str(error) else ""
        shown = f"the value of {reference}" if reference else _shown(parameter.name, value)
        raise WrongUsage(
            f"The parameter {parameter.name!r} is {parameter.kind}, and {shown} is not{why}.",
            f"Its default is {parameter.default!r}." if _has_default(parameter) else "",
        ) from None


def _has_default(parameter: Parameter) -> bool:
    return not parameter.required and parameter.default is not COMPUTED


def _shown(name: str, value: Any) -> str:
    text = secrets.MASK if secrets.names_secret(name) else repr(value)
    text = text if len(text) <= 60 else f"{text[:59]}…"
    return text if isinstance(value, str) else f"{text} ({type(value).__name__})"


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names)


def read_file(file: Path) -> dict[str, Any]:
    """Parameters from a YAML or JSON file; dates stay text.

    Raises
    ------
    WrongUsage
        If the file is not there, can't be read, or holds no names with values.
    """
    import yaml
    from papermill.iorw import NoDatesSafeLoader

    try:
        content = yaml.load(file.read_text(encoding="utf-8"), NoDatesSafeLoader)  # noqa: S506  # a safe loader
    except OSError as error:
        raise WrongUsage(f"The parameter file {file} can't be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{file} is not valid YAML: {' '.join(str(error).split())}.") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise WrongUsage(f"{file} does not hold parameters.", "Write one `name: value` a line.")
    return content
