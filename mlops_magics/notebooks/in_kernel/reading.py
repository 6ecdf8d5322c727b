"""Reading a state back into a fresh kernel."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

from . import libraries
from .common import NotKeptError, first
from .writing import LAST


def restore(request: str) -> str:
    """Set the kernel to the state in a file; the answer says why it could not be.

    Parameters
    ----------
    request : str
        JSON: ``path``, ``digest`` (a file of another one is not read), and ``cells``: number and
        source of each that had run.
    """
    asked = json.loads(request)
    try:
        _restore(asked)
    except BaseException as error:  # whatever a variable's own code raises
        name = "" if isinstance(error, NotKeptError) else f"{type(error).__name__}: "
        return json.dumps({"restored": False, "why": f"{name}{error}"})
    return json.dumps({"restored": True})


def _restore(asked: Mapping[str, Any]) -> None:
    shell = first["shell"]
    with open(asked["path"], "rb") as file:
        if _digest(file) != asked["digest"]:
            raise NotKeptError("its file is not the one that was written")
        file.seek(0)
        header = pickle.load(file)  # noqa: S301  # its digest is the signed one
        _set_process(header)
        for name in header["extensions"]:
            shell.extension_manager.load_extension(name)
        body = pickle.load(file)  # noqa: S301
    shell.user_ns.update(body["names"])
    for name, label in header["secrets"].items():
        shell.user_ns[name] = _secret(label)
    _set_history(shell, header["count"], asked["cells"], body.get("results"))
    if body["session"] is not None:
        sys.modules["mlops_magics.verbs.session"].restore(body["session"])
    libraries.give(body["libraries"])  # last: an import may draw random numbers


def _digest(file: BinaryIO) -> str:
    found = hashlib.sha256()
    while part := file.read(1 << 24):
        found.update(part)
    return f"sha256:{found.hexdigest()}"


def _set_process(header: Mapping[str, Any]) -> None:
    around = header["environment"]
    os.environ.update(around["set"])
    os.environ.update({name: _secret(label) for name, label in around["secrets"].items()})
    for name in around["removed"]:
        os.environ.pop(name, None)
    try:
        os.chdir(header["folder"])
    except OSError:
        raise NotKeptError(f"the folder {header['folder']} is gone") from None
    sys.path[:] = header["path"]


def _secret(label: str) -> Any:
    known = {**first["secrets"], **first["given"]}
    if label not in known:
        raise NotKeptError(f"it needs the secret {label}, which was not given")
    return known[label]


def _set_history(shell: Any, count: int, cells: Any, results: Any) -> None:
    typed, parsed = shell.history_manager.input_hist_raw, shell.history_manager.input_hist_parsed
    for number, source in cells:
        missing = [""] * (number + 1 - len(typed))
        typed += missing
        parsed += missing
        typed[number] = source.rstrip("\n")
        parsed[number] = shell.transform_cell(source).rstrip("\n")
    shell.execution_count = count
    if results is not None:
        shell.user_ns["Out"].update(results["out"])
        shell.user_ns.update({f"_{number}": value for number, value in results["out"].items()})
        for name, value in zip(LAST, results["last"]):  # noqa: B905  # an older Python's too
            setattr(shell.displayhook, name, value)
            shell.user_ns[name] = value
