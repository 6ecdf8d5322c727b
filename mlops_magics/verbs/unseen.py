"""The rows that a model has not seen, and how well it does on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from mlops_magics import evidence, flavors, goals, store
from mlops_magics.errors import BadData, StoreUnreachable, WrongUsage
from mlops_magics.records import Dataset
from mlops_magics.verbs import session

if TYPE_CHECKING:
    from mlops_magics.flavors import Flavor

#: Rows of the input example that is kept with a model.
EXAMPLE_ROWS = 5


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of a model, and what is to be known of its interface.

    `facts` are what the flavor observed of it, to be kept with the model.
    """

    task: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    signature: Any = None
    example: Any = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """Held-out rows (`X` with n rows, `y` of length n) and where they come from."""

    dataset: Dataset | None = None
    X: Any = None
    y: Any = None
    given: bool = False
    trust: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def positive(self) -> Any:
        """The class counted as positive, where two classes are told apart."""
        return self.dataset.positive if self.dataset else None

    def bind(self, namespace: Mapping[str, Any], changed: Mapping[str, int]) -> Unseen:
        """With the rows filled in: those given, else the namespace's, else the last dataset's.

        `changed` holds the object ids of the names before the code ran, so that test rows that the
        code itself replaced are noticed.
        """
        if self.given:
            return self
        X, y = namespace.get("X_test"), namespace.get("y_test")
        if X is not None and y is not None:
            return self._of_names(X, y, namespace, changed)
        if self.dataset is not None:
            try:
                X, y = _test_rows(self.dataset)
            except StoreUnreachable as error:  # it went away while the code ran
                note = f"The test rows can't be read, so nothing was measured: {error.message}"
                return replace(self, trust={"unseen rows": "not readable"}, notes=(note,))
            return replace(self, X=X, y=y, trust={"unseen rows": "as prepared"})
        return replace(
            self,
            trust={"unseen rows": "none"},
            notes=("No unseen rows to measure on: run %prepare first, or bind X_test and y_test.",),
        )

    def _of_names(
        self, X: Any, y: Any, namespace: Mapping[str, Any], changed: Mapping[str, int]
    ) -> Unseen:
        if len(X) != len(y):
            note = f"X_test has {len(X)} rows and y_test {len(y)}: metrics were not measured."
            return replace(self, trust={"unseen rows": "not usable"}, notes=(note,))
        prepared = self.dataset.bindings if self.dataset else {}
        if X is prepared.get("X_test") and y is prepared.get("y_test"):
            # The same objects may still have been changed in place.
            same = evidence.data.fingerprint(_joined(X, y, self.dataset)) == (
                self.dataset.split.get("test_digest") if self.dataset else None
            )
            state = "as prepared" if same else "changed in place since they were prepared"
        elif self.dataset:
            state = "replaced since they were prepared"
        else:
            state = "from the notebook, not recorded by prepare"
        if id(X) != changed.get("X_test", id(X)):
            state += ", by the training code itself"
        return replace(self, X=X, y=y, trust={"unseen rows": state})

    def measure(self, model: Any, flavor: Flavor, metric: str = "") -> Measured:
        """Metrics of `model` on these rows, and its signature; what can't be measured is said."""
        told = flavor.task(model)
        if self.X is None:
            return Measured(task=told or "none")
        X, y = flavors.plain.rows(self.X), flavors.plain.truth(self.y)
        if (columns := list(flavor.columns(model))) and hasattr(X, "columns"):
            if missing := [c for c in columns if c not in X.columns]:
                note = (
                    f"The model needs the column {missing[0]!r}, which X_test lacks: metrics were "
                    "not measured."
                )
                return Measured(task=told or "none", notes=[note])
            X = X[columns]
        example = _example(X)
        try:
            facts, unknown = _observed(flavor, model, X, y)
            predictor = flavor.predictor(model, facts)
            predictions = predictor.predict(X)
            signature = store.versions.infer_signature(example, predictions[:EXAMPLE_ROWS])
            scores = predictor.scores(X)
        except Exception as error:  # the user's model, on the user's rows
            note = (
                f"The model can't predict X_test ({type(error).__name__}: "
                f"{(str(error).splitlines() or [''])[0]}): metrics were not measured."
            )
            return Measured(task=told or "none", notes=[note])
        measured = Measured(task=predictor.task, signature=signature, example=example, facts=facts)
        if unknown:
            return replace(measured, notes=[f"{unknown} Metrics were not measured."])
        if predictions.shape != (len(y),):
            note = f"The model answers {len(y)} rows by shape {predictions.shape}: no metrics."
            return replace(measured, notes=[note])
        if predictor.task not in ("classification", "regression"):
            note = f"A {type(model).__name__} neither classifies nor predicts numbers: no metrics."
            return replace(measured, notes=[note])
        task = cast(Literal["classification", "regression"], predictor.task)
        names = [*goals.metrics.default_metrics(task), *([metric] if metric else [])]
        answers = (task, y, predictions, scores, predictor.classes, self.positive)
        values = goals.metrics.measure(*answers, dict.fromkeys(names))
        notes = [f"{name} was not measured: {why}" for name, why in values.undefined.items()]
        if not told:
            notes.append(
                f"A {type(model).__name__} does not say what it does; by y_test it was taken for "
                f"{task}. An attribute task = 'regression' or 'classification' decides it."
            )
        curves = goals.curves.curves(*answers)
        return replace(measured, metrics=dict(values), curves=curves, notes=notes)


