"""Which types a model file may name when it is read without pickle.

skops trusts scikit-learn's public estimators and asks about everything else. MLflow keeps the
answer in the model's own folder, where whoever wrote the model could also have written the
answer. So the answer stands here, type by type, each looked at: it holds data, or is a
function of data, and does nothing when it is rebuilt. What is not on the list is saved by
cloudpickle, which is loaded only when its digest is the recorded one.

Not on the list, on purpose: scipy's distributions (rebuilding one runs code made from its own
fields) and anything of the user's.
"""

from __future__ import annotations

import importlib
import re
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlops_magics.errors import NotIntact

_REVIEWED: dict[str, str] = {
    # Boosters are rebuilt from their own format, by a reader of data.
    "catboost.core": "CatBoost CatBoostClassifier CatBoostRanker CatBoostRegressor",
    "collections": "OrderedDict defaultdict",
    "datetime": "timedelta timezone",
    "functools": "partial",  # of a function that must itself be trusted
    "lightgbm.basic": "Booster",
    "lightgbm.sklearn": "LGBMClassifier LGBMRanker LGBMRegressor",
    "numpy": "dtype mean",
    "pandas": "DatetimeTZDtype",
    "scipy._lib.array_api_compat.numpy._aliases": "asarray",
    "scipy.interpolate._bsplines": "BSpline",
    "scipy.sparse._csr": "csr_matrix csr_array",
    "scipy.sparse._csc": "csc_matrix csc_array",
    "sklearn._loss.loss": "HalfTweedieLoss HalfTweedieLossIdentity HalfMultinomialLoss",
    "sklearn.calibration": "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
    "sklearn.cluster._bisect_k_means": "_BisectingTree",
    "sklearn.cluster._kmeans": "_kmeans_single_lloyd _kmeans_single_elkan",
    "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
    "sklearn.feature_selection._univariate_selection": (
        "chi2 f_classif f_oneway f_regression r_regression"
    ),
    "sklearn.gaussian_process._gpc": "_BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels": (
        "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Hyperparameter "
        "Matern PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel"
    ),
    "sklearn.metrics._classification": (
        "accuracy_score balanced_accuracy_score brier_score_loss cohen_kappa_score "
        "d2_brier_score d2_log_loss_score f1_score fbeta_score hamming_loss jaccard_score "
        "log_loss matthews_corrcoef precision_score recall_score zero_one_loss"
    ),
    "sklearn.metrics._dist_metrics": "EuclideanDistance64 EuclideanDistance32",
    "sklearn.metrics._ranking": "average_precision_score roc_auc_score top_k_accuracy_score",
    "sklearn.metrics._regression": (
        "d2_absolute_error_score explained_variance_score max_error mean_absolute_error "
        "mean_absolute_percentage_error mean_gamma_deviance mean_pinball_loss "
        "mean_poisson_deviance mean_squared_error mean_squared_log_error median_absolute_error "
        "r2_score root_mean_squared_error root_mean_squared_log_error"
    ),
    "sklearn.metrics._scorer": "_CurveScorer _MultimetricScorer _PassthroughScorer _Scorer",
    "sklearn.model_selection._split": (
        "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut "
        "LeavePOut PredefinedSplit RepeatedKFold RepeatedStratifiedKFold ShuffleSplit "
        "StratifiedGroupKFold StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit"
    ),
    "sklearn.multiclass": "_ConstantPredictor",
    "sklearn.neighbors._ball_tree": "BallTree BallTree64",
    "sklearn.neighbors._kd_tree": "KDTree KDTree64",
    "sklearn.neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
    "sklearn.tree._tree": "Tree",
    "sklearn.utils._bunch": "Bunch",
    "sklearn.utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
    "sklearn.utils.validation": "check_array",
    "skrub._apply_to_cols": "ApplyToCols",
    "skrub._apply_to_each_col": "ApplyToEachCol",
    "skrub._check_input": "CheckInputDataFrame",
    "skrub._clean_categories": "CleanCategories",
    "skrub._clean_null_strings": "CleanNullStrings",
    "skrub._dataframe._common": "is_any_date is_categorical is_numeric",
    "skrub._datetime_encoder": "DatetimeEncoder",
    "skrub._drop_uninformative": "DropUninformative",
    "skrub._duration_to_float": "DurationToFloat",
    "skrub._string_encoder": "StringEncoder",
    "skrub._table_vectorizer": "PassThrough ShortReprDict TableVectorizer _created_by_predicate",
    "skrub._to_categorical": "ToCategorical",
    "skrub._to_datetime": "ToDatetime",
    "skrub._to_float": "ToFloat",
    "skrub._to_str": "ToStr",
    "skrub.selectors._base": "All And Cols Filter Sub",
    "skrub.selectors._selectors": "_cardinality_below",
    "xgboost.core": "Booster",
    "xgboost.sklearn": "XGBClassifier XGBRFClassifier XGBRFRegressor XGBRanker XGBRegressor",
    "zoneinfo": "ZoneInfo",
}

