"""The contract, a search and notebooks on a real Ray cluster whose workers are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import mlops_magics as mlops
from mlops_magics import engines, store
from mlops_magics.engines import ray as ray_engine
from mlops_magics.errors import MissingExtra, MlopsError, StepFailed, WrongUsage
from mlops_magics.records import Executions
from mlops_magics.testing import EngineContract
from tests.conftest import need
from tests.engines import batches

need("ray")

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}


class Cluster:
    """A head without CPUs, and a node with two once it is asked for; each a tree of processes."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"ray://127.0.0.1:{port}"
        self._folder = folder
        self._log = folder / "log"
        self._processes = [
            self._start(
                *("--head", "--port=0", f"--ray-client-server-port={port}", "--num-cpus=0"),
                *("--include-dashboard=false", f"--temp-dir={folder}"),
            )
        ]
        batches.until(lambda: self._log.exists() and self._head())

    def _head(self) -> str:
        found = re.search(r"--address='([^']+)'", self._log.read_text())
        return found[1] if found else ""

    def add_node(self) -> None:
        self._processes.append(self._start(f"--address={self._head()}", "--num-cpus=2"))

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        memory = "--object-store-memory=80000000"
        with open(self._log, "ab") as log:
            return subprocess.Popen(
                [str(Path(sys.executable).with_name("ray")), "start", "--block", memory, *words],
                env={**os.environ, **QUIET},
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        """Node before head; by itself each ends the processes that it has started."""
        for process in reversed(self._processes):
            tree = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            process.wait(30)
            for left in psutil.wait_procs(tree, 5)[1]:
                left.kill()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    for name, value in ray_engine.QUIET.items():
        monkeypatch.setenv(name, value)  # which the engine sets too, and that would stay
    # Sockets lie in it, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        running = Cluster(Path(folder))
        try:
            yield running
        finally:
            running.stop()


@pytest.mark.slow
class TestRay(EngineContract):
    # A cluster takes seconds to start, and so does each connection: one test has it all.
    test_it_runs_tasks_with_what_is_shared = None
    test_code_of_a_notebook_goes_along = None
    test_tasks_do_not_disturb_each_other_where_they_run_apart = None
    test_an_exception_is_the_futures = None
    test_it_says_where_it_works = None

    def engine(self) -> Any:
        return engines.find("ray")

    def test_all_on_one_cluster(
        self, cluster: Cluster, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import ray

        with connected(cluster.address):
            with pytest.raises(StepFailed, match=r"has no CPUs.*ray start"), self.engine():
                pass
            cluster.add_node()
            batches.until(lambda: ray.cluster_resources().get("CPU"))
            for name in dir(EngineContract):
                if name.startswith("test_"):
                    getattr(EngineContract, name)(self)
            with monkeypatch.context() as patch:
                self.check_large_values_and_lost_workers(patch)
            with pytest.raises(WrongUsage, match="connected to a Ray cluster already"):
                engines.find(cluster.address).__enter__()
            assert ray.is_initialized()  # what is not the engine's is left as it was

        check_a_killed_worker(cluster.address, project)
        assert not ray.is_initialized()
        check_a_stop(cluster.address, project)

    def check_large_values_and_lost_workers(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(ray_engine, "SMALL", 0)
        patch.setattr(ray_engine, "RETRIES", 0)
        with self.engine() as engine:
            shared = engine.share([os.getpid()])
            assert not isinstance(shared, bytes)
            assert engine.submit(len, shared).result(60) == 1
            with pytest.raises(StepFailed, match=r"Its worker was lost, again and again: The work"):
                engine.submit(_die, shared).result(60)
        patch.setattr(ray_engine.releases, "ours", lambda: "0.0.1")
        with pytest.raises(StepFailed, match=r"A Ray worker has .*, and this is 0.0.1"):
            self.engine().__enter__()


@contextmanager
def connected(address: str) -> Iterator[None]:
    """As a notebook is that uses Ray itself."""
    import ray

    ray.init(address, log_to_driver=False)
    yield
    ray.shutdown()


def _die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def check_a_killed_worker(address: str, project: Path) -> None:
    name = batches.put(*batches.SOURCES)
    victims: list[str] = []

    def kill() -> None:
        def begun() -> bool:
            victims.extend(p for f in project.glob("begun-*") for p in f.read_text().split()[:1])
            return bool(victims)

        batches.until(begun)
        os.kill(int(victims[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    done = mlops.execute(
        name,
        grid=["depth=1,2,3"],
        params={"service_token": "hunter22-and-more"},
        on=address,
    )
    killer.join()
    assert isinstance(done, Executions)
    assert [run.status for run in done.runs] == ["finished", "failed", "finished"]
    assert done.engine == f"ray {address}"
    (run,) = (run for run in done.runs if run.attempt == 2)
    assert (project / f"begun-{run.params['depth']}").read_text().split()[0] == victims[0]
    (lost,) = run.earlier
    assert lost["place"].endswith(f" pid {victims[0]}")
    assert lost["place"] != run.place
    record = json.loads(Path(run.output).read_text())["metadata"]["mlops"]["record"]
    assert record["attempt"] == {"number": 2, "place": run.place, "earlier": [dict(lost)]}
    if run.steps:
        tags = store.runs.get(run.steps[0]["run_id"]).data.tags
        assert tags["mlops.attempt"] == "2"
    for run in done.runs:
        assert mlops.verify(run.output).intact
        assert run.run_id
    for file in project.rglob("*"):
        assert not file.is_file() or b"hunter22-and-more" not in file.read_bytes(), file


def check_a_stop(address: str, project: Path) -> None:
    """Asked to stop, workers end what they do; if the asker is killed, no kernel stays."""
    words = ["execute", "work.ipynb", "--grid", "depth=5,6,7", "-p", "pause", "60", "--on", address]
    process = batches.mlops(*words, "--json")
    batches.until(lambda: len(list(project.glob("begun-[567]"))) == 2)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    runs = json.loads(said)["runs"]
    assert sorted(run["status"] for run in runs) == ["interrupted", "interrupted", "never ran"]
    stopped = next(run for run in runs if run["status"] == "interrupted")
    assert mlops.verify(stopped["output"]).intact

    words[3] = "depth=8"
    process = batches.mlops(*words)
    batches.until(lambda: (project / "begun-8").exists() and (project / "begun-8").read_text())
    worker = psutil.Process(int((project / "begun-8").read_text()))
    kernels = worker.children()
    assert kernels
    process.kill()
    process.wait()
    batches.until(lambda: not any(kernel.is_running() for kernel in kernels))


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MissingExtra, match=r"Ray is not installed.*mlops_magics\[ray\]"),
        engines.find("ray"),
    ):
        pass


@pytest.mark.parametrize(
    ("address", "error", "says"),
    [
        ("", WrongUsage, r"No Ray cluster is known\. Start one with `ray start --head`"),
        ("10.0.0.1:6379", WrongUsage, r"no address of a Ray client server.*ray://127"),
        ("ray://nowhere", WrongUsage, "names no host and port"),
        ("ray://203.0.113.1:10001", WrongUsage, r"neither on this machine nor.*RAY_USE_TLS=1"),
        ("ray://127.0.0.1:9", StepFailed, r"No Ray cluster answers at ray://127.0.0.1:9"),
    ],
)
def test_addresses(
    address: str, error: type[MlopsError], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ray_engine.QUIET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(error, match=says), engines.find("ray"):
        pass


def test_ray_that_differs_is_told_in_a_sentence() -> None:
    """As Ray's own check words it."""
    from ray._private.utils import check_version_info

    with pytest.raises(RuntimeError) as caught:
        check_version_info({"ray_version": "2.1.0", "python_version": "3.8.1"}, "Ray Client")
    assert re.match(
        r"The cluster has Ray 2\.1\.0 and Python 3\.8\.1, and this is Ray \S+ and Python \S+\.$",
        ray_engine._other(str(caught.value)),
    )
