"""What a target can do: take a package and make it answer, tell how it is, end it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from mlops_magics.records import Deployment, Package


class Target(ABC):
    """A place for deployments; one class and one entry-point line.

    Attributes
    ----------
    name : str
        The entry point's name, and what ``--to`` takes.
    """

    name: ClassVar[str]

    @abstractmethod
    def deploy(
        self, package: Package, *, name: str, port: int = 0, capture: Path | None = None
    ) -> Deployment:
        """Start a package, wait until it answers, and test it with its input example.

        Parameters
        ----------
        port : int
            0 takes a free one.
        capture : Path, optional
            The file in which requests and answers are kept.

        Returns
        -------
        Deployment
            With the status ``up``.

        Raises
        ------
        WrongUsage
            If the port is taken.
        StepFailed
            If it does not come up, or does not answer as the package says; nothing is left
            running then.
        """

    @abstractmethod
    def status(self, deployment: Deployment) -> Deployment:
        """The deployment as it is now: ``up``, or ``down`` with the reason."""

    @abstractmethod
    def undeploy(self, deployment: Deployment) -> Deployment:
        """Stop it; ending what is gone already is no error. The status is ``stopped``."""

    @abstractmethod
    def logs(self, deployment: Deployment, lines: int = 50) -> str:
        """The last lines that it wrote."""
