"""What every record shares: a stable JSON form, and how it finds its views."""

from __future__ import annotations

import dataclasses
import json
import math
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import PurePath
from typing import Any

SCHEMA_VERSION = 1

#: MIME type → the function that renders a record so, as ``module:function``; and ``page``, a whole
#: HTML page, ``document``, a whole Markdown file, and ``pictures``, its figures as files of their
#: own (name → SVG).
RENDERERS = {
    "text/plain": "mlops_magics.doors.views:text",
    "text/html": "mlops_magics.doors.views:html",
    "page": "mlops_magics.doors.views:page",
    "document": "mlops_magics.doors.views:document",
    "pictures": "mlops_magics.doors.views:pictures",
}


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return stamp(datetime.now(UTC), "milliseconds")


def stamp(moment: datetime, to: str = "seconds") -> str:
    """A moment in UTC, ISO 8601."""
    return moment.astimezone(UTC).isoformat(timespec=to).replace("+00:00", "Z")


def jsonable(value: Any) -> Any:
    """`value` as plain JSON types; NaN and infinities become ``None``, as JSON has none."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Record):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in _public_fields(value)}
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v) for v in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return jsonable(value.tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value)


def _public_fields(value: Any) -> list[dataclasses.Field[Any]]:
    return [f for f in dataclasses.fields(value) if not f.metadata.get("private")]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What every record shares.

    Attributes
    ----------
    warnings : tuple of str
        What the user should know although the step succeeded, one sentence each.
    """

    warnings: tuple[str, ...] = ()

    #: Names that a notebook door binds in the user's namespace; never part of the JSON.
    bindings: Mapping[str, Any] = field(
        default_factory=dict, repr=False, compare=False, metadata={"private": True}
    )

    @property
    def exit_code(self) -> int:
        """What the record means for a script when the step itself went through."""
        return 0

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types, led by its kind and schema version."""
        body = {f.name: jsonable(getattr(self, f.name)) for f in _public_fields(self)}
        return {"record": type(self).__name__, "schema_version": SCHEMA_VERSION, **body}

    def to_json(self, indent: int | None = 2) -> str:
        """One JSON document."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    def __str__(self) -> str:
        return str(pkgutil.resolve_name(RENDERERS["text/plain"])(self))

    def __init_subclass__(cls) -> None:
        # IPython takes a class's own `__repr__`, which a dataclass has, before an inherited hook.
        cls._repr_pretty_ = Record._repr_pretty_  # type: ignore[method-assign]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """IPython's plain text; a bare ``repr`` stays the dataclass's own."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return str(pkgutil.resolve_name(RENDERERS["text/html"])(self))
