"""What monitoring found, as facts that goals are judged on.

The names are those of the goal language: ``drift(Income)``, ``missing(Income)``,
``error_rate``, ``p95_latency`` (seconds), ``roc_auc``…
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlops_magics.goals.subject import Subject


def subject(
    *,
    name: str,
    features: Iterable[Mapping[str, Any]],
    service: Mapping[str, Any],
    performance: Mapping[str, Any],
    rows: int,
    multivariate: Mapping[str, Any] | None = None,
) -> Subject:
    """The facts of a monitoring record, or of what will become one.

    Parameters
    ----------
    features : iterable of mapping
        As `mlops_magics.drift.report.compare` gives them; the one named ``prediction`` with
        ``role`` ``prediction`` is what the model answered.
    service : mapping
        ``requests``, ``error_rate`` and ``latency_ms`` (``p50``, ``p95``, ``p99``).
    performance : mapping
        ``metrics``: name → value; ``reason`` where there are none; ``estimated``: the same of
        what was estimated, each metric with ``value`` and ``interval``.
    multivariate : mapping, optional
        As `mlops_magics.drift.multivariate.measure` gives it; empty where nobody asked.
    """
    known, unknown = of_features(features)
    if multivariate and multivariate.get("auc") is not None:
        known["multivariate_drift"] = float(multivariate["auc"])
    else:
        why = str((multivariate or {}).get("reason") or "it was not asked for (--multivariate)")
        unknown["multivariate_drift"] = why.rstrip(".")
    known["rows"] = float(rows)
    for fact in ("requests", "error_rate"):
        if service.get(fact) is not None:
            known[fact] = float(service[fact])
    for percentile, milliseconds in (service.get("latency_ms") or {}).items():
        if milliseconds is not None:
            known[f"{percentile}_latency"] = float(milliseconds) / 1000
    known |= {k: float(v) for k, v in (performance.get("metrics") or {}).items() if v is not None}
    silent = "no rows were seen" if not rows else "it was not part of the training data"
    for metric in ("drift", "missing"):
        unknown.setdefault(metric, silent)
    unknown.setdefault("prediction_drift", "there are no earlier predictions to compare with")
    for metric in ("error_rate", "p50_latency", "p95_latency", "p99_latency", "requests"):
        if metric not in known:
            unknown[metric] = (
                "no request came in this time" if service else "no deployment was looked at"
            )
    estimated = performance.get("estimated") or {}
    guessed = {f"estimated({k})": v for k, v in (estimated.get("metrics") or {}).items()}
    known |= {key: float(found["value"]) for key, found in guessed.items()}
    for metric, reason in (estimated.get("not_estimated") or {}).items():
        unknown[f"estimated({metric})"] = str(reason)
    unknown.setdefault("estimated", _why_no_estimate(estimated, rows))
    return Subject(
        name=name,
        facts=known,
        unknown=unknown,
        intervals={k: (v["interval"][0], v["interval"][1]) for k, v in guessed.items()},
        problem=_why_no_other(performance),
    )


def of_features(
    features: Iterable[Mapping[str, Any]],
) -> tuple[dict[str, float], dict[str, str]]:
    """Drift and missing values of compared features: what is known, and why the rest is not."""
    known: dict[str, float] = {}
    unknown: dict[str, str] = {}
    for feature in features:
        answer = feature.get("role") == "prediction"
        key = "prediction_drift" if answer else f"drift({feature['name']})"
        if feature.get("drift") is not None and feature["level"] != "not judged":
            known[key] = float(feature["drift"])
        else:
            unknown[key] = str(feature["reason"]).rstrip(".")
        if feature.get("missing") is not None and not answer:
            known[f"missing({feature['name']})"] = float(feature["missing"])
        elif feature.get("rows") and not answer:
            unknown[f"missing({feature['name']})"] = str(feature["reason"]).rstrip(".")
    return known, unknown


def _why_no_other(performance: Mapping[str, Any]) -> str:
    """Why a metric that is not among the facts is not."""
    guessed = (performance.get("estimated") or {}).get("metrics")
    hint = "; estimated(METRIC) asks for the estimate of a metric" if guessed else ""
    if performance.get("metrics"):
        return f"only {', '.join(performance['metrics'])} were measured{hint}"
    why = performance.get("reason") or "no labels were given (--labels DATA --on KEY)"
    return f"{why}{hint}"


def _why_no_estimate(estimated: Mapping[str, Any], rows: int) -> str:
    if estimated.get("metrics"):
        return f"only {', '.join(estimated['metrics'])} were estimated"
    return str(
        estimated.get("reason")
        or ("nothing was estimated, as all labels were known" if rows else "no rows were seen")
    )
