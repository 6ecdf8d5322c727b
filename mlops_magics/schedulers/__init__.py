"""What an existing scheduler runs: the files it reads, written for it; nothing here ever waits."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from mlops_magics.schedulers import base, marks, pull_requests, quoting, state, times

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=["base", "marks", "pull_requests", "quoting", "state", "times"]
)
