"""The contract, a search and notebooks on a real Ray cluster whose workers are killed."""

from __future__ import annotations

import contextlib
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
from pathlib import Path
from typing import Any

import psutil
import pytest

import mlops_magics as mlops
from mlops_magics import engines
from mlops_magics.engines import ray as ray_engine
from mlops_magics.errors import MissingExtra, MlopsError, StepFailed, WrongUsage
from mlops_magics.records import Executions
from mlops_magics.testing import EngineContract
from tests.conftest import need
from tests.engines import batches

need("ray")

SOURCES = (
    "import os, time\n"
    "with open(f'begun-{depth}', 'a') as file:\n"
    "    print(os.getppid(), os.getpid(), file=file)\n"
    "time.sleep(pause)",
    "assert depth != 2, 'not two'",
)


class Cluster:
    """A head with three CPUs: a tree of processes."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"ray://127.0.0.1:{port}"
        words = ["start", "--head", "--block", "--num-cpus=3", "--object-store-memory=80000000"]
        words += ["--port=0", f"--ray-client-server-port={port}", f"--temp-dir={folder}"]
        with open(folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [
                    str(Path(sys.executable).with_name("ray")),
                    *words,
                    "--include-dashboard=false",
                    "--no-monitor",
                    "--include-log-monitor=false",
                ],
                # Without it the process that is forked for a client hangs now and then.
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(sys.path),
                    "GRPC_ENABLE_FORK_SUPPORT": "0",
                },
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        # Its client server listens before there is a node that could serve a client.
        batches.until(lambda: "Ray runtime started" in (folder / "log").read_text())
        batches.until(lambda: _listens(port))

    def stop(self) -> None:
        own = psutil.Process(self._process.pid)
        for process in [own, *own.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine sets too, and would leave to other tests."""
    for name, value in ray_engine.QUIET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "2")


@pytest.fixture
def cluster(quiet: None) -> Iterator[Cluster]:
    # Sockets lie in the folder, whose paths must be short.
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

        # It connects by itself, and holds one CPU until the end.
        name = batches.put(*SOURCES)
        words = ["--grid", "depth=9", "-p", "pause", "600", "--on", cluster.address]
        asker = batches.mlops("execute", name, *words)

        with connected(cluster.address):
            for test in dir(EngineContract):
                if test.startswith("test_"):
                    getattr(EngineContract, test)(self)
            with pytest.raises(WrongUsage, match="connected to a Ray cluster already"):
                engines.find(cluster.address).__enter__()
            with monkeypatch.context() as patch:
                self.check_what_is_large_lost_or_different(patch)
            batches.until(lambda: words_of(project / "begun-9"))
            check_a_killed_worker(name, project)
            check_a_stop(name, project)
            assert ray.is_initialized()  # what is not the engine's is left as it was

        # Whoever asked is killed: nobody is left to tell, and no kernel stays.
        kernel = psutil.Process(int(words_of(project / "begun-9")[1]))
        asker.kill()
        asker.wait()
        batches.until(lambda: not kernel.is_running())

    def check_what_is_large_lost_or_different(self, patch: pytest.MonkeyPatch) -> None:
        import ray

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
        patch.setattr(ray, "cluster_resources", lambda: {"memory": 1e9})
        with pytest.raises(StepFailed, match=r"has no CPUs.*ray start"):
            self.engine().__enter__()


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """As a notebook is that uses Ray itself."""
    import ray

    ray.init(address, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


def _die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def words_of(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def check_a_killed_worker(name: str, project: Path) -> None:
    begun = lambda: [w[0] for f in project.glob("begun-[12]") if (w := words_of(f))]  # noqa: E731
    victims: list[str] = []

    def kill() -> None:
        batches.until(begun)
        victims.append(begun()[0])
        os.kill(int(victims[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    secret = {"service_token": "hunter22-and-more"}
    done = mlops.execute(name, grid=["depth=1,2"], params=secret, on="ray")
    killer.join()
    assert isinstance(done, Executions)
    assert [run.status for run in done.runs] == ["finished", "failed"]
    assert done.engine == "ray"
    (run,) = (run for run in done.runs if run.attempt == 2)
    assert words_of(project / f"begun-{run.params['depth']}")[0] == victims[0]
    (lost,) = run.earlier
    assert lost["place"].endswith(f" pid {victims[0]}")
    assert lost["place"] != run.place
    record = json.loads(Path(run.output).read_text())["metadata"]["mlops"]["record"]
    assert record["attempt"] == {"number": 2, "place": run.place, "earlier": [dict(lost)]}
    for run in done.runs:
        assert mlops.verify(run.output).intact
    for file in project.rglob("*"):
        assert not file.is_file() or b"hunter22-and-more" not in file.read_bytes(), file


def check_a_stop(name: str, project: Path) -> None:
    """Asked to stop, the workers end what they do, and what was done comes back."""

    def interrupt() -> None:
        batches.until(lambda: len(list(project.glob("begun-[567]"))) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    done = mlops.execute(name, grid=["depth=5,6,7"], params={"pause": 60.0}, on="ray")
    assert isinstance(done, Executions)
    ends = sorted((run.status, run.reason) for run in done.runs)
    assert ends == [*[("interrupted", "SIGINT was received")] * 2, ("never ran", ends[2][1])]
    stopped = next(run for run in done.runs if run.status == "interrupted")
    assert mlops.verify(stopped.output).intact


def test_ray_is_not_installed(quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
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
    address: str, error: type[MlopsError], says: str, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
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
