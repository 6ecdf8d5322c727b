"""How a kernel gets its secret parameters: by a message that no cell, file or history holds.

The cell with the parameters asks for them by name; the values come before it in a silent message,
which the kernel neither echoes nor keeps. A Python kernel holds them among its builtins, where our
own verbs find what they have to mask; another language assigns them at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from papermill.translators import papermill_translators, translate_parameters

from mlops_magics.evidence import secrets

#: Languages that Papermill does not write in lower case.
_CALLED = {"r": "R"}


def lines(hidden: Mapping[str, Any], kernel: str, language: str) -> str:
    """What the parameters' cell says of the secret ones.

    Parameters
    ----------
    hidden : mapping
        Name → what may be written of it: a reference, or a mask.
    """
    said = {name: _said(shown) for name, shown in hidden.items()}
    if language == "python":
        return "".join(
            f'{name} = {secrets.GIVEN}["{name}"]{f"  # {how}" if how else ""}\n'
            for name, how in said.items()
        )
    comment = papermill_translators.find_translator(kernel, translated(language)).comment
    return "".join(
        comment(f"{name} is secret{f', {how}' if how else ''}") + "\n" for name, how in said.items()
    )


def _said(shown: Any) -> str:
    return f"from {' '.join(shown.split())}" if secrets.is_reference(shown) else ""


def code(values: Mapping[str, Any], kernel: str, language: str) -> str:
    """What is sent silently, before that cell runs."""
    if language == "python":
        held = f"__import__('json').loads({json.dumps(values)!r})"
        return f"__import__('builtins').{secrets.GIVEN} = {held}"
    return str(translate_parameters(kernel, translated(language), dict(values), ""))


def translated(language: str) -> str:
    """A language as Papermill calls it; ours are in lower case."""
    return _CALLED.get(language, language)
