"""Every scorer of scikit-learn gives its value, or is refused with a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC

from mlops_magics import plugins
from mlops_magics.goals import metrics
from mlops_magics.goals.samples import Sample, Undefined, sample

NAMES = sk.get_scorer_names()
#: Those that have a class here are held to scikit-learn's functions elsewhere.
BY_NAME_ALONE = sorted(set(NAMES) - set(plugins.names("metric")))

SAMPLEWISE = {f"{name}_samples" for name in ("f1", "jaccard", "precision", "recall")}
NEED_PROBABILITIES = {
    *("d2_brier_score", "d2_log_loss_score", "neg_brier_score", "neg_log_loss", "roc_auc_ovo"),
    *("roc_auc_ovo_weighted", "roc_auc_ovr", "roc_auc_ovr_weighted"),
}
OF_CLASSES = {
    *(f"{n}_{how}" for n in ("f1", "precision", "recall") for how in ("macro", "micro")),
    *(f"{n}_weighted" for n in ("f1", "precision", "recall", "jaccard")),
    *("jaccard", "jaccard_macro", "jaccard_micro", "matthews_corrcoef", "top_k_accuracy"),
    *("positive_likelihood_ratio", "neg_negative_likelihood_ratio"),
}
OF_TWO = {"jaccard", "positive_likelihood_ratio", "neg_negative_likelihood_ratio"}
OF_POSITIVE_NUMBERS = {"neg_mean_gamma_deviance", "neg_mean_poisson_deviance"}
#: Of each model, the scorers that have no value, and scikit-learn none either.
REFUSED = {
    "two classes": SAMPLEWISE | OF_POSITIVE_NUMBERS | {"top_k_accuracy"},
    "margins": SAMPLEWISE | OF_POSITIVE_NUMBERS | {"top_k_accuracy"} | NEED_PROBABILITIES,
    "three classes": SAMPLEWISE | OF_POSITIVE_NUMBERS | OF_TWO,
    "numbers": SAMPLEWISE | NEED_PROBABILITIES | OF_CLASSES,
}


def fitted(kind: str) -> tuple[Any, np.ndarray, np.ndarray]:
    if kind == "numbers":
        X, y = make_regression(150, 3, noise=5, random_state=0)
        y = 400 + y  # positive, so that logarithms and deviances exist
        return LinearRegression().fit(X[:100], y[:100]), X, y
    classes = 3 if kind == "three classes" else 2
    X, y = make_classification(
        150, 6, n_informative=4, n_classes=classes, flip_y=0.2, random_state=0
    )
    model = LinearSVC() if kind == "margins" else LogisticRegression()
    return model.fit(X[:100], y[:100]), X, y


def answers(model: Any, X: np.ndarray, y: np.ndarray) -> Sample:
    if isinstance(model, LinearRegression):
        return sample("regression", y, model.predict(X))
    ask = getattr(model, "predict_proba", None) or model.decision_function
    return sample("classification", y, model.predict(X), ask(X), model.classes_)


@pytest.mark.filterwarnings("ignore::UserWarning")  # which that of an undefined metric is too
@pytest.mark.parametrize("kind", REFUSED)
def test_a_scorer_gives_scikit_learns_value_or_is_refused(kind: str) -> None:
    model, X, y = fitted(kind)
    rows = answers(model, X, y)
    refused = {}
    for name in BY_NAME_ALONE:
        try:
            ours = metrics.find(name).value(rows)
        except Undefined as error:
            refused[name] = str(error)
        else:
            assert ours == pytest.approx(sk.get_scorer(name)(model, X, y), rel=1e-12), name
    assert set(refused) == REFUSED[kind] & set(BY_NAME_ALONE)
    assert all(name in reason for name, reason in refused.items())
    # Of two classes, the best two always hold the truth: scikit-learn warns, and answers with 1.
    for name in refused.keys() - {"top_k_accuracy"}:
        with pytest.raises((ValueError, AttributeError)):
            sk.get_scorer(name)(model, X, y)


def test_scorers_of_clusterings_compare_the_classes_as_scikit_learn_does() -> None:
    model, X, y = fitted("three classes")
    for name in ("adjusted_rand_score", "v_measure_score", "fowlkes_mallows_score"):
        theirs = getattr(sk, name)(y, model.predict(X))
        assert metrics.find(name).value(answers(model, X, y)) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        ("numbers", "f1_macro", "f1_macro belongs to a classification, and this model predicts"),
        ("numbers", "neg_log_loss", "neg_log_loss belongs to a classification"),
        ("margins", "neg_log_loss", "neg_log_loss needs probabilities, and this model gives none"),
        ("two classes", "f1_samples", "scikit-learn's f1_samples says: Samplewise metrics"),
        ("three classes", "jaccard", "scikit-learn's jaccard says: Target is multiclass"),
    ],
)
def test_a_refusal_says_why(kind: str, name: str, says: str) -> None:
    with pytest.raises(Undefined, match=says):
        metrics.find(name).value(answers(*fitted(kind)))