ALLOWED = frozenset(f"{module}.{n}" for module, names in _REVIEWED.items() for n in names.split())


def _mentioned(path: Path) -> list[str]:
    """Those of the list that the file may name; skops goes through all it is given at each node."""
    try:
        with zipfile.ZipFile(path) as parts:
            text = parts.read("schema.json").decode()
    except (OSError, KeyError, zipfile.BadZipFile):
        return []  # skops says what is wrong with it
    words = set(re.findall(r'"(\w+)"', text))
    return sorted(name for name in ALLOWED if name.rpartition(".")[2] in words)


def refused(types: Iterable[str]) -> list[str]:
    """Those of `types` that may not be loaded without pickle, sorted."""
    return sorted(t for t in types if t not in ALLOWED and not _is_public(t))


def load(path: Path) -> Any:
    """Read a skops file, trusting what this list trusts and nothing that the file says.

    Raises
    ------
    NotIntact
        If the file names a type that is not on the list.
    """
    io = import_skops()
    try:
        return io.load(path, trusted=_mentioned(path))
    except importlib.import_module("skops.io.exceptions").UntrustedTypesFoundException:
        pass  # some may be public all the same; the file is read once more, to be looked through
    named = io.get_untrusted_types(file=path)
    if strange := refused(named):
        raise NotIntact(
            f"{path} names {', '.join(strange[:5])}, which no model saved here does.",
            "It is not loaded.",
        )
    return io.load(path, trusted=named)


_ADAPTERS = [f"sklearn.externals.array_api_compat.{name}" for name in ("torch", "dask", "cupy")]

#: Set by a process that only serves.
lean = False


def import_skops() -> Any:
    """skops, without the frameworks that scikit-learn could hand its arrays to.

    On import it goes through all of scikit-learn, whose adapters would each import their framework
    into the user's process.
    """
    absent = [name for name in _ADAPTERS if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: not to be found
    try:
        return _import_skops()
    finally:
        for name in absent:
            del sys.modules[name]


def _import_skops() -> Any:
    """skops, and in a process that only serves without the lists that it makes on import.

    skops imports every module of scikit-learn to list its estimators, and looks through every
    module for each function of numpy and scipy: a third of a server's start. There it is told
    that there are none, and `_is_public` looks at those that the file names. Never so in a
    user's process, where skops would keep it.
    """
    if not lean or "skops.io" in sys.modules:
        return importlib.import_module("skops.io")
    import sklearn.utils

    pickle: Any = importlib.import_module("pickle")
    kept = sklearn.utils.all_estimators, pickle.whichmodule
    sklearn.utils.all_estimators = list
    pickle.whichmodule = lambda obj, name: getattr(obj, "__module__", None) or "unknown"
    try:
        return importlib.import_module("skops.io")
    finally:
        sklearn.utils.all_estimators, pickle.whichmodule = kept


def _is_public(name: str) -> bool:
    """Whether it is an estimator or a loss of scikit-learn, or a ufunc of numpy or scipy."""
    module, _, attribute = name.rpartition(".")
    package = module.partition(".")[0]
    if package not in ("sklearn", "numpy", "scipy"):
        return False
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    if package != "sklearn":
        import numpy as np

        return isinstance(found, np.ufunc)
    from sklearn._loss.link import BaseLink
    from sklearn._loss.loss import BaseLoss
    from sklearn.base import BaseEstimator

    bases = (BaseEstimator, BaseLoss, BaseLink)
    return (
        isinstance(found, type)
        and issubclass(found, bases)
        and found.__module__.startswith("sklearn.")
    )
