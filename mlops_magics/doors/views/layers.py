"""What an image consists of, layer by layer."""

from __future__ import annotations

from typing import Any

from mlops_magics.doors.views.card import Table, short, size
from mlops_magics.records import Package


def facts(record: Package) -> dict[str, Any]:
    """What it stands on, and for which machines; nothing for a package that is no image."""
    about = record.measured
    if "base_from" not in about:
        return {}
    return {"base": f"{about['base']}, from {about['base_from']}", "platform": about["platform"]}


def tables(record: Package) -> tuple[Table, ...]:
    """The layers, the lowest first, as they travel and unpacked."""
    if not record.layers:
        return ()
    rows = [
        (one["what"], size(one["size"]), size(one["unpacked"]), short(one["digest"]))
        for one in record.layers
    ]
    return (Table(("layer", "compressed", "unpacked", "digest"), rows),)
