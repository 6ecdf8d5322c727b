"""A search on a real scheduler and two real workers, one of which is killed while it works."""

from __future__ import annotations

import operator
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import mlops_magics as mlops
from mlops_magics import engines, store
from mlops_magics.engines import dask
from mlops_magics.errors import MissingExtra, StepFailed, WrongUsage
from mlops_magics.testing import EngineContract
from mlops_magics.verbs import searching, session
from tests.conftest import need
from tests.engines.conftest import Cluster, start_worker

need("distributed")
need("optuna")

CODE = """
import os, time
C = trial.suggest_float("C", 0.1, 1)
with open(os.path.join(place, str(os.getpid())), "a") as file:
    print(trial.number, file=file)
time.sleep(0.3)
model = fresh(C=C).fit(X_train, y_train)
"""


@pytest.mark.slow
class TestDask(EngineContract):
    @pytest.fixture(autouse=True)
    def at(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def engine(self) -> Any:
        return engines.find(self.cluster.address)

    # A cluster takes seconds to start: one test runs the whole contract on it.
    test_it_runs_tasks_with_what_is_shared = None
    test_code_of_a_notebook_goes_along = None
    test_tasks_do_not_disturb_each_other_where_they_run_apart = None
    test_an_exception_is_the_futures = None
    test_it_says_where_it_works = None

    def test_the_contract_and_searches_that_lose_workers(
        self, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in dir(EngineContract):
            if name.startswith("test_"):
                getattr(EngineContract, name)(self)

        place = tmp_path / "seen"
        place.mkdir()
        monkeypatch.setattr(session, "_namespace", {**names, "place": str(place)})
        first, second = self.cluster.workers
        address = self.cluster.address

        with killing(first, place):
            record = mlops.tune("credit", CODE, trials=8, metric="roc_auc", on=address)
        assert record.engine == f"dask {address}"
        assert record.trials == {"complete": 8}
        assert sorted(row["number"] for row in record.rows) == list(range(8))
        children = store.runs.find(tags={"mlflow.parentRunId": record.run_id})
        assert len(children) == 8
        assert record.model == "credit/1"
        # The trial that was cut off was done again by the other worker, and counted once.
        begun = [n for file in place.iterdir() for n in file.read_text().split()]
        assert len(begun) > 8 + 1  # the best is begun again too, at the end, here

        # A large value is lost with the worker that has it, and put on another one.
        monkeypatch.setattr(dask, "SMALL", 0)
        with self.engine() as engine:
            shared = engine.share({"a": 1})
            assert engine.submit(operator.getitem, shared, "a").result(timeout=60) == 1
            shared.on(None).cancel()
            assert engine.submit(operator.getitem, shared, "a").result(timeout=60) == 1

        monkeypatch.setattr(searching, "LOST", 1.0)
        (place / str(second.pid)).unlink()
        with (
            pytest.raises(StepFailed, match=r"All workers of dask tcp:.* are lost.*--resume"),
            killing(second, place),
        ):
            mlops.tune("credit", CODE, trials=20, metric="roc_auc", on=address)

        with monkeypatch.context() as patched:
            patched.setattr(dask, "COMING", 0.5)
            with (
                pytest.raises(StepFailed, match=r"has no workers, and none came in .*dask worker"),
                self.engine(),
            ):
                pass
        late = start_worker(tmp_path, address)
        try:
            with self.engine() as engine:  # which a cluster may need that was just started
                assert engine.workers == 1
        finally:
            late.kill()
            late.wait()


@contextmanager
def killing(worker: subprocess.Popen[bytes], place: Path) -> Iterator[None]:
    """Kill a worker in the midst of its second trial."""

    def kill() -> None:
        file = place / str(worker.pid)
        while not file.exists() or len(file.read_text().split()) < 2:
            time.sleep(0.01)
        worker.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    yield
    killer.join()


def test_dask_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(MissingExtra, match=r"Dask is not installed.*mlops_magics\[dask\]"),
        engines.find("dask"),
    ):
        pass


def test_no_scheduler_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    import dask

    with (
        dask.config.set({"scheduler-address": None}),
        pytest.raises(WrongUsage, match="No Dask scheduler is known"),
        engines.find("dask"),
    ):
        pass


def test_a_scheduler_elsewhere_must_be_protected() -> None:
    with (
        pytest.raises(WrongUsage, match=r"neither on this machine nor protected.*tls://"),
        engines.find("tcp://203.0.113.1:8786"),
    ):
        pass
