"""`execute --resume`: what is kept while a notebook runs, and what is gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mlops_magics import settings, store
from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.evidence import keys
from mlops_magics.notebooks import cards, fitting
from mlops_magics.notebooks.allowing import ALLOWANCE, Allowance
from mlops_magics.records import Execution
from mlops_magics.verbs import lineage
from mlops_magics.verbs.auditing import verify
from mlops_magics.verbs.executing import one as execute

SECRET = "hunter22-and-more"
FAIL = "raise ValueError('not yet')"

Write = Callable[..., str]


@pytest.fixture
def write(project: Path) -> Write:
    """Writes a notebook of the given cells; a cell keeps its id by its place."""

    def put(*sources: str, parameters: str = "", name: str = "work.ipynb") -> str:
        cells = [new_markdown_cell("# Work", id="top")]
        if parameters:
            cells.append(new_code_cell(parameters, id="p", metadata={"tags": ["parameters"]}))
        cells += [new_code_cell(source, id=f"c{at}") for at, source in enumerate(sources)]
        nbformat.write(new_notebook(cells=cells), project / name)
        return name

    return put


def content(record: Execution) -> dict[str, Any]:
    return dict(json.loads(Path(record.output).read_text()))


def outputs(record: Execution) -> list[Any]:
    """What the cells show, without what differs from run to run."""
    return [cell.get("outputs") for cell in content(record)["cells"]]


def left(project: Path, ending: str = ".state") -> list[Path]:
    return sorted((project / ".mlops" / "checkpoints").glob(f"*/*{ending}"))


def known(project: Path, name: str = "work.ipynb") -> list[cards.Card]:
    place = cards.Place(project / ".mlops", project / name)
    return place.cards(keys.signer(settings.load().keys))


EVERYTHING = [
    """\
import os, random, sys
import numpy as np, pandas as pd, sklearn
random.seed(1); np.random.seed(2); sklearn.set_config(transform_output='pandas')
pd.set_option('display.max_rows', 7); pd.options.display.precision = 3
os.makedirs('lib', exist_ok=True)
open('lib/helper_of_mine.py', 'w').write('class Thing:\\n    n = 1\\n')
sys.path.append(os.path.abspath('lib'))
os.environ['STEP'] = 'one'; os.environ['MY_TOKEN'] = password""",
    """\
import helper_of_mine
frame = pd.DataFrame({'a': np.random.rand(3)}); same = frame; part = [frame]
rate = 2
def price(n=1):
    return n * rate
class Point:
    made = 0
    def __init__(self): self.x = rate; Point.made += 1
point, thing = Point(), helper_of_mine.Thing()
prices = {'price': price, 'twice': lambda: price(2)}
again, key = password, os.environ['API_KEY']
os.makedirs('inside', exist_ok=True); os.chdir('inside')
frame""",
    "random.random(), np.random.rand()",
]
LAST = """\
rate = 5
frame['b'] = 1
point.y = Point().x
print(_, same.columns.tolist(), part[0] is frame, price(), prices['twice'](), point.x, point.y)
print(Point.made, isinstance(point, Point), isinstance(thing, helper_of_mine.Thing))
print(random.random(), np.random.rand(), sklearn.get_config()['transform_output'])
print(pd.get_option('display.max_rows'), os.getcwd(), os.environ['STEP'], depth)
print(len(again), os.environ['MY_TOKEN'] == password == again, len(key), In[4], sorted(Out))
Point.__module__, price.__globals__ is globals(), [n for n in dir() if 'mlops' in n]"""


def test_a_resumed_notebook_shows_what_an_unbroken_one_does(
    write: Write, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables and what they share, functions, classes, random states, options, the folder."""
    monkeypatch.setenv("API_KEY", "key-of-the-service")
    given: dict[str, Any] = {"depth": 3, "password": SECRET}
    parameters = "depth: int = 1\npassword: str = ''"
    name = write(*EVERYTHING, f"_\n{FAIL}", parameters=parameters)
    failed = execute(name, params=given, output="first.ipynb")
    assert failed.status == "failed"
    assert failed.checkpoint is not None
    assert failed.checkpoint["cell"] == 6
    [state] = left(project)
    assert state.stat().st_mode & 0o777 == 0o600
    for file in left(project, ""):
        for secret in (SECRET, "key-of-the-service"):
            assert secret.encode() not in file.read_bytes()

    write(*EVERYTHING, LAST, parameters=parameters)  # the cell that failed is put right
    done = execute(name, params={**given, "password": "another-password"}, resume=True)
    assert done.status == "finished", done.failed_cell
    assert done.warnings == ()
    assert done.cells == {"kept": 5, "run": 2, "failed": 0, "never ran": 0}
    facts = content(done)["metadata"]["mlops"]["record"]
    assert done.resumed == facts["resumed"]
    earlier = content(failed)["metadata"]["mlops"]["record"]
    assert facts["resumed"]["event"] == earlier["event"]
    assert facts["resumed"]["from_cell"] == 7
    assert facts["resumed"]["kept"] == [2, 3, 4, 5, 6]
    assert [c.get("kept_from") for c in facts["cells"]] == [None, *[earlier["event"]] * 5, None]
    assert content(done)["cells"][5]["metadata"][fitting.KEPT] == earlier["event"]
    assert earlier["checkpoint"]["state_digest"].startswith("sha256:")
    assert verify(done.output).intact
    assert left(project) == left(project, ".cells") == []

    unbroken = execute(name, params={**given, "password": "another-password"})
    assert outputs(done) == outputs(unbroken)
    assert "another-password" not in Path(done.output).read_text()


