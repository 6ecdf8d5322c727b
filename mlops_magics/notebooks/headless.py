"""What our own short-lived process leaves out so that it starts quickly."""

from __future__ import annotations

import sys


def lighten() -> None:
    """Spare this process the grammar that jsonschema builds when it is imported.

    ``jsonschema`` imports ``rfc3987_syntax``, which spends more than a second on a grammar for
    the format ``iri``. No notebook schema uses that format, and jsonschema takes the ImportError
    that this provokes as "not installed". Call it before anything imports nbformat, and only in
    a process that is ours alone: the command line's, never a user's kernel.
    """
    if "jsonschema" not in sys.modules:
        sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # Python's way
