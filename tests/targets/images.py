"""An image of a package, built once for all workers of a test run, and an engine to run it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from mlops_magics.records import Package
from tests import containers


def of(served: Package, factory: pytest.TempPathFactory) -> Package:
    """The image's package; built without an engine, on the tests' own base."""
    containers.need_programs("podman", "runc", "mmdebstrap")
    from mlops_magics.serving.package.images import blobs, building

    base = factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    place, facts = run / "image-of-targets", run / "image-of-targets.json"
    with FileLock(f"{place}.lock"):
        if not facts.is_file():
            plan = building.plan(Path(served.path), "credit:1", str(containers.base_tar()), "")
            kept = blobs.Blobs()
            built = building.put_together(plan, kept, None)
            built = building.prove(plan, built, place, kept, None)
            facts.write_text(json.dumps([built.image.digest, built.image.size]))
    digest, size = json.loads(facts.read_text())
    return Package(
        model=served.model, kind="image", path=str(place), digest=digest, size=size, tag="credit:1"
    )


def unproven(folder: Package, place: Path, tag: str) -> Package:
    """An image of a folder's package, whether it answers as that says or not."""
    from mlops_magics.serving.package.images import blobs, building, layouts

    kept = blobs.Blobs()
    plan = building.plan(Path(folder.path), tag, str(containers.base_tar()), "")
    image = building.put_together(plan, kept, None).image
    layouts.write(image, place, kept, tag)
    return Package(
        model=folder.model, kind="image", path=str(place), digest=image.digest, size=1, tag=tag
    )


@contextmanager
def engine(folder: Path) -> Iterator[containers.Engines]:
    """Podman with a store of its own, for this process and what it starts."""
    own = containers.Engines(folder)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in own.environment.items():
            patched.setenv(name, value)
        yield own
    own.clear()
