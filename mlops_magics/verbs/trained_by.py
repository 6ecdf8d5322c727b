"""The notebook that a version came from: as a file, from the store, or from its recorded cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import settings, store
from mlops_magics.errors import MlopsError, UnknownName
from mlops_magics.verbs import originals, templating

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version

#: Where notebooks lie that were brought back, below the project's state.
FOLDER = "recipes"


def notebook(version: Version) -> tuple[Path | None, dict[str, Any]]:
    """The headless notebook that trained a version, and its parameters; ``None`` without one.

    One that is not there any more, as on another machine, is brought back from the store, which
    keeps each executed notebook.
    """
    tags = version.tags
    if tags.get("mlops.headless", "").lower() != "true" or not tags.get("mlops.notebook"):
        return None, {}
    try:
        event = store.runs.get(version.run_id).data.tags.get("mlops.execution", "")
    except UnknownName:  # the run was deleted
        event = ""
    runs = store.runs.find(verb="execute", tags={"mlops.execution": event}, limit=1)
    executed = runs[0] if event and runs else None
    params = dict(executed.data.params) if executed else {}
    path = Path(tags["mlops.notebook"])
    if path.is_file():
        return path.resolve(), params
    if executed is None or (kept := _kept(executed)) is None:
        return None, {}
    content = kept.read_bytes()
    return _write(version, content), params


def _kept(executed: Any) -> Path | None:
    """The executed notebook that a run keeps."""
    run_id = str(executed.info.run_id)
    try:
        folder = store.runs.fetch(run_id, "notebook")
    except MlopsError:
        return None
    return next(iter(sorted(folder.glob("*.ipynb"))), None)


def cells(version: Version) -> Path | None:
    """The recorded cells of a version as a notebook, where they are known to have made it."""
    from mlops_magics.notebooks import files

    try:
        original = originals.find(version.ref)
    except MlopsError:  # it was not trained by a verb of this package
        return None
    if not original.slice.get("cells") or original.stale or original.masked:
        return None
    opened = original.record.get("cell") or {}
    counted = all(cell.get("execution_count") for cell in original.slice["cells"])
    if not counted and not opened.get("script"):
        return None  # a block outside of a notebook, which may stand anywhere in its file
    made = templating.notebook(original)
    templating.name_the_data(original, made)
    templating.take_data(original, made)
    return _write(version, files.text_of(made).encode("utf-8", "backslashreplace"))


def _write(version: Version, content: bytes) -> Path:
    from mlops_magics.notebooks import files

    path = settings.load().state / FOLDER / f"{version.name}-{version.number}.ipynb"
    files.write(path, content)
    return path
