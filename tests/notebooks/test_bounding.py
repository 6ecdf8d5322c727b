"""What a cell prints without end fills neither this process's memory nor its notebook."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

from mlops_magics.notebooks import bounding, listening
from mlops_magics.notebooks.bounding import LIMIT, Bounds

FLOOD = """
line = ("x" * 99 + "\\n") * 10_000
for _ in range(200):
    print(line, end="")
"""

#: Runs a notebook after a small one, and tells by how many MB the peak of memory rose.
MEASURED = """
import json, resource
from mlops_magics.verbs.executing import one
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
one("small.ipynb")
before = peak()
done = one("flood.ipynb", output="out.ipynb")
print(json.dumps([done.status, done.warnings, peak() - before]))
"""


def message(kind: str, **content: Any) -> dict[str, Any]:
    return {"msg_type": kind, "content": content}


def test_a_cell_that_prints_200_mb(project: Path) -> None:
    for name, source in {"small": "1", "flood": FLOOD}.items():
        cells = [new_code_cell(source), new_code_cell("print('after')")]
        nbformat.write(new_notebook(cells=cells), project / f"{name}.ipynb")
    told = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, check=True)
    status, warnings, rise = json.loads(told.stdout)
    assert status == "finished"
    assert re.fullmatch(r"Cell 1: 19\d\.\d MB of output were left out; of .* kept\.", warnings[0])
    # What the kernel sends at a stretch is in memory as it comes, but never read as a whole.
    assert rise < 450
    assert (project / "out.ipynb").stat().st_size < 12_000_000
    saved = nbformat.read(project / "out.ipynb", as_version=4)
    outputs = saved.cells[0].outputs
    assert [o.name for o in outputs] == ["stdout", "stderr"]
    assert outputs[0].text.endswith("x\n")  # whole lines only
    assert "MB of output were left out" in outputs[1].text
    assert saved.cells[1].outputs[0].text == "after\n"
    assert saved.metadata.mlops.record.warnings == warnings


def test_small_pieces_of_a_stream_become_one() -> None:
    bounds, outputs = Bounds(), [new_output("stream", name="stdout", text="a\n")]
    assert not bounds.admit(message("stream", name="stdout", text="b\n"), outputs)
    assert outputs[0].text == "a\nb\n"
    assert bounds.admit(message("stream", name="stderr", text="c\n"), outputs)
    assert bounds.admit(message("stream", name="stdout", text="d\n"), outputs, apart=True)


def test_half_a_line_is_not_kept_and_nothing_after_it() -> None:
    bounds, cell = Bounds(), new_code_cell("")
    first = message("stream", name="stdout", text="a" * (LIMIT - 1000) + "\n" + "b" * 5000)
    assert bounds.admit(first, cell.outputs)
    assert first["content"]["text"] == "a" * (LIMIT - 1000) + "\n"
    cell.outputs.append(new_output("stream", name="stdout", text=first["content"]["text"]))
    assert not bounds.admit(message("stream", name="stdout", text="c\n"), cell.outputs)
    assert not bounds.admit(message("display_data", data={"text/plain": "d"}), cell.outputs)
    bounds.close(cell, 4)
    assert bounds.warnings[0].startswith("Cell 5: 0.0 MB of output were left out")
    assert bounds.admit(message("stream", name="stdout", text="next cell"), [])


def test_what_was_cleared_counts_no_more() -> None:
    bounds = Bounds()
    picture = message("display_data", data={"image/png": "x" * (LIMIT - 1000)})
    for _ in range(3):
        assert bounds.admit(picture, [])
    assert not bounds.admit(picture, [new_output("stream", text="still there")])


def test_an_error_is_always_kept_but_never_as_long_as_it_may_be() -> None:
    bounds = Bounds()
    error = message("error", ename="E", evalue="v" * 10**6, traceback=["t" * 10**6, "end"])
    assert bounds.admit(error, [new_output("stream", text="x" * LIMIT)])
    assert len(error["content"]["evalue"]) < bounding.MESSAGE + 100
    (traceback,) = error["content"]["traceback"]
    assert len(traceback) < bounding.TRACEBACK + 100
    assert traceback.endswith("end")
    assert "characters are left out" in traceback


def test_a_message_that_is_far_too_long_is_not_read_as_a_whole() -> None:
    read = listening.sparing(json.loads)
    short = json.dumps({"name": "stdout", "text": "a\n" * 10}).encode()
    assert read(short) == json.loads(short)
    line = 'C:\\new "ü"\n'
    long = {"name": "stderr", "text": line * 3_000_000}
    found = read(json.dumps(long).encode())
    assert found["name"] == "stderr"
    assert set(found["text"].splitlines(keepends=True)) == {line}
    assert 1_000_000 < len(found["text"]) < LIMIT
    assert found[bounding.CUT] > 20_000_000
