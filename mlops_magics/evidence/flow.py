"""Names followed through the cells that ran: which executions made each what it is.

All cells are gone through in the order in which they ran. For every name it is kept which
executions made it what it is: the one that bound it, and those that changed its object since. What
a cell reads is thereby tied to the cells that it comes from. What a function reads counts where it
is used, not where it is defined.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace

from mlops_magics.evidence import escapes, mutations, names
from mlops_magics.evidence.binding import Transform
from mlops_magics.evidence.cells import Execution, Kind, Seen
from mlops_magics.evidence.facts import Facts
from mlops_magics.evidence.mutations import State
from mlops_magics.evidence.references import Call, Link
from mlops_magics.evidence.sharing import Graph, fresh, node, sharing

#: Stands for where names come from that no cell bound.
OUTSIDE = -1

#: Always there, in a notebook or in any module.
_GIVEN = {"get_ipython", "display", "exit", "quit", "In", "Out", "__name__", "__doc__", "open",
          "__builtins__", "__builtin__", "__file__", "__annotations__", "__spec__"}  # fmt: skip


class Flow:
    """Follows names through executions.

    Parameters
    ----------
    executions : sequence of Execution
    known : mapping
        Names → what they were seen to be bound to, for cells that ran unobserved.
    present : collection of str, optional
        All names that there are; others that no cell binds are taken for a path not gone.

    Attributes
    ----------
    facts : list of Facts
        What each execution does, read from its source.
    ties : list of dict
        For each execution: name that it reads → places of the executions that made it.
    made : list of set
        For each execution: names that it bound, or whose object it changed.
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
        self._holders: dict[str, set[str]] = {}  # name → names that are linked to it
        self._seen: Mapping[str, Seen] = {}
        self._kept: Set[str] = set()
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
        # Names that were seen to stand for the same object after the cell as before.
        self._kept = self.state.keys() - self._seen.keys() if execution.seen is not None else set()
        if execution.status == "refused" or facts.error:
            return
        read, used = self._read(facts)
        for name in read:
            by = self._made_by(name)
            if by:
                ties[name] = by
        refitted = {n for n in facts.refits & self.state.keys() if self._refits(n)}
        for name in refitted & ties.keys():
            fits = self.state[name].fits
            ties[name] = tuple(by for by in ties[name] if by not in fits)
        for name in self._changed(execution, facts, used):
            state = self.state.get(name)
            if state is not None:
                again = name in refitted
                kept = tuple(by for by in state.by if not (again and by in state.fits))
                fits = frozenset({place}) if again else frozenset()
                self.state[name] = replace(state, by=(*kept, place), fits=fits)
                self.made[place].add(name)
        rebound = set().union(*(code.maybe for code in used))
        self._bind(place, execution, facts, rebound)
        self._write_files(place, facts)
        if any(self._prepares(call) for call in facts.calls):
            self.state[escapes.DATASET] = State(by=(place,))
        if facts.opaque and execution.seen is None:
            self._unseen = place

    def _refits(self, name: str) -> bool:
        return self.state[name].kind == "estimator"

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
        unknown = {(n, False): frozenset[str]() for n in direct}  # what was bound by then
        waiting = list({**unknown, **facts.loads}.items())
        for bound, code in facts.past:
            used.append(code)
            read |= code.reads - bound
            waiting += [((name, name in bound), bound) for name in code.reads]
        met = {at for at, _ in waiting}
        while waiting:
            (name, had), bound = waiting.pop()
            state = self._look(name, facts) if had else self._before(name, facts)
            if state is None:
                continue
            later = set(state.later)
            if state.code is not None:
                used.append(state.code)
                later |= state.code.reads
                files = {f"<file {f}>" for f in state.code.files_read}
                read |= {f for f in files if f in self.state}
            read |= later - bound
            inner = {(name, name in bound) for name in later} - met
            waiting += [(at, bound) for at in inner]
            met |= inner
        return read, used

    def _before(self, name: str, facts: Facts) -> State | None:
        """What is known of a name that a cell has not surely bound yet."""
        state = self.state.get(name)
        if name not in facts.maybe:
            return state
        here = self._look(name, facts) or State()
        if state is None:
            return here
        # It may have been bound anew.
        return replace(state, kind="", code=here.code or state.code, later=state.later | here.later)

    def _look(self, name: str, facts: Facts) -> State | None:
        """What is known of a name that a cell has bound."""
        state = self.state.get(name)
        if name in facts.code or name in facts.imports:
            return State(code=facts.code.get(name), imported=facts.imports.get(name, ""))
        if name in facts.binds:
            code, later = self._same_code(name, facts), self._carried(name, facts)
            kind = "" if name in facts.unsettled else self._kind(name)
            return State(code=code, later=later, kind=kind)
        if state is not None and facts.later.get(name):
            return replace(state, later=state.later | facts.later[name])
        return state

    def _changed(self, execution: Execution, facts: Facts, used: Sequence[Facts]) -> set[str]:
        """The names whose object a cell changes, under all their names."""

        def look(name: str) -> State | None:
            return self._look(name, facts)

        touched = {node(n, bound=n not in facts.mutates_given) for n in facts.mutates}
        deep = {node(n, bound=n not in facts.mutates_given) for n in facts.deep}
        for call in facts.calls:
            dropped = call.fate == "dropped" or (call.fate == "shown" and execution.shown is False)
            for name in mutations.changed(call, self._at(call, facts), dropped=dropped):
                touched.add(node(name, bound=name in call.fresh))
                if call.deep and name == call.root:
                    deep.add(node(name, bound=name in call.fresh))
        for code in used:
            touched |= mutations.within(code, look) & code.reads
        for name, bound in facts.loads:
            state = look(name) if bound else self._before(name, facts)
            if state is not None and state.kind == "stateful":
                touched.add(node(name, bound=bound))
        return self._graph(facts).reached(touched, deep) if touched else set()

    def _at(self, call: Call, facts: Facts) -> mutations.Look:
        """What is known of names where a call stands."""

        def look(name: str) -> State | None:
            return self._look(name, facts) if name in call.fresh else self._before(name, facts)

        return look

    def _graph(self, facts: Facts) -> Graph:
        """What shares something before the cell, and by what the cell does."""
        graph = Graph()
        for name, state in self.state.items():
            for link in state.links:
                held = self.state.get(link.name)
                if held is not None:
                    graph.tie(name, link.name, sharing(state, held, link.how))
        for name, links in facts.links.items():
            bound = name in facts.binds or name in facts.maybe
            mine = (self._look(name, facts) if bound else self.state.get(name)) or State()
            for link in links:
                its = self._look(link.name, facts) if link.fresh else self.state.get(link.name)
                other = node(link.name, bound=link.fresh)
                graph.tie(node(name, bound=bound), other, sharing(mine, its or State(), link.how))
            if name in facts.forked:  # it may still be what it was before the cell
                graph.tie(fresh(name), name, "same")
        for name, seen in self._seen.items():
            for shared in seen.shares:
                graph.tie(fresh(name), node(shared, bound=shared in self._seen), "same")
        for name in facts.binds & self._kept:
            graph.tie(fresh(name), name, "same")
        return graph

    def _bind(self, place: int, execution: Execution, facts: Facts, rebound: set[str]) -> None:
        seen = execution.seen
        sure = facts.binds if execution.status != "failed" else set()
        for name in facts.deletes - facts.binds:
            if seen is None or name in execution.removed or name not in self.state:
                self.state.pop(name, None)
        for name in execution.removed - facts.binds:
            self.state.pop(name, None)
        anew = {*sure, *(seen or {})}
        perhaps = {
            name
            for name in (facts.maybe | facts.binds | rebound) - anew
            if name.startswith("<") or (seen is None and name not in execution.removed)
        }
        starred = {n: f"{m}:{n}" for m in facts.stars for n in _public(m)}
        if seen is None:
            anew |= starred.keys()
        retired = {n: old for n in anew - self._kept if (old := self._retire(n, place))}
        for name in facts.links.keys() - anew - perhaps:
            if (state := self.state.get(name)) is not None:  # d["k"] = x
                self._share(name, state, state.links | self._links(name, facts, retired))
                state.later = state.later | self._carried(name, facts)
        found = {
            name: self._new(name, place, facts, (seen or {}).get(name), retired) for name in anew
        }
        for name in perhaps:
            state, before = self._new(name, place, facts, None, retired), self.state.get(name)
            if before is not None:
                state.by, state.links = (*before.by, place), state.links | before.links
            found[name] = state
        for name in starred.keys() & found.keys() - facts.imports.keys():
            found[name].imported = starred[name]
        for name, state in found.items():
            self._share(name, state, state.links)
        self.state.update(found)
        self.made[place] |= found.keys()

    def _retire(self, name: str, place: int) -> str:
        """Keep what a name was bound to under a name of its own, if others share something of it.

        Returns
        -------
        str
            That name; empty where it is not needed.
        """
        old = f"<{name} before {place}>"
        state = self.state.get(name)
        holders = [h for h in self._holders.pop(name, ()) if h in self.state]
        if not holders and (state is None or not state.links):
            return ""
        for holder in holders:
            other = self.state[holder]
            links = {o._replace(name=old) if o.name == name else o for o in other.links}
            self._share(holder, other, links)
        self.state[old] = kept = state or State()
        self._share(old, kept, kept.links)
        return old

    def _share(self, name: str, state: State, links: Set[Link]) -> None:
        """Set what a name's object shares; what its kind excludes is left out."""
        if state.kind in ("plain", "code", "module"):
            links = set()
        elif state.kind in ("frame", "array"):
            links = {link for link in links if link.how != "holds"}
        state.links = set(links)
        for link in links:
            self._holders.setdefault(link.name, set()).add(name)

    def _kind(self, name: str) -> Kind:
        """What a name that the present cell binds was seen to hold."""
        if name in self._seen:
            return self._seen[name].kind
        if name in self.state:
            return self.state[name].kind  # bound again to the same object
        return self.known[name].kind if name in self.known else ""

    def _new(
        self, name: str, place: int, facts: Facts, seen: Seen | None, retired: Mapping[str, str]
    ) -> State:
        links = self._links(name, facts, retired)
        if seen is not None:
            links |= {Link(other, "same") for other in seen.shares}
        if name in self._kept:
            links |= self.state[name].links
        kind = self._kind(name)
        holds_code = kind not in ("plain", "frame", "array", "module")
        return State(
            by=(place,),
            kind=kind,
            imported=facts.imports.get(name, ""),
            code=facts.code.get(name) or self._same_code(name, facts),
            links=links,
            later=self._carried(name, facts) if holds_code else set(),
        )

    def _links(self, name: str, facts: Facts, retired: Mapping[str, str]) -> set[Link]:
        """What a name shares after the cell, by the names that hold after it."""
        found = set()
        for link in facts.links.get(name, ()):
            other = link.name if link.fresh else retired.get(link.name, link.name)
            if other != name:
                found.add(Link(other, link.how))
        return found

    def _same_code(
        self, name: str, facts: Facts, met: frozenset[str] = frozenset()
    ) -> Facts | None:
        """The function that ``g = f`` gives another name."""
        for link in facts.links.get(name, ()):
            if link.how != "same" or link.name in met:
                continue
            if not link.fresh:  # also f = f
                state = self.state.get(link.name)
                code = state.code if state is not None else None
            elif link.name in facts.code:
                return facts.code[link.name]
            else:
                code = self._same_code(link.name, facts, met | {name})
            if code is not None:
                return code
        return None

    def _carried(self, name: str, facts: Facts, met: frozenset[str] = frozenset()) -> set[str]:
        """What code that the object of a name holds will read when it is used."""
        found = set(facts.later.get(name, ()))
        for link in facts.links.get(name, ()):
            if not link.fresh:
                found |= self._carried_before(link.name)
            elif link.name in facts.code:
                found |= {link.name} | facts.code[link.name].reads
            elif link.name not in met:
                found |= self._carried(link.name, facts, met | {name})
        for maker in facts.made.get(name, ()):
            code = facts.code.get(maker) or getattr(self.state.get(maker), "code", None)
            if code is not None:
                found |= code.escapes
        return found

    def _carried_before(self, name: str) -> set[str]:
        state = self.state.get(name)
        if state is None or state.kind in ("plain", "frame", "array", "module"):
            return set()
        return state.later | (state.code.reads if state.code is not None else set())

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


def _public(module: str) -> list[str]:
    """What ``from module import *`` binds, as far as the module is there."""
    found = sys.modules.get(module)
    if found is None:
        return []
    return list(getattr(found, "__all__", [n for n in vars(found) if not n.startswith("_")]))
