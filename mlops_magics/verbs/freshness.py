"""Whether a version's verdict still holds: nothing that it rests on was changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version


def objection(version: Version) -> str:
    """Why a version may not be promoted on its verdict; empty when nothing stands against it."""
    if "mlops.verdict" not in version.tags:
        return "it has not been validated"
    if version.tags.get("mlops.verdict.passed", "").lower() != "true":
        return "its verdict is failed"
    judged = version.tags.get("mlops.verdict.model_digest", version.digest)
    return "" if judged == version.digest else "the model was changed after its verdict"
