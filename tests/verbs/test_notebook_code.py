"""Classes and functions of a notebook, in a process that never saw it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlops_magics as mlops
from mlops_magics import flavors, store
from tests.conftest import need

X = pd.DataFrame(np.random.default_rng(0).normal(size=(90, 3)), columns=["a", "b", "c"])
y = (X["a"] + 0.3 * X["b"] > 0).astype(int)


@pytest.fixture
def notebook(ip: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A shell whose names are those of ``__main__``, as in a kernel, with small rows bound."""
    monkeypatch.setitem(sys.modules, "__main__", ip.user_module)
    ip.user_ns.update(X_train=X[:60], y_train=y[:60], X_test=X[60:], y_test=y[60:])
    return ip


def run(notebook: Any, *cells: str) -> None:
    for cell in cells:
        notebook.run_cell(textwrap.dedent(cell)).raise_error()


def elsewhere(name: str, folder: Path) -> tuple[list[Any], list[str]]:
    """What a version predicts in a process that knows only its files, and what that imported."""
    path = store.versions.local_path(store.versions.resolve(name))
    X.to_json(folder / "rows.json", orient="split")
    code = f"""
        import json, sys
        from pathlib import Path
        import pandas as pd
        from mlops_magics import flavors
        predictor = flavors.load(Path({str(path)!r}))
        rows = pd.read_json({str(folder / "rows.json")!r}, orient="split")
        said = predictor.predict(rows).tolist()
        print(json.dumps([said, [m for m in ("mlflow", "IPython") if m in sys.modules]]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    said, imported = json.loads(done.stdout.splitlines()[-1])
    return said, imported


OUR_OWN = """
    from our_base import Base
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    class Parent(Base):
        def doubled(self, rows):
            return rows * 2

    def shifted(rows):
        import our_shift
        return our_shift.shift(rows)

    class Mine(Parent):
        def transform(self, rows):
            return shifted(self.scaled(self.doubled(rows)))
"""


def test_classes_and_functions_of_the_notebook_go_along_with_their_parents(
    notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "our_factor.py").write_text("def times(rows):\n    return rows * 3\n")
    (tmp_path / "our_shift.py").write_text("def shift(rows):\n    return rows + 1\n")
    (tmp_path / "our_base.py").write_text(
        "import our_factor\n"
        "from sklearn.base import BaseEstimator, TransformerMixin\n"
        "class Base(TransformerMixin, BaseEstimator):\n"
        "    def fit(self, rows, y=None):\n"
        "        self.fitted_ = True\n"
        "        return self\n"
        "    def scaled(self, rows):\n"
        "        return our_factor.times(rows)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    steps = "Mine(), FunctionTransformer(shifted), LogisticRegression()"
    run(notebook, OUR_OWN, f"%%train own\nmodel = make_pipeline({steps}).fit(X_train, y_train)")
    said, imported = elsewhere("own", tmp_path)
    assert said == notebook.user_ns["model"].predict(X).tolist()
    assert imported == []


NETWORK = """
    import torch
    from torch import nn

    class Body(nn.Module):
        def squashed(self, rows):
            return torch.tanh(rows)

    class Net(Body):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 1)

        def forward(self, rows):
            return self.last(self.squashed(self.first(rows))).squeeze(-1)
"""

LOOP = """\
%%train net
torch.manual_seed(0)
net, loss_of = Net(), nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(net.parameters(), 0.1)
rows = torch.tensor(X_train.to_numpy(), dtype=torch.float32)
truth = torch.tensor(y_train.to_numpy(), dtype=torch.float32)
for epoch in range(10):
    optimizer.zero_grad()
    loss = loss_of(net(rows), truth)
    loss.backward()
    optimizer.step()
"""


def test_a_network_of_the_notebook(notebook: Any, tmp_path: Path) -> None:
    need("torch")
    run(notebook, NETWORK, LOOP)
    version = store.versions.resolve("net")
    assert version.tags["mlops.task"] == "classification"
    assert "Net is code" in version.tags["mlops.cloudpickle_because"]
    metrics = store.runs.get(version.run_id).data.metrics
    assert metrics["accuracy"] > 0.7
    assert metrics["roc_auc"] > 0.7
    net = notebook.user_ns["net"]
    flavor = flavors.recognise(net)
    assert flavor is not None
    live = flavor.predictor(net, flavor.observe(net, X, y))
    said, imported = elsewhere("net", tmp_path)
    assert said == live.predict(X).tolist()
    assert imported == []
    assert net.training  # as the loop left it
    package = mlops.package("net")
    assert package.replayed


def test_a_python_model_of_the_notebook(notebook: Any, tmp_path: Path) -> None:
    run(
        notebook,
        """
        import mlflow
        from sklearn.linear_model import LogisticRegression

        class Shifted(mlflow.pyfunc.PythonModel):
            def __init__(self, inner):
                self.inner = inner

            def predict(self, context, model_input, params=None):
                return self.inner.predict(model_input + 0.1)
        """,
        "%%train wrapped\n"
        "inner = LogisticRegression().fit(X_train, y_train)\n"
        "wrapped = Shifted(inner)",
    )
    version = store.versions.resolve("wrapped")
    # The inner one is a part of it, not a second model.
    assert version.tags["mlops.flavor"] == "pyfunc"
    assert "accuracy" in store.runs.get(version.run_id).data.metrics
    said, _ = elsewhere("wrapped", tmp_path)
    assert said == notebook.user_ns["wrapped"].predict(None, X).tolist()
