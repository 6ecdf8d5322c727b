"""Forked kernels do as kernels do that were started by themselves, and end as they do."""

from __future__ import annotations

import copy
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from mlops_magics.notebooks import kernels, running
from mlops_magics.notebooks.kernels import Kernel
from mlops_magics.notebooks.running import Outcome, Plan
from mlops_magics.notebooks.warm import parents, preloading, starting
from mlops_magics.notebooks.warm.parents import Parent

if not sys.platform.startswith("linux"):
    pytest.skip("kernels are forked on Linux only", allow_module_level=True)


def native() -> Kernel:
    return kernels.find(new_notebook())


def run(parent: Parent | None, *sources: str, **options: Any) -> Outcome:
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    options.setdefault("folder", os.getcwd())
    plan = Plan(notebook=notebook, kernel=native(), **options)
    return running.run(plan, lambda _: None, parent=parent)


def printed(outcome: Outcome) -> list[str]:
    assert outcome.status == "finished", (outcome.reason, outcome.failed_cell)
    outputs = [o for cell in outcome.notebook.cells for o in cell.get("outputs", ())]
    return [o.text for o in outputs if o.output_type == "stream"]


def gone(*pids: int, within: float = 5) -> bool:
    until = time.monotonic() + within
    while any(psutil.pid_exists(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(psutil.pid_exists(pid) for pid in pids)


BEFORE = """
import json, os, signal, sys, warnings
def kept(names):
    return sorted({n.partition('.')[0] for n in names} - {'_virtualenv', '__mp_main__'})
def opened(pid):
    return {os.readlink(f.path) for f in os.scandir(f"/proc/{pid}/fd") if os.path.lexists(f.path)}
first = {
    "modules": kept(sys.modules), "flags": list(sys.flags), "path": sys.path,
    "argv": [a for a in sys.argv if not a.endswith(".json")], "orig_argv": sys.orig_argv[:3],
    "warnings": [repr(f) for f in warnings.filters], "cwd": os.getcwd(),
    "handlers": {s.name: str(signal.getsignal(s)) for s in signal.Signals},
    "variables": {k: v for k, v in os.environ.items()},
    "leads": os.getpgid(0) == os.getpid() == os.getsid(0),
    "mask": str(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    # Nothing that its parent talks over; the executor's outputs all may have.
    "shared": sorted(n for n in opened("self") & opened(os.getppid()) if n.startswith("socket")),
}
"""

AFTER = """
import numpy as np, pandas as pd, sklearn.linear_model
from threadpoolctl import threadpool_info
from mlops_magics.evidence import loaded
second = {
    "distributions": loaded.loaded().distributions,
    "warnings": sorted(repr(f) for f in warnings.filters),
    "pools": sorted((p["user_api"], p["num_threads"]) for p in threadpool_info()),
    "columns": pd.get_option("display.max_columns"),
    "loader": type(sklearn.__spec__.loader).__name__,
    "forgotten": hasattr(sys.modules["sklearn"], "__path__"),
    "variables": {k: v for k, v in os.environ.items()},
    "seeded": [np.random.RandomState(3).rand(), np.random.default_rng(3).random()],
    "fit": sklearn.linear_model.LogisticRegression().fit([[0.], [1.]], [0, 1]).coef_.tolist(),
}
"""

RANDOM = """
import random, tempfile, uuid
drawn = [random.random(), np.random.rand(), np.random.default_rng().random(), str(uuid.uuid4()),
         tempfile.mktemp(), os.getpid()]
"""

USES = """
import asyncio, threading
from joblib import Parallel, delayed
await asyncio.sleep(0)
done = []
thread = threading.Thread(target=lambda: done.append(1)); thread.start(); thread.join()
third = [done, Parallel(n_jobs=2)(delayed(abs)(-n) for n in range(3))]
"""

TOLD = "print(json.dumps({'first': first, 'second': second, 'drawn': drawn, 'third': third}))"

FIGURE = "import matplotlib.pyplot as plt\nplt.plot([1, 2])"


@pytest.mark.parametrize("early", [False, True], ids=["when known", "ahead"])
def test_the_same_as_a_plain_kernel(early: bool) -> None:
    sources = (BEFORE, AFTER, RANDOM, USES, TOLD, FIGURE)
    modules = ["sklearn.linear_model", "pandas", "matplotlib.pyplot", "threadpoolctl"]
    ahead = starting.ahead() if early else nullcontext()
    with ahead, Parent(native(), modules) as parent, ThreadPoolExecutor(3) as pool:
        assert starting.on_its_way() is False
        futures = [pool.submit(run, p, *sources) for p in (None, parent, parent)]
        outcomes = [future.result() for future in futures]
        assert parent.forked == 2
    plain, warm, sibling = (json.loads(printed(o)[0]) for o in outcomes)
    for told in (plain, warm, sibling):
        for part in ("first", "second"):
            told[part]["variables"].pop("JPY_SESSION_NAME", None)
    more = set(warm["first"].pop("modules")) - set(plain["first"].pop("modules"))
    assert not more & {"numpy", "pandas", "sklearn", "scipy", "matplotlib", "joblib"}
    assert warm["first"] == plain["first"]
    assert warm["second"] == plain["second"]
    assert warm["third"] == plain["third"] == [[1], [0, 1, 2]]
    assert not any(a == b for a, b in zip(warm["drawn"], sibling["drawn"], strict=True))
    assert [outcome.forked for outcome in outcomes] == [False, True, True]
    for outcome in outcomes:  # the inline backend shows figures
        shown = outcome.notebook.cells[-1].outputs
        assert any("image/png" in o.get("data", {}) for o in shown)
    assert gone(*(told["drawn"][-1] for told in (plain, warm, sibling)))


#: What is left to the end of a process: a file, a function, an object, a thread.
LEFT = """
import atexit, threading, time
def write(name): open(f"{name}.txt", "w").write("1")
left = open("left.txt", "w"); left.write("1")
atexit.register(write, "called")
class Last:
    def __del__(self, write=write): write("deleted")
last = Last()
threading.Thread(target=lambda: (time.sleep(0.2), write("waited"))).start()
"""


def test_ends_are_told_and_nothing_is_left() -> None:
    with Parent(native(), ["json"]) as parent:
        killed = run(parent, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "1")
        assert killed.status == "killed"
        assert "SIGKILL" in killed.reason
        assert "memory" in killed.reason
        assert killed.states == ("killed", "never ran")
        left = run(parent, "import os\nos._exit(3)")
        assert "exit code 3" in left.reason
        run(parent, LEFT)
        files = ("left", "called", "deleted", "waited")
        assert [Path(f"{name}.txt").read_text() for name in files] == ["1"] * 4
        late = run(parent, "import time\ntime.sleep(60)", cell_timeout=0.5)
        assert late.status == "timed out"
        assert late.notebook.cells[0].outputs[0].ename == "KeyboardInterrupt"
        assert parent.forked == 4
        # The parent dies in mid-run: its kernel goes with it, the next one is started afresh.
        assert parent._begun is not None
        number = parent._begun.process.pid
        source = f"import os, signal, time\nos.kill({number}, signal.SIGKILL)\ntime.sleep(60)"
        assert run(parent, source).status == "killed"
        assert printed(run(parent, "print(1)")) == ["1\n"]
        assert parent.forked == 5
    assert gone(number)


def test_ahead_of_its_order(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with starting.ahead():
        assert starting.on_its_way()
        begun = starting._ahead.get()
        assert begun is not None
    assert gone(begun.process.pid)  # nobody wanted it

    with starting.ahead(), parents.opened(native(), [new_notebook()]) as parent:
        assert parent is not None  # that imports nothing, but its kernel is half made
    source = "import os\nprint(os.environ.get('SET'), os.environ.get('GONE'), os.getcwd())"
    monkeypatch.setenv("GONE", "not yet")
    with starting.ahead():
        monkeypatch.delenv("GONE")
        with Parent(native(), [], {"SET": "1"}) as parent:
            told = run(parent, source, environment={"SET": "1"})
            assert printed(told) == [f"1 None {project}\n"]
            assert told.forked
    # Where numpy comes with Python itself, it has looked at the variables: they begin anew.
    folder = project.parent / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import numpy, os\nseen = os.environ.get('SET')")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    with starting.ahead(), Parent(native(), [], {"SET": "1"}) as parent:
        told = run(
            parent, "import sitecustomize\nprint(sitecustomize.seen)", environment={"SET": "1"}
        )
        assert printed(told) == ["1\n"]
        assert told.forked


EXECUTOR = """
import os, sys
from nbformat.v4 import new_code_cell, new_notebook
from mlops_magics.notebooks import kernels, running
from mlops_magics.notebooks.warm.parents import Parent
book = new_notebook(cells=[new_code_cell(sys.argv[1])])
kernel = kernels.find(book)
with Parent(kernel, []) as parent:
    plan = running.Plan(notebook=book, kernel=kernel, folder=os.getcwd())
    running.run(plan, lambda _: None, parent=parent)
"""


def test_all_end_with_the_executor(project: Path) -> None:
    source = (
        "import os, pathlib, time\n"
        "pathlib.Path('pids.new').write_text(f'{os.getpid()} {os.getppid()}')\n"
        "os.replace('pids.new', 'pids')\ntime.sleep(60)"
    )
    executor = subprocess.Popen([sys.executable, "-c", EXECUTOR, source])
    until = time.monotonic() + 60
    while not (project / "pids").exists() and time.monotonic() < until:
        time.sleep(0.05)
    kernel, parent = map(int, (project / "pids").read_text().split())
    assert executor.pid not in (kernel, parent)
    executor.send_signal(signal.SIGKILL)
    executor.wait()
    assert gone(kernel, parent)


#: A file of a package each, and what it does when it is imported.
PACKAGES = {
    "leaves_thread": "import threading, time\nt = threading.Thread(target=time.sleep, args=(99,), "
    "daemon=True)\nt.start()",
    "leaves_socket": "import socket\nopen_one = socket.socket()\nmade = __import__('os').getpid()",
    "prints": "print('imported')",
    "asks": "from os import getpid\nmade = getpid()",
    "sets": "import os\nos.environ['MY_SETTING'] = 'set'",
    "quiet": "value = 'theirs'",
    "needs": "import quiet, random\ngenerator = random.Random()\nseeded = random.Random(1)",
}

LOOK = """
import os, needs
import leaves_thread, leaves_socket, asks
import prints
before = os.environ.get("MY_SETTING")
import sets
print(leaves_thread.t.is_alive(), asks.made == leaves_socket.made == os.getpid(), before,
      os.environ["MY_SETTING"], asks.getpid is os.getpid, needs.quiet.value, needs.seeded.random(),
      sep="|")
print(needs.generator.random())
"""


def test_what_can_not_be_shared_is_not(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project.parent / "packages"
    folder.mkdir()
    for name, source in PACKAGES.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    with Parent(native(), [*PACKAGES, "not_there"]) as parent:
        first, second = (printed(run(parent, LOOK))[0].splitlines() for _ in range(2))
        assert first[0] == second[0] == "imported"  # the notebook is where it is seen
        assert first[1] == second[1] == "True|True|None|set|True|theirs|0.13436424411240122"
        assert first[2] != second[2]  # unless it was given a seed, no generator is shared
        # What the notebook puts before a package of the same name comes before it.
        (project / "quiet.py").write_text("value = 'ours'")
        source = "import sys\nsys.path.insert(0, '')\nimport needs\nprint(needs.quiet.value)"
        assert printed(run(parent, source)) == ["ours\n"]
        (project / "quiet.py").unlink()
        assert parent.forked == 3
        # What imports and Python itself look at can't be changed any more.
        seeded = run(parent, "print(hash('a'))", environment={"PYTHONHASHSEED": "1"})
        assert not seeded.forked
        assert printed(seeded) == printed(
            run(None, "print(hash('a'))", environment={"PYTHONHASHSEED": "1"})
        )
        assert not run(parent, "1", folder=str(folder)).forked
        # A package is upgraded.
        (folder / "quiet.py").write_text("value = 'upgraded'")
        assert printed(run(parent, "import needs\nprint(needs.quiet.value)")) == ["upgraded\n"]
        assert parent.forked == 3


class Torchs:
    """A generator that has as much as torch's."""

    value = 0.5

    def seed(self) -> None:
        self.value = random.SystemRandom().random()

    def random(self) -> float:
        return self.value


def test_every_generator_begins_anew() -> None:
    made: list[Any] = [
        *(random.Random(1), np.random.default_rng(1), np.random.RandomState(1), Torchs())
    ]
    other = copy.deepcopy(made)
    preloading.reseed(made)
    assert not any(a.random() == b.random() for a, b in zip(made, other, strict=True))


TRAINED = (
    # Some of what is imported ahead replaces Python's own finder of what is installed.
    "from importlib.metadata import entry_points\n"
    "assert 'drift' in entry_points(group='mlops_magics.metrics').names\n"
    "%load_ext mlops_magics",
    "import sys\nprint('mlflow' in sys.modules, 'sklearn' in sys.modules)",
    "%%train warmth\nfrom sklearn.linear_model import LogisticRegression\n"
    "model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])",
    "from mlops_magics.evidence import loaded\n"
    "print('matplotlib' in loaded.loaded().distributions)",
)


def test_train_in_a_forked_kernel(project: Path) -> None:
    books = [new_notebook(cells=[new_code_cell(s) for s in TRAINED])]
    books.append(new_notebook(cells=[new_code_cell("import matplotlib.pyplot")]))
    with parents.opened(native(), books, {"MLFLOW_DISABLE_TELEMETRY": "true"}) as parent:
        assert parent is not None
        assert "matplotlib.pyplot" in parent.modules
        outcome = run(parent, *TRAINED)
        assert parent.forked == 1
    told = printed(outcome)
    assert told[0] == "False False\n"
    assert told[-1] == "False\n"
    text = json.dumps(outcome.notebook.cells[2].outputs)
    assert "warmth" in text
    assert "LogisticRegression" in text


def test_where_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    two = [new_notebook(), new_notebook()]
    monkeypatch.setattr(Parent, "__enter__", lambda self: self)

    def opened(kernel: Kernel, notebooks: list[Any]) -> bool:
        with parents.opened(kernel, notebooks) as parent:
            return parent is not None

    assert opened(native(), two)
    assert not opened(native(), two[:1])  # which imports nothing
    assert opened(native(), [new_notebook(cells=[new_code_cell("import numpy")])])
    assert not opened(Kernel("other", "python", "/usr/bin/other-python"), two)
    monkeypatch.setenv("PYTHONPATH", "lib")
    assert not opened(native(), two)
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.setenv("MLOPS_WARM_KERNELS", "false")
    assert not opened(native(), two)
