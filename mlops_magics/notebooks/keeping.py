"""Keeps the state of a notebook while it runs, at a bounded cost, and goes on from one.

After a cell that ran well the kernel is asked to write its state, if `allowing` lets it.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import nbformat

from mlops_magics import records
from mlops_magics.errors import MlopsError
from mlops_magics.evidence import secrets
from mlops_magics.notebooks import asking, cell_lines, fitting
from mlops_magics.notebooks.allowing import Allowance
from mlops_magics.notebooks.asking import NoAnswerError
from mlops_magics.notebooks.cards import Card, Place
from mlops_magics.notebooks.stopping import NotRestoredError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    from mlops_magics.notebooks.running import Plan

log = logging.getLogger("mlops_magics")

#: Why a state is not kept that could be.
SLOW = "writing it takes longer than it may by then"
#: Seconds that a kernel gets to read a state back.
LONGEST = 3600.0


class Keeper:
    """Keeps the state of one run.

    Parameters
    ----------
    card : Card
        What is known of the run as it begins.
    secret : frozenset of str
        The parameters that are secrets.
    most : float
        Bytes that a state may have.
    earlier : Card, optional
        The run to go on from.

    Attributes
    ----------
    before : Card
        The run that was to be gone on with, whether it was or not.
    why_not : str
        Why the notebook ran from the top although it was to go on.
    first : int
        How many code cells are kept from the earlier run.
    places : list of int
        The indexes of the notebook's code cells.
    """

    def __init__(
        self,
        place: Place,
        card: Card,
        plan: Plan,
        *,
        secret: frozenset[str],
        most: float,
        earlier: Card | None = None,
    ) -> None:
        self.place, self.card, self.plan = place, card, plan
        self.secret, self.most, self.earlier = secret, most, earlier
        self.before = earlier or card
        self.why_not, self.first = "", 0
        self.places: list[int] = []
        self._key: CryptoSigner | None = None
        self._packages: Mapping[str, str] = {}
        self._masker: Any = None
        self._off, self._python = "", ""
        self._written = 0
        self._lines = cell_lines.Lines(place.file(card.event, "cells"))

    def prepare(self, key: CryptoSigner, packages: Mapping[str, str], masker: Any) -> None:
        """Take what is known only while the kernel boots."""
        self._key, self._packages, self._masker = key, packages, masker

    def start(self, notebook: nbformat.NotebookNode) -> None:
        """Decide whether to go on, and lay out the cells that are kept."""
        self._notebook, self.places = notebook, fitting.code_cells(notebook)
        self.first, self._written = 0, 0
        self._results = fitting.reads_results(notebook)
        if self.earlier is not None:
            try:
                self._go_on(self.earlier)
            except MlopsError as error:
                self.why_not = str(error)
            except OSError as error:
                self.first, self.why_not = 0, f"its files can't be used: {error.strerror}"
        self._note()

    def _go_on(self, earlier: Card) -> None:
        fitting.check(earlier, self.plan, self._notebook, self._packages)
        told = dict(earlier.checkpoint or {})
        lines = cell_lines.read(self.place.file(earlier.event, "cells"), told)
        state = self.place.file(self.card.event, "0.state")
        source = self.place.folder / told["file"]
        try:
            _link(source, state)
        except OSError:
            raise MlopsError("its state is gone") from None
        for number, line in zip(self.places, lines, strict=False):
            fitting.lay(self._notebook.cells[number], line)
        for cell in self._notebook.cells[: self.places[len(lines) - 1]]:
            if cell.cell_type != "code":
                cell.metadata.papermill["status"] = "completed"
        self.first = len(lines)
        self._lines.append(lines)
        told |= {"file": state.name, **self._lines.told}
        self.card = replace(self.card, checkpoint=told, done=told["number"])

    @property
    def last_kept(self) -> int:
        """The index of the last cell that is kept from the earlier run; -1 if none is."""
        return self.places[self.first - 1] if self.first else -1

    async def begin(self, client: Any) -> None:
        """Get the kernel ready to be asked, and set it to the earlier state.

        Raises
        ------
        NotRestoredError
            If that state could not be read back.
        """
        if self.plan.kernel.language != "python" or not client.boot.manager.ipykernel:
            self._off = f"the kernel {self.plan.kernel.name!r} is not one of ipykernel's"
        else:
            given = {name: self.plan.params[name] for name in sorted(self.secret)}
            known = secrets.known(self.plan.params, self.plan.references)
            told = asking.call("common.begin", secrets=known, given=given, naming=secrets.naming())
            asked = {"install": asking.install(), "answer": told}
            try:
                found = await asking.ask(client, asked, 60.0)
                self._python = found["python"]
                if not found["able"]:
                    self._off = "cloudpickle is not installed in the kernel's Python"
            except NoAnswerError as error:
                self._off = f"the kernel could not be asked ({error})"
        if self.first:
            await self._restore(client)
        self._allowance = Allowance()

    async def _restore(self, client: Any) -> None:
        told = self.card.checkpoint or {}
        if self._off or told["python"] != self._python:
            raise NotRestoredError(self._off or "the kernel has another Python than it had")
        cells = [self._notebook.cells[number] for number in self.places[: self.first]]
        request = asking.call(
            "reading.restore",
            path=str(self.place.folder / told["file"]),
            digest=told["digest"],
            cells=[(c.execution_count, c.source) for c in cells if c.execution_count],
        )
        try:
            answer = await asking.ask(client, {"answer": request}, LONGEST)
        except NoAnswerError as error:
            raise NotRestoredError(str(error)) from error
        if not answer["restored"]:
            raise NotRestoredError(f"its state could not be read back: {answer['why']}")
        assert self.earlier is not None
        log.info("went on after cell %d of the run of %s", told["number"], self.earlier.started)
        self._supersede()

    def give_up(self, why: str) -> None:
        """Run from the top instead."""
        self.place.drop_states(self.card.event)
        self._lines.remove()
        self.why_not, self.earlier = why, None
        self.card = replace(self.card, checkpoint=None, done=0)

    async def after(self, client: Any, index: int) -> None:
        """Have the state kept after a cell that ran well, if it may take the time."""
        if index not in self.places or index == self.places[-1]:
            return
        begun, why = time.monotonic(), self._off
        if not why and not (allowed := self._allowance.left(client.deadline)):
            why = SLOW
        if not why:
            why = await self._keep(client, index, allowed)
            self._allowance.spend(time.monotonic() - begun)
        if why:
            self.card = replace(self.card, lost=why, done=index + 1)
            self._note(sync=False)

    async def _keep(self, client: Any, index: int, allowed: float) -> str:
        """Have it kept; why it is not, else nothing."""
        self._written += 1
        path = self.place.file(self.card.event, f"{self._written}.state")
        try:
            room = shutil.disk_usage(self.place.folder).free / 2
            answer = await asking.ask(
                client,
                {"answer": asking.call(
                    "writing.keep", path=str(path), seconds=allowed, rate=self._allowance.rate,
                    most=min(self.most, room), results=self._results,
                )},
                allowed,
            )  # fmt: skip
            kept = answer["kept"]
            self._allowance.learn(answer["seconds"], answer["size"] if kept else None)
            if not kept:
                return str(answer["why"])
            self._take(index, path.name, answer)
        except NoAnswerError as error:
            self._off = str(error)
            return self._off
        except OSError as error:
            return f"it can't be written: {error.strerror}"
        return ""

    def _take(self, index: int, name: str, answer: Mapping[str, Any]) -> None:
        """Note a state that was kept, then remove the one before."""
        before = dict(self.card.checkpoint or {})
        done = self.places[: self.places.index(index) + 1]
        lines = [self._line(number) for number in done[len(before.get("cells", ())) :]]
        self._lines.append(lines)
        checkpoint = {
            **{k: answer[k] for k in ("digest", "size", "count", "modules", "files")},
            **self._lines.told,
            "cells": [*before.get("cells", ()), *(line["digest"] for line in lines)],
            "results": self._results,
            "number": index + 1,
            "file": name,
            "python": self._python,
            "kernel": [self.plan.kernel.name, self.plan.kernel.program],
            "packages": dict(self._packages),
            "at": records.now(),
        }
        self.card = replace(self.card, checkpoint=checkpoint, lost="", done=index + 1)
        self._note()
        self.place.drop_states(self.card.event, but=name)
        if not before:
            self._supersede()

    def _line(self, number: int) -> dict[str, Any]:
        cell = self._notebook.cells[number]
        found: dict[str, Any] = self._masker(
            {
                "outputs": cell.outputs,
                "execution_count": cell.execution_count,
                "papermill": dict(cell.metadata.papermill),
            },
            "checkpoint",
        )
        return {
            **found, "id": cell.get("id"), "digest": fitting.digest(cell), "event": self.card.event
        }  # fmt: skip

    def _note(self, *, sync: bool = True) -> None:
        if self._key is not None:
            told = {"reason": self.card.reason, "lost": self.card.lost}
            self.card = replace(self.card, **self._masker(told, "checkpoint"))
            try:
                self.place.write(self.card, self._key, sync=sync)
            except OSError as error:
                self._off = f"it can't be written: {error.strerror}"

    def end(self, status: str, reason: str) -> None:
        """Note how the run ended; of one that finished, nothing else is kept."""
        self.card = replace(self.card, status=status, reason=reason)
        if status == "finished":
            self.place.drop_states(self.card.event)
            self._lines.remove()
            self.card = replace(self.card, checkpoint=None, lost="")
            self._supersede()
        self._note()

    def _supersede(self) -> None:
        """Remove what earlier runs with these parameters have left, unless they still run."""
        for card in self.place.cards(self._key, self.card) if self._key is not None else ():
            if card.event != self.card.event and not self.place.runs(card.event):
                self.place.drop(card.event)


def _link(source: Any, target: Any) -> None:
    """The same file under another name; a copy where a folder knows no links."""
    try:
        os.link(source, target)
    except OSError:
        if not source.exists():
            raise
        shutil.copyfile(source, target)
        target.chmod(0o600)
