"""Models of the usual kinds, small and fitted on a part of the credit data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

#: The twelve that people use most, then combinations; each small enough to fit in a moment.
ESTIMATORS: dict[str, Any] = {
    "logistic regression": LogisticRegression(),
    "random forest": RandomForestClassifier(5, random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=5, random_state=0),
    "neighbours": KNeighborsClassifier(),
    "neighbours by a tree": KNeighborsClassifier(algorithm="kd_tree"),
    "tree": DecisionTreeClassifier(random_state=0),
    "network": MLPClassifier(max_iter=5, random_state=0),
    "bayes": GaussianNB(),
    "support vectors": SVC(),
    "calibrated": CalibratedClassifierCV(LogisticRegression(), cv=2),
    "calibrated forest": CalibratedClassifierCV(
        RandomForestClassifier(3, random_state=0), method="isotonic", cv=2
    ),
    "ada": AdaBoostClassifier(n_estimators=3, random_state=0),
    "bagging": BaggingClassifier(n_estimators=3, random_state=0),
    "gaussian process": GaussianProcessClassifier(random_state=0),
    "stack": StackingClassifier(
        [("a", LogisticRegression()), ("b", DecisionTreeClassifier(random_state=0))], cv=2
    ),
    "vote": VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())]),
    "grid search": GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2),
    "random search": RandomizedSearchCV(
        LogisticRegression(), {"C": [0.1, 1, 2]}, n_iter=2, cv=2, random_state=0
    ),
}


def xy(credit: pd.DataFrame, rows: int = 150) -> tuple[pd.DataFrame, pd.Series]:
    """Features, integers widened to floats as the training step does, and target."""
    part = credit.dropna(subset=["Status"]).head(rows)
    X = part.drop(columns=["Status"])
    numbers = X.select_dtypes("number").columns
    return X.astype(dict.fromkeys(numbers, "float64")), part["Status"]


def pipeline(X: pd.DataFrame, estimator: Any) -> Pipeline:
    """An estimator behind the usual preparation of numbers and categories."""
    numbers = X.select_dtypes("number").columns.tolist()
    words = [c for c in X.columns if c not in numbers]
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
        ),
        estimator,
    )


def regression() -> tuple[np.ndarray, np.ndarray, Ridge]:
    """Unnamed numbers, a target, and a model fitted on them."""
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = X @ [1.0, -2.0, 0.5]
    return X, y, Ridge().fit(X, y)
