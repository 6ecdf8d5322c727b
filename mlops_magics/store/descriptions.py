"""What people wrote about a model in MLflow's registry, whose pages they edit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_magics.store import runs
from mlops_magics.store.versions import Version


@dataclass(frozen=True)
class Description:
    """A text and tags; MLflow keeps neither who wrote them nor when."""

    text: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def of_version(version: Version) -> Description:
    """What the registry says of one version."""
    with runs.reaching("describe a version") as client:
        return _read(client.get_model_version(version.name, str(version.number)))


def of_model(name: str) -> Description:
    """What the registry says of all versions of a model."""
    with runs.reaching("describe a model") as client:
        return _read(client.get_registered_model(name))


def _read(found: Any) -> Description:
    tags = {str(k): str(v) for k, v in found.tags.items() if not str(k).startswith("mlops.")}
    return Description(str(found.description or "").strip(), tags)
