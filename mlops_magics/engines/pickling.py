"""Values on their way to another process: by cloudpickle, what is defined in a notebook too."""

from __future__ import annotations

from typing import Any


def dumps(value: Any) -> bytes:
    """The value as bytes; classes and functions of a notebook go with it."""
    import cloudpickle

    return bytes(cloudpickle.dumps(value))


def loads(content: bytes) -> Any:
    """The value again; only for what this very search has sent."""
    import cloudpickle

    return cloudpickle.loads(content)
