"""The bill of materials: CycloneDX 1.6, the same each time."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_magics.serving.manifest import Manifest
    from mlops_magics.serving.package.images.bases import Base
    from mlops_magics.serving.package.images.wheels import Wheel

#: In the image's working directory.
FILE = "sbom.cdx.json"


def document(made: Manifest, base: Base, wheels: Sequence[Wheel]) -> str:
    """What is in an image: the model, the server, each wheel, and what they stand on.

    What the base image itself holds is told by whoever made that: here it stands as one part,
    by the digests of its layers.
    """
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    name, _, version = made.model.rpartition("/")
    model = Component(
        name=name,
        version=version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{made.model}",
        hashes=[_hash(HashType, HashAlgorithm, made.model_digest.partition(":")[2])],
    )
    server = Component(
        name="mlops_magics",
        version=made.server,
        type=ComponentType.APPLICATION,
        bom_ref="pkg:pypi/mlops-magics",
    )
    parts = [server]
    for wheel in wheels:
        purl = PackageURL("pypi", None, re.sub(r"[-_.]+", "-", wheel.name).lower(), wheel.version)
        parts.append(
            Component(
                name=wheel.name,
                version=wheel.version,
                type=ComponentType.LIBRARY,
                bom_ref=str(purl),
                purl=purl,
                licenses=_licenses(wheel),
                hashes=[_hash(HashType, HashAlgorithm, wheel.sha256)],
            )
        )
    for number, layer in enumerate(base.layers, start=1):
        parts.append(
            Component(
                name=base.name,
                version=layer.diff_id,
                type=ComponentType.CONTAINER,
                bom_ref=f"base:{number}",
                hashes=[_hash(HashType, HashAlgorithm, layer.digest.partition(":")[2])],
            )
        )
    bom = Bom(components=parts)
    bom.metadata.component = model
    bom.metadata.timestamp = None  # type: ignore[assignment]  # a time would make each image another
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{made.digest} {base.name}")
    bom.register_dependency(model, parts)
    text: str = JsonV1Dot6(bom).output_as_string(indent=2)
    return text + "\n"


def _hash(kind: Any, algorithm: Any, hexadecimal: str) -> Any:
    return kind(alg=algorithm.SHA_256, content=hexadecimal)


def _licenses(wheel: Wheel) -> list[Any]:
    """As the package says it: an SPDX expression, else its words."""
    from cyclonedx.factory.license import LicenseFactory

    facts = wheel.facts
    words = facts["License-Expression"] or facts["License"] or ""
    if not words or len(words) > 100 or "\n" in words:
        classifiers = [str(c) for c in facts.get_all("Classifier", [])]
        known = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License ::")]
        words = known[0] if known else ""
    return [LicenseFactory().make_from_string(words)] if words and words != "UNKNOWN" else []
