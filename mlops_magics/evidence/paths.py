"""Which ways code can go: what is bound for sure after branches, loops, attempts and matches."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from mlops_magics.evidence import references
from mlops_magics.evidence.binding import Binder


class Paths(Binder, ast.NodeVisitor):
    """Visits statements that run on some path only; what all paths bind is bound for sure."""

    def run(self, body: Iterable[ast.stmt]) -> bool:
        """Read statements in order; whether the end is reached."""
        for statement in body:
            self.visit(statement)
            if isinstance(statement, ast.Raise | ast.Return | ast.Continue | ast.Break):
                return False
        return True

    def _branches(self, *bodies: Iterable[ast.stmt]) -> None:
        """Read bodies of which one runs: what all of them bind is surely bound."""
        before = set(self.bound)
        ends = []
        self.forks += 1
        for body in bodies:
            self.bound = set(before)
            if self.run(body):
                ends.append(self.bound)
            self.facts.maybe |= self.bound - before
        self.forks -= 1
        self.bound = set.intersection(*ends) if ends else before

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        always = references.constant_truth(node.test)
        if always is None:
            self._branches(node.body, node.orelse)
        else:
            self.run(node.body if always else node.orelse)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        before = set(self.bound)
        for part in (node.body, node.orelse):
            self.visit(part)
            self.facts.maybe |= self.bound - before
            self.bound = set(before)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        before = set(self.bound)
        for part in node.values[1:]:
            self.visit(part)
        self.facts.maybe |= self.bound - before
        self.bound = before

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        before = set(self.bound)
        self.forks += 1
        self.loop_target(node.target, node.iter)
        self.run(node.body)
        self.forks -= 1
        self.facts.maybe |= self.bound - before
        self.bound = before
        self._branches(node.orelse, [])

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self.visit_For(node)

    def loop_target(self, target: ast.expr, iterated: ast.expr) -> None:
        """Bind what a loop or a comprehension binds in each turn."""
        links = self.told(references.elements(iterated))
        self.visit(target)
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                self.link(node.id, links)

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._branches(node.body, [])
        self._branches(node.orelse, [])

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        before = set(self.bound)
        self.forks += 1
        reached = self.run(node.body) and self.run(node.orelse)
        whole = set(self.bound)
        self.facts.maybe |= whole - before
        ends = [whole] if reached else []
        for handler in node.handlers:
            self.bound = set(before)
            if handler.type is not None:
                self.visit(handler.type)
            if handler.name:
                self.bound.add(handler.name)
            if self.run(handler.body):
                ends.append(self.bound)
            self.facts.maybe |= self.bound - before - {handler.name}
            self.bound.discard(handler.name or "")
        self.forks -= 1
        self.bound = set.intersection(*ends) if ends else before
        self.run(node.finalbody)

    def visit_TryStar(self, node: ast.TryStar) -> None:
        self.visit_Try(node)

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        before = set(self.bound)
        self.forks += 1
        for case in node.cases:
            self.bound = set(before)
            self.visit(case.pattern)
            if case.guard is not None:
                self.visit(case.guard)
            self.run(case.body)
            self.facts.maybe |= self.bound - before
        self.forks -= 1
        self.bound = before

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.generic_visit(node)
        if node.name:
            self.store(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self.store(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest:
            self.store(node.rest)
