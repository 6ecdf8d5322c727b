"""Which executed cells a cell depends on: those, only those, in an order that runs.

A slice is what can be reached from one execution along the ties of `evidence.flow`. What sets
something for the whole process (a seed, an option, the working directory) belongs to every slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlops_magics.evidence import effects
from mlops_magics.evidence.facts import Facts
from mlops_magics.evidence.flow import OUTSIDE, Flow

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


def slice_of(flow: Flow, place: int) -> Slice:
    """What the execution at `place` depends on."""
    found: set[int] = set()
    _follow(flow, [place], found)
    setting = _settings(flow, place)
    _follow(flow, setting, found)
    seeded = [at for at in setting if any(effects.is_seed(e) for e in flow.facts[at].effects)]
    if seeded:
        # After a seed every number drawn moves the generator on.
        drawn = [
            at
            for at in range(min(seeded) + 1, place)
            if flow.facts[at].draws and flow.executions[at].status != "refused"
        ]
        _follow(flow, drawn, found)
    order = sorted(found)
    result = Slice(order, {at: flow.ties[at] for at in order}, flow.facts)
    for at in order:
        for name, by in flow.ties[at].items():
            if OUTSIDE in by:
                result.outside.setdefault(name, at)
        result.unclear += [(at, why) for why in flow.facts[at].opaque]
    return result


def _follow(flow: Flow, start: Iterable[int], found: set[int]) -> None:
    waiting = [at for at in start if at not in found]
    while waiting:
        at = waiting.pop()
        if at in found or at == OUTSIDE:
            continue
        found.add(at)
        waiting += [by for made in flow.ties[at].values() for by in made if by not in found]


def _settings(flow: Flow, place: int) -> list[int]:
    """The executions that last set something for the whole process."""
    last: dict[str, list[int]] = {}
    for at in range(place):
        if flow.executions[at].status == "refused":
            continue
        for effect in flow.facts[at].effects:
            adds = effect.partition("(")[0] in _ADDING or effect.startswith("sys.path.")
            last[effect] = [*last.get(effect, []), at] if adds else [at]
    return sorted({at for places in last.values() for at in places})
