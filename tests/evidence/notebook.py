"""A notebook in miniature: cells run in one namespace, watched as the door watches them."""

from __future__ import annotations

import ast
from typing import Any

from mlops_magics.evidence import slicing, staleness
from mlops_magics.evidence.cells import Execution, Log
from mlops_magics.evidence.flow import Flow


class Notebook:
    """Runs cells and tells what the last one depends on."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.log = Log(self.names)

    def run(self, *sources: str | tuple[str, str], failing: bool = False) -> None:
        """Run cells; one given as ``(id, source)`` has an id."""
        for given in sources:
            id, source = given if isinstance(given, tuple) else (None, given)
            count = len(self.log.executions) + 1
            self.log.begin(Execution(source=source, code=source, id=id, count=count))
            try:
                shown = run(source, self.names)
            except SyntaxError:
                self.log.end("refused")
            except Exception:
                self.log.end("failed")
                if not failing:
                    raise
            else:
                self.log.end("finished", shown is not None)

    @property
    def flow(self) -> Flow:
        return Flow(self.log.executions, known=self.log.initial, present=self.names.keys())

    def slice(self) -> slicing.Slice:
        """What the last cell depends on."""
        return slicing.slice_of(self.flow, len(self.log.executions) - 1)

    def needed(self) -> list[int]:
        """The cells that the last one depends on, by number from 1, itself included."""
        return [at + 1 for at in self.slice().order]

    def alone(self, given: dict[str, Any] | None = None) -> dict[str, Any]:
        """The names after only those cells have run, in a fresh namespace."""
        fresh = dict(given or {})
        for at in self.slice().order:
            run(self.log.executions[at].source, fresh)
        return fresh

    def judged(self, saved: staleness.Saved | None = None) -> staleness.Judgement:
        """Clean or stale, and why."""
        executions = self.log.executions
        return staleness.judge(
            self.slice(),
            staleness.Notebook(executions, saved),
            known=self.log.initial,
            present=self.names.keys(),
        )


def run(source: str, namespace: dict[str, Any]) -> Any:
    """Run a cell as a notebook does; the value of its last expression."""
    namespace.setdefault("__name__", "__main__")
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)
