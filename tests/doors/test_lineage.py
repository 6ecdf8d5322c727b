"""What a real shell has run becomes the record of the model's cells, and its stamp."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from mlops_magics import store
from mlops_magics.verbs import lineage, session

FIT = "model = LogisticRegression().fit(df[['a']], df.y)"


@pytest.fixture
def shell(ip: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A shell in which nothing came from outside, as in a fresh notebook."""
    monkeypatch.syspath_prepend(str(project))
    for name in ("X_train", "X_test", "y_train", "y_test", "fresh"):
        del ip.user_ns[name]
    return ip


def run(shell: Any, *cells: str | tuple[str, str]) -> None:
    for given in cells:
        id, source = given if isinstance(given, tuple) else (None, given)
        shell.run_cell(source, store_history=True, cell_id=id)


def needed(shell: Any, *cells: str | tuple[str, str]) -> list[str]:
    """The sources that the last of these cells depends on."""
    run(shell, *cells)
    return [cell["source"] for cell in lineage.trace().cells]


def stamp(shell: Any, *cells: str | tuple[str, str]) -> tuple[str, tuple[str, ...]]:
    run(shell, *cells)
    found = lineage.trace()
    return found.stamp, found.reasons


DATA = "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2, 3, 4], 'y': [0, 1, 0, 1]})"
IMPORT = "from sklearn.linear_model import LogisticRegression"
TRAIN = f"%%train credit\n{FIT}"


class TestARun:
    def test_holds_the_slice_and_the_stamp(self, shell: Any) -> None:
        run(shell, DATA, "df['b'] = 1", "df.head()", "other = 5", IMPORT, TRAIN)

        version = store.versions.resolve("credit")
        body = store.runs.read_json(version.run_id, lineage.CELLS)
        assert [cell["source"] for cell in body["cells"]] == [DATA, "df['b'] = 1", IMPORT, TRAIN]
        assert body["cells"][1]["reads"] == ["df"]
        assert body["cells"][1]["writes"] == ["df"]
        assert body["cells"][-1]["digest"].startswith("sha256:")
        assert body["cells"][-1]["execution_count"] == body["cells"][-1]["number"]
        assert (body["stamp"], body["reasons"], body["outside"]) == ("clean", [], [])
        assert version.tags["mlops.trust"] == "clean"
        assert store.runs.get(version.run_id).data.tags["mlops.trust"] == "clean"

    def test_of_a_failed_cell_holds_it_too(self, shell: Any) -> None:
        run(shell, DATA, "%%train credit\ndf.missing")
        run_id = store.runs.find(verb="train")[0].info.run_id
        body = store.runs.read_json(run_id, lineage.CELLS)
        assert [cell["status"] for cell in body["cells"]] == ["finished", "failed"]

    def test_shows_the_stamp(self, ip: Any) -> None:
        result = ip.run_cell("%%train credit\nmodel = fresh().fit(X_train, y_train)")
        assert result.success
        tags = store.versions.resolve("credit").tags
        assert tags["mlops.trust"] == "stale"
        assert "came from outside the notebook" in tags["mlops.trust_reason"]

    def test_by_a_with_block_is_the_cell_that_it_stands_in(self, shell: Any) -> None:
        block = f"import mlops_magics as mlops\nwith mlops.train('credit') as t:\n    {FIT}"
        run(shell, "unrelated = 1", DATA, IMPORT, block)
        body = store.runs.read_json(shell.user_ns["t"].run_id, lineage.CELLS)
        assert [cell["source"] for cell in body["cells"]] == [DATA, IMPORT, block]

    def test_of_a_script_holds_the_script(self, project: Path) -> None:
        from mlops_magics.verbs.training import train

        source = f"{DATA}\n{IMPORT}\n{FIT}\n"
        (project / "fit.py").write_text(source)
        record = train("credit", "fit.py")
        body = store.runs.read_json(record.run_id, lineage.CELLS)
        assert [cell["source"] for cell in body["cells"]] == [source]
        assert body["script"] == "fit.py"
        assert record.trust["cells"] == "clean"

    def test_masks_secrets_in_sources(self, shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DB_PASSWORD", "hunter2hunter2")
        sources = needed(shell, "key = 'hunter2hunter2'", "out = key")
        assert sources[0] == "key = '•••'"

    def test_is_not_lost_when_the_cells_cant_be_traced(
        self, shell: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lineage, "_of_notebook", lambda log: 1 / 0)
        run(shell, DATA, IMPORT, TRAIN)
        tags = store.versions.resolve("credit").tags
        assert tags["mlops.trust"] == "unknown"
        assert "could not be traced" in tags["mlops.trust_reason"]


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        pytest.param(["a = 1", "%time b = a + 1", "c = 2", "out = b"], [0, 1, 3], id="%time"),
        pytest.param(["a = 1", "%%time\nb = a + 1", "c = 2", "out = b"], [0, 1, 3], id="%%time"),
        pytest.param(["a = 1", "%timeit -n1 -r1 a + 1", "out = a"], [0, 2], id="%timeit"),
        pytest.param(
            ["a = 1", "%%capture output\nprint(a)", "out = str(output)"], [0, 1, 2], id="%%capture"
        ),
        pytest.param(["a = 1", "!pip install --version", "out = a"], [0, 2], id="!pip"),
        pytest.param(["a = 1", "%pip --version", "out = a"], [0, 2], id="%pip"),
        pytest.param(["a = 'x'", "b = !echo {a}", "c = 1", "out = b"], [0, 1, 3], id="!echo"),
        pytest.param(["a = 1", "%%html\n<b>a</b>", "out = a"], [0, 2], id="%%html"),
        pytest.param(["a = 1", "%%bash\necho a", "out = a"], [0, 2], id="%%bash"),
        pytest.param(
            ["%%bash --out b\necho hello", "a = 1", "out = b"], [0, 2], id="%%bash --out"
        ),
        pytest.param(
            ["%%writefile made_here.py\nK = 7", "a = 1", "from made_here import K", "out = K"],
            [0, 2, 3],
            id="%%writefile",
        ),
        pytest.param(
            ["%%bash\necho 5 > five.txt", "a = 1", "out = int(open('five.txt').read())"],
            [0, 2],
            id="a file of %%bash",
        ),
        pytest.param(
            ["%%writefile script.py\nz = 7", "a = 1", "%run script.py", "out = z"],
            [0, 2, 3],
            id="%run",
        ),
        pytest.param(["from math import *", "a = 1", "out = floor(2.5)"], [0, 2], id="import *"),
        pytest.param(["globals()['a'] = 1", "b = 1", "out = a"], [0, 2], id="globals()"),
        pytest.param(["exec('a' + ' = 1')", "b = 1", "out = a"], [0, 2], id="exec"),
        pytest.param(["a = = 1", "b = 1", "out = b"], [1, 2], id="a syntax error before"),
        pytest.param(["a = 1", "b = 2\n1 / 0", "out = a"], [0, 2], id="a failure before"),
        pytest.param(["%env TRIED_HERE=1", "a = 1", "out = a"], [0, 1, 2], id="%env"),
        pytest.param(["import asyncio", "a = await asyncio.sleep(0, 5)", "out = a"], [0, 1, 2],
                     id="await"),
        pytest.param(["a = 1", "a?", "out = a"], [0, 2], id="help"),
        pytest.param(["list = [1]", "del list", "out = list('ab')"], [2], id="shadowed, deleted"),
        pytest.param(["%matplotlib inline", "%config InlineBackend.figure_format='png'",
                      "out = 1"], [2], id="magics of display"),
    ],
)  # fmt: skip
def test_magics_and_escapes(shell: Any, cells: list[str], wanted: list[int]) -> None:
    assert needed(shell, *cells) == [cells[place] for place in wanted]


