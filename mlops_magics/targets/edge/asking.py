"""A question of the scoring protocol, brought to the runner of a bundle."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

from mlops_magics.errors import StepFailed
from mlops_magics.serving.client import Reply
from mlops_magics.targets.edge.devices import Device, DeviceFailed

#: What the runner exits with when it refuses rows.
REFUSED = 2


def ask(device: Device, body: bytes) -> Reply:
    """Let the current release answer on the device.

    Raises
    ------
    StepFailed
        If it can't.
    """
    content = json.loads(body)
    started = time.perf_counter()
    python = shlex.quote(device.python)
    try:
        done = device.run(f"cd current/ && {python} -B run.py", given=_lines(content))
    except DeviceFailed as error:
        raise StepFailed(f"The device {device.name} {error.message}.") from error
    took = (time.perf_counter() - started) * 1000
    if done.code == REFUSED and done.log:
        return Reply(400, {"message": done.said}, "", took)
    if done.code != 0:
        raise StepFailed(
            f"The device {device.name} did not answer: {done.said}.",
            "It needs Python with numpy and onnxruntime: pip install -r current/requirements.txt.",
        )
    answers = [json.loads(line) for line in done.output.splitlines()]
    return Reply(200, _content(content, answers), "", took)


def _lines(content: Any) -> str:
    """The rows as JSON, one a line."""
    if isinstance(content, list):
        rows = content
    elif (split := content.get("dataframe_split")) is not None:
        rows = [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
    else:
        rows = content.get("dataframe_records") or content.get("inputs") or []
    return "".join(json.dumps(row) + "\n" for row in rows)


def _content(content: Any, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The answers as a server gives them."""
    params = content.get("params") or {} if isinstance(content, dict) else {}
    if "predict_proba" not in params.values():
        return {"predictions": [answer["prediction"] for answer in answers]}
    if not answers or "probabilities" not in answers[0]:
        raise StepFailed("The bundle on the device gives no probabilities.")
    classes = list(answers[0]["probabilities"])
    return {
        "predictions": [list(answer["probabilities"].values()) for answer in answers],
        "classes": classes,
    }
