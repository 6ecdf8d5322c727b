"""Which kernel a notebook runs in."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from mlops_magics.errors import UnknownName
from mlops_magics.evidence import environment

#: The kernel of the Python that runs us, which every installation with ipykernel has.
NATIVE = "python3"


@dataclass(frozen=True)
class Kernel:
    """An installed kernel.

    Attributes
    ----------
    language : str
        In lower case.
    program : str
        What its specification starts.
    folder : str
        Where its specification lies, if that is none of Jupyter's own folders.
    """

    name: str
    language: str
    program: str
    folder: str = ""

    @property
    def ours(self) -> bool:
        """Whether it runs in the interpreter, and so with the packages, of this process."""
        return _resolved(self.program) == _resolved(sys.executable)


def find(notebook: dict[str, Any], wanted: str = "") -> Kernel:
    """The kernel that is asked for, else the notebook's, else this Python's.

    Raises
    ------
    UnknownName
        If it is not installed; names those that are.
    """
    stated = notebook["metadata"].get("kernelspec", {}).get("name")
    name = wanted or stated or NATIVE
    manager = KernelSpecManager()
    try:
        spec = manager.get_kernel_spec(name)
    except NoSuchKernel:
        hint = "" if wanted else f"The notebook asks for it; --kernel {NATIVE} runs it in another."
        raise UnknownName("kernel", name, manager.find_kernel_specs(), hint) from None
    return Kernel(name, str(spec.language).lower(), _program(spec.argv[0]))


def _program(word: str) -> str:
    # jupyter_client starts its own Python where a specification says just "python".
    version = sys.version_info
    if word in {"python", f"python{version[0]}", f"python{version[0]}.{version[1]}"}:
        return sys.executable
    return shutil.which(word) or word


def _resolved(program: str) -> str:
    # Not through links: a virtual environment's python is one, and leads out of it.
    return str(Path(program).absolute())


def packages(kernel: Kernel) -> dict[str, Any]:
    """Every package the kernel's code could import, with its exact version.

    Returns
    -------
    dict
        ``of``: whose packages they are; ``versions``: name → version.
    """
    if kernel.ours:
        return {"of": "the kernel's Python, which also ran the executor"} | {
            "versions": environment.packages()
        }
    if kernel.language == "python":
        try:
            told = subprocess.run(
                [kernel.program, "-c", _ASK], capture_output=True, timeout=60, check=True
            )
            return {"of": "the kernel's Python", "versions": json.loads(told.stdout)}
        except (OSError, subprocess.SubprocessError, ValueError):
            pass
    return {"of": f"unknown: {kernel.program} could not be asked", "versions": {}}


_ASK = """
import json
from importlib.metadata import distributions
found = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions()}
print(json.dumps(dict(sorted(found.items()))))
"""
