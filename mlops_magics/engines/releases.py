"""Workers have this package in this release: what is sent to them is read by the same code."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from mlops_magics.errors import StepFailed


def ours() -> str:
    """The release of this package here; empty where it is not installed."""
    try:
        return version("mlops_magics")
    except PackageNotFoundError:
        return ""


def check(kind: str, found: Iterable[str]) -> None:
    """Compare with what the workers answered.

    Raises
    ------
    StepFailed
        If one has another release, or none.
    """
    others = sorted(set(found) - {ours()})
    if others:
        has = f"has mlops_magics {others[-1]}, and this is {ours()}"
        raise StepFailed(
            f"A {kind} worker {has if others[-1] else 'lacks mlops_magics'}.",
            "Install the same release there.",
        )
