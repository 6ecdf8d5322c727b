"""Contract classes for plugin authors: subclass one in your tests, and it tests your plugin.

::

    from mlops_magics.testing import MetricContract

    class TestMyMetric(MetricContract):
        metric_class = MyMetric
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_magics.alerts.base import Message, Sink
    from mlops_magics.engines.base import Engine
    from mlops_magics.flavors import Flavor
    from mlops_magics.goals.metrics import Metric
    from mlops_magics.goals.samples import Sample
    from mlops_magics.records import Package
    from mlops_magics.targets.base import Target


class MetricContract:
    """What every metric must do to be usable in goals.

    Attributes
    ----------
    metric_class : type
        What the entry point names.
    params : mapping
        Parameters that it can't do without.
    """

    metric_class: type[Metric]
    params: Mapping[str, Any] = MappingProxyType({})

    def metric(self) -> Metric:
        """The metric; override where its class needs arguments."""
        return self.metric_class()

    def sample(self, rows: int = 120) -> Sample:
        """Rows that the metric can be measured on; override for what it needs beyond these."""
        import numpy as np

        from mlops_magics.goals.samples import sample

        rng = np.random.default_rng(0)
        if self.metric().needs == "values":
            truth = rng.normal(10, 2, rows)
            return sample("regression", truth, truth + rng.normal(0, 1, rows))
        truth = np.where(rng.random(rows) < 0.4, "yes", "no")
        scores = np.clip(rng.normal(0.4 + 0.2 * (truth == "yes"), 0.2), 0.01, 0.99)
        said = np.where(scores > 0.5, "yes", "no")
        return sample("classification", truth, said, scores, ["no", "yes"], "yes")

    def test_it_says_what_it_is(self) -> None:
        """Name, direction and need are declared."""
        metric = self.metric()
        assert metric.name.isidentifier()
        assert isinstance(metric.greater_is_better, bool)
        assert metric.needs in ("labels", "scores", "values", "rows", "measurement")
        assert metric.unit in ("", "ratio", "time", "bytes")

    def test_it_gives_a_finite_number(self) -> None:
        """A number, the same each time, and none that depends on the order of the rows."""
        import numpy as np

        metric, rows = self.metric(), self.sample()
        value = metric.value(rows, **self.params)
        assert isinstance(value, float)
        assert np.isfinite(value)
        assert metric.value(rows, **self.params) == value
        turned = rows.take(np.arange(rows.rows)[::-1])
        assert np.isclose(metric.value(turned, **self.params), value, rtol=1e-9)

    def test_a_resample_is_the_metric_on_the_repeated_rows(self) -> None:
        """However `statistic` computes it, it equals the plain call."""
        import numpy as np

        metric, rows = self.metric(), self.sample()
        counts = np.random.default_rng(1).integers(0, 3, (4, rows.rows)).astype(float)
        found = metric.statistic(rows, **self.params)(counts)
        assert found.shape == (4,)
        for counted, value in zip(counts, found, strict=True):
            repeated = rows.take(np.repeat(np.arange(rows.rows), counted.astype(int)))
            assert np.isclose(metric.value(repeated, **self.params), value, rtol=1e-9)

    def test_without_rows_it_says_that_it_has_no_value(self) -> None:
        """No warning, no NaN: `Undefined`, with a reason."""
        import numpy as np
        import pytest

        from mlops_magics.goals.samples import Undefined

        empty = self.sample().take(np.array([], dtype=int))
        with pytest.raises(Undefined, match=r"\w"):
            self.metric().value(empty, **self.params)


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


class EngineContract:
    """What every engine must do with the tasks it is given.

    Attributes
    ----------
    engine_class : type
        What the entry point names.
    """

    engine_class: type[Engine]

    def engine(self) -> Engine:
        """An engine with two workers, not yet opened; override where it needs an address."""
        return self.engine_class(2)

    def test_it_runs_tasks_with_what_is_shared(self) -> None:
        """Each gets the value and its own arguments; what it returns comes back."""
        with self.engine() as engine:
            assert engine.workers >= 1
            shared = engine.share({"factor": 3})
            futures = [engine.submit(_times, shared, n) for n in range(8)]
            assert [future.result(60) for future in futures] == [3 * n for n in range(8)]

    def test_code_of_a_notebook_goes_along(self) -> None:
        """Functions and classes that no module holds arrive with the value."""
        names: dict[str, Any] = {"__name__": "__main__"}
        exec("class Made:\n    add = 2\n\ndef f(x):\n    return x + Made().add", names)  # noqa: S102
        with self.engine() as engine:
            future = engine.submit(_called, engine.share(names["f"]), 5)
            assert future.result(60) == 7

    def test_tasks_do_not_disturb_each_other_where_they_run_apart(self) -> None:
        """A value that a task changes is as it was for the next."""
        with self.engine() as engine:
            shared = engine.share([])
            sizes = [engine.submit(_grown, shared).result(60) for _ in range(4)]
        assert sizes == ([1] * 4 if engine.apart else [1, 2, 3, 4])

    def test_an_exception_is_the_futures(self) -> None:
        """It is raised when the result is asked for, and the engine goes on."""
        import pytest

        with self.engine() as engine:
            shared = engine.share(0)
            failing, working = engine.submit(_divided, shared), engine.submit(_times_two, shared)
            with pytest.raises(ZeroDivisionError):
                failing.result(60)
            assert working.result(60) == 0

    def test_it_says_where_it_works(self) -> None:
        """Its name, for ``--on`` and for the record."""
        engine = self.engine()
        assert engine.label.startswith(engine.name)
        assert engine.name


def _times(value: Mapping[str, int], number: int) -> int:
    return value["factor"] * number


def _times_two(value: int) -> int:
    return 2 * value


def _called(function: Any, argument: int) -> Any:
    return function(argument)


def _grown(value: list[int]) -> int:
    value.append(1)
    return len(value)


def _divided(value: int) -> float:
    return 1 / value


class AlertContract:
    """What every sink of alerts must do.

    Attributes
    ----------
    sink_class : type
        What the entry point names.
    secret : str
        A part of `place` that no record may hold; empty if there is none.
    """

    sink_class: type[Sink]
    secret: str = ""

    def place(self) -> str:
        """What a user writes for a place that takes messages; to be overridden."""
        raise NotImplementedError

    def dead(self) -> str:
        """The same for a place that takes none; to be overridden."""
        raise NotImplementedError

    def received(self) -> list[str]:
        """All that has come to `place` as text, one a message; to be overridden."""
        raise NotImplementedError

    def message(self) -> Message:
        """What is sent: with characters that mean something to some receiver."""
        from mlops_magics.alerts.base import Message

        return Message(
            event="breach",
            title="credit: over a threshold: drift(Income)\nBcc: <all>",
            broken=("drift(Income) <= 0.2: 0.31, threshold <= 0.2 & 'more'",),
            facts={"model": "credit/3", "deployment": "credit", "run": "0123abcd"},
            record='{"deployment": "credit", "alert": {"title": "0.31"}, "run_id": "0123abcd"}',
        )

    def test_it_takes_a_message_there(self) -> None:
        """Once, with what broke and the run, and says how it was taken."""
        before = len(self.received())
        assert self.sink_class(self.place()).send(self.message())
        (came,) = self.received()[before:]
        assert "0.31" in came
        assert "0123abcd" in came

    def test_what_can_not_be_reached_is_one_sentence(self) -> None:
        """Soon, and without a secret."""
        import pytest

        from mlops_magics.errors import MlopsError

        with pytest.raises(MlopsError) as told:
            self.sink_class(self.dead()).send(self.message())
        assert "\n" not in str(told.value)
        assert not self.secret or self.secret not in str(told.value)

    def test_it_is_called_by_a_name_without_secrets(self) -> None:
        """The same each time, and another than that of another place."""
        label = self.sink_class(self.place()).label
        assert label == self.sink_class(self.place()).label
        assert label != self.sink_class(self.dead()).label
        assert not self.secret or self.secret not in label

    def test_no_place_is_refused(self) -> None:
        """Before anything is looked at."""
        import pytest

        from mlops_magics.errors import WrongUsage

        with pytest.raises(WrongUsage):
            self.sink_class(f"{self.sink_class.name}:")


class TargetContract:
    """What every target must do with a package.

    The tests take the fixture `package` (a `records.Package` of the kind that the target takes, of
    a small model with an input example), which the subclass or its module provides, and run in a
    project folder of their own.

    Attributes
    ----------
    target_class : type
        What the entry point names.
    """

    target_class: type[Target]

    def target(self) -> Target:
        """The target; override where its class needs arguments."""
        return self.target_class()

    def options(self, folder: Path) -> Mapping[str, str]:
        """What the target is told; override where it can't do without."""
        return {}

    def question(self, package: Package) -> tuple[bytes, Any]:
        """The package's input example as a body, and what is to be answered."""
        from mlops_magics.serving import manifest

        return manifest.example(Path(package.path)), manifest.answers(Path(package.path))

    def liar(self, package: Package, folder: Path) -> Package:
        """The package, but with other answers recorded than its model's."""
        import json
        import shutil
        from dataclasses import replace

        from mlops_magics.serving import manifest

        shutil.copytree(package.path, folder)
        (folder / manifest.ANSWERS).write_text(json.dumps({"predictions": ["something else"]}))
        files = manifest.hashes(folder)
        made = manifest.read(Path(package.path))
        replace(made, files=files, digest=manifest.overall(files)).write(folder)
        return replace(package, path=str(folder), digest=manifest.overall(files))

    def is_left(self, folder: Path, asked: list[str]) -> bool:
        """Whether something runs of what failed, by the URLs that were asked meanwhile.

        Override where the target has no URLs; `folder` is the one that `options` was given.
        """
        from mlops_magics.serving import client

        assert asked, "Nothing was asked, so nothing was tested."
        return any(client.ping(url) for url in asked)

    def test_from_up_to_stopped(self, package: Package, tmp_path: Path) -> None:
        """It answers as the package says, tells how it is, and is gone when it was stopped."""
        target, options = self.target(), self.options(tmp_path)
        target.check(options)
        body, answers = self.question(package)
        capture = tmp_path / "capture.db"
        deployment = target.deploy(package, name="contract", capture=capture, options=options)
        try:
            assert deployment.name == "contract"
            assert deployment.model == package.model
            assert deployment.target == target.to
            assert deployment.status == "up"
            assert deployment.url
            assert target.status(deployment).status == "up"
            reply = target.ask(deployment, body)
            assert (reply.status, reply.content) == (200, answers)
            assert isinstance(target.logs(deployment), str)
        finally:
            stopped = target.undeploy(deployment)
        assert stopped.status == "stopped"
        seen = target.status(deployment)
        assert seen.status == "down"
        assert seen.reason
        assert target.undeploy(deployment).status == "stopped"  # gone already: no error

    def test_a_record_of_it_is_all_that_another_process_needs(
        self, package: Package, tmp_path: Path
    ) -> None:
        """Written down and read again, it is still the same deployment."""
        import json

        from mlops_magics.records import Deployment

        options = self.options(tmp_path)
        deployment = self.target().deploy(package, name="contract", options=options)
        known = {k: v for k, v in json.loads(deployment.to_json()).items() if k != "kind"}
        known["warnings"] = tuple(known.get("warnings", ()))
        again = Deployment(**{k: v for k, v in known.items() if k in deployment.__dict__})
        try:
            assert self.target().status(again).status == "up"
        finally:
            assert self.target().undeploy(again).status == "stopped"
        assert self.target().status(deployment).status == "down"

    def test_a_second_version(self, package: Package, tmp_path: Path) -> None:
        """It stands beside the deployed one and ends, or the target says that it can't."""
        import pytest

        from mlops_magics.errors import WrongUsage
        from mlops_magics.records import Deployment
        from mlops_magics.targets.base import Split

        target, options = self.target(), self.options(tmp_path)
        shadow = Split(kind="shadow")
        if not target.can_split:
            alone = Deployment(
                name="contract", model=package.model, target=target.to, url="", status="up"
            )
            with pytest.raises(WrongUsage, match="can't share requests"):
                target.split(alone, package, shadow)
            assert target.unsplit(alone) == alone
            return
        deployment = target.deploy(package, name="contract", options=options)
        try:
            both = target.split(deployment, package, shadow)
            assert (both.canary["model"], both.canary["kind"]) == (package.model, "shadow")
            assert target.status(both).canary["status"] == "on"
            assert target.unsplit(both).canary == {}
            assert target.unsplit(deployment).canary == {}  # gone already: no error
            assert target.status(deployment).status == "up"
        finally:
            target.undeploy(deployment)

    def test_an_option_that_it_does_not_have(self) -> None:
        """Every option is told by name, and what is none of them is refused."""
        import pytest

        from mlops_magics.errors import UnknownName

        target = self.target()
        assert all(name and text for name, text in target.options.items())
        with pytest.raises(UnknownName, match="no_such_option"):
            target.check({"no_such_option": "1"})

    def test_what_fails_its_smoke_test_is_not_left_running(
        self, package: Package, tmp_path: Path
    ) -> None:
        """A package whose recorded answers are others than its model's is refused."""
        import pytest

        from mlops_magics.errors import MlopsError
        from mlops_magics.serving import client

        liar = self.liar(package, tmp_path / "liar")
        asked: list[str] = []
        real = client.ask

        def noted(url: str, *arguments: Any, **options: Any) -> client.Reply:
            asked.append(url)
            return real(url, *arguments, **options)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(client, "ask", noted)
            with pytest.raises(MlopsError, match="smoke test"):
                self.target().deploy(liar, name="contract", options=self.options(tmp_path))
        assert not self.is_left(tmp_path, asked)
