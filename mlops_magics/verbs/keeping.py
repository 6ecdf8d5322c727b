"""What is kept of a version's verdicts and explanations alike: their looks, and their names."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_magics import records, settings, store
from mlops_magics.records import Record

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version
    from mlops_magics.verbs.steps import Step

#: The folder of the plots among a run's artifacts.
PLOTS = "plots"


def show(current: Step, name: str, record: Record) -> None:
    """Put a record's page, and its figures as files, into the step's run."""
    current.text(f"{name}.html", _shown("page", record))
    for figure, svg in _shown("pictures", record).items():
        current.text(f"{PLOTS}/{figure}.svg", svg)


def name_at(version: Version, tag: str, run_id: str, told: Mapping[str, Any]) -> None:
    """Name a run at a version by a tag, so that one half of what is told is never found.

    Whatever happens in between, the version either names the run, and all that is said of it is
    there (as ``tag.key``), or it names none. Of two at once, the later one is named.
    """
    from filelock import FileLock

    options = settings.load()
    options.state.mkdir(parents=True, exist_ok=True)
    with FileLock(options.state / f"{tag}-{version.name}.lock", timeout=60):
        store.versions.untag(version, tag)
        for key, value in told.items():
            store.versions.tag(version, f"{tag}.{key}", value)
        store.versions.tag(version, tag, run_id)


def _shown(how: str, record: Record) -> Any:
    """A record's looks are the doors' business; they are found by name, as when it is shown."""
    return pkgutil.resolve_name(records.RENDERERS[how])(record)
