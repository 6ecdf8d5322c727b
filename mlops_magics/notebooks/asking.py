"""Asking a kernel something between two cells, without the notebook's noticing.

A silent request with an empty code runs no cell and calls no handler; only its expressions are
worked out, whose values come back with the reply.
"""

from __future__ import annotations

import ast
import json
import queue
import time
from functools import cache
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_async

from mlops_magics.notebooks.stopping import StoppedError

#: What the files of ``in_kernel`` are called in the kernel, in the order in which they are needed.
PACKAGE = "_mlops_kernel"
_PARTS = ("common", "libraries", "writing", "reading")

_INSTALL = """
import sys, types
package = types.ModuleType(name)
package.__path__ = []
sys.modules[name] = package
for part, source in parts:
    module = types.ModuleType(name + "." + part)
    module.__package__ = name
    sys.modules[module.__name__] = module
    setattr(package, part, module)
    exec(compile(source, "<" + module.__name__ + ">", "exec", 0, True), module.__dict__)
"""

#: Seconds beyond its time that an answer may take, and that an interrupted one gets.
PATIENCE, GRACE = 5.0, 3.0


class NoAnswerError(Exception):
    """The kernel did not do what it was asked."""


@cache
def install() -> str:
    """The expression that brings the files of ``in_kernel`` into a kernel."""
    folder = Path(__file__).with_name("in_kernel")
    parts = [(name, (folder / f"{name}.py").read_text(encoding="utf-8")) for name in _PARTS]
    return f'__import__("builtins").exec({_INSTALL!r}, {{"name": {PACKAGE!r}, "parts": {parts!r}}})'


def call(function: str, **told: Any) -> str:
    """The expression that calls a function of ``in_kernel`` with a JSON text."""
    part, _, name = function.partition(".")
    shell = '__import__("IPython").get_ipython(), ' if function == "common.begin" else ""
    text = json.dumps(told, default=str)
    return f'__import__("sys").modules["{PACKAGE}.{part}"].{name}({shell}{text!r})'


async def ask(client: Any, expressions: dict[str, str], seconds: float) -> dict[str, Any]:
    """The kernel's answer: the value of the expression called ``answer``.

    Parameters
    ----------
    seconds : float
        How long it may take; it is interrupted a little later.

    Raises
    ------
    NoAnswerError
        If an expression fails or there is no answer in time.
    StoppedError
        If the kernel dies.
    """
    kernel = client.kc
    asked = kernel.execute(
        "", silent=True, store_history=False, user_expressions=expressions, allow_stdin=False,
        stop_on_error=False,
    )  # fmt: skip
    end, interrupted = time.monotonic() + seconds + PATIENCE, False
    while True:
        try:
            reply = await ensure_async(kernel.get_shell_msg(timeout=0.5))
        except queue.Empty:
            if not await ensure_async(client.km.is_alive()):
                cause = await client.cause_of_death()
                raise StoppedError("killed", f"{cause}, while its state was kept") from None
            if time.monotonic() > end or (client.stopper.reason and not interrupted):
                if interrupted:
                    raise NoAnswerError("the kernel does not answer") from None
                interrupted, end = True, time.monotonic() + GRACE
                await ensure_async(client.km.interrupt_kernel())
            continue
        if reply["parent_header"].get("msg_id") == asked:
            return _value(reply["content"])


def _value(content: dict[str, Any]) -> dict[str, Any]:
    told = content.get("user_expressions", {})
    for found in told.values():
        if found.get("status") != "ok":
            raise NoAnswerError(f"{found.get('ename')}: {found.get('evalue')}")
    try:
        answer: dict[str, Any] = json.loads(ast.literal_eval(told["answer"]["data"]["text/plain"]))
    except (KeyError, ValueError, SyntaxError) as error:
        raise NoAnswerError("the kernel's answer can't be read") from error
    return answer
