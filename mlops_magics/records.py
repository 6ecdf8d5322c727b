"""The frozen records that verbs return: facts, no behaviour, a stable JSON form.

Field names are public. A record knows its JSON; its text and HTML forms are functions in
`mlops_magics.doors.views`, found by name the first time a record is shown (`RENDERERS`), so
that facts never depend on how they look.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import PurePath
from typing import Any, ClassVar

SCHEMA_VERSION = 1

#: MIME type → the function that renders a record so, as ``module:function``.
RENDERERS = {
    "text/plain": "mlops_magics.doors.views:text",
    "text/html": "mlops_magics.doors.views:html",
}


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def jsonable(value: Any) -> Any:
    """`value` as plain JSON types; NaN and infinities become ``None``, as JSON has none."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Record):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in _public_fields(value)}
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v) for v in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return jsonable(value.tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value)


def _public_fields(value: Any) -> list[dataclasses.Field[Any]]:
    return [f for f in dataclasses.fields(value) if not f.metadata.get("private")]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What every record shares.

    Attributes
    ----------
    warnings : tuple of str
        What the user should know although the step succeeded, one sentence each.
    """

    warnings: tuple[str, ...] = ()

    #: Names that a notebook door binds in the user's namespace; never part of the JSON.
    bindings: Mapping[str, Any] = field(
        default_factory=dict, repr=False, compare=False, metadata={"private": True}
    )

    #: What the record means for a script when the step itself went through.
    exit_code: ClassVar[int] = 0

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types, led by its kind and schema version."""
        body = {f.name: jsonable(getattr(self, f.name)) for f in _public_fields(self)}
        return {"record": type(self).__name__, "schema_version": SCHEMA_VERSION, **body}

    def to_json(self, indent: int | None = 2) -> str:
        """One JSON document."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    def __str__(self) -> str:
        return str(pkgutil.resolve_name(RENDERERS["text/plain"])(self))

    def __init_subclass__(cls) -> None:
        # IPython takes a class's own `__repr__`, which a dataclass has, before an inherited hook.
        cls._repr_pretty_ = Record._repr_pretty_  # type: ignore[method-assign]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """IPython's plain text; a bare ``repr`` stays the dataclass's own."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return str(pkgutil.resolve_name(RENDERERS["text/html"])(self))


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a dataset: its type and what was seen in it.

    Attributes
    ----------
    type : str
        ``integer``, ``number``, ``boolean``, ``string``, ``datetime`` or ``object``.
    missing, distinct : int
        Counts of rows.
    """

    name: str
    type: str
    missing: int = 0
    distinct: int = 0


@dataclass(frozen=True, kw_only=True)
class Dataset(Record):
    """A dataset as `prepare` recorded it.

    Attributes
    ----------
    digest : str
        ``sha256:…`` over every value of every column, in order.
    schema : tuple of Column
    task : str
        ``classification``, ``regression`` or ``none`` (no target).
    positive : str or None
        For two classes, the class counted as positive.
    split : mapping
        How the rows were split: method, seed, ``train_rows``, ``test_rows`` and their digests.
    profile : mapping
        Column name → the statistics that drift is later judged against (training rows only).
    """

    name: str
    digest: str
    rows: int
    target: str | None
    schema: tuple[Column, ...]
    run_id: str = ""
    task: str = "none"
    positive: Any = None
    source: str = ""
    split: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __getattr__(self, name: str) -> Any:
        """What a notebook gets as variables, Python gets as ``data.X_train`` and so on."""
        bound = self.__dict__.get("bindings", {})
        if name in bound:
            return bound[name]
        raise AttributeError(f"A Dataset has no {name!r}; bound here: {', '.join(bound) or 'none'}")


@dataclass(frozen=True, kw_only=True)
class Run(Record):
    """One tracked run of training code.

    Attributes
    ----------
    status : str
        ``running``, ``finished``, ``failed``, ``interrupted`` or ``killed``.
    model : str or None
        The registered version, ``name/number``.
    trust : mapping
        What is known of how far the record can be relied on.
    duration : float
        Seconds of wall time.
    """

    run_id: str
    name: str
    status: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    model: str | None = None
    trust: Mapping[str, Any] = field(default_factory=dict)
    estimator: str = ""
    dataset: str = ""
    digest: str = ""
    duration: float = 0.0
    resources: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GoalResult:
    """One goal and what was measured for it.

    Attributes
    ----------
    value : float or None
        In the goal's own unit; ``None`` when it could not be measured (then it failed).
    interval : tuple of float or None
        95 % bootstrap interval of the value (for a comparison, of the difference).
    reason : str
        Why it passed or failed, in words.
    """

    text: str
    value: float | None
    passed: bool
    interval: tuple[float, float] | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict(Record):
    """A version judged against goals."""

    model: str
    passed: bool
    goals: tuple[GoalResult, ...]
    run_id: str = ""
    against: str | None = None
    dataset: str = ""
    dataset_digest: str = ""
    model_digest: str = ""
    rows: int = 0

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # a fact of the instance here
        return 0 if self.passed else 3


@dataclass(frozen=True, kw_only=True)
class Promotion(Record):
    """An alias that was moved: from which version to which, by whom and why."""

    model: str
    alias: str
    version: str
    previous: str | None
    actor: str
    at: str
    reason: str = ""
    verdict: str | None = None
    overridden: bool = False
    run_id: str = ""


@dataclass(frozen=True, kw_only=True)
class History(Record):
    """Who did what to a model, oldest first; each event as it was recorded."""

    name: str
    events: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Package(Record):
    """A version made ready to run elsewhere; ``size`` in bytes."""

    model: str
    kind: str
    path: str
    digest: str
    size: int
    files: tuple[str, ...] = ()
    run_id: str = ""
    replayed: bool = False


@dataclass(frozen=True, kw_only=True)
class Deployment(Record):
    """An endpoint. ``status``: ``up``, ``down`` or ``stopped``."""

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

    @property
    def exit_code(self) -> int:  # type: ignore[override]
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
        Requests, errors, latency percentiles in ms.
    performance : mapping
        Measured metrics where labels were given.
    quality : tuple of str
        Data-quality findings, one sentence each.
    goals : tuple of GoalResult
        The thresholds and what was measured for each.
    """

    deployment: str
    passed: bool
    features: tuple[Mapping[str, Any], ...] = ()
    service: Mapping[str, Any] = field(default_factory=dict)
    performance: Mapping[str, Any] = field(default_factory=dict)
    quality: tuple[str, ...] = ()
    goals: tuple[GoalResult, ...] = ()
    model: str = ""
    rows: int = 0
    reference_rows: int = 0
    since: str = ""
    until: str = ""
    run_id: str = ""

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return 0 if self.passed else 3


