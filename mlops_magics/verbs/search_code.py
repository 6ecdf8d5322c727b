"""The code of a search: read once, run once a trial in names of its own."""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import symtable
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import CellType, CodeType, FunctionType
from typing import Any

from mlops_magics.errors import BadData, UnknownName, WrongUsage

#: What runs code in the notebook's names, and so not in those of a trial.
_MAGICS = ("run_line_magic", "run_cell_magic")


@dataclass(frozen=True)
class Code:
    """A cell, a file or a function that is run with a `trial`.

    Attributes
    ----------
    source : str
        The text; that of a function with everything around its name.
    file : str
        Where it is from: a path, or the name under which tracebacks show it.
    function : function or None
        What is called with the trial, where it is no text.
    names : frozenset of str
        Every name that it may read or write, attributes among them.
    binds : frozenset of str
        The names that it binds itself, at the top.
    """

    source: str
    file: str
    function: Any = None  # a checker takes a function on an instance for its method
    names: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the source."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def home(self) -> Mapping[str, Any] | None:
        """The names that a function sees as its globals."""
        return self.function.__globals__ if self.function is not None else None

    def run(self, namespace: dict[str, Any], trial: Any, closed: Mapping[str, Any]) -> Any:
        """Run it with `trial` in `namespace`; returns what a function returns.

        `closed` are the values that a function closes over, by name.
        """
        if self.function is not None:
            return rebound(self.function, namespace, closed)(trial)
        if self.file.startswith("<") and self.file not in linecache.cache:
            # Tracebacks show the lines of the cell, in every process.
            lines = self.source.splitlines(keepends=True)
            linecache.cache[self.file] = (len(self.source), None, lines, self.file)
        namespace["trial"] = trial
        with _importable(self.file):
            exec(_compiled(self.source, self.file), namespace)  # noqa: S102  # what was asked for
        return None


@contextmanager
def _importable(file: str) -> Iterator[None]:
    """A script may import what lies beside it."""
    if file.startswith("<"):
        yield
        return
    folder = str(Path(file).parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


_cache: dict[tuple[str, str], CodeType] = {}


def _compiled(source: str, file: str) -> CodeType:
    """The code object, made once in a process."""
    key = (source, file)
    if key not in _cache:
        _cache.clear()
        _cache[key] = compile(source, file, "exec")
    return _cache[key]


def read(given: str | Path | Callable[..., Any]) -> Code:
    """The code that is given as text, as a file, or as a function of the trial.

    Raises
    ------
    UnknownName
        If there is no such file.
    BadData
        If it is not valid Python.
    WrongUsage
        If it has no use for a trial, or can't be run once a trial.
    """
    if callable(given):
        return _of_function(given)
    text = str(given)
    one_word = "\n" not in text.strip() and text.strip().endswith(".py")
    if isinstance(given, Path) or one_word:
        path = Path(text.strip()).expanduser()
        if not path.is_file():
            near = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
            raise UnknownName("file", str(path), near)
        return _of_text(path.read_text(encoding="utf-8"), str(path.resolve()))
    if not text.strip():
        raise WrongUsage(
            "tune needs code to run.",
            "Put %%tune on the first line of the cell that holds it, or name a .py file.",
        )
    return _of_text(text, f"<tune {hashlib.sha256(text.encode()).hexdigest()[:8]}>")


def _of_text(source: str, file: str) -> Code:
    try:
        code = compile(source, file, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            raise WrongUsage(
                "The code of a search can't use await outside of a function.",
                "Await in an earlier cell, or use asyncio.run.",
            )
        table = symtable.symtable(source, file, "exec")
    except SyntaxError as error:
        where = f" (line {error.lineno})" if error.lineno else ""
        raise BadData(f"The code is not valid Python: {error.msg}{where}.") from error
    names = names_in(code)
    if magic := next((name for name in _MAGICS if name in names), None):
        what = "line" if magic == "run_line_magic" else "cell"
        raise WrongUsage(
            f"A {what} magic below %%tune would run in the notebook's names, not in the trial's.",
            "Leave it out, or do what it does in plain Python; !commands work.",
        )
    if "trial" not in names:
        raise WrongUsage(
            "The code never uses `trial`, so there is nothing to search.",
            'For example: C = trial.suggest_float("C", 1e-3, 10, log=True)',
        )
    bound = [s.get_name() for s in table.get_symbols() if s.is_assigned()]
    return Code(source, file, None, frozenset(names), frozenset(bound))


def _of_function(function: Callable[..., Any]) -> Code:
    name = getattr(function, "__name__", type(function).__name__)
    try:
        takes = list(inspect.signature(function).parameters.values())
        needed = [p for p in takes if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
    except (TypeError, ValueError):
        takes = needed = []
    if not takes or len(needed) > 1 or not isinstance(function, FunctionType):
        raise WrongUsage(
            f"{name} must be a plain function that takes the trial, and nothing else.",
            "def objective(trial): …",
        )
    code = function.__code__
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # made by exec
        source = f"# {name}: {hashlib.sha256(code.co_code).hexdigest()}\n"
    return Code(source, f"<{name}>", function, frozenset({*names_in(code), *code.co_freevars}))


def names_in(code: CodeType) -> set[str]:
    """Every global name and attribute that the code mentions, in nested functions too."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= names_in(constant)
    return found


def used(names: Iterable[str], namespace: Mapping[str, Any]) -> set[str]:
    """Those of `names` that the namespace has, with what the functions among them use in turn."""
    found: set[str] = set()
    waiting = [n for n in names if n in namespace]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        code = getattr(namespace[name], "__code__", None)
        if isinstance(code, CodeType):
            waiting += [n for n in names_in(code) if n in namespace]
    return found


def closure(function: Any) -> dict[str, Any]:
    """What a function closes over, by name."""
    found: dict[str, Any] = {}
    if function is None:
        return found
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # not bound yet
            found[name] = cell.cell_contents
    return found


def rebound(
    function: FunctionType, namespace: dict[str, Any], closed: Mapping[str, Any]
) -> FunctionType:
    """The function with other globals, and with `closed` in the place of what it closes over."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    made = FunctionType(
        function.__code__,
        namespace,
        function.__name__,
        function.__defaults__,
        tuple(CellType(closed[name]) if name in closed else cell for name, cell in cells),
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__dict__.update(function.__dict__)
    return made
