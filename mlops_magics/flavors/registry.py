"""Which flavor an object or a saved model belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from mlops_magics import plugins
from mlops_magics.errors import BadData
from mlops_magics.flavors import folder as folders
from mlops_magics.flavors.base import Flavor

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_magics.flavors.base import Reader, Report
    from mlops_magics.flavors.folder import ModelFolder
    from mlops_magics.flavors.predictors import Predictor


@cache
def registered() -> tuple[Reader, ...]:
    """One of each installed flavor, the most particular first."""
    found = [plugins.load("flavor", name)() for name in plugins.names("flavor")]
    return tuple(sorted(found, key=lambda flavor: (flavor.breadth, flavor.name)))


def recognise(obj: Any) -> Flavor | None:
    """The flavor of a model; ``None`` when no installed one knows the object."""
    if isinstance(obj, type):
        return None
    live = (flavor for flavor in registered() if isinstance(flavor, Flavor))
    return next((flavor for flavor in live if flavor.recognises(obj)), None)


@contextmanager
def watching(report: Report) -> Iterator[None]:
    """While it is open, trainings report their metrics by iteration, whatever the framework.

    Parameters
    ----------
    report : callable
        Called with name (``validation_0_logloss``), value and iteration, from the thread that
        trains. What it raises is logged and does not stop the training.
    """
    with ExitStack() as open_ones:
        for flavor in registered():
            if isinstance(flavor, Flavor):
                open_ones.enter_context(flavor.watch(report))
        yield


def load(path: Path) -> Predictor:
    """Load a saved model, without MLflow where its flavor can.

    Only for a folder whose digest the caller has checked: what is not skops is a pickle, and a
    pickle runs code.

    Raises
    ------
    BadData
        If the folder is no saved model, or no installed flavor opens it.
    """
    meta = folders.read(path)
    return reader(meta).load(path, meta)


def reader(folder: ModelFolder) -> Reader:
    """The flavor that loads models from a folder like this.

    Raises
    ------
    BadData
        If no installed one does.
    """
    for found in registered():
        if found.opens(folder):
            return found
    raise BadData(
        f"No installed flavor opens {folder.path} "
        f"(saved as {', '.join(folder.flavors) or 'nothing'}).",
        f"Installed: {', '.join(plugins.names('flavor'))}.",
    )
