"""What a fitted model itself has kept of its training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mlops_magics.verbs.live import Live, Point

if TYPE_CHECKING:
    from mlops_magics.flavors import Flavor


def kept(flavor: Flavor, model: Any, live: Live) -> list[Point]:
    """The model's own metrics by iteration, except those that were reported while it trained."""
    after, known = Live(), set(live.series)
    for name, value, step in flavor.history(model):
        if name not in known and math.isfinite(value):
            after.report(name, value, step)
    return after.finish()


def tables(flavor: Flavor, model: Any) -> dict[str, str]:
    """Tables worth keeping with the run, as CSV by artifact: what a search tried."""
    import pandas as pd

    return {
        f"mlops/{name}.csv": pd.DataFrame(columns).to_csv(index=False)
        for name, columns in flavor.evidence(model).items()
    }
