"""What names mean at one point of a cell: which are bound, and what their objects share."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable

from mlops_magics.evidence import references
from mlops_magics.evidence.facts import Facts
from mlops_magics.evidence.references import Link

#: Where IPython keeps what cells have shown and what was typed.
_OUTPUTS = re.compile(r"_{1,3}|_\d+|_[ido]h|_i{1,3}|_i\d+|In|Out")

Transform = Callable[[str], str]


class ClassNames(set[str]):
    """The names of a class body, which its methods do not see."""


class Binder:
    """Keeps, statement by statement, what one scope has bound, and notes it as facts.

    Parameters
    ----------
    own : frozenset of str, optional
        The local names of a function; ``None`` at the top of a cell.
    outer : frozenset of str
        Local names of the functions around.
    """

    def __init__(
        self,
        *,
        own: frozenset[str] | None = None,
        outer: frozenset[str] = frozenset(),
        transform: Transform | None = None,
    ) -> None:
        self.facts = Facts()
        self.own = own
        self.outer = outer
        self.transform = transform
        self.bound: set[str] = set()
        self.hidden: list[set[str]] = []  # of comprehensions and class bodies
        self.shared: set[str] = set()  # declared global, here or further in
        self.forks = 0  # of branches and loops around
        self.last: ast.stmt | None = None

    def is_local(self, name: str) -> bool:
        return any(name in names for names in self.hidden) or name in self.outer

    def load(self, name: str) -> None:
        """The code reads a name."""
        if self.is_local(name):
            return
        if self.own is not None and name in self.own:
            return
        self.facts.loads.setdefault((name, name in self.bound), frozenset(self.bound))
        if name not in self.bound:
            self.facts.reads.add(name)
            if _OUTPUTS.fullmatch(name):
                self.hide(f"reads {name!r}, an earlier output")

    def store(self, name: str) -> None:
        """The code binds a name."""
        if self.hidden:
            self.hidden[-1].add(name)
        else:
            self.bound.add(name)
            self.facts.deletes.discard(name)
            self._forget(name)

    def _forget(self, name: str) -> None:
        """What a name was before it is bound anew counts no more."""
        facts = self.facts
        if name in facts.links and self._touched(name):
            facts.unsettled.add(name)  # what it was then has perhaps been changed
        elif not self.forks:
            self._hand_on(name, facts.links.pop(name, set()))
        if name in facts.code and (name, True) in facts.loads:
            facts.past.append((frozenset(self.bound), facts.code[name]))
        if not self.forks:
            for known in (facts.imports, facts.code, facts.strings, facts.later, facts.made):
                known.pop(name, None)

    def _hand_on(self, name: str, links: set[Link]) -> None:
        """What shared an object with `name` through its old object shares it still."""
        for others in self.facts.links.values():
            for link in [o for o in others if o.name == name and o.fresh]:
                others.discard(link)
                others |= links if link.how == "same" else {o._replace(how=link.how) for o in links}

    def _touched(self, name: str) -> bool:
        return name in self.facts.mutates or any(
            name == call.root or name in call.arguments
            for call in self.facts.calls
            if call.fate != "used" or call.inplace
        )

    def link(self, name: str, links: Iterable[Link]) -> None:
        """The object of `name` may share something with other names'."""
        self.facts.links.setdefault(name, set()).update(links)
        if self.forks:
            self.facts.forked.add(name)

    def told(self, links: Iterable[Link]) -> set[Link]:
        """With what is known here of which object a name stands for."""
        return {link._replace(fresh=link.name in self.bound) for link in links}

    def mutate(self, node: ast.AST) -> None:
        """The object below an attribute or item is changed in place."""
        root = references.root(node)
        if root is not None and not any(root in names for names in self.hidden):
            self.mutated(root)
            if isinstance(getattr(node, "value", None), ast.Attribute | ast.Subscript):
                self.facts.deep.add(root)

    def mutated(self, name: str) -> None:
        self.facts.mutates.add(name)
        if name not in self.bound:
            self.facts.mutates_given.add(name)

    def hide(self, why: str) -> None:
        if why not in self.facts.opaque:
            self.facts.opaque.append(why)
