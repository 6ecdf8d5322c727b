"""How the numbers of PyTorch and Keras networks are read, and how these are loaded again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from mlops_magics import flavors
from mlops_magics.errors import BadData
from mlops_magics.flavors import graph
from mlops_magics.flavors.keras import KerasFlavor
from mlops_magics.flavors.pytorch import PytorchFlavor
from tests.conftest import need

X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=["a", "b", "c"])
TWO = (X["a"] > 0).astype(int)
THREE = pd.cut(X["a"], 3, labels=False)


def read(model: Any, y: Any) -> flavors.Predictor:
    flavor = flavors.recognise(model)
    assert flavor is not None
    return flavor.predictor(model, flavor.observe(model, X, y))


def save(model: Any, y: Any, path: Path) -> Path:
    flavor = flavors.recognise(model)
    assert flavor is not None
    facts = flavor.observe(model, X, y)
    saving = flavor.saving(model, path.parent)
    getattr(mlflow, saving.module).save_model(
        **saving.arguments,
        **saving.newer,
        path=str(path),
        pip_requirements=flavor.packages(model),
        metadata={**saving.metadata, **facts},
    )
    return path


@pytest.fixture
def nn() -> Any:
    torch = need("torch")
    torch.manual_seed(0)
    return torch.nn


def numbers(model: Any) -> np.ndarray:
    import torch

    with torch.no_grad():
        found: np.ndarray = model(torch.tensor(X.to_numpy(), dtype=torch.float32)).numpy()
    return found


def test_logits_of_two_classes(nn: Any) -> None:
    model = nn.Linear(3, 1)
    predictor = read(model, TWO)
    chances = predictor.predict_proba(X)
    assert chances is not None
    np.testing.assert_allclose(chances[:, 1], 1 / (1 + np.exp(-numbers(model)[:, 0])), rtol=1e-5)
    np.testing.assert_array_equal(predictor.predict(X), numbers(model)[:, 0] > 0)


def test_probabilities_stay_what_they_are(nn: Any) -> None:
    for model, y in (
        (nn.Sequential(nn.Linear(3, 1), nn.Sigmoid()), TWO),
        (nn.Sequential(nn.Linear(3, 3), nn.Softmax(1)), THREE),
    ):
        chances = read(model, y).predict_proba(X)
        assert chances is not None
        own = numbers(model)
        np.testing.assert_allclose(chances[:, -1], own[:, -1], rtol=1e-6)


def test_logarithms_of_probabilities(nn: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LogSoftmax(1))
    chances = read(model, THREE).predict_proba(X)
    np.testing.assert_allclose(chances, np.exp(numbers(model)), rtol=1e-5)


def test_numbers_for_a_target_of_numbers(nn: Any) -> None:
    model = nn.Linear(3, 1)
    predictor = read(model, X["b"])
    assert (predictor.task, predictor.classes) == ("regression", None)
    np.testing.assert_array_equal(predictor.predict(X), numbers(model)[:, 0])


def test_the_model_may_say_its_task_and_classes(nn: Any) -> None:
    model = nn.Linear(3, 2)
    with pytest.raises(BadData, match="attribute classes_"):
        read(model, np.where(TWO, "good", "bad"))
    model.classes_ = ["good", "bad"]  # the first output is that of good
    predictor = read(model, np.where(TWO, "good", "bad"))
    first = numbers(model).argmax(axis=1) == 0
    np.testing.assert_array_equal(predictor.predict(X), np.where(first, "good", "bad"))
    model = nn.Linear(3, 1)
    model.task = "regression"
    assert read(model, TWO).task == "regression"


def test_truth_values_are_answered_by_truth_values(nn: Any) -> None:
    assert read(nn.Linear(3, 1), TWO == 1).classes == (False, True)


def test_one_hot_truth_is_the_place_of_the_one() -> None:
    found = flavors.plain.truth(np.eye(3)[THREE])
    np.testing.assert_array_equal(found, THREE)
    np.testing.assert_array_equal(flavors.plain.truth(TWO.to_numpy()[:, None]), TWO)
    two_targets = np.column_stack([X["a"], X["b"]])
    assert flavors.plain.truth(two_targets) is two_targets


def test_only_what_can_learn_is_a_model(nn: Any) -> None:
    flavor = PytorchFlavor()
    assert flavor.recognises(nn.Linear(3, 1))
    assert not flavor.recognises(nn.CrossEntropyLoss())
    assert not flavor.recognises(nn.ReLU())
    assert not flavor.recognises(nn.Linear)


def test_asking_leaves_the_network_as_it_was(nn: Any) -> None:
    import torch

    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 1))
    model[1].eval()  # frozen on purpose
    before = {k: v.clone() for k, v in model.state_dict().items()}
    predictor = read(model, TWO)
    np.testing.assert_array_equal(predictor.predict(X), predictor.predict(X))
    assert [m.training for m in model.modules()] == [True, True, False, True, True]
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_layers_of_pytorch_are_loaded_without_running_code(
    nn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    path = save(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)), TWO, tmp_path / "model")
    asked = []
    load = torch.load
    monkeypatch.setattr(
        torch, "load", lambda *a, **k: asked.append(k["weights_only"]) or load(*a, **k)
    )
    flavors.load(path)
    assert asked == [True]


def test_a_damaged_network_is_bad_data(nn: Any, tmp_path: Path) -> None:
    path = save(nn.Linear(3, 1), TWO, tmp_path / "model")
    file = path / "data" / "model.pth"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(BadData, match="can't be loaded"):
        flavors.load(path)


def test_words_are_embedded_by_whole_numbers(nn: Any) -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(8, 1))
    words = np.array([[0, 1], [2, 3], [4, 0]])
    assert PytorchFlavor().raw(model, words).shape == (3, 1)


@pytest.fixture
def keras() -> Any:
    lib = need("keras")
    lib.utils.set_random_seed(0)
    return lib


def small(keras: Any, *layers: Any) -> Any:
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile(loss="mse", optimizer="sgd")
    return model


def test_the_loss_of_keras_says_the_task(keras: Any) -> None:
    model = small(keras, keras.layers.Dense(1))
    for loss, task in (
        ("mse", "regression"),
        (keras.losses.BinaryCrossentropy(from_logits=True), "classification"),
        ("sparse_categorical_crossentropy", "classification"),
        (keras.losses.Huber(), "regression"),
        (lambda truth, said: said - truth, ""),
    ):
        model.compile(loss=loss)
        assert KerasFlavor().task(model) == task


def test_keras_needs_a_step_to_be_fitted(keras: Any) -> None:
    model = small(keras, keras.layers.Dense(1))
    assert not KerasFlavor().is_fitted(model)
    model.fit(X.to_numpy("float32"), TWO.to_numpy(), epochs=1, verbose=0)
    assert KerasFlavor().is_fitted(model)


def test_keras_on_its_torch_backend_is_keras(keras: Any) -> None:
    assert isinstance(flavors.recognise(small(keras, keras.layers.Dense(1))), KerasFlavor)


CUSTOM = """
    import json, sys
    from pathlib import Path
    import pandas as pd
    from mlops_magics import flavors
    predictor = flavors.load(Path(sys.argv[1]))
    rows = pd.read_json(sys.argv[2], orient="split")
    import keras
    said = predictor.predict(rows).tolist()
    print(json.dumps([said, keras.backend.backend(), "mlflow" in sys.modules]))
