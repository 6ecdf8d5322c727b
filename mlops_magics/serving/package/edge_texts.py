"""What a bundle with an ONNX graph says to people."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_magics.flavors.onnx import Converted

_README = Template("""\
# $model

$estimator as an ONNX graph$bits, with a runner of one file.

It needs onnxruntime and numpy, which are there for Linux on x86-64 and on arm64.

    pip install -r requirements.txt
    python run.py --check           # does it answer the kept example as the model did?
    python run.py < rows.$form

Each row is answered by one JSON object: $answer. In Python:

    from run import Model
    Model(".").predict([$row])

$page$inputs
| file | what it is |
|---|---|
| `model.onnx` | the graph |
| `run.py` | the runner |
| `signature.json` | what goes in and what comes out |
| `parity.json` | how its answers compare with the model's |
| `input_example.json`, `expected_answers.json` | rows, and what `--check` compares with |
$web| `package.json` | where it comes from, the digest of each file, and what was measured |
""")

_PAGE = """\
In a browser, from any server of plain files; it calculates there and sends nothing anywhere:

    python -m http.server           # in this folder; then open http://localhost:8000/web/

To publish it, copy this folder. A page of your own may import `web/model.js`:
`await (await Model.load("https://…/")).predict([{…}])` with the address of this folder.

"""
_TABLE = """\
Inputs, one tensor of shape (rows, 1) each, numbers as float64; a missing number is NaN, missing
text the empty text (to `run.py` an empty field, or null):
"""


def readme(
    model: str,
    estimator: str,
    converted: Converted,
    may_miss: Sequence[bool],
    quantise: str,
    *,
    page: bool,
) -> str:
    """How to run the bundle and what is in it."""
    likely = "probabilities" in converted.outputs
    answer = "`prediction` and `probabilities`" if likely else "`prediction`"
    if converted.array:
        width = converted.inputs[0].width
        inputs = f"Each row is a list of {width} numbers (float64).\n"
    else:
        lines = [
            f"| `{f.name}` | {f.type} | {'yes' if may else 'no'} |"
            for f, may in zip(converted.inputs, may_miss, strict=True)
        ]
        table = "\n".join(("| column | type | may be missing |", "|---|---|---|", *lines))
        inputs = f"{_TABLE}\n{table}\n"
    return _README.substitute(
        model=model,
        estimator=estimator or "A model",
        bits=", its weights in eight bits" if quantise else "",
        form="jsonl" if converted.array else "csv",
        answer=answer,
        row="[…]" if converted.array else "{…}",
        page=_PAGE if page else "",
        web="| `web/` | the page, and ONNX Runtime Web for it |\n" if page else "",
        inputs=inputs,
    )
