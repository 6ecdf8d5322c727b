"""Notebooks on bad days: no memory, no room, no kernel named, and a store that is away."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import mlops_magics as mlops
from mlops_magics import store
from mlops_magics.records import Execution
from mlops_magics.verbs.auditing import verify
from mlops_magics.verbs.executing import one


def put(*sources: str, **metadata: Any) -> str:
    cells = [new_code_cell(source) for source in sources]
    nbformat.write(new_notebook(cells=cells, metadata=metadata), "work.ipynb")
    return "work.ipynb"


def saved(done: Execution) -> Any:
    return nbformat.read(done.output, as_version=4)


#: The kernel may take so much more than it has; what it asks for beyond that is refused.
LIMITED = """
import resource
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + 200_000_000
resource.setrlimit(resource.RLIMIT_AS, (most, most))
"""


def test_memory_that_is_refused_is_the_cell_s_own_error_and_no_kernel_spec_is_needed() -> None:
    done = one(put(LIMITED, "print('now')\nb'x' * 1_000_000_000", "never"))
    assert (done.status, done.exit_code) == ("failed", 1)
    assert done.failed_cell is not None
    assert (done.failed_cell["number"], done.failed_cell["error"]) == (2, "MemoryError")
    cells = saved(done).cells
    assert [o.output_type for o in cells[1].outputs] == ["stream", "error"]
    assert cells[2].execution_count is None
    assert saved(done).metadata.kernelspec.name == "python3"
    assert verify(done.output).intact


def _cgroup() -> Path | None:
    """A memory group of our own, where this process may make one."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line.split(":", 2)[2] for line in lines if ":memory:" in line), None)
    if own is None:
        return None
    for place in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup/memory" + own)):
        group = place / f"mlops-test-{os.getpid()}"
        try:
            group.mkdir()
            (group / "memory.limit_in_bytes").write_text("400000000")
        except OSError:
            continue
        return group
    return None


def test_memory_that_runs_out_kills_the_kernel_and_the_record_says_so() -> None:
    """By the system itself where a group can be made for it, else by the signal that it sends."""
    group = _cgroup()
    ending = "import os\nos.kill(os.getpid(), 9)"
    if group is not None:
        ending = (
            f"import os\nopen('{group}/cgroup.procs', 'w').write(str(os.getpid()))\n"
            "kept = [bytearray(b'x' * 10_000_000) for _ in range(100)]"
        )
    try:
        done = one(put("before = 1", ending, "never"))
    finally:
        if group is not None:
            group.rmdir()
    assert (done.status, done.exit_code) == ("killed", 1)
    assert done.failed_cell is not None
    assert done.failed_cell["error"] == "KernelDied"
    assert "SIGKILL; the system does that when memory runs out" in done.failed_cell["message"]
    states = [c["status"] for c in saved(done).metadata.mlops.record.cells]
    assert states == ["finished", "killed", "never ran"]
    assert verify(done.output).intact


def test_no_room_for_the_output_on_a_real_file_system(tmp_path: Path) -> None:
    """A file system of one megabyte, which the notebook fills."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system here; test_disk_full has the error itself")
    try:
        fill = f"open('{small}/full', 'wb').write(b'0' * 10**6)"
        done = one(put(fill, "print('y' * 400_000)"), output=str(small / "out.ipynb"))
        assert (done.status, done.exit_code) == ("finished", 1)
        assert done.unwritten == str(small / "out.ipynb")
        assert "No space left on device" in done.warnings[0]
        assert verify(done.output).intact
        assert nbformat.read(small / "out.ipynb", as_version=4)  # the last that went in, whole
    finally:
        subprocess.run(["umount", str(small)], check=True)


TRAIN = [
    "%load_ext mlops_magics\n%prepare loans.csv --name loans --target Status",
    "%%train credit --data loans\nfrom sklearn.dummy import DummyClassifier\n"
    "model = DummyClassifier().fit(X_train, y_train)\n"
    "import os, time\nopen('away', 'w').close()\n"
    "while not os.path.exists('gone'): time.sleep(0.05)",
]


@pytest.mark.slow
def test_the_store_is_away_in_mid_run(server: Any, credit: Any, project: Path) -> None:
    """The training ends while the server is down; it is delivered when it is back."""
    import threading
    import time

    credit.head(300).to_csv("loans.csv", index=False)

    def stop() -> None:
        while not Path("away").exists():
            time.sleep(0.05)
        server.stop()
        Path("gone").touch()

    watcher = threading.Thread(target=stop)
    watcher.start()
    began = time.monotonic()
    done = one(put(TRAIN[0], TRAIN[1], "print('on')"))
    watcher.join()

    assert (done.status, done.exit_code) == ("finished", 0), done.failed_cell
    assert time.monotonic() - began < 120
    (kept,) = store.outbox.kept()
    assert [s["verb"] for s in done.steps] == ["prepare", "train"]
    assert done.steps[1]["run_id"] == kept.run_id
    assert "not noted in the store" in " ".join(done.warnings)
    assert verify(done.output).intact
    said = json.dumps(saved(done).cells[1].outputs)
    assert "is kept whole in" in said

    server.start()
    assert mlops.status().delivered == (kept.run_id,)
    version = store.versions.resolve("credit@candidate")
    assert version.run_id == kept.run_id
    event = saved(done).metadata.mlops.record.event
    assert store.runs.get(kept.run_id).data.tags["mlops.execution"] == event
