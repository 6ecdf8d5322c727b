"""How much of a cell's output is kept: enough for people, never so much that it hurts.

A cell that prints without end must neither fill this process's memory nor make a notebook that
nobody can open. What is beyond the bound is counted, dropped as it comes, and said in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nbformat

#: Bytes of output that are kept of one cell.
LIMIT = 10_000_000

#: The key under which a stream's content says how much was cut off before it was read.
CUT = "mlops_cut"

#: Of an error, which is always kept, so many letters of its message, and of its traceback.
MESSAGE, TRACEBACK = 10_000, 100_000

#: Pieces of a stream are joined up to this length, so that small ones do not add up to many.
PIECE = 65_536

#: What an output costs beside its content; many tiny ones count too.
EACH = 200


class Bounds:
    """Counts the outputs of the cell that runs, and lets in what still fits.

    Attributes
    ----------
    warnings : tuple of str
        One sentence for each cell of which something was cut.
    lost : bool
        The kernel threw outputs of the running cell away, as it made them faster than anyone reads.
    """

    def __init__(self) -> None:
        self.warnings: tuple[str, ...] = ()
        self.lost = False
        self._kept = self._cut = 0

    def admit(self, message: dict[str, Any], outputs: list[Any], *, apart: bool = False) -> bool:
        """Whether a kernel's message is to be taken in; it may be cut to what fits.

        Parameters
        ----------
        outputs : list of NotebookNode
            What the cell has so far; empty if it is about to be cleared.
        apart : bool
            It goes to a widget, not to the cell's own outputs.
        """
        kind, content = message["msg_type"], message["content"]
        if kind == "error":
            content["evalue"] = short(content["evalue"], MESSAGE)
            if sum(map(len, content["traceback"])) > TRACEBACK:
                content["traceback"] = [short("\n".join(content["traceback"]), TRACEBACK)]
            return True
        if not (outputs or apart):  # none yet, or all were cleared
            self._kept = 0
        if kind == "stream":
            return self._stream(content, None if apart or not outputs else outputs[-1])
        if kind not in ("display_data", "execute_result", "update_display_data"):
            return True
        weight = EACH + sum(map(_weight, content["data"].values()))
        if self._room(weight):
            return True
        self._cut += weight
        return False

    def _room(self, weight: int) -> bool:
        fits = self._kept + weight <= LIMIT
        self._kept += weight if fits else 0
        return fits

    def _stream(self, content: dict[str, Any], last: Any) -> bool:
        text, before = content["text"], content.pop(CUT, 0)
        weight = _weight(text)
        joins = (
            last is not None
            and (last.output_type, last.get("name")) == ("stream", content["name"])
            and len(last.text) < PIECE
        )
        if not self._room(weight + before + (0 if joins else EACH)):
            text = self._beginning(text)
            self._cut += weight + before - _weight(text)
            # From here on nothing fits, so that no later line seems to follow this one.
            self._kept = LIMIT
        if joins:
            last.text += text
            return False
        content["text"] = text
        return bool(text)

    def _beginning(self, text: str) -> str:
        """As many whole lines as fit: half a line may hold half a secret, which is not masked."""
        left = max(LIMIT - self._kept, 0)
        return text[: text.rfind("\n", 0, left if text.isascii() else left // 4) + 1]

    def close(self, cell: Any, index: int) -> None:
        """The cell has ended: say at the end of its outputs what is missing there."""
        cut, kept = self._cut, LIMIT // 1_000_000
        said = []
        if cut:
            said.append(f"{cut / 1e6:.1f} MB of output were left out; of a cell {kept} MB are kept")
        if self.lost:
            said.append("outputs were lost, as they came faster than they could be read")
        self._kept, self._cut, self.lost = 0, 0, False
        for words in said:
            text = f"\n[{words}.]\n"
            cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text=text))
            self.warnings += (f"Cell {index + 1}: {words}.",)


def short(text: str, most: int) -> str:
    """A text of at most so many letters: its beginning and its end."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - most} characters are left out …\n{text[-half:]}"


def _weight(value: Any) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Mapping):
        return sum(_weight(k) + _weight(v) for k, v in value.items())
    if isinstance(value, list):
        return sum(map(_weight, value))
    return 8
