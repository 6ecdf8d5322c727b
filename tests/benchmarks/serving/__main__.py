"""Ours against other prediction servers: ``python -m tests.benchmarks.serving``.

The same models on the credit data (a pipeline with logistic regression, one with a forest of 100
trees, and one that has no form in ONNX), one worker each, on the loopback interface, one after the
other. Requests are single rows of JSON, sent by `wrk`. Ours captures every request; the others
can't. `constant` is the ASGI server that ours runs on, with an application that answers always
the same: what can be had at the most.

BentoML and MLServer are installed by pip into environments of their own, which ``--venvs``
keeps for the next time. Takes about five minutes; ``--servers`` and ``--models`` leave parts out.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.serving import candidates, credit_models
from tests.benchmarks.serving.measuring import Measured, measure

#: What is asked of ours: figure, server → by how many times it must be better.
ASKED = {
    ("mlflow", "per_s"): 20.0,
    ("mlflow", "p50_ms"): 20.0,
    ("mlflow", "cold_s"): 6.0,
    ("mlflow", "rss_mb"): 4.0,
    ("constant", "per_s"): 0.6,
    ("unbatched", "per_s"): 4.0,
}
#: ... requests per second by model.
OTHERS = {"forest": 5.0, "logistic": 3.0}
FIGURES = {"per_s": "requests/s", "p50_ms": "p50", "cold_s": "cold start", "rss_mb": "memory"}


def main() -> None:
    """Measure what is asked for, and print figures and ratios."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.serving")
    parser.add_argument("--models", nargs="+", default=[*credit_models.NAMES])
    parser.add_argument("--servers", nargs="+", default=[*candidates.NAMES])
    parser.add_argument("--seconds", type=int, default=4, help="of each load")
    parser.add_argument("--starts", type=int, default=2, help="for the time of a cold start")
    parser.add_argument("--venvs", type=Path, help="where other servers are, or are installed")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    place = Path(tempfile.mkdtemp())
    try:
        venvs = options.venvs.absolute() if options.venvs else place / "venvs"
        print(f"{'model':9} {'server':10} cold s  p50 ms  p50/16 ms    req/s  RSS MB", flush=True)
        for name in options.models:
            made = credit_models.make(name, place)
            found = {}
            for candidate in candidates.of(made, options.servers, venvs, place):
                found[candidate.name] = one = measure(candidate, options.seconds, options.starts)
                print(
                    f"{name:9} {candidate.name:10} {one.cold_s:6.2f} {one.p50_ms:7.2f} "
                    f"{one.p50_many_ms:10.2f} {one.per_s:8.0f} {one.rss_mb:7.0f}",
                    flush=True,
                )
            for line in ratios(name, found):
                print(line, flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def ratios(model: str, found: Mapping[str, Measured]) -> Sequence[str]:
    """How many times ours is better than each, and what was asked for."""
    ours = found.get("ours")
    if ours is None:
        return []
    lines = []
    for server, other in found.items():
        for figure, words in FIGURES.items():
            wanted = ASKED.get((server, figure))
            if server in ("bentoml", "mlserver") and figure == "per_s":
                wanted = OTHERS.get(model)
            if wanted is None:
                continue
            one, two = getattr(ours, figure), getattr(other, figure)
            times = one / two if figure == "per_s" else two / one
            verdict = "" if times >= wanted else "   NOT REACHED"
            lines.append(
                f"{model:9} {words} against {server}: {times:.2f} × (asked: {wanted:g}){verdict}"
            )
    return lines


if __name__ == "__main__":
    main()
