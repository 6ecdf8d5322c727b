"""What every flavor must do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_magics.flavors import Flavor


class FlavorContract:
    """What every flavor must do to carry a model from a notebook to a server.

    Attributes
    ----------
    flavor_class : type
        What the entry point names.
    """

    flavor_class: type[Flavor]

    def flavor(self) -> Flavor:
        """The flavor; override where its class needs arguments."""
        return self.flavor_class()

    def fitted(self) -> tuple[Any, Any]:
        """A fitted model, and rows that it can predict; to be overridden."""
        raise NotImplementedError

    def unfitted(self) -> Any:
        """The same model before it has learned; to be overridden, ``None`` where there is none."""
        raise NotImplementedError

    def truth(self) -> Any:
        """The truth of the rows, where the flavor needs it to tell what the model does."""
        return None

    def test_it_knows_its_own_models_and_no_others(self) -> None:
        """Recognised by the object alone; neither data, text nor the class itself is a model."""
        import pandas as pd

        model, _ = self.fitted()
        assert self.flavor().recognises(model)
        for other in (None, 1, "text", [1], {}, object(), pd.DataFrame({"a": [1]})):
            assert not self.flavor().recognises(other)

    def test_it_knows_whether_a_model_has_learned(self) -> None:
        """Before and after."""
        model, _ = self.fitted()
        assert self.flavor().is_fitted(model)
        if (fresh := self.unfitted()) is not None:
            assert not self.flavor().is_fitted(fresh)

    def test_what_it_tells_is_short_and_plain(self) -> None:
        """Hyperparameters go into JSON and a table, the description into a line."""
        import json

        model, _ = self.fitted()
        params = self.flavor().params(model)
        assert json.loads(json.dumps(params, allow_nan=False)) == params
        assert all(isinstance(v, str | int | float | bool | None) for v in params.values())
        assert all(len(str(v)) <= 500 for v in params.values())
        assert self.flavor().task(model) in ("classification", "regression", "none", "")
        description = self.flavor().describe(model)
        assert description
        assert "\n" not in description
        assert len(description) < 200

    def test_packages_are_exact_and_installed(self) -> None:
        """``name==version`` of what is there."""
        from importlib.metadata import version

        model, _ = self.fitted()
        packages = self.flavor().packages(model)
        assert packages == sorted(packages)
        assert packages
        for package in packages:
            name, _, exact = package.partition("==")
            assert version(name).partition("+")[0] == exact

    def test_saved_and_loaded_it_answers_the_same(self, tmp_path: Path) -> None:
        """Through the folder that MLflow writes, opened by whichever flavor opens it."""
        import importlib

        import numpy as np

        from mlops_magics import flavors

        flavor, (model, rows) = self.flavor(), self.fitted()
        facts = flavor.observe(model, rows, self.truth())
        live = flavor.predictor(model, facts)
        saving = flavor.saving(model, tmp_path)
        module = importlib.import_module(f"mlflow.{saving.module}")
        module.save_model(
            **saving.arguments,
            **saving.newer,
            path=str(tmp_path / "model"),
            pip_requirements=flavor.packages(model),
            metadata={**saving.metadata, **facts} or None,
        )
        before = flavors.digest(tmp_path / "model")
        predictor = flavors.load(tmp_path / "model")
        assert predictor.flavor == flavor.name
        assert predictor.task == live.task
        assert predictor.task in ("classification", "regression", "none")
        expected = live.predict(rows)
        assert expected.shape == (len(rows),)
        np.testing.assert_array_equal(predictor.predict(rows), expected)
        assert predictor.classes == live.classes
        scores, found = live.predict_proba(rows), predictor.predict_proba(rows)
        assert (scores is not None) == live.has_probabilities == predictor.has_probabilities
        if scores is not None:
            assert found is not None
            np.testing.assert_allclose(found, scores, rtol=1e-6)
            assert live.classes is not None
            assert found.shape == (len(expected), len(live.classes))
            np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
            assert set(expected.tolist()) <= set(live.classes)
        assert flavors.digest(tmp_path / "model") == before  # loading changes nothing
