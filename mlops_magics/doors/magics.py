"""The notebook's door: every verb as ``%verb``, those with a body as ``%%verb`` too.

A verb whose body is code (``%%train``) owns the run, never the cell. A stateless transformer turns
the first line into a statement that opens the run, and a ``post_run_cell`` handler closes it; the
body stays the user's own cell, with its last expression, top-level ``await``, other magics, line
numbers and traceback.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from IPython.core.inputtransformer2 import cell_magic
from IPython.display import display

from mlops_magics import evidence, store
from mlops_magics.doors import live
from mlops_magics.doors.watching import Watch
from mlops_magics.errors import Interrupted, MlopsError, StepFailed
from mlops_magics.verbs import declaration, session
from mlops_magics.verbs.declaration import Declaration

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from mlops_magics.doors.live import LiveCard
    from mlops_magics.records import Record
    from mlops_magics.verbs.tracked import Training

BEGIN = "mlops_begin"
_ATTRIBUTE = "_mlops_magics"


class VerbMagic:
    """One verb as a line magic and, if it takes a body, as a cell magic."""

    def __init__(self, shell: InteractiveShell, found: Declaration, original: Any = None) -> None:
        self.shell = shell
        self.found = found
        self.original = original
        self.__name__ = found.name
        self.__doc__ = found.summary

    def getdoc(self) -> str:
        """What ``%verb?`` shows: the same as ``mlops verb --help``."""
        from mlops_magics.doors import parsing

        return parsing.help_text(self.found.name)

    def __call__(self, line: str, cell: str | None = None) -> Any:
        if self.original is not None and re.fullmatch(r"[\s\d~/\-]*(-\w.*)?", line):
            return self.original(line)  # IPython's own magic of that name
        from mlops_magics.doors import notebook

        __tracebackhide__ = True
        if self.found.code and cell is not None:
            return self._run_code(line, cell)
        if self.found.runs_code and cell is not None:
            cell = self.shell.transform_cell(cell)  # !commands become Python
            return self._show(line, cell)
        if "--watch" in line.split():
            return self._show_again(line, cell)
        return notebook.call(self.found, line, cell, self.shell.user_ns)

    def _show(self, line: str, cell: str) -> Any:
        """Call a verb that runs the user's code, with a card while it does."""
        from mlops_magics.doors import notebook
        from mlops_magics.verbs.live import watcher

        __tracebackhide__ = True
        card = None if "--json" in line.split() else live.under_cell(self.shell)
        watched = watcher.set(card.update if card else None)
        try:
            record = notebook.call(self.found, line, cell, self.shell.user_ns)
        except Interrupted as stopped:
            if card is None or not card.end(cast("Record", stopped.record)):
                display(stopped.record)
            raise
        except BaseException:
            if card is not None:
                card.end(None)
            raise
        finally:
            watcher.reset(watched)
        return None if card is not None and card.end(record) else record

    def _show_again(self, line: str, cell: str | None) -> Any:
        """Call a verb that looks again and again; one card shows each record in its turn."""
        from mlops_magics.doors import notebook
        from mlops_magics.verbs.repeating import shown

        __tracebackhide__ = True
        card = None if "--json" in line.split() else live.under_cell(self.shell)
        watched = shown.set(card.show if card else None)
        record = None
        try:
            record = notebook.call(self.found, line, cell, self.shell.user_ns)
        finally:
            shown.reset(watched)
            there = card is not None and card.end(record)
        return None if there else record

    def _run_code(self, line: str, cell: str) -> Any:
        """The body run in place; reached through `run_cell_magic`, not from a typed cell."""
        training = _open(self.shell, self.found, line, cell)
        result = self.shell.run_cell(cell, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        record = training.close(error, {"raw": f"%%{self.found.name} {line}\n{cell}"})
        if error is not None:
            raise StepFailed(
                f"The cell raised {type(error).__name__}; run {record.run_id} is recorded as "
                f"{record.status}."
            ) from None
        return record


class Cells:
    """Opens and closes the run of a cell whose first line is ``%%train``."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.info: ExecutionInfo | None = None
        self.training: Training | None = None
        self.card: LiveCard | None = None
        self.watch = Watch(shell)

    def transform(self, lines: list[str]) -> list[str]:
        """Turn ``%%train …`` into the statement that opens its run; stateless."""
        match = re.match(r"%%(\w+)(?:[ \t]+(.*?))?[ \t]*\n?$", lines[0]) if lines else None
        known = declaration.declarations()
        if match is None or match[1] not in known or not known[match[1]].code:
            return lines
        body = lines[1:]
        first = next((i for i, line in enumerate(body) if line.strip()), None)
        if first is not None and body[first].startswith("%%"):
            # Another cell magic below ours, which IPython would only see on the first line.
            body = [*body[:first], *cell_magic(body[first:])]
        line = f"{match[1]} {match[2] or ''}"
        statement = f"get_ipython().run_line_magic({BEGIN!r}, {line!r})"
        return [f"{statement}\n", *body]

    def begin(self, line: str) -> None:
        """Open the run (the line magic that `transform` leaves)."""
        name, _, rest = line.partition(" ")
        raw = str(self.info.raw_cell or "") if self.info else ""
        _, _, body = raw.lstrip("\n").partition("\n")
        self.training = _open(self.shell, declaration.find(name), rest, body)
        self.card = live.under_cell(self.shell)
        self.training.shown = self.card.update if self.card else None

    def before(self, info: ExecutionInfo) -> None:
        """Remember the cell that is about to run (``pre_run_cell``)."""
        if self.training is None:  # a cell run within a cell does not change whose run it is
            self.info = info
        self.watch.before(info)

    def after(self, result: ExecutionResult | None) -> None:
        """Close the run with how the cell ended (``post_run_cell``)."""
        self.watch.after(result)
        info = self.info
        if self.training is None or info is None or result is None:
            return
        if result.info is not self.info:
            return
        training, self.training = self.training, None
        card, self.card = self.card, None
        error = result.error_before_exec or result.error_in_exec
        cell = {
            "raw": info.raw_cell,
            "id": getattr(info, "cell_id", None),
            "execution_count": result.execution_count,
        }
        try:
            record = training.close(error, cell)
        except Exception as error_of_ours:
            # A handler's exception is only printed; the cell itself must fail, so that a headless
            # run stops here.
            own = _told(error_of_ours, training)
            result.error_in_exec = own
            self.shell._showtraceback(type(own), own, own._render_traceback_())
            if card is not None:
                card.end(training.failed(own))
            return
        from mlops_magics.doors import notebook

        shown = card is not None and card.end(record)
        if error is not None:
            notebook.tell_failure(record)
        elif not shown:
            display(record)


def _told(error: Exception, training: Training) -> MlopsError:
    if isinstance(error, MlopsError):
        return error
    return StepFailed(
        f"The cell succeeded, but its run {training.run_id} could not be recorded whole: "
        f"{type(error).__name__}: {error}.",
        "This is a fault of mlops_magics; the run is marked as failed.",
    )


def _open(shell: InteractiveShell, found: Declaration, line: str, body: str) -> Training:
    from mlops_magics.doors import notebook

    training: Training = notebook.bind(found, line, None, shell.user_ns)
    training.open(shell.user_ns, body)
    return training


def load(shell: InteractiveShell) -> None:
    """Register every verb; imports nothing heavy."""
    if getattr(shell, _ATTRIBUTE, None) is not None:
        return  # %reload_ext unloads first
    cells = Cells(shell)
    # IPython's own annotation of this method takes the class for its first argument.
    register: Callable[..., None] = shell.register_magic_function
    replaced: dict[str, Callable[..., Any]] = {}
    for name, found in declaration.declarations().items():
        present = shell.find_line_magic(name)
        if present is not None:
            replaced[name] = present
        magic = VerbMagic(shell, found, original=present)
        register(magic, "line", name)
        if found.body:
            register(magic, "cell", name)
        for prefix in ("%", "%%"):
            shell.set_hook("complete_command", _complete, str_key=f"{prefix}{name}")
    register(cells.begin, "line", BEGIN)
    shell.input_transformers_cleanup.append(cells.transform)
    shell.events.register("pre_run_cell", cells.before)
    shell.events.register("post_run_cell", cells.after)
    session.attach(shell.user_ns, cells.watch.log)
    evidence.live_changes.note()
    setattr(shell, _ATTRIBUTE, (cells, replaced))
    _settle()


def _settle() -> None:
    """Close the runs of killed kernels, deliver those that a store away had left here.

    If there are none, only looks at two folders.
    """
    if not any(store.journal.abandoned()) and not store.outbox.kept():
        return
    from mlops_magics.doors import progress

    with progress.shown(sys.stdout):
        try:
            closed = store.outbox.sweep()
            store.outbox.deliver_kept()
        except MlopsError as error:
            print(f"Runs that were left open or undelivered stay so: {error}")
            return
    for run_id in closed:
        print(f"Run {run_id} was open when its process died; it is now recorded as killed.")


def unload(shell: InteractiveShell) -> None:
    """Take back everything that `load` did."""
    state = getattr(shell, _ATTRIBUTE, None)
    if state is None:
        return
    cells, replaced = state
    magics = shell.magics_manager.magics
    for name in [*declaration.declarations(), BEGIN]:
        magics["line"].pop(name, None)
        magics["cell"].pop(name, None)
        if name in replaced:
            shell.register_magic_function(replaced[name], "line", name)
    shell.input_transformers_cleanup.remove(cells.transform)
    shell.events.unregister("pre_run_cell", cells.before)
    shell.events.unregister("post_run_cell", cells.after)
    session.attach({})
    setattr(shell, _ATTRIBUTE, None)


def _complete(shell: InteractiveShell, event: Any) -> list[str]:
    from mlops_magics.doors import completion

    return completion.candidates(event.line, shell.user_ns)
