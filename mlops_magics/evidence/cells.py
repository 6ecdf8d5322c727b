"""The cells that a notebook has run: each known by its content, with what it was seen to bind.

The log is kept while the notebook runs and must cost next to nothing: before and after each cell it
compares which names are bound to which objects. No object is held. All analysis waits until a
model asks for it (`evidence.slicing`).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import BuiltinFunctionType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any, Literal, NamedTuple

from mlops_magics.evidence.binding import Transform

#: IPython's own: ``_``, ``__``, ``_12``, ``_i3``, ``_ih``, ``_dh``…
_IPYTHONS = re.compile(r"_+|_i+|_\d+|_i\d+|_[ido]h|_exit_code")

#: What an object is, as far as it decides whether something can be changed through its name.
Kind = Literal[
    "", "plain", "code", "module", "frame", "array", "container", "stateful", "estimator", "object"
]

_PLAIN = {"int", "float", "complex", "bool", "str", "bytes", "NoneType", "range", "slice",
          "frozenset", "ellipsis"}  # fmt: skip
_CONTAINERS = {"list", "dict", "set", "tuple", "deque", "defaultdict", "OrderedDict", "Counter"}
_CODE = (FunctionType, BuiltinFunctionType, MethodType, type)
_FRAMES = {"pandas", "polars", "pyarrow"}
_STATEFUL = {"Generator", "RandomState", "Random", "BitGenerator"}


class Seen(NamedTuple):
    """What a name was seen to be bound to: its kind, and other names of the same object."""

    kind: Kind
    shares: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Execution:
    """One cell, run once.

    Attributes
    ----------
    count : int or None
        The number in ``In [7]``.
    id : str or None
        The cell's id in its notebook, if the front end tells it.
    source : str
        The cell as typed.
    code : str
        The Python that IPython made of it.
    status : str
        ``finished``, ``failed`` (in the midst), ``refused`` (not run at all: it is no Python) or
        ``running``.
    shown : bool or None
        Whether the last expression had a value that was shown; ``None`` where it is not known.
    seen : mapping or None
        Names that were bound to another object when the cell ended than before; ``None`` for a
        cell that ran before the log began.
    removed : frozenset of str
        Names that were gone when the cell ended.
    outside : mapping
        Names that were bound to another object between the cell before and this one.
    started : float
        Seconds since the epoch; 0 where it is not known.
    """

    source: str
    code: str
    count: int | None = None
    id: str | None = None
    status: str = "running"
    shown: bool | None = None
    seen: Mapping[str, Seen] | None = None
    removed: frozenset[str] = frozenset()
    outside: Mapping[str, Seen] = field(default_factory=dict)
    started: float = 0.0

    @property
    def digest(self) -> str:
        """``sha256:…`` of the content."""
        return digest(self.source)


def digest(source: str) -> str:
    """``sha256:…`` of a cell's content; blanks at the ends of lines and of the cell don't count."""
    lines = "\n".join(line.rstrip() for line in source.strip("\n").splitlines()).rstrip()
    return "sha256:" + hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


class Log:
    """What has run in one notebook, in order.

    Parameters
    ----------
    namespace : mapping
        The notebook's names, which are only looked at.
    ignored : iterable of str
        Names that the shell itself binds.
    transform : callable, optional
        IPython's way from a cell as typed to Python.
    """

    def __init__(
        self,
        namespace: Mapping[str, Any],
        ignored: Iterable[str] = (),
        transform: Transform | None = None,
    ) -> None:
        self.namespace = namespace
        self.transform = transform
        self.executions: list[Execution] = []
        self.current: Execution | None = None
        self._ignored = frozenset(ignored)
        self.start()

    def start(self) -> None:
        """Take what is bound now for what was there when the log began."""
        self._bound = self._look()
        #: What the names that were there when the log began were bound to.
        self.initial = self._describe(self._bound)

    def kept(self) -> dict[str, Any]:
        """What another process needs to go on with this log; its names come back by themselves."""
        return {"executions": list(self.executions), "initial": dict(self.initial)}

    def go_on(self, kept: Mapping[str, Any]) -> None:
        """Go on with the log of another process, whose names are bound here by now.

        The cells count as run now: what they were was compared with the notebook as it stands,
        and what they import has only now been imported here.
        """
        now = time.time()
        self.executions[:] = [replace(e, started=now) for e in kept["executions"]]
        self.initial = kept["initial"]
        self._bound = self._look()

    def add(self, execution: Execution) -> None:
        """Note a cell that ran before the log began."""
        self.executions.append(execution)

    def begin(self, execution: Execution) -> None:
        """Note that a cell is about to run."""
        bound = self._look()
        execution.outside = self._describe(self._changed(bound))
        execution.started = execution.started or time.time()
        self._bound = bound
        self.current = execution
        self.executions.append(execution)

    def end(self, status: str, shown: bool | None = None) -> None:
        """Note how the cell that runs has ended, and what it bound."""
        execution, self.current = self.current, None
        if execution is None:
            return
        execution.status, execution.shown = status, shown
        self.observe(execution)

    def observe(self, execution: Execution) -> None:
        """Note what has been bound since the cell began, and go on from here."""
        bound = self._look()
        changed = {**(execution.seen or {}), **self._describe(self._changed(bound))}
        execution.seen = changed
        execution.removed = frozenset(self._bound.keys() - bound.keys())
        self._bound = bound

    def _look(self) -> dict[str, int]:
        ignored = self._ignored
        return {
            name: id(value)
            for name, value in self.namespace.items()
            if name not in ignored and not (name[:1] == "_" and _IPYTHONS.fullmatch(name))
        }

    def _changed(self, bound: Mapping[str, int]) -> list[str]:
        before = self._bound
        return [name for name, identity in bound.items() if before.get(name) != identity]

    def _describe(self, names: Iterable[str]) -> dict[str, Seen]:
        kinds = {name: kind_of(self.namespace[name]) for name in names if name in self.namespace}
        if not any(kind not in ("plain", "code", "module") for kind in kinds.values()):
            return {name: Seen(kind) for name, kind in kinds.items()}
        owners: dict[int, list[str]] = {}
        for name, value in self.namespace.items():
            if name not in self._ignored and not name.startswith("_"):
                owners.setdefault(_owner(value), []).append(name)
        return {
            name: Seen(kind)
            if kind in ("plain", "code", "module")
            else Seen(
                kind,
                tuple(o for o in owners.get(_owner(self.namespace[name]), ()) if o != name),
            )
            for name, kind in kinds.items()
        }


def kind_of(value: Any) -> Kind:
    """What kind of object a value is; imports nothing."""
    made = type(value)
    name, module = made.__name__, made.__module__.partition(".")[0]
    if isinstance(value, ModuleType):
        return "module"
    if isinstance(value, _CODE):
        return "code"
    if module in ("builtins", "collections"):
        if name in _PLAIN:
            return "plain"
        if name in _CONTAINERS:
            return "container"
    if isinstance(value, GeneratorType) or name in _STATEFUL or name.endswith("_iterator"):
        return "stateful"
    if module in _FRAMES and ("Frame" in name or "Series" in name or "Index" in name):
        return "frame"
    if module == "numpy":
        return "array" if hasattr(value, "base") and hasattr(value, "strides") else "plain"
    if name == "Tensor" or (module == "scipy" and hasattr(value, "nnz")):
        return "array"
    if hasattr(made, "fit") and hasattr(made, "get_params") and _fits_anew(value):
        return "estimator"
    if module in ("datetime", "decimal", "fractions", "pathlib", "re", "uuid"):
        return "plain"
    return "object"


def _fits_anew(value: Any) -> bool:
    """Whether an estimator of scikit-learn's form forgets at each fit what it had learned."""
    known = getattr(value, "__dict__", {})
    fixed = known.get("random_state") is None or isinstance(known["random_state"], int)
    return fixed and not known.get("warm_start", False)


def _owner(value: Any) -> int:
    """The identity of the memory that a value shows: a numpy view's is that of its base."""
    while type(value).__name__ == "ndarray" and getattr(value, "base", None) is not None:
        value = value.base
    return id(value)