def test_a_magic_of_another_package(shell: Any) -> None:
    def foreign(line: str, cell: str = "") -> None:
        shell.user_ns["made"] = len(cell)

    shell.register_magic_function(foreign, "cell", "foreign")
    cells = ["a = 1", "b = 2", "%%foreign\nselect a", "out = made"]
    assert needed(shell, *cells) == [cells[0], cells[2], cells[3]]
    assert "uses %%foreign, whose effects can't be told" in lineage.trace().notes[0]


def test_prepare_ties_its_data_to_the_model(shell: Any) -> None:
    frame = "import pandas as pd\ndf = pd.DataFrame({'a': range(60), 'y': [0, 1] * 30})"
    fit = "%%train credit\nmodel = LogisticRegression().fit(X_train, y_train)"
    cells = [frame, "noise = 1", "%prepare df --name rows --target y", IMPORT, fit]
    assert needed(shell, *cells) == [frame, cells[2], IMPORT, fit]
    assert store.versions.resolve("credit").tags["mlops.trust"] == "clean"


def test_what_ran_before_the_extension_was_loaded_is_known(shell: Any) -> None:
    shell.run_line_magic("unload_ext", "mlops_magics")
    run(shell, DATA, "noise = 1", IMPORT, "m = LogisticRegression()")
    run(shell, "%load_ext mlops_magics")
    fit = "%%train credit\nm.fit(df[['a']], df.y);"
    assert needed(shell, fit) == [
        DATA, IMPORT, "m = LogisticRegression()", "%load_ext mlops_magics", fit
    ]  # fmt: skip


