"""Where a deployment can go, and what is known of each."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from mlops_magics.targets import base, local, ports, processes, state

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=["base", "local", "ports", "processes", "state"]
)
