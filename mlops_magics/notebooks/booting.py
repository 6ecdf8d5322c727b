"""A kernel on its way up, so that this process can get on with something meanwhile."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.utils import run_sync

from mlops_magics.notebooks.kernels import Kernel
from mlops_magics.notebooks.meeting import Manager

if TYPE_CHECKING:
    from mlops_magics.notebooks.warm.parents import Parent

#: The longest folder in which a Unix socket still has a valid name (its limit is 108 bytes).
LONGEST = 90

silent = logging.getLogger("mlops_magics.notebooks.kernel")
silent.addHandler(logging.NullHandler())
silent.propagate = False  # what the libraries have to say, the outcome says in our words


def only(folder: str) -> KernelSpecManager:
    """What finds the kernel specifications of one folder."""
    return KernelSpecManager(kernel_dirs=[folder], ensure_native_kernel=False)


class Boot:
    """Starts a kernel on entry, without waiting for it; on exit there is none any more.

    Parameters
    ----------
    environment : mapping
        Variables for the kernel beside this process's, which stay as they are.
    folder : str or None
        Its working directory.
    parent : Parent, optional
        The open parent that it is forked from, if it can be.

    Attributes
    ----------
    trouble : Exception or None
        Why it could not be started.
    forked : bool
        Whether it came of the parent.
    """

    def __init__(
        self,
        kernel: Kernel,
        environment: Mapping[str, str],
        folder: str | None,
        parent: Parent | None = None,
    ) -> None:
        own = {"kernel_spec_manager": only(kernel.folder)} if kernel.folder else {}
        self.manager: Any = Manager(kernel_name=kernel.name, log=silent, **own)
        if parent is not None:
            parent.take(self.manager)
        self.trouble: Exception | None = None
        self.forked = False
        self._environment, self._folder = environment, folder
        self._sockets = tempfile.TemporaryDirectory(prefix="mlops-kernel-")

    def __enter__(self) -> Boot:
        if os.name == "posix" and len(self._sockets.name) < LONGEST:
            # Sockets in a folder of ours instead of TCP ports: nobody else on this machine can
            # reach the kernel, and parallel starts can't take each other's ports.
            self.manager.transport, self.manager.ip = "ipc", f"{self._sockets.name}/k"
        # No history file: several kernels would lock each other out of it.
        extra = ["--HistoryManager.hist_file=:memory:"] if self.manager.ipykernel else []

        async def start() -> None:
            await self.manager.start_kernel(
                env={**os.environ, **self._environment}, cwd=self._folder, extra_arguments=extra
            )

        try:
            run_sync(start)()
        except (OSError, RuntimeError) as error:
            self.trouble = error
        self.forked = getattr(self.manager.provisioner, "forked", False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        async def stop() -> None:
            if self.manager.has_kernel:
                await self.manager.shutdown_kernel(now=True)
            await self.manager.cleanup_resources()

        with suppress(OSError, RuntimeError):  # it is gone already, which is what is wanted
            run_sync(stop)()
        self._sockets.cleanup()
