"""What Prometheus reads from a server."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    return {
        (s.name, frozenset(s.labels.items())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def of(found: Samples, name: str, /, **labels: str) -> float:
    """A figure by its labels; the model's may be left out where there is but one."""
    wanted = frozenset(labels.items())
    values = [
        value
        for (metric, given), value in found.items()
        if metric == f"mlops_{name}"
        and wanted <= given
        and {label for label, _ in given - wanted} <= {"model"}
    ]
    (value,) = values
    return value
