"""What verbs report while they work, a line each; a verb itself never prints."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

log = logging.getLogger("mlops_magics")


@contextmanager
def shown(stream: TextIO, *, quiet: bool = False) -> Iterator[None]:
    """Write what is logged to `stream`: everything from INFO on, when `quiet` only warnings."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    before, propagated = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False  # once is enough, also where the user has configured logging
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
        log.propagate = propagated
