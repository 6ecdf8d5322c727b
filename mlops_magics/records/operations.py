"""Models at work: packages, deployments, what they answered and what was seen of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_magics.records.base import Record
from mlops_magics.records.verdicts import GoalResult


@dataclass(frozen=True, kw_only=True)
class Package(Record):
    """A version made ready to run elsewhere; ``size`` in bytes.

    Attributes
    ----------
    kind : str
        ``folder``, ``image`` or ``onnx``.
    tag, pushed : str
        Of an image: its name here, and the reference by which a registry gives it for certain.
    layers : sequence of mapping
        Of an image, the lowest first: ``what`` (``base``, ``packages``, ``model``), ``digest``, and
        in bytes ``size`` as it travels and ``unpacked``.
    measured : mapping
        Of a graph: ``parity`` and ``int8`` (rows, ``labels_equal``, ``largest``, ``mean``),
        ``size`` in bytes and ``latency`` of one row, each ``before`` and ``after``.
    """

    model: str
    kind: str
    path: str
    digest: str
    size: int
    files: tuple[str, ...] = ()
    run_id: str = ""
    replayed: bool = False
    measured: Mapping[str, Any] = field(default_factory=dict)
    tag: str = ""
    pushed: str = ""
    layers: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Deployment(Record):
    """An endpoint. ``status``: ``up``, ``down``, ``stopped`` or ``written``.

    ``written``: its manifests are there, and no cluster took them; the `reason` says why.

    Attributes
    ----------
    options : mapping
        What the target was told beside the model: ``-o NAME VALUE``.
    details : mapping
        What the target alone knows: a container's id, a folder of manifests…; of the target
        ``local`` the process of its ``supervisor``, ``restarts``, ``up_since`` and ``events``.
    canary : mapping
        The second version beside it: ``model``, ``kind`` (``canary`` or ``shadow``), ``share``,
        ``status`` (``on`` or ``stopped``), ``reason``, ``at``, ``goals``; what was seen of both,
        ``stable`` and ``other``: ``requests``, ``errors``, ``error_rate``, ``p50_ms``, ``p95_ms``,
        ``predictions``; and of a shadow ``compared``: ``rows``, ``equal``, ``mean_difference``.
    """

    name: str
    model: str
    target: str
    url: str
    status: str
    pid: int | None = None
    started: str = ""
    run_id: str = ""
    package: str = ""
    capture: str = ""
    reason: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    canary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return 1 if self.status == "down" else 0


@dataclass(frozen=True, kw_only=True)
class Prediction(Record):
    """What a deployment answered, one value a row, and the request's id."""

    deployment: str
    model: str
    predictions: tuple[Any, ...]
    request_id: str = ""
    latency_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Monitoring(Record):
    """What was seen of a deployment in a window of time.

    Attributes
    ----------
    features : tuple of mapping
        One per feature: name, type, statistic values, ``drifted``, reason, histograms.
    service : mapping
        Requests, errors, latency percentiles in ms; ``refused``, the requests whose input was not
        taken by reason, and all of it ``over_time``.
    performance : mapping
        Measured ``metrics`` where labels were given; and as ``estimated``, where some are not
        known, those that are expected (``metrics``: name → ``value`` and ``interval``), with the
        ``method`` and the ``assumption`` that they rest on, or the ``reason`` why there are none.
    quality : tuple of str
        Data-quality findings, one sentence each.
    multivariate : mapping
        Of all features together, where asked for: ``auc`` with ``interval`` and ``p``,
        ``drivers``, ``reason``.
    windows : tuple of mapping
        Where cut by time, the oldest first: ``begin``, ``end``, ``rows``, ``drift`` by feature,
        ``drifted``; and ``estimated``, where performance is: metric → ``value``, ``interval``.
    changes : tuple of mapping
        When a feature changed: ``feature``, ``at``, ``before``, ``after``, ``p``, ``reason``.
    segments : tuple of mapping
        Where asked for by a column: ``segment``, ``rows``, ``share`` and ``reference_share``,
        ``drift`` by feature, ``drifted``, ``reason``.
    goals : tuple of GoalResult
        The thresholds and what was measured for each.
    broken_since : str
        When the first of the looks was that found it wanting without a break.
    alerts : tuple of mapping
        What was sent: ``sink`` (without secrets), ``event`` (``breach``, ``still`` or
        ``recovered``), ``status`` (``sent`` or ``failed``), ``detail`` and ``at``.
    told : mapping
        Sink → ``what`` it knows to be broken, and ``at`` when it was told last.
    """

    deployment: str
    passed: bool
    features: tuple[Mapping[str, Any], ...] = ()
    service: Mapping[str, Any] = field(default_factory=dict)
    performance: Mapping[str, Any] = field(default_factory=dict)
    quality: tuple[str, ...] = ()
    goals: tuple[GoalResult, ...] = ()
    multivariate: Mapping[str, Any] = field(default_factory=dict)
    windows: tuple[Mapping[str, Any], ...] = ()
    changes: tuple[Mapping[str, Any], ...] = ()
    segments: tuple[Mapping[str, Any], ...] = ()
    model: str = ""
    rows: int = 0
    reference_rows: int = 0
    since: str = ""
    until: str = ""
    run_id: str = ""
    broken_since: str = ""
    alerts: tuple[Mapping[str, str], ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return 0 if self.passed else 3
