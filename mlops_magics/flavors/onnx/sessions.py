"""Running a graph here, and how long it takes for one row."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

#: Calls that are timed, after some that are not.
CALLS, WARM_UP = 200, 20


def opened(content: bytes) -> Any:
    """A session of one thread, as on a small machine."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what can't be opened is an error all the same
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def latency(call: Callable[[], Any]) -> Mapping[str, float]:
    """The middle and the 95th percentile of many calls, in milliseconds."""
    import numpy as np

    for _ in range(WARM_UP):
        call()
    taken = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    p50, p95 = np.percentile(taken, [50, 95])
    return {"p50_ms": round(float(p50), 4), "p95_ms": round(float(p95), 4)}
