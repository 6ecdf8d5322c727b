"""What a run is given beyond one batch: parameters that may be there, metrics by iteration."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, ErrorCode

from mlops_magics.errors import StoreUnreachable
from mlops_magics.store.runs import log, reaching, short_param

# MLflow's limit for one batch.
_METRICS = 1000


def log_params(run_id: str, params: Mapping[str, Any]) -> list[str]:
    """Add parameters to a run; one that it has with another value stays, and is said."""
    with reaching("take parameters") as client:
        try:
            log(run_id, params=params)
        except StoreUnreachable as error:
            if not _refused(error.__cause__):
                raise
        else:
            return []
        known = client.get_run(run_id).data.params
        texts = {k: short_param(v) for k, v in params.items()}
        log(run_id, params={k: v for k, v in texts.items() if known.get(k, v) == v})
        return [
            f"The parameter {k!r} was logged as {known[k]!r} before and stays so (MLflow forbids "
            f"changing one); {v!r} was not stored."
            for k, v in texts.items()
            if known.get(k, v) != v
        ]


def _refused(error: BaseException | None) -> bool:
    code = ErrorCode.Name(INVALID_PARAMETER_VALUE)
    return isinstance(error, MlflowException) and error.error_code == code


def log_history(run_id: str, points: Sequence[Sequence[Any]], model_id: str | None = None) -> None:
    """Add values by iteration: metric, value, step, and milliseconds since the epoch each.

    With a `model_id` they are shown with that logged model too.
    """
    with reaching("take metrics") as client:
        for at in range(0, len(points), _METRICS):
            block = [
                Metric(k, v, when, step, model_id=model_id, run_id=run_id)
                for k, v, step, when in points[at : at + _METRICS]
            ]
            client.log_batch(run_id, metrics=block)


def add_metrics(run_id: str, metrics: Mapping[str, float], step: int | None) -> None:
    """Add metrics to a run, at an iteration or (`None`) after the last one of each."""
    with reaching("take metrics") as client:
        now = int(time.time() * 1000)
        points = []
        for name, value in metrics.items():
            place = step
            if place is None:
                known = client.get_metric_history(run_id, name)
                place = max((m.step for m in known), default=0)
            points.append((name, float(value), place, now))
        log_history(run_id, points)
