"""What jupyter_client starts, asks and ends a forked kernel by."""

from __future__ import annotations

import os
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Unicode

from mlops_magics.notebooks.warm import parents


class WarmProvisioner(LocalProvisioner):  # untyped
    """Forks a kernel from an open parent; where there is none it starts one like its base.

    A kernel specification may name it, ``mlops-warm``; without a parent that this process has
    opened it makes no difference.
    """

    #: Whether this kernel came of it.
    forked = False

    parent_name = Unicode("", config=True, help="The open parent that kernels are forked from.")

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel."""
        parent = parents.find(self.parent_name)
        environment = {**kwargs.get("env", os.environ), "JPY_PARENT_PID": str(os.getpid())}
        cwd = kwargs.get("cwd")
        forked = await parent.fork(cmd, environment, cwd) if parent is not None else None
        if forked is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process: Any = forked
        self.forked = True
        self.pid = self.pgid = forked.pid  # it leads a session of its own
        self.cwd = cwd or os.getcwd()
        return self.connection_info

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel and its processes; none once it has ended."""
        if await self.poll() is None:  # its number may be another's by then
            await super().send_signal(signum)
