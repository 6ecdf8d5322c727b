"""The card under a running cell, in real kernels: one display, which ends as the static card."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel
from nbformat.v4 import new_code_cell, new_notebook

from mlops_magics.doors import live
from mlops_magics.doors.views import progress
from mlops_magics.verbs.live import Live, Now
from tests.conftest import need

REPORTS = """
import time
print("begun")
for step in range({steps}):
    mlops.log({{"loss": 1 / (step + 1)}}, step=step)
    time.sleep(0.1)
{last}
"""


class Kernel:
    """A kernel with the extension loaded, and what its cells have published."""

    def __init__(self, folder: Any) -> None:
        self.manager, self.client = start_new_kernel(cwd=str(folder))
        self.run("import mlops_magics as mlops\n%load_ext mlops_magics\n%status")

    def run(self, code: str, after: float | None = None) -> list[dict[str, Any]]:
        """The messages until the kernel is idle again; interrupted `after` so many seconds."""
        sent = self.client.execute(code)
        if after is not None:
            threading.Timer(after, self.manager.interrupt_kernel).start()
        seen = []
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            message["ours"] = message["parent_header"].get("msg_id") == sent
            seen.append(message)
            idle = message["content"].get("execution_state") == "idle"
            if message["msg_type"] == "status" and idle and message["ours"]:
                return seen


def displays(messages: list[dict[str, Any]]) -> list[tuple[str, str, str, bool]]:
    """Each display: whether it is an update, its id, its HTML, whether it is in the right cell."""
    return [
        (
            m["msg_type"],
            m["content"]["transient"].get("display_id", ""),
            m["content"]["data"]["text/html"],
            m["ours"],
        )
        for m in messages
        if m["msg_type"] in ("display_data", "update_display_data")
    ]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    running = Kernel(tmp_path_factory.mktemp("kernel"))
    yield running
    running.client.stop_channels()
    running.manager.shutdown_kernel(now=True)


@pytest.mark.slow
class TestKernel:
    def test_one_display_that_becomes_the_static_card(self, kernel: Kernel) -> None:
        seen = displays(kernel.run("%%train credit" + REPORTS.format(steps=26, last="1 + 1")))
        first, *updates = seen
        assert first[0] == "display_data"
        assert {kind for kind, *_ in updates} == {"update_display_data"}
        assert len({identifier for _, identifier, *_ in seen}) == 1
        assert all(ours for *_, ours in seen)
        assert "running" in first[2]
        assert "loss" in first[2]
        assert "<polyline" in first[2]
        assert "finished" in updates[-1][2]
        assert "running" not in updates[-1][2]
        assert not any("<script" in html for _, _, html, _ in seen)
        # Nothing comes late, into another cell.
        assert displays(kernel.run("import time; time.sleep(1.5)")) == []

    def test_a_failure_is_the_last_that_it_says(self, kernel: Kernel) -> None:
        seen = displays(kernel.run("%%train credit" + REPORTS.format(steps=13, last="1 / 0")))
        assert "running" in seen[0][2]
        assert "✗ failed" in seen[-1][2]

    def test_an_interrupt_too(self, kernel: Kernel) -> None:
        code = "%%train credit" + REPORTS.format(steps=600, last="")
        seen = displays(kernel.run(code, after=2.0))
        assert "! interrupted" in seen[-1][2]

    def test_a_short_cell_has_only_its_static_card(self, kernel: Kernel) -> None:
        seen = displays(kernel.run("%%train credit\nx = 1"))
        assert [kind for kind, *_ in seen] == ["display_data"]

    def test_a_cell_that_clears_its_outputs_ends_with_a_card_all_the_same(
        self, kernel: Kernel
    ) -> None:
        clear = "from IPython.display import clear_output; clear_output()"
        seen = displays(kernel.run("%%train credit" + REPORTS.format(steps=13, last=clear)))
        assert seen[-1][0] == "display_data"
        assert "finished" in seen[-1][2]

    def test_looks_that_are_repeated_are_one_display(self, kernel: Kernel) -> None:
        kernel.run(
            "import pandas as pd\nfrom sklearn.tree import DecisionTreeClassifier\n"
            "table = pd.DataFrame({'a': range(60), 'y': [0, 1] * 30})\n"
            "data = mlops.prepare(table, name='rows', target='y').bindings"
        )
        fit = "tree = DecisionTreeClassifier().fit(data['X_train'], data['y_train'])"
        kernel.run(f"%%train watched --data rows\n{fit}")
        messages = kernel.run("%monitor watched --data table --watch --every 0.1s", after=5.0)
        seen = displays(messages)
        assert seen, messages
        assert seen[0][0] == "display_data"
        assert len(seen) >= 2
        assert {kind for kind, *_ in seen[1:]} == {"update_display_data"}
        assert len({identifier for _, identifier, *_ in seen}) == 1
        assert all("watched" in html for _, _, html, _ in seen)
        printed = [m["content"]["text"] for m in messages if m["msg_type"] == "stream"]
        assert "".join(printed).strip() == "Stopped; this is what was seen last."
        assert not any(m["msg_type"] == "error" for m in messages)

    def test_captured_outputs_are_not_the_card(self, kernel: Kernel) -> None:
        code = "%%train credit\n%%capture out" + REPORTS.format(steps=13, last="")
        seen = displays(kernel.run(code))
        assert "finished" in seen[-1][2]
        assert "running" in seen[0][2]


@pytest.mark.slow
class TestSearch:
    """`%%tune`, whose code is called and not run as the cell."""

    def test_trials_as_they_come_and_then_the_static_card(self, kernel: Kernel) -> None:
        need("optuna")
        code = "import time; time.sleep(0.2); score = trial.suggest_float('x', 0, 1)"
        messages = kernel.run(f"%%tune search --trials 12 --metric accuracy\n{code}")
        seen = displays(messages)
        assert "running" in seen[0][2]
        assert "accuracy" in seen[-2][2]
        assert "running" not in seen[-1][2]
        assert len({identifier for _, identifier, *_ in seen}) == 1
        assert not [m for m in messages if m["msg_type"] == "execute_result"]

    def test_a_failure_is_the_last_that_it_says(self, kernel: Kernel) -> None:
        need("optuna")
        code = "import time; x = trial.number; time.sleep(0.4); score = 1 / 0"
        seen = displays(kernel.run(f"%%tune search --trials 12 --metric accuracy\n{code}"))
        assert "running" in seen[0][2]
        assert "✗ failed" in seen[-1][2]


@pytest.mark.slow
def test_a_headless_notebook_keeps_only_the_static_card() -> None:
    from mlops_magics.notebooks import kernels, running

    sources = [
        "import mlops_magics as mlops\n%load_ext mlops_magics",
        "%%train credit" + REPORTS.format(steps=13, last=""),
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    plan = running.Plan(notebook=notebook, kernel=kernels.find(notebook))
    outcome = running.run(plan, lambda _: None)
    assert outcome.status == "finished"
    outputs = outcome.notebook.cells[-1].outputs
    cards = [o.data["text/html"] for o in outputs if o.output_type == "display_data"]
    assert len(cards) == 1
    assert "finished" in cards[0]


def test_a_terminal_shows_nothing_while_it_runs(ip: Any) -> None:
    assert live.under_cell(ip) is None


def test_values_that_are_no_numbers_leave_a_gap() -> None:
    reported = Live()
    for value in (math.nan, 1.0, math.inf, 3.0):
        reported.report("loss", value)
    reported.report("only", math.nan)
    now = Now("credit", "0" * 32, 1.5, 0.5, 10**9, reported.series)
    bundle = progress.bundle(now)
    assert "from 1.0 to 3.0" in bundle["text/html"]
    assert "nan" not in bundle["text/html"].split("<tbody>")[1].split("points")[1].split('"')[1]
    assert "▁██" in bundle["text/plain"]


class Publisher:
    """Takes what a card publishes."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def publish(self, **message: Any) -> None:
        self.seen.append(message)

    def register_hook(self, hook: Any) -> None: ...

    def unregister_hook(self, hook: Any) -> None: ...


def test_a_late_thread_shows_nothing_after_the_end() -> None:
    from mlops_magics.records import Run

    publisher = Publisher()
    card = live.LiveCard(publisher)
    now = Now("credit", "0" * 32, 1.5, 0.5, 10**9, {})
    card.update(now)
    assert card.end(Run(run_id="0" * 32, name="credit", status="finished"))
    card.update(now)
    assert [m["update"] for m in publisher.seen] == [False, True]


def test_a_beat_hangs_no_longer_than_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlops_magics.verbs import pulse

    monkeypatch.setattr(pulse, "EVERY", 0.01)
    monkeypatch.setattr(pulse, "PATIENCE", 0.05)
    hanging, over = threading.Event(), threading.Event()

    def beat() -> None:
        hanging.set()
        over.wait(10)

    running = pulse.Pulse(beat)
    running.start()
    assert hanging.wait(10)
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 5
    over.set()
