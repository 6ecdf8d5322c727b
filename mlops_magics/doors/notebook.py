"""A magic's line and body → a call of its verb → what the notebook shows; no IPython in it."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from mlops_magics import evidence, flavors
from mlops_magics.doors import parsing, progress
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Record, Run
from mlops_magics.verbs.declaration import Declaration


def call(found: Declaration, line: str, cell: str | None, namespace: dict[str, Any]) -> Any:
    """Run a verb; bind what it binds and return its record, which the notebook displays."""
    __tracebackhide__ = True
    words = parsing.split(line)
    if "--help" in words or "-h" in words:
        print(parsing.help_text(found.name))
        return None
    as_json, quiet = "--json" in words, "--quiet" in words
    with progress.shown(sys.stdout, quiet=quiet):
        record = bind(found, line, cell, namespace)
    if not isinstance(record, Record):
        raise WrongUsage(
            f"%{found.name} without a script does nothing.",
            f"Put %%{found.name} on the first line of the cell that holds the code.",
        )
    namespace.update(record.bindings)
    if as_json:
        print(record.to_json())
        return None
    return record


def bind(found: Declaration, line: str, cell: str | None, namespace: dict[str, Any]) -> Any:
    """Call the verb with what the line says, variables in the place of their names."""
    __tracebackhide__ = True
    words = [w for w in parsing.split(line) if w not in ("--json", "--quiet")]
    bound = parsing.parse(found.name, words)
    for parameter, kind in parsing.references(found.name).items():
        value = bound.arguments.get(parameter)
        if isinstance(value, tuple):  # several of them: compare RUN RUN
            bound.arguments[parameter] = tuple(_variable(v, kind, namespace) for v in value)
        elif value is not None:
            bound.arguments[parameter] = _variable(value, kind, namespace)
    if found.body and cell is not None:
        if bound.arguments.get(found.body):
            raise WrongUsage(
                f"{found.body!r} is given twice, in the line and in the cell.", "Keep one of them."
            )
        _fill(bound, found.body, cell)
    return found.function(*bound.args, **bound.kwargs)


def _fill(bound: inspect.BoundArguments, parameter: str, value: Any) -> None:
    bound.arguments[parameter] = value
    order = list(bound.signature.parameters)
    # Positional arguments are passed in the order of this mapping.
    bound.arguments = dict(sorted(bound.arguments.items(), key=lambda item: order.index(item[0])))


def _variable(word: Any, kind: str, namespace: dict[str, Any]) -> Any:
    """The variable that a word names, where it can be what the parameter refers to."""
    named = isinstance(word, str) and _stands_for(kind, namespace.get(word))
    return namespace[word] if named else word


def _stands_for(kind: str, value: Any) -> bool:
    """Whether a variable of the notebook can be what the parameter refers to."""
    if isinstance(value, Record):
        return True
    if kind == "model":
        return value is not None and flavors.recognise(value) is not None
    if kind == "figure":
        return evidence.figures.is_figure(value)
    if kind == "data":
        pair = isinstance(value, tuple) and len(value) == 2
        return hasattr(value, "shape") or hasattr(value, "columns") or pair
    return False


def tell_failure(record: Run) -> None:
    """One line below the user's own traceback."""
    print(f"Run {record.run_id} of {record.name} is recorded as {record.status}.", file=sys.stderr)