def test_a_cell_run_within_a_cell_is_part_of_it(shell: Any) -> None:
    outer = "get_ipython().run_cell('inner = 5')"
    assert needed(shell, outer, "a = 1", "out = inner") == [outer, "out = inner"]


def test_no_object_of_the_user_is_kept_alive(shell: Any) -> None:
    import gc
    import weakref

    run(shell, "class Big: pass", "big = Big()")
    reference = weakref.ref(shell.user_ns["big"])
    run(shell, "del big", "a = 1")
    gc.collect()
    assert reference() is None


class TestTheStamp:
    """Cells have ids, as a front end gives them."""

    def test_clean(self, shell: Any) -> None:
        cells = [("a", DATA), ("b", "df['b'] = 1"), ("c", IMPORT), ("d", TRAIN)]
        assert stamp(shell, *cells) == ("clean", ())

    def test_run_again_with_the_same_code(self, shell: Any) -> None:
        cells = [("a", "x = 1"), ("a", "x = 1"), ("b", "out = x")]
        assert stamp(shell, *cells) == ("clean", ())

    def test_run_since_with_other_code(self, shell: Any) -> None:
        cells = [("a", "k = 1"), ("b", "x = k"), ("b", "y = k"), ("c", "out = x")]
        assert stamp(shell, *cells) == (
            "stale",
            ("Read `x` as In [2] left it, but In [2] has since been run with other code.",),
        )

    def test_three_runs_with_edits(self, shell: Any) -> None:
        cells = [("a", "x = 1"), ("a", "x = 2"), ("a", "x = 3"), ("b", "out = x")]
        assert stamp(shell, *cells) == ("clean", ())

    def test_three_runs_that_add_up(self, shell: Any) -> None:
        cells = [("a", "x = 1"), *[("b", "x += 1")] * 3, ("c", "out = x")]
        kind, reasons = stamp(shell, *cells)
        assert kind == "stale"
        assert reasons == (
            "Read `x` as 3 runs of In [4] left it, each of which builds on the one before.",
        )

    def test_a_model_that_is_trained_again(self, shell: Any) -> None:
        fit = ("d", "%%train credit\nm.fit(df[['a']], df.y);")
        cells = [("a", DATA), ("b", IMPORT), ("c", "m = LogisticRegression()"), fit, fit]
        assert stamp(shell, *cells) == ("clean", ())

    def test_failed_half_way(self, shell: Any) -> None:
        kind, reasons = stamp(shell, ("a", "x = 1\n1 / 0"), ("b", "out = x"))
        assert kind == "stale"
        assert reasons == ("Read `x` as In [1] left it, but In [1] had failed half-way.",)

    def test_from_outside(self, shell: Any) -> None:
        shell.user_ns["given"] = 5
        assert stamp(shell, ("a", "out = given")) == (
            "stale",
            ("`given` came from outside the notebook: no cell that ran binds it.",),
        )

    def test_bound_between_two_cells(self, shell: Any) -> None:
        run(shell, ("a", "x = 1"))
        shell.user_ns["x"] = 2  # a widget's callback, a debugger
        assert stamp(shell, ("b", "out = x"))[0] == "stale"

    def test_from_a_console_on_the_same_kernel(self, shell: Any) -> None:
        kind, reasons = stamp(shell, ("a", "k = 1"), "x = 5", ("b", "out = x"))
        assert kind == "stale"
        assert reasons == ("`x` came from a console on the same kernel (In [2]), not from a cell.",)

    def test_a_cell_above_was_left_out_when_it_was_run_again(self, shell: Any) -> None:
        cells = [("a", "x = [1]"), ("b", "x.append(2)"), ("a", "x = [1]"), ("c", "out = x")]
        kind, reasons = stamp(shell, *cells)
        assert kind == "stale"
        assert reasons == ("From the top, `x` would be made by In [2], which had not run since.",)

    def test_what_cant_be_told(self, shell: Any) -> None:
        kind, reasons = stamp(shell, ("a", "text = 'x = 1'"), ("b", "exec(text)"), ("c", "out = x"))
        assert kind == "unknown"
        assert reasons == ("In [2] uses exec(); what it read can't be told.",)

    def test_an_opaque_cell_that_does_not_matter(self, shell: Any) -> None:
        cells = [("a", "text = 'z = 1'"), ("b", "exec(text)"), ("c", "y = 1"), ("d", "out = y")]
        assert stamp(shell, *cells) == ("clean", ())


