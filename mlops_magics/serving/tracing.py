"""W3C Trace Context: a request's place in a trace that somebody else began.

https://www.w3.org/TR/trace-context/: a ``traceparent`` that is as it should be is continued, with
the same trace id and an id of our own for what happens here; any other is as if it were not
there, and a new trace begins.
"""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass

#: Version, trace id, parent's id, flags, and what later versions may add.
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
#: Numbers that nobody else draws; they name and keep no secret.
_random = random.Random(os.urandom(32))  # noqa: S311
#: The flags that we know: sampled, and that the trace id is random. We pass on no other.
_KNOWN = 0b11


@dataclass(slots=True)  # not frozen: that would double what making one costs
class Trace:
    """A request in a trace.

    Attributes
    ----------
    trace_id, span_id, parent_id : str
        Hexadecimal; no `parent_id` where the trace begins here.
    """

    trace_id: str
    span_id: str
    parent_id: str = ""
    flags: int = 0

    @property
    def header(self) -> str:
        """As ``traceparent``, for whoever goes on."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def new_id() -> str:
    """16 random bytes in hexadecimal, for a request or a trace."""
    return f"{_random.getrandbits(128):032x}"


def span_id() -> str:
    """8 of them, for our part of a trace."""
    return f"{_random.getrandbits(64) or 1:016x}"


def begun(new: str) -> Trace:
    """A trace that begins here."""
    return Trace(new, span_id())


def of(headers: list[str], new: str) -> Trace:
    """The trace that a request belongs to.

    Parameters
    ----------
    headers : list of str
        Each ``traceparent`` of the request; more than one is none.
    new : str
        The trace id to take where none is given: 16 random bytes in hexadecimal.
    """
    span = span_id()
    found = _FORM.fullmatch(headers[0].strip(" \t")) if len(headers) == 1 else None
    if found is None:
        return Trace(new, span)
    version, trace_id, parent_id, flags, more = found.groups()
    if (
        version == "ff"
        or (version == "00" and more)
        or not (int(trace_id, 16) and int(parent_id, 16))
    ):
        return Trace(new, span)
    return Trace(trace_id, span, parent_id, int(flags, 16) & _KNOWN)
