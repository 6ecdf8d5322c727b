"""What several tests of verbs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def nothing_left(project: Path) -> Iterator[None]:
    """End what a test deployed, also where it failed."""
    yield
    from mlops_magics.targets import state

    for deployment in state.all():
        if deployment.status != "stopped":
            state.target(deployment.target).undeploy(deployment)