class TestAgainstTheFile:
    """The notebook's file is known; cells are called by their place in it."""

    @pytest.fixture
    def save(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        path = project / "work.ipynb"
        monkeypatch.setenv("JPY_SESSION_NAME", str(path))

        def write(*cells: tuple[str, str]) -> None:
            time.sleep(0.02)
            body = [
                {"cell_type": "markdown", "id": "text", "metadata": {}, "source": "# Title"},
                *(
                    {"cell_type": "code", "id": id, "metadata": {}, "outputs": [],
                     "execution_count": None, "source": source.splitlines(keepends=True)}
                    for id, source in cells
                ),
            ]  # fmt: skip
            text = json.dumps({"cells": body, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
            path.write_text(text)
            time.sleep(0.02)

        return write

    def test_clean(self, shell: Any, save: Any) -> None:
        cells = [("a", "x = 1"), ("z", "y = 1"), ("b", "out = x")]
        save(*cells)
        run(shell, *cells)
        found = lineage.trace()
        assert found.stamp == "clean"
        assert [cell["number"] for cell in found.cells] == [1, 3]

    def test_a_cell_made_since_it_was_saved(self, shell: Any, save: Any) -> None:
        save(("a", "x = 1"), ("c", "out = x"))
        assert stamp(shell, ("a", "x = 1"), ("b", "x += 1"), ("c", "out = x")) == ("clean", ())

    def test_a_deleted_cell(self, shell: Any, save: Any) -> None:
        run(shell, ("a", "x = 1"))
        save(("b", "out = x"))
        kind, reasons = stamp(shell, ("b", "out = x"))
        assert kind == "stale"
        assert reasons == ("`x` came from a cell that has since been deleted (In [1]).",)

    def test_an_edited_cell(self, shell: Any, save: Any) -> None:
        run(shell, ("a", "x = 1"))
        save(("a", "x = 2"), ("b", "out = x"))
        kind, reasons = stamp(shell, ("b", "out = x"))
        assert kind == "stale"
        assert reasons == (
            "Read `x` as cell 1 left it, but cell 1 has since been edited and not run again.",
        )

    def test_a_cell_below(self, shell: Any, save: Any) -> None:
        save(("b", "out = x"), ("a", "x = 1"))
        kind, reasons = stamp(shell, ("a", "x = 1"), ("b", "out = x"))
        assert kind == "stale"
        assert reasons == ("Read `x` as cell 2 left it, which stands below cell 1 that read it.",)

    def test_a_cell_between_that_did_not_run(self, shell: Any, save: Any) -> None:
        save(("a", "x = [1]"), ("b", "x.append(2)"), ("c", "out = x"))
        kind, reasons = stamp(shell, ("a", "x = [1]"), ("c", "out = x"))
        assert kind == "stale"
        assert reasons == ("From the top, `x` would be made by cell 2, which has not run.",)

    def test_a_cell_that_did_not_run_and_does_not_matter(self, shell: Any, save: Any) -> None:
        save(("a", "x = [1]"), ("b", "y = 3"), ("c", "out = x"))
        assert stamp(shell, ("a", "x = [1]"), ("c", "out = x")) == ("clean", ())

    def test_a_file_that_is_no_notebook(self, shell: Any, save: Any, project: Path) -> None:
        (project / "work.ipynb").write_text("{}")
        assert stamp(shell, ("a", "x = 1"), ("b", "out = x")) == ("clean", ())


class TestChangesUnderALiveKernel:
    def test_a_module_that_was_edited(self, shell: Any, project: Path) -> None:
        (project / "helper_of_mine.py").write_text("K = 1\n")
        run(shell, "import helper_of_mine")
        time.sleep(0.02)
        (project / "helper_of_mine.py").write_text("K = 2\n")
        kind, reasons = stamp(shell, "out = helper_of_mine.K")
        assert kind == "stale"
        assert reasons == (
            "helper_of_mine.py was edited after it had been imported as helper_of_mine.",
        )

    def test_a_module_that_was_not(self, shell: Any, project: Path) -> None:
        (project / "helper_of_yours.py").write_text("K = 1\n")
        time.sleep(0.02)
        assert stamp(shell, "import helper_of_yours", "out = helper_of_yours.K")[0] == "clean"


def test_the_log_is_taken_back_with_the_extension(shell: Any) -> None:
    assert session.cells() is not None
    shell.run_line_magic("unload_ext", "mlops_magics")
    assert session.cells() is None
    shell.run_line_magic("load_ext", "mlops_magics")


def test_what_the_cell_that_loads_the_extension_binds_is_its_own(shell: Any) -> None:
    shell.run_line_magic("unload_ext", "mlops_magics")
    first = f"%load_ext mlops_magics\n{DATA}\n{IMPORT}"
    assert needed(shell, first, "noise = 1", TRAIN) == [first, TRAIN]
    assert store.versions.resolve("credit").tags["mlops.trust"] == "clean"
