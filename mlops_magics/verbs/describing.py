"""What a notebook takes, told without running it."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_magics.errors import WrongUsage
from mlops_magics.records import NotebookHelp, NotebookParameter


def describe(notebooks: Sequence[str], kernel: str = "") -> NotebookHelp:
    """The parameters of a notebook; its kernel need not be installed.

    Raises
    ------
    WrongUsage
        If more than one is named.
    """
    from mlops_magics.notebooks import describing, files

    if len(notebooks) > 1:
        raise WrongUsage(
            f"The help is for one notebook, and {len(notebooks)} are named.", "Name one of them."
        )
    source = files.find(notebooks[0])
    content = files.read(source)
    stated = content["metadata"].get("kernelspec", {})
    language = str(stated.get("language") or "python").lower()
    found = describing.of_parameters(content) if language == "python" else []
    foreign = f"The parameters of a notebook in {language} can't be read; only Python's can."
    return NotebookHelp(
        notebook=str(source),
        title=describing.heading(content),
        kernel=kernel or str(stated.get("name", "")),
        parameters=tuple(NotebookParameter(**each) for each in found),
        warnings=() if language == "python" else (foreign,),
    )
