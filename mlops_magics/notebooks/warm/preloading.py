"""The parent imports: one module after the other, as long as it can be forked afterwards."""

from __future__ import annotations

import gc
import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from typing import Any

from mlops_magics.notebooks.warm import known
from mlops_magics.notebooks.warm.recording import Recording
from mlops_magics.notebooks.warm.shelf import Shelf

log = logging.getLogger("mlops_magics")

_TASKS, _FILES = Path("/proc/self/task"), Path("/proc/self/fd")


class UnfitError(Exception):
    """A module that was imported makes this process unfit to be forked; says which and why."""

    def __init__(self, module: str, reason: str) -> None:
        super().__init__(f"{module}: {reason}")
        self.module = module


@dataclass(frozen=True)
class Begun:
    """A process that has imported what every kernel does.

    Attributes
    ----------
    state : _State
        What it was like then.
    variables : dict
        Those that these imports have set.
    """

    state: _State
    variables: dict[str, str]


def begin() -> Begun:
    """Import what every kernel does."""
    before = dict(os.environ)
    state = _import_what_every_kernel_has()
    return Begun(state, {n: v for n, v in os.environ.items() if before.get(n) != v})


def preload(
    begun: Begun, modules: Sequence[str], without: Collection[str] = ()
) -> tuple[Shelf, Recording]:
    """Import modules and lay them aside.

    Parameters
    ----------
    begun : Begun
        What this process has done till now.
    modules : sequence of str
        What can't be imported is left to the notebook.
    without : collection of str
        What an earlier attempt was unfit by.

    Raises
    ------
    UnfitError
        If one leaves a thread, an open file, or a handler of signals. It can't be taken back;
        the parent begins anew without it.
    """
    ours = {name for name in sys.modules if name.partition(".")[0] in ("mlops_magics",)}
    ours.add("lazy_loader")
    usual = set(sys.modules) - ours
    recording = Recording(begun.variables)
    # The kernel sets it before any notebook can import what reads it.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    with _as_in_plain_kernels():
        for module in modules:
            if module in without:
                continue
            with recording.running():
                try:
                    name, _, part = module.partition(":")
                    __import__(name, fromlist=[part] if part else [])
                except BaseException as error:  # the notebook's to see, at its own import
                    log.debug("%s can't be imported: %s", name, error)
            if _State().beyond(begun.state):
                _let_threads_end()
                if problem := _State().beyond(begun.state):
                    raise UnfitError(module, problem)
            _check_personal(module, recording)
    added = {name: module for name, module in sys.modules.items() if name not in usual}
    recording.heal(added.values())
    shelf = Shelf(added, recording)
    shelf.drop(set(recording.personal))
    return shelf, recording


def _import_what_every_kernel_has() -> _State:
    """It stays where it is. No thread may have come of it, or nothing can be forked here."""
    # A debugger that nobody asked for has something to say about Python's own modules.
    with redirect_stderr(io.StringIO()):
        for module in (*known.KERNEL, *known.LAZY):
            with suppress(ImportError):
                import_module(module)
    state = _State()
    if len(state.threads) > 1:
        raise SystemExit(f"Kernels can't be forked: {', '.join(state.threads)} are running.")
    return state


@contextmanager
def _as_in_plain_kernels() -> Iterator[None]:
    """The filters of warnings that imports add are not to be seen before they are repeated."""
    before = list(warnings.filters)
    gc.disable()
    try:
        yield
    finally:
        warnings.filters[:] = before  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]
        gc.enable()


def _check_personal(module: str, recording: Recording) -> None:
    """Those that kept what belongs to one process can't be given; compiled ones not even anew."""
    if not recording.personal:
        return
    tainted = recording.dependents(set(recording.personal))
    if compiled(sys.modules.get(n) for n in tainted):
        reasons = ", ".join(sorted({f"{m} asks {w}" for m, w in recording.personal.items()}))
        raise UnfitError(module, reasons)


def compiled(modules: Iterable[Any]) -> bool:
    """Whether one of these is an extension, which a process can't import a second time."""
    return any(
        isinstance(
            getattr(getattr(m, "__spec__", None), "loader", None),
            ExtensionFileLoader,
        )
        for m in modules
    )


class _State:
    """What makes a process unfit to be forked."""

    def __init__(self) -> None:
        self.threads = sorted(_name(task) for task in _TASKS.iterdir())
        self.python = [thread.name for thread in threading.enumerate()]
        self.files = sorted(_target(file) for file in _FILES.iterdir())
        self.handlers = {n: signal.getsignal(n) for n in signal.valid_signals()}

    def beyond(self, before: _State) -> str:
        """What there is here that was not there before; empty: nothing."""
        threads = _more([t for t in self.threads if t not in known.THREADS], before.threads)
        threads = threads or _more(self.python, before.python)
        if threads:
            return f"it leaves the thread {threads[0]} running"
        if files := _more(self.files, before.files):
            return f"it leaves {files[0]} open"
        changed = [n for n, handler in self.handlers.items() if before.handlers[n] != handler]
        return f"it handles {signal.Signals(changed[0]).name}" if changed else ""


def _let_threads_end() -> None:
    """A fork makes those threads end that know of forks; OpenBLAS's come back when needed."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _more(now: list[str], before: list[str]) -> list[str]:
    left = list(before)
    return [item for item in now if not (item in left and left.remove(item) is None)]  # type: ignore[func-returns-value]


def _name(task: Path) -> str:
    try:
        return (task / "comm").read_text().strip()
    except OSError:
        return "?"


def _target(file: Path) -> str:
    try:
        target = os.readlink(file)
    except OSError:
        return "the listing"
    return "the listing" if target.startswith("/proc/") else target


def generators(recording: Recording) -> list[Any]:
    """The generators of random numbers that nobody gave a seed: no two kernels share theirs."""
    found: list[Any] = list(recording.unseeded)
    if (numpy := sys.modules.get("numpy.random")) is not None:
        kinds = (numpy.Generator, numpy.RandomState)
        found += [g for g in gc.get_objects() if isinstance(g, kinds) and _drawn(g)]
    if (torch := sys.modules.get("torch")) is not None:
        found.append(torch.default_generator)
    return found


def _drawn(generator: Any) -> bool:
    """Whether numpy's generator began with the system's random numbers rather than a seed."""
    bits = getattr(generator, "bit_generator", None) or generator._bit_generator
    entropy = getattr(getattr(bits, "_seed_seq", None), "entropy", None)
    return isinstance(entropy, int) and entropy >= 1 << 64


def reseed(found: Sequence[Any]) -> None:
    """Let each generator begin anew with the system's random numbers."""
    for generator in found:
        bits = getattr(generator, "bit_generator", getattr(generator, "_bit_generator", None))
        if bits is None:  # Python's, and torch's
            generator.seed()
        else:
            bits.state = type(bits)().state
