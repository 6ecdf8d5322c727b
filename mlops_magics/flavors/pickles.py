"""Pickles: read only where the caller has checked the digest, for a pickle runs code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from mlops_magics.errors import BadData


def load(file: Path) -> Any:
    """What a pickle holds (cloudpickle writes ordinary ones).

    Raises
    ------
    BadData
        If the file is damaged.
    ModuleNotFoundError
        If it names a module that is not installed.
    """
    try:
        with file.open("rb") as stream:
            return pickle.load(stream)  # noqa: S301  # the caller has checked its digest
    except (pickle.UnpicklingError, EOFError, AttributeError) as error:
        raise BadData(f"{file} can't be loaded ({type(error).__name__}: {error}).") from error
