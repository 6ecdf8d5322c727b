"""What a step used, and the energy, carbon and money that follow of it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops_magics import settings
from mlops_magics.errors import WrongUsage
from mlops_magics.evidence import energy, gpu, processes
from mlops_magics.evidence.resources import Meter


def burn(seconds: float) -> None:
    """Use that much CPU, however long it takes."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        sum(range(1000))


def test_cpu_wall_and_memory() -> None:
    meter = Meter()
    burn(0.2)
    block = bytearray(80_000_000)
    used = meter.read()
    assert used["cpu_s"] >= 0.19
    assert used["wall_s"] >= 0.19
    assert used["peak_memory_bytes"] >= len(block)
    assert used["threads"] >= 1


def test_the_cpu_of_a_child_counts_while_it_runs_and_once_when_it_has_ended() -> None:
    work = "import time\nwhile time.process_time() < 0.5: sum(range(1000))\n"
    stay = "print('done', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", work + stay], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        before = Meter()
        child.stdout.readline()
        running = before.read()
        after = Meter()  # begins when the child has done its work
        child.stdin.close()
        child.wait()
        ended = after.read()
        both = before.read()
    assert running["cpu_s"] >= 0.45
    assert running["children"] >= 1  # what other tests left may be there too
    assert running["children_peak_memory_bytes"] > 1_000_000
    assert ended["cpu_s"] < 0.3  # what the child used earlier is not this step's
    assert both["cpu_s"] >= 0.45


def test_a_descendant_that_another_process_sees_end_makes_no_negative_time() -> None:
    use = processes.Usage(5.0, {7: (3.0, False)}, 0, 0, 1, 0, None, None)
    assert processes.Usage(5.5, {}, 0, 0, 1, 0, None, None).cpu_since(use) == 0.5


def test_the_estimate_is_the_model_that_it_names() -> None:
    # Green Algorithms: hours × (cores × W × use + GB × 0.3725 W); 2 cores for an hour and 16 GB.
    found = energy.estimate(cpu_s=7200, wall_s=3600, memory_bytes=16e9, watts_per_core=12)
    assert found.wh == pytest.approx(2 * 12 + 16 * 0.3725)
    assert found.source.startswith("estimated (12 W a core")
    assert "10.1002/advs.202100707" in found.source


@pytest.fixture
def rapl(tmp_path: Path) -> Any:
    """Two packages, memory and a part of a package, as the kernel shows them."""
    zones = {
        "intel-rapl:0": "package-0",
        "intel-rapl:1": "package-1",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
    }

    def write(**microjoules: int) -> Path:
        for folder, name in zones.items():
            zone = tmp_path / folder
            zone.mkdir(exist_ok=True)
            (zone / "name").write_text(f"{name}\n")
            (zone / "max_energy_range_uj").write_text("10000000000\n")
            (zone / "energy_uj").write_text(f"{microjoules[name.replace('-', '_')]}\n")
        return tmp_path

    return write


def test_counters_are_summed_over_packages_and_memory_and_run_over(rapl: Any) -> None:
    folder = rapl(package_0=9_000_000_000, package_1=0, core=0, dram=0)
    counters = energy.Counters(folder)
    rapl(package_0=1_000_000_000, package_1=3_600_000_000, core=5_000_000_000, dram=1_600_000_000)
    found = counters.read()
    assert found is not None
    assert found.wh == pytest.approx((2.0 + 3.6 + 1.6) / 3.6)
    assert found.source == "measured (RAPL, the whole machine)"


def test_without_readable_counters_there_is_no_measurement(rapl: Any, tmp_path: Path) -> None:
    assert energy.Counters(tmp_path / "none").read() is None
    folder = rapl(package_0=1, package_1=1, core=1, dram=1)
    counters = energy.Counters(folder)
    (folder / "intel-rapl:0" / "energy_uj").unlink()
    assert counters.read() is None


class Nvml:
    """Two devices that answer as NVML does; the second does not count energy."""

    def __init__(self) -> None:
        self.millijoules = 1_000_000
        self.busy = 50

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, _: int) -> bytes:  # noqa: N802
        return b"Big GPU"

    def nvmlDeviceGetUtilizationRates(self, index: int) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=self.busy if index == 0 else 0)

    def nvmlDeviceGetComputeRunningProcesses(self, index: int) -> Any:  # noqa: N802
        import os

        mine = SimpleNamespace(pid=os.getpid(), usedGpuMemory=2_000_000_000)
        other = SimpleNamespace(pid=1, usedGpuMemory=9_000_000_000)
        return [mine, other] if index == 0 else []

    def nvmlDeviceGetTotalEnergyConsumption(self, index: int) -> int:  # noqa: N802
        if index == 1:
            raise RuntimeError("Not Supported")
        return self.millijoules


def test_gpus_by_what_the_devices_give() -> None:
    library = Nvml()
    gpus = gpu.Gpus(library)
    gpus.sample()
    library.millijoules += 7_200_000
    library.busy = 100
    assert gpus.read() == {
        "gpus": 2,
        "gpu_name": "Big GPU",
        "gpu_busy_percent": 37.5,
        "gpu_peak_memory_bytes": 2_000_000_000,
        "gpu_energy_wh": pytest.approx(2.0),
    }


def test_nothing_is_imported_where_there_is_no_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "DRIVER", tmp_path / "none")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu.Gpus().read() == {}


def test_energy_of_the_gpu_is_added_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter()
    library = Nvml()
    meter._gpus = gpu.Gpus(library)
    library.millijoules += 3_600_000
    used = meter.read()
    assert 1.0 <= used["energy_wh"] < 1.1
    assert used["energy_source"].endswith("; GPU measured (NVML, the whole device)")


def test_carbon_and_cost_only_where_a_price_is_set(project: Path) -> None:
    assert not {"co2_g", "cost", "currency"} & set(Meter().read())
    (project / "mlops.toml").write_text(
        "grid_g_per_kwh = 400\ncost_per_hour = 3600.0\ncurrency = 'EUR'\nwatts_per_core = 3600\n"
    )
    meter = Meter()
    burn(0.1)
    used = meter.read()
    assert used["cost"] == pytest.approx(used["wall_s"])
    assert used["currency"] == "EUR"
    assert used["energy_wh"] == pytest.approx(used["cpu_s"], rel=0.1)
    assert used["co2_g"] == pytest.approx(used["energy_wh"] * 0.4)


def test_a_price_below_zero_is_refused(project: Path) -> None:
    (project / "mlops.toml").write_text("cost_per_hour = -1\n")
    with pytest.raises(WrongUsage, match="cost_per_hour"):
        settings.load()


def test_a_run_tells_what_it_used_and_where_the_energy_comes_from() -> None:
    import json

    import mlops_magics as mlops
    from mlops_magics import store

    with mlops.train("credit") as run:
        burn(0.1)
    assert run.record is not None
    tag = json.loads(store.runs.get(run.run_id).data.tags["mlops.resources"])
    assert tag == run.record.resources
    assert tag["energy_wh"] > 0
    took = next(line for line in str(run.record).splitlines() if "took" in line)
    assert "of CPU" in took
    assert "Wh estimated (12 W a core" in took or "Wh measured (RAPL" in took