def find(data: Any, metric: str = "") -> Unseen:
    """What the `--data` argument names; checked before any code runs.

    Raises
    ------
    UnknownName
        If there is no such dataset or metric.
    WrongUsage
        If `data` is neither a dataset nor ``(X, y)``.
    """
    if metric:
        goals.metrics.find(metric)
    if data is None or (isinstance(data, str) and not data):
        return Unseen(dataset=session.latest())
    if isinstance(data, tuple) and len(data) == 2:
        return Unseen(X=data[0], y=data[1], given=True, trust={"unseen rows": "given"})
    if isinstance(data, str):
        data = store.datasets.find(data)
    if not isinstance(data, Dataset):
        raise WrongUsage(
            f"A {type(data).__name__} can't measure a training run.",
            "Give the name of a prepared dataset, or (X_test, y_test).",
        )
    if data.target is None:
        raise WrongUsage(f"The dataset {data.name!r} has no target.", "Prepare it with --target.")
    X, y = _test_rows(data)
    return Unseen(dataset=data, X=X, y=y, given=True, trust={"unseen rows": "as prepared"})


def _test_rows(dataset: Dataset) -> tuple[Any, Any]:
    bound = dataset.bindings
    if "X_test" in bound:
        return bound["X_test"], bound["y_test"]
    _, test = store.datasets.frames(dataset)
    return test.drop(columns=[dataset.target]), test[dataset.target]


def _joined(X: Any, y: Any, dataset: Dataset | None) -> Any:
    """Features and target in the order of the recorded schema, as the digest was taken."""
    if dataset is None or not hasattr(X, "assign"):
        return X
    whole = X.assign(**{str(dataset.target): y})
    order = [c.name for c in dataset.schema if c.name in whole.columns]
    return whole[order]


def _observed(flavor: Flavor, model: Any, X: Any, y: Any) -> tuple[Mapping[str, Any], str]:
    """What the flavor observes of the model, and what it could not make out."""
    try:
        return flavor.observe(model, X, y), ""
    except BadData as error:
        return {"mlops.task": "none"}, str(error)


def _example(X: Any) -> Any:
    """The first rows, integers widened to floats: production rows may lack a value."""
    head = X[:EXAMPLE_ROWS] if not hasattr(X, "head") else X.head(EXAMPLE_ROWS)
    if hasattr(head, "select_dtypes"):
        integers = head.select_dtypes("integer").columns
        head = head.astype(dict.fromkeys(integers, "float64"))
    return head