def test_a_secret_by_reference_is_given_anew(
    write: Write, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own verbs, too, find what they have to mask in the kernel that goes on."""
    monkeypatch.setenv("HIDDEN_HERE", SECRET)
    told = "from mlops_magics.evidence.secrets import Masker\n"
    told += "print(where in Masker()('is ' + where))"
    name = write("x = where", FAIL, parameters="where: str = ''")
    failed = execute(name, params={"where": "env:HIDDEN_HERE"})
    assert failed.checkpoint is not None
    assert failed.checkpoint["cell"] == 4
    for file in left(project, ""):
        assert SECRET.encode() not in file.read_bytes()
    write("x = where", f"print(x == where, len(x))\n{told}", parameters="where: str = ''")
    done = execute(name, params={"where": "env:HIDDEN_HERE"}, resume=True)
    assert (done.status, done.cells["kept"]) == ("finished", 3), done.failed_cell
    assert outputs(done)[-1][0]["text"] == [f"True {len(SECRET)}\n", "False\n"]


def test_what_can_not_be_kept_is_named(write: Write, project: Path) -> None:
    """The state before it stays; the cells since are run again, which is said."""
    cells = ["x = 1", "lines = (n for n in range(3))", "y = x + 1"]
    failed = execute(write(*cells, FAIL))
    why = "`lines` (generator): TypeError: cannot pickle 'generator' object"
    assert failed.checkpoint is not None
    assert (failed.checkpoint["cell"], failed.checkpoint["why"]) == (2, why)
    done = execute(write(*cells, "print(x, y, next(lines))"), resume=True)
    assert done.status == "finished"
    assert done.resumed is not None
    assert (done.resumed["kept"], done.resumed["again"]) == ([2], [3, 4])
    assert done.warnings == (
        f"Cells 3, 4 had run well too, but their state was not kept ({why}): run again.",
    )
    assert outputs(done)[4][0]["text"] == ["1 2 0\n"]

    secret = write("x = 1", "config = {'key': [password]}", FAIL, parameters="password: str = ''")
    failed = execute(secret, params={"password": SECRET})
    assert failed.checkpoint is not None
    assert failed.checkpoint["cell"] == 4
    assert "`config` (dict): the secret password is part of it" in failed.checkpoint["why"]
    for file in left(project, ""):
        assert SECRET.encode() not in file.read_bytes()

    failed = execute(write("f = open(__import__('os').devnull)", FAIL))
    assert failed.checkpoint is not None
    assert failed.checkpoint["cell"] == 0
    assert "an open file can't be kept" in failed.checkpoint["why"]
    again = execute(write("f = open(__import__('os').devnull)", "1"), resume=True)
    assert again.status == "finished"
    assert "The notebook ran from the top" in again.warnings[0]
    assert "an open file can't be kept" in again.warnings[0]
    assert again.resumed is not None
    assert again.resumed["kept"] == []


def test_what_does_not_fit_is_run_from_the_top(write: Write, project: Path) -> None:
    name = write("x = 1", "print(x)", FAIL)
    execute(name)
    done = execute(write("x = 2", "print(x)", FAIL), resume=True)
    assert "because cell 2 is not the one that it had run." in done.warnings[0]
    assert outputs(done)[2][0]["text"] == ["2\n"]

    done = execute(write("x = 2", "print(x)", "_"), resume=True)
    assert "because a cell now reads results (`_`, `Out`), which were not kept." in done.warnings[0]
    name = write("x = 2", "print(x)", FAIL)
    execute(name)

    # Its file was changed: nothing of it is read, and a fresh kernel runs everything.
    [state] = left(project)
    state.write_bytes(state.read_bytes()[:-1] + b"!")
    done = execute(name, resume=True)
    assert "its file is not the one that was written" in done.warnings[0]
    assert done.cells == {"run": 4, "failed": 1, "never ran": 0}
    assert done.checkpoint is not None
    assert done.checkpoint["cell"] == 3

    # A card that this user's key has not signed is none.
    [card] = left(project, ".json")
    told = json.loads(card.read_text())
    card.write_text(json.dumps({**told, "card": told["card"].replace("work", "play")}))
    with pytest.raises(WrongUsage, match=r"no run of work\.ipynb is known here"):
        execute(name, resume=True)


def test_when_there_is_nothing_to_resume(
    write: Write, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write("1", parameters="depth: int = 1")
    with pytest.raises(WrongUsage, match=r"no run of work\.ipynb is known here"):
        execute(name, resume=True)
    execute(name, params={"depth": 2})
    with pytest.raises(WrongUsage, match=r"the last run of work\.ipynb finished"):
        execute(name, params={"depth": 2}, resume=True)
    with pytest.raises(WrongUsage, match=r"last run with depth = 2, and never with depth = 3"):
        execute(name, params={"depth": 3}, resume=True)
    monkeypatch.setenv("MLOPS_CHECKPOINTS", "false")
    with pytest.raises(WrongUsage, match="`checkpoints` is false"):
        execute(name, resume=True)
    failed = execute(write("1", FAIL))
    assert failed.checkpoint is None
    assert left(project) == []


def start(name: str) -> subprocess.Popen[bytes]:
    code = "import sys; from mlops_magics.doors.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, "execute", name],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(file: Path) -> None:
    for _ in range(600):
        if file.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{file.name} did not come")


def test_the_executor_was_killed(write: Write, project: Path) -> None:
    """Nothing was sealed then, yet state and cells are there; and two runs keep theirs apart."""
    wait = "import os, time\nopen(f'at-{who}', 'w').close()\ntime.sleep(60)"
    cells = ["import uuid\nwho = str(uuid.uuid4())\nprint(who)"]
    name = write(*cells, wait)
    both = [start(name), start(name)]
    try:
        while len(found := sorted(project.glob("at-*"))) < 2:
            assert all(process.poll() is None for process in both)
            time.sleep(0.05)
        first, second = known(project)
        assert len(left(project)) == 2
        with pytest.raises(WrongUsage, match="still goes on"):
            execute(name, resume=True)
    finally:
        for process in both:
            process.kill()
            process.wait()
    assert second.status == first.status == "running"
    done = execute(write(*cells, "print(who)"), resume=True)
    assert done.resumed is not None
    assert (done.resumed["event"], done.resumed["why"]) == (first.event, "killed")
    printed = [cell[0]["text"] for cell in outputs(done)[1:]]
    assert printed[0] == printed[1]
    assert f"at-{printed[0][0].strip()}" in {file.name for file in found}
    assert left(project) == []  # the older run of the same parameters is superseded


@pytest.mark.parametrize("end", ["died", "timed out", "stopped"])
def test_however_the_run_ended(end: str, write: Write, project: Path) -> None:
    last = {
        "died": "import os\nos.kill(os.getpid(), 9)",
        "timed out": "import time\ntime.sleep(60)",
        "stopped": "open('running', 'w').close()\nimport time\ntime.sleep(60)",
    }[end]
    name = write("x = 41", last, "print(x)")
    if end == "stopped":
        process = start(name)
        wait_for(project / "running")
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    else:
        execute(name, cell_timeout=1 if end == "timed out" else None)
    [card] = known(project)
    assert card.status == {"died": "killed", "stopped": "interrupted"}.get(end, end)
    if end == "died":  # it fails once more on the way, and the same state serves again
        again = execute(write("x = 41", FAIL, "print(x)"), resume=True)
        assert again.resumed is not None
        assert again.resumed["kept"] == [2]
        # Nothing is left to run once the cell that failed is deleted.
        gone = execute(write("x = 41"), resume=True)
        assert (gone.status, gone.cells["kept"]) == ("finished", 1)
        return
    done = execute(write("x = 41", "x += 1", "print(x)"), resume=True)
    assert done.status == "finished"
    assert outputs(done)[3][0]["text"] == ["42\n"]
    first = content(done)["cells"][1]["metadata"][fitting.KEPT]
    assert first == card.event


def test_a_training_after_the_resumption_has_its_lineage(write: Write, project: Path) -> None:
    data = "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2, 3, 4], 'y': [0, 1, 0, 1]})"
    fit = (
        "%%train credit\nfrom sklearn.linear_model import LogisticRegression\n"
        "model = LogisticRegression(C=C).fit(df[['a']], df.y)"
    )
    cells = ["%load_ext mlops_magics", data, "noise = 1"]
    name = write(*cells, fit.replace("C=C", "C=D"), parameters="C: float = 1.0")
    failed = execute(name, params={"C": 0.5})
    assert failed.checkpoint is not None
    assert failed.checkpoint["cell"] == 6
    write(*cells, fit, parameters="C: float = 1.0")
    done = execute(name, params={"C": 0.5}, resume=True)
    assert done.status == "finished", done.failed_cell
    assert done.cells["kept"] == 5
    version = store.versions.resolve("credit")
    assert version.tags["mlops.trust"] == "clean"
    body = store.runs.read_json(version.run_id, lineage.CELLS)
    assert [cell["number"] for cell in body["cells"]] == [2, 2, 3, 5]
    assert [cell["id"] for cell in body["cells"] if cell["id"]] == ["c0", "c1", "c3"]
    [step] = done.steps
    assert step["verb"] == "train"


def test_keeping_takes_a_second_and_a_twentieth_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    allowance = Allowance()
    assert allowance.left(None) == pytest.approx(ALLOWANCE)
    assert allowance.left(now + 0.5) == pytest.approx(0.5)
    allowance.learn(0.8, 4e8)
    allowance.spend(0.9)
    assert allowance.rate == pytest.approx(5e8)
    assert allowance.left(None) == 0.0  # a tenth of a second is left, and it takes 0.8
    now += 13.0
    assert allowance.left(None) == 0.0
    now += 1.1
    assert allowance.left(None) == pytest.approx(0.805)
    allowance.learn(0.8, None)  # broken off: twice as much is wanted before it is tried again
    allowance.spend(0.8)
    now += 16.0
    assert allowance.left(None) == 0.0
    now += 16.0
    assert allowance.left(None) == pytest.approx(1.605)


def test_other_packages_modules_and_kernels_do_not_fit(write: Write, project: Path) -> None:
    from mlops_magics.notebooks import files, kernels
    from mlops_magics.notebooks.running import Plan

    (project / "helping.py").write_text("n = 1\n")
    name = write("import numpy, helping", FAIL)
    execute(name)
    [card] = known(project)
    assert card.checkpoint is not None
    packages = card.checkpoint["packages"]
    notebook = files.read(project / name)
    plan = Plan(notebook=notebook, kernel=kernels.find(notebook))

    def refused(now: dict[str, str], plan: Plan = plan) -> str:
        with pytest.raises(MlopsError) as told:
            fitting.check(card, plan, notebook, now)
        return str(told.value)

    fitting.check(card, plan, notebook, {**packages, "just-installed": "1.0"})
    fitting.check(card, plan, notebook, {**packages, "pytest": "0.1"})  # was not imported
    assert f"numpy {packages['numpy']} → 0.1" in refused({**packages, "numpy": "0.1"})
    assert "numpy" in refused({n: v for n, v in packages.items() if n != "numpy"})
    other = replace(plan, kernel=replace(plan.kernel, name="other"))
    assert refused(packages, other) == "it ran in another kernel (python3)"
    (project / "helping.py").write_text("n = 2\n")
    assert "helping.py, which its cells had imported, has been changed" in refused(packages)


def test_a_kernel_whose_state_can_not_be_kept(
    write: Write, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = project / "jupyter" / "kernels" / "other"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    told = {"argv": argv, "display_name": "Other", "language": "other"}
    (spec / "kernel.json").write_text(json.dumps(told))
    monkeypatch.setenv("JUPYTER_PATH", os.fspath(project / "jupyter"))
    failed = execute(write("1", FAIL), kernel="other")
    assert failed.checkpoint is not None
    assert failed.checkpoint["cell"] == 0
    assert failed.checkpoint["why"] == "the kernel 'other' is not one of ipykernel's"