@dataclass(frozen=True, kw_only=True)
class Execution(Record):
    """A notebook run headlessly.

    Attributes
    ----------
    status : str
        ``finished``, ``failed``, ``interrupted``, ``killed`` or ``timed out``.
    failed_cell : mapping or None
        Index, id, error name and message of the cell at which it stopped.
    cells : mapping
        How many were run, failed and never reached.
    """

    notebook: str
    output: str
    status: str
    params: Mapping[str, Any] = field(default_factory=dict)
    failed_cell: Mapping[str, Any] | None = None
    cells: Mapping[str, int] = field(default_factory=dict)
    duration: float = 0.0
    html: str | None = None
    digest: str = ""
    steps: tuple[Mapping[str, Any], ...] = ()
    run_id: str = ""

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return 0 if self.status == "finished" else 1


@dataclass(frozen=True, kw_only=True)
class Retraining(Record):
    """Whether the condition held, and what followed.

    ``outcome``: ``not fired``, ``promoted``, ``held`` or ``not better``.
    """

    name: str
    fired: bool
    outcome: str
    verdict: Verdict | None = None
    condition: str = ""
    reason: str = ""
    execution: Execution | None = None
    candidate: str | None = None
    champion: str | None = None
    run_id: str = ""

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return 3 if self.outcome == "not better" else 0


@dataclass(frozen=True, kw_only=True)
class Verification(Record):
    """Whether a record is as it was sealed, and if not, what was changed."""

    path: str
    intact: bool
    problems: tuple[str, ...] = ()
    signer: str = ""
    sealed: str = ""
    cells: int = 0

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return 0 if self.intact else 5


@dataclass(frozen=True, kw_only=True)
class Overview(Record):
    """Everything at a glance: models with aliases and verdicts, deployments, open work."""

    store: str
    models: tuple[Mapping[str, Any], ...] = ()
    deployments: tuple[Deployment, ...] = ()
    closed_runs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing `doctor` looked at; ``remedy`` when it is not well."""

    name: str
    passed: bool
    found: str
    remedy: str = ""
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Diagnosis(Record):
    """The set-up, checked."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return 0 if all(c.passed for c in self.checks if c.required) else 1


@dataclass(frozen=True, kw_only=True)
class Written(Record):
    """A file that was written for the user."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Demo(Record):
    """The whole loop, step by step, and where its sealed record is."""

    folder: str
    steps: tuple[Mapping[str, Any], ...]
    notebook: str
    verification: Verification
