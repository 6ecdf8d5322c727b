"""Whether a call changes an object in place.

Python does not say it. What can be known is taken first: the notebook's own functions are read,
and what a name was seen to be bound to decides for data. For the rest, a call whose value is thrown
away is made for its effect, unless it is known to look only.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mlops_magics.evidence.cells import Kind
from mlops_magics.evidence.facts import Facts
from mlops_magics.evidence.references import Call, Link


@dataclass
class State:
    """What is known of a name at some point of the notebook.

    Attributes
    ----------
    by : tuple of int
        The executions that made it what it is, in order; -1 stands for outside the notebook.
    fits : frozenset of int
        Those of them that do nothing but to fit it, which the next fit makes undone.
    imported : str
        What it was imported as: ``numpy.random``, ``sklearn.svm:SVC``.
    code : Facts or None
        What it does when it is used, for a function or class of the notebook.
    later : set of str
        Names that code held by its object reads when it is used.
    """

    by: tuple[int, ...] = ()
    fits: frozenset[int] = frozenset()
    kind: Kind = ""
    imported: str = ""
    code: Facts | None = None
    links: set[Link] = field(default_factory=set)
    later: set[str] = field(default_factory=set)


Look = Callable[[str], State | None]

#: Methods that change their object, whatever becomes of their value.
_CHANGING = {
    "fit", "fit_transform", "fit_predict", "fit_resample", "partial_fit", "append", "extend",
    "insert", "pop", "popitem", "popleft", "appendleft", "remove", "discard", "add", "clear",
    "update", "sort", "reverse", "setdefault", "set_params", "train", "train_on_batch",
    "load_state_dict", "compile", "build", "warmup", "tune", "backward", "step", "zero_grad",
    "load_weights", "setflags", "fill", "resize", "put", "itemset", "partition", "set_weights",
    "add_module", "register_buffer", "requires_grad_", "boost", "refit", "calibrate",
}  # fmt: skip
_OF_DATA: dict[str, set[str]] = {
    "frame": {"insert", "pop", "update", "isetitem"},
    "array": {"fill", "sort", "resize", "put", "itemset", "partition", "setflags", "byteswap",
              "backward"},
    "container": {"append", "extend", "insert", "pop", "popitem", "popleft", "appendleft",
                  "remove", "discard", "add", "clear", "update", "sort", "reverse", "setdefault",
                  "rotate", "subtract", "difference_update", "intersection_update",
                  "symmetric_difference_update", "move_to_end"},
}  # fmt: skip
#: Methods that only look or write elsewhere, though their value is thrown away.
_LOOKING = (
    "to_", "plot", "hist", "box", "scatter", "bar", "draw", "show", "print", "display", "info",
    "head", "tail", "sample", "describe", "save", "dump", "write", "log", "summary", "score",
    "predict", "transform", "evaluate", "report", "render", "export", "get", "count", "value_",
    "view", "copy", "close", "flush", "join", "format", "is_", "has_", "mean", "sum", "groupby",
)  # fmt: skip
#: Functions of modules that change their first argument.
_CHANGE_FIRST = {
    "random.shuffle", "numpy.random.shuffle", "heapq.heappush", "heapq.heappop", "heapq.heapify",
    "heapq.heapreplace", "heapq.heappushpop", "bisect.insort", "bisect.insort_left",
    "bisect.insort_right", "numpy.copyto", "numpy.put", "numpy.place", "numpy.putmask",
    "numpy.fill_diagonal", "numpy.put_along_axis", "builtins.setattr", "builtins.delattr",
    "builtins.next", "operator.setitem", "operator.delitem", "operator.iadd",
}  # fmt: skip
#: Packages whose functions change none of the notebook's objects but by the list above.
_LOOKERS = {
    "matplotlib", "seaborn", "plotly", "altair", "bokeh", "IPython", "pprint", "logging", "rich",
    "mlflow", "mlops_magics", "json", "pickle", "joblib", "cloudpickle", "dill", "time", "gc", "os",
    "sys", "warnings", "pathlib", "shutil", "tabulate", "numpy", "pandas", "polars", "scipy",
    "math", "builtins", "itertools", "collections", "functools", "subprocess", "requests", "yaml",
    "csv", "pyarrow", "skops", "onnx", "shap", "wandb", "tqdm", "inspect", "platform", "timeit",
    "unittest", "hashlib", "sklearn", "xgboost", "lightgbm", "catboost", "random", "types",
}  # fmt: skip
_FIXED: tuple[Kind, ...] = ("plain", "code", "module")


def changed(call: Call, look: Look, *, dropped: bool) -> Iterator[str]:
    """The names whose object a call changes.

    Parameters
    ----------
    look : callable
        What is known of a name where the call stands.
    dropped : bool
        Whether the call's value is thrown away.
    """
    found = look(call.root or call.function)
    if call.root:
        module = found is not None and (found.kind == "module" or is_module(found))
        if not module:
            yield from _by_method(call, found, look, dropped=dropped)
            return
        full = f"{_path(found)}{call.function.removeprefix(call.root)}" if found else ""
    elif found is not None and found.code is not None:
        yield from _by_own(call, found.code, look)
        return
    elif found is not None:
        full = _path(found)
    else:
        full = f"builtins.{call.function}" if hasattr(builtins, call.function) else call.function
    yield from _by_function(call, full, look, dropped=dropped)


def _path(state: State) -> str:
    return state.imported.replace(":", ".")


def is_module(state: State) -> bool:
    """Whether a name that was bound by an import is a module, as far as its spelling tells."""
    package = state.imported.partition(".")[0].partition(":")[0]
    return (
        bool(state.imported)
        and not state.kind
        and (":" not in state.imported or package in _LOOKERS)
    )


def _by_method(call: Call, found: State | None, look: Look, *, dropped: bool) -> Iterator[str]:
    kind = found.kind if found is not None else ""
    if kind in _FIXED:
        return
    method = call.method
    if kind == "stateful" or (call.inplace and call.direct):
        yield call.root
    elif kind in _OF_DATA:
        torch_style = kind == "array" and method.endswith("_") and not method.endswith("__")
        if call.direct and (method in _OF_DATA[kind] or torch_style):
            yield call.root
    elif method in _CHANGING or (dropped and not method.startswith(_LOOKING)):
        yield call.root
        if method not in _OF_DATA["container"]:
            # Trainer.fit(model, …): an object that is known to be none of the plain kinds.
            for name in call.arguments:
                state = look(name)
                if state is not None and state.kind == "object":
                    yield name


def _by_function(call: Call, full: str, look: Look, *, dropped: bool) -> Iterator[str]:
    if full in _CHANGE_FIRST:
        yield from call.positional[0] if call.positional else ()
    elif dropped and full.partition(".")[0] not in _LOOKERS:
        for name in call.arguments:
            state = look(name)
            if state is None or state.kind not in _FIXED:
                yield name


def _by_own(call: Call, code: Facts, look: Look) -> Iterator[str]:
    """A function of the notebook: those arguments whose parameter it changes."""
    touched = within(code, look)
    for place, names in enumerate(call.positional):
        if place < len(code.parameters) and code.parameters[place] in touched:
            yield from names
    for parameter, names in call.named.items():
        if parameter in touched:
            yield from names


def within(code: Facts, look: Look, depth: int = 8) -> set[str]:
    """The names, parameters among them, whose object a function changes when it is called."""

    def look_inside(name: str) -> State | None:
        # A parameter or local name says nothing of a name of the notebook that is called the same.
        return look(name) if name in code.reads else None

    touched = set(code.mutates)
    if depth:
        for call in code.calls:
            own = look_inside(call.function)
            if own is not None and own.code is not None:
                inner = within(own.code, look, depth - 1) if own.code is not code else set()
                touched |= _passed(call, own.code, inner)
            else:
                touched |= set(changed(call, look_inside, dropped=call.fate != "used"))
    return spread(touched, code.links)


def _passed(call: Call, code: Facts, touched: set[str]) -> set[str]:
    by_place = zip(code.parameters, call.positional, strict=False)
    return {n for p, names in (*by_place, *call.named.items()) if p in touched for n in names}


def spread(touched: set[str], links: dict[str, set[Link]]) -> set[str]:
    """With the names that share an object with those touched, by the same code's assignments."""
    found, waiting = set(touched), list(touched)
    while waiting:
        for link in links.get(waiting.pop(), ()):
            if link.how != "holds" and link.name not in found:
                found.add(link.name)
                waiting.append(link.name)
    return found
