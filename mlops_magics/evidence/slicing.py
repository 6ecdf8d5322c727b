"""Which executed cells a cell depends on: those, only those, in an order that runs.

All cells are gone through in the order in which they ran. For every name it is kept which
executions made it what it is: the one that bound it, and those that changed its object since. What a
cell reads is thereby tied to the cells that it comes from; a slice is what can be reached from one
cell along these ties. What a function reads counts where it is used, not where it is defined.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlops_magics.evidence import effects, escapes, mutations, names
from mlops_magics.evidence.cells import Execution, Kind, Seen
from mlops_magics.evidence.mutations import State
from mlops_magics.evidence.names import Facts, Transform
from mlops_magics.evidence.references import Call, Link

#: Stands for where names come from that no cell bound.
OUTSIDE = -1

#: Always there, in a notebook or in any module.
_GIVEN = {"get_ipython", "display", "exit", "quit", "In", "Out", "__name__", "__doc__", "open",
          "__builtins__", "__builtin__", "__file__", "__annotations__", "__spec__"}  # fmt: skip
#: Effects of which each adds to those before.
_ADDING = {"working directory", "os.chdir", "sys.path"}


@dataclass
class Slice:
    """The executions that one execution depends on.

    Attributes
    ----------
    order : list of int
        Their places among all executions, ascending; the last is the one that was asked for.
    ties : mapping
        Place → name → places of the executions that made that name what was read.
    outside : dict
        Name that came from outside the notebook → the place that read it.
    unclear : list of (int, str)
        Places of which not all can be told, and why, as it stands in a sentence.
    """

    order: list[int]
    ties: Mapping[int, Mapping[str, tuple[int, ...]]]
    facts: Sequence[Facts]
    outside: dict[str, int] = field(default_factory=dict)
    unclear: list[tuple[int, str]] = field(default_factory=list)

    def users(self, place: int) -> list[tuple[int, str]]:
        """Which executions of the slice read a name that `place` made, and the name."""
        return [
            (user, name)
            for user in self.order
            for name, made in self.ties[user].items()
            if place in made and user != place
        ]


class Flow:
    """Follows names through executions.

    Parameters
    ----------
    executions : sequence of Execution
    known : mapping
        Names → what they were seen to be bound to, for cells that ran unobserved.
    present : collection of str, optional
        All names that there are; others that no cell binds are taken for a path not gone.
    """

    def __init__(
        self,
        executions: Sequence[Execution],
        *,
        known: Mapping[str, Seen] | None = None,
        present: Iterable[str] | None = None,
        transform: Transform | None = None,
    ) -> None:
        self.executions = executions
        self.known = known or {}
        self.present = None if present is None else frozenset(present)
        self.state: dict[str, State] = {}
        self.facts: list[Facts] = []
        self.ties: list[dict[str, tuple[int, ...]]] = []
        self.made: list[set[str]] = []
        self._unseen: int | None = None  # the last opaque cell that nobody watched
        self._seen: Mapping[str, Seen] = {}
        for place, execution in enumerate(executions):
            facts = names.analyse(execution.code, transform)
            self.facts.append(facts)
            self._run(place, execution, facts)

    # One execution

    def _run(self, place: int, execution: Execution, facts: Facts) -> None:
        self._from_outside(execution.outside)
        ties: dict[str, tuple[int, ...]] = {}
        self.ties.append(ties)
        self.made.append(set())
        self._seen = execution.seen or {}
        if execution.status == "refused" or facts.error:
            return
        read, used = self._read(facts)
        for name in read:
            by = self._made_by(name)
            if by:
                ties[name] = by
        changed = self._changed(execution, facts, used)
        for name in changed - read:
            if (by := self._made_by(name)) and name not in facts.binds:
                ties[name] = by
        rebound = set().union(*(code.maybe for code in used))
        self._bind(place, execution, facts, rebound)
        for name in changed:
            state = self.state.get(name)
            if state is not None and (not state.by or state.by[-1] != place):
                state.by = (*state.by, place)
                self.made[place].add(name)
        self._write_files(place, facts)
        if any(self._prepares(call) for call in facts.calls):
            self.state[escapes.DATASET] = State(by=(place,))
        if facts.opaque and execution.seen is None:
            self._unseen = place

    def _from_outside(self, found: Mapping[str, Seen]) -> None:
        for name, seen in found.items():
            before = self.state.get(name)
            if before is not None and before.imported and seen.kind in ("code", "module"):
                continue  # %autoreload took the new version of an imported module
            self.state[name] = State(by=(OUTSIDE,), kind=seen.kind)

    def _made_by(self, name: str) -> tuple[int, ...]:
        state = self.state.get(name)
        if state is not None:
            return state.by
        if name in _GIVEN or hasattr(builtins, name) or name.startswith(("<", "__")):
            return ()
        if self._unseen is not None:
            return (self._unseen,)
        if self.present is None or name in self.present:
            return (OUTSIDE,)
        return ()

    def _read(self, facts: Facts) -> tuple[set[str], list[Facts]]:
        """The names that a cell needs, and the notebook's functions that it uses."""
        direct = facts.reads | {w for w in facts.words if w in self.state}
        read = set(direct)
        read |= {f"<file {f}>" for f in facts.files_read if f"<file {f}>" in self.state}
        if not facts.notes:
            read -= {f"<file {f}>" for f in facts.files_written}
        used: list[Facts] = []
        waiting = [*facts.loads, *direct]
        met = set(waiting)
        while waiting:
            name = waiting.pop()
            state = self._look(name, facts)
            if state is None:
                continue
            later = set(state.later)
            if state.code is not None:
                used.append(state.code)
                later |= state.code.reads
                files = {f"<file {f}>" for f in state.code.files_read}
                read |= {f for f in files if f in self.state}
            for inner in later:
                if inner not in facts.binds:
                    read.add(inner)
                if inner not in met:
                    met.add(inner)
                    waiting.append(inner)
        return read, used

    def _look(self, name: str, facts: Facts) -> State | None:
        """What is known of a name in the midst of a cell."""
        state = self.state.get(name)
        if name in facts.code or name in facts.imports:
            return State(code=facts.code.get(name), imported=facts.imports.get(name, ""))
        if name in facts.binds:
            return State(later=self._carried(name, facts), kind=self._kind(name))
        if state is not None and facts.later.get(name):
            return State(state.by, state.kind, state.imported, state.code, state.links,
                         state.later | facts.later[name])  # fmt: skip
        return state

    def _changed(self, execution: Execution, facts: Facts, used: Sequence[Facts]) -> set[str]:
        """The names whose object a cell changes, under all their names."""

        def look(name: str) -> State | None:
            return self._look(name, facts)

        touched = set(facts.mutates)
        for call in facts.calls:
            dropped = call.fate == "dropped" or (call.fate == "shown" and execution.shown is False)
            touched |= set(mutations.changed(call, look, dropped=dropped))
        for code in used:
            touched |= mutations.within(code, look) & code.reads
        for name in facts.loads:
            state = look(name)
            if state is not None and state.kind == "stateful":
                touched.add(name)
        return self._everywhere(touched, facts)

    def _everywhere(self, touched: set[str], facts: Facts) -> set[str]:
        """With all names that share what was changed."""
        neighbours: dict[str, set[str]] = {}

        def tie(name: str, links: Iterable[Link]) -> None:
            for link in links:
                if self._shares(name, link, facts):
                    neighbours.setdefault(name, set()).add(link.name)
                    neighbours.setdefault(link.name, set()).add(name)

        for name, state in self.state.items():
            if state.links:
                tie(name, state.links)
        for name, links in facts.links.items():
            tie(name, links)
        found, waiting = set(touched), list(touched)
        while waiting:
            for other in neighbours.get(waiting.pop(), ()):
                if other not in found:
                    found.add(other)
                    waiting.append(other)
        return found

    def _shares(self, name: str, link: Link, facts: Facts) -> bool:
        """Whether a change of one is a change of the other, by what they were seen to be."""
        one, other = self._look(name, facts), self._look(link.name, facts)
        mine = one.kind if one is not None else ""
        its = other.kind if other is not None else ""
        fixed = ("plain", "code", "module")
        if mine in fixed or its in fixed or (other is not None and mutations._is_module(other)):
            return False
        if link.how == "same":
            return True
        if link.how == "part":
            return its != "frame"  # what pandas takes out of a frame is a copy
        return mine not in ("frame", "array") and its not in ("frame", "array")

    def _bind(self, place: int, execution: Execution, facts: Facts, rebound: set[str]) -> None:
        seen = execution.seen
        sure = facts.binds if execution.status != "failed" else set()
        perhaps = (facts.maybe | facts.binds | rebound) - sure
        for name in facts.deletes - facts.binds:
            if seen is None or name in execution.removed or name not in self.state:
                self.state.pop(name, None)
        for name in execution.removed - facts.binds:
            self.state.pop(name, None)
        fresh = {name: self._new(name, place, facts, (seen or {}).get(name)) for name in sure}
        for name in perhaps:
            if name.startswith("<") or (seen is None and name not in execution.removed):
                before = self.state.get(name)
                state = self._new(name, place, facts, None)
                state.by = (*(before.by if before else ()), place)
                fresh[name] = state
        for name, what in (seen or {}).items():
            if name not in sure:
                fresh[name] = self._new(name, place, facts, what)
        if seen is None:
            for module in facts.stars:
                for name in _public(module):
                    fresh[name] = State(by=(place,), imported=f"{module}:{name}")
        for name in fresh:
            self._forget_links(name)
        self.state.update(fresh)
        self.made[place] |= fresh.keys()

    def _kind(self, name: str) -> Kind:
        """What a name that the present cell binds was seen to hold."""
        if name in self._seen:
            return self._seen[name].kind
        if name in self.state:
            return self.state[name].kind  # bound again to the same object
        return self.known[name].kind if name in self.known else ""

    def _new(self, name: str, place: int, facts: Facts, seen: Seen | None) -> State:
        links = set(facts.links.get(name, ()))
        for link in list(links):  # c = b, where b = a
            earlier = self.state.get(link.name)
            if link.how == "same" and earlier is not None and link.name not in facts.binds:
                links |= earlier.links
        if seen is not None:
            links |= {Link(other, "same") for other in seen.shares}
        kind = self._kind(name)
        holds_code = kind not in ("plain", "frame", "array", "module")
        return State(
            by=(place,),
            kind=kind,
            imported=facts.imports.get(name, ""),
            code=facts.code.get(name) or self._same_code(name, facts),
            links={link for link in links if link.name != name},
            later=self._carried(name, facts) if holds_code else set(),
        )

    def _same_code(self, name: str, facts: Facts) -> Facts | None:
        """The function that ``g = f`` gives another name."""
        for link in facts.links.get(name, ()):
            if link.how == "same":
                state = self._look(link.name, facts) if link.name != name else None
                if state is not None and state.code is not None:
                    return state.code
        return None

    def _carried(self, name: str, facts: Facts, depth: int = 8) -> set[str]:
        """What code that the object of a name holds will read when it is used."""
        found = set(facts.later.get(name, ()))
        if not depth:
            return found
        for link in facts.links.get(name, ()):
            found |= self._code_of(link.name, facts, depth)
        for maker in facts.made.get(name, ()):
            code = facts.code.get(maker) or getattr(self.state.get(maker), "code", None)
            if code is not None:
                found |= code.escapes
        return found

    def _code_of(self, name: str, facts: Facts, depth: int) -> set[str]:
        if name in facts.code:
            return {name} | facts.code[name].reads
        if name in facts.binds:
            return self._carried(name, facts, depth - 1)
        state = self.state.get(name)
        if state is None or state.kind in ("plain", "frame", "array", "module"):
            return set()
        return ({name} | state.code.reads if state.code is not None else set()) | state.later

    def _forget_links(self, name: str) -> None:
        """A name that is bound anew no longer shares anything."""
        for state in self.state.values():
            if state.links:
                state.links = {link for link in state.links if link.name != name}

    def _write_files(self, place: int, facts: Facts) -> None:
        for file in facts.files_written:
            name = f"<file {file}>"
            before = self.state.get(name)
            # What a shell command does to a file that it names is not known.
            kept = before.by if before is not None and facts.notes else ()
            self.state[name] = State(by=(*kept, place))

    def _prepares(self, call: Call) -> bool:
        """Whether a call is ``mlops.prepare``, whose dataset a later training falls back to."""
        state = self.state.get(call.root or call.function)
        if state is None or not state.imported.startswith("mlops_magics"):
            return False
        return call.method == "prepare" or state.imported.endswith(":prepare")

    # The slice

    def slice(self, place: int) -> Slice:
        """What the execution at `place` depends on."""
        found: set[int] = set()
        self._follow([place], found)
        setting = self._settings(place)
        self._follow(setting, found)
        seeded = [at for at in setting if any(effects.is_seed(e) for e in self.facts[at].effects)]
        if seeded:
            # After a seed every number drawn moves the generator on.
            drawn = [
                at
                for at in range(min(seeded) + 1, place)
                if self.facts[at].draws and self.executions[at].status != "refused"
            ]
            self._follow(drawn, found)
        order = sorted(found)
        result = Slice(order, {at: self.ties[at] for at in order}, self.facts)
        for at in order:
            for name, by in self.ties[at].items():
                if OUTSIDE in by:
                    result.outside.setdefault(name, at)
            result.unclear += [(at, why) for why in self.facts[at].opaque]
        return result

    def _follow(self, start: Iterable[int], found: set[int]) -> None:
        waiting = [at for at in start if at not in found]
        while waiting:
            at = waiting.pop()
            if at in found or at == OUTSIDE:
                continue
            found.add(at)
            waiting += [by for made in self.ties[at].values() for by in made if by not in found]

    def _settings(self, place: int) -> list[int]:
        """The executions that last set something for the whole process."""
        last: dict[str, list[int]] = {}
        for at in range(place):
            if self.executions[at].status == "refused":
                continue
            for effect in self.facts[at].effects:
                adds = effect.partition("(")[0] in _ADDING or effect.startswith("sys.path.")
                last[effect] = [*last.get(effect, []), at] if adds else [at]
        return sorted({at for places in last.values() for at in places})


def _public(module: str) -> list[str]:
    """What ``from module import *`` binds, as far as the module is there."""
    found = sys.modules.get(module)
    if found is None:
        return []
    return list(getattr(found, "__all__", [n for n in vars(found) if not n.startswith("_")]))
