"""The only room that knows notebooks as files: reading, running headlessly, recording, showing."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from mlops_magics.notebooks import (
        export,
        files,
        fresh,
        headless,
        kernels,
        parameters,
        record,
        running,
        slices,
    )

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "export",
        "files",
        "fresh",
        "headless",
        "kernels",
        "parameters",
        "record",
        "running",
        "slices",
    ],
)
