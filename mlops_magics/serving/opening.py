"""Packages, opened: what a server needs of each to serve its model."""

from __future__ import annotations

import ctypes
import gc
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from mlops_magics import flavors
from mlops_magics.errors import MlopsError
from mlops_magics.serving import manifest, runtimes
from mlops_magics.serving.app import Beside
from mlops_magics.serving.capture import Capture
from mlops_magics.serving.service import Service

log = logging.getLogger("mlops_magics.serving")


def models(
    folders: Sequence[Path],
    runtime: str,
    name: str,
    capturing: Callable[[str], Capture | None],
) -> list[Beside]:
    """The models of packages.

    Parameters
    ----------
    runtime : str
        One of `runtimes.CHOICES`.
    name : str
        The deployment's, which is another name of the first model.
    capturing : callable
        A model → what keeps its requests.

    Raises
    ------
    MlopsError
        If one is not intact or can't be loaded; says which and why.
    """
    found: list[Beside] = []
    for folder in folders:
        try:
            found.append(_opened(folder.resolve(), runtime, "" if found else name, capturing))
        except MlopsError as error:
            if len(folders) > 1:
                error.message = f"Nothing is served because of {folder}. {error.message}"
            raise
    _settle()
    return found


def _settle() -> None:
    """Give back what loading has left, and keep the collector from looking at what stays."""
    gc.collect()
    gc.freeze()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # of glibc
        trim(0)


def _opened(
    folder: Path, runtime: str, name: str, capturing: Callable[[str], Capture | None]
) -> Beside:
    package = manifest.checked(folder)
    try:
        predictor = runtimes.load(folder, runtime)
    except MlopsError:
        raise
    except Exception as error:  # whatever a library raises at a file that it can't read
        log.debug("The model of %s", folder, exc_info=True)
        line = (str(error).strip().splitlines() or [""])[0]
        raise MlopsError(
            f"The model of {folder} can't be loaded ({type(error).__name__}: {line}).",
            "Install exactly what its requirements.txt names.",
        ) from error
    about = {
        "name": name,
        "model": package.model,
        "digest": package.model_digest,
        "package": package.digest,
        "run_id": package.run_id,
        "commit": package.commit,
        "mlflow_version": flavors.folder.read(folder / manifest.MODEL).mlflow_version,
    }
    service = Service(predictor, manifest.example(folder))
    return Beside(service, about, capturing(package.model))