"""


def test_code_inside_a_keras_model_goes_along(keras: Any, tmp_path: Path) -> None:
    class Doubled(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, rows: Any) -> Any:
            return 2 * rows

    def squared(rows: Any) -> Any:
        return rows * rows

    layers = keras.layers
    made = Doubled(), layers.Dense(2, activation=squared), layers.Lambda(lambda rows: 3 * rows)
    model = small(keras, *made, layers.Dense(1))
    model.fit(X.to_numpy("float32"), X["b"].to_numpy(), epochs=1, verbose=0)
    saving = KerasFlavor().saving(model, tmp_path)
    assert "Doubled" in saving.metadata["mlops.cloudpickle_because"]
    scratch = tmp_path / "again"
    scratch.mkdir()
    path = save(model, X["b"], scratch / "model")
    X.to_json(tmp_path / "rows.json", orient="split")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CUSTOM), str(path), str(tmp_path / "rows.json")],
        capture_output=True,
        text=True,
        cwd="/",
        # Which backend it was trained on stands with the model.
        env={k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"},
    )
    assert done.returncode == 0, done.stderr
    said, backend, mlflow_seen = json.loads(done.stdout.splitlines()[-1])
    assert said == pytest.approx(read(model, X["b"]).predict(X).tolist(), rel=1e-5)
    assert backend == keras.backend.backend()
    assert not mlflow_seen


def test_the_packages_of_a_network_are_those_that_it_needs(nn: Any) -> None:
    named = {p.partition("==")[0] for p in PytorchFlavor().packages(nn.Linear(3, 1))}
    assert named == {"torch", "numpy", "pandas", "cloudpickle"}
    assert "mlflow" not in graph.packages({"torch"})
