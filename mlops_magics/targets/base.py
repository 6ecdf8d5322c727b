"""What a target can do: take a package and make it answer, tell how it is, end it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from mlops_magics.errors import UnknownName, WrongUsage
from mlops_magics.records import Deployment, Package

if TYPE_CHECKING:
    from mlops_magics.serving.client import Reply
    from mlops_magics.targets.plans import Goal

NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Split:
    """How requests are shared with a second version.

    Attributes
    ----------
    kind : str
        ``canary``: it answers some; ``shadow``: it gets a copy of each, and its answers go nowhere.
    share : float
        Of the requests that a canary answers.
    goals : tuple of Goal
        It is ended when it breaks one.
    least : int
        Requests that it must have had before.
    options : mapping
        As of `Target.deploy`.
    """

    kind: str
    share: float = 1.0
    goals: tuple[Goal, ...] = ()
    least: int = 20
    options: Mapping[str, str] = field(default_factory=dict)


class Target(ABC):
    """A place for deployments; one class and one entry-point line.

    Parameters
    ----------
    place : str
        What stands after the colon of ``--to NAME:PLACE``.

    Attributes
    ----------
    name : str
        The entry point's name, and what ``--to`` takes.
    can_split : bool
        Whether it can share requests between two versions.
    places : str
        What `place` names, in words; empty where there is nothing to choose from.
    takes : str
        The kind of package that it takes: ``folder``, ``image`` or ``onnx``.
    options : mapping
        What ``-o NAME VALUE`` can say to it: name → meaning, in a line.
    replaces : bool
        Whether deploying under a name that it has puts the new one in the old one's place, as a
        cluster does: the old one must not be ended afterwards, and stays if the new one fails.
    """

    name: ClassVar[str]
    takes: ClassVar[str] = "folder"
    options: ClassVar[Mapping[str, str]] = NONE
    replaces: ClassVar[bool] = False
    can_split: ClassVar[bool] = False
    places: ClassVar[str] = ""

    def __init__(self, place: str = "") -> None:
        if place and not self.places:
            raise WrongUsage(
                f"The target {self.name} has no places to choose from, so not {place!r}.",
                f"Say --to {self.name}.",
            )
        self.place = place

    @property
    def to(self) -> str:
        """What ``--to`` takes for it, and what a deployment names as its `target`."""
        return f"{self.name}:{self.place}" if self.place else self.name

    @abstractmethod
    def deploy(
        self,
        package: Package,
        *,
        name: str,
        port: int = 0,
        capture: Path | None = None,
        options: Mapping[str, str] = NONE,
    ) -> Deployment:
        """Start a package, wait until it answers, and test it with its input example.

        Parameters
        ----------
        port : int
            0 takes a free one.
        capture : Path, optional
            The folder in which requests and answers are kept.
        options : mapping
            Values of some of `options`; the caller has let `check` look at their names.

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

    def check(self, options: Mapping[str, str]) -> None:
        """Refuse options that the target does not have.

        Raises
        ------
        UnknownName
            Names the first one, and those that there are.
        """
        for name in options:
            if name not in self.options:
                hint = f"The target {self.name} takes {', '.join(self.options) or 'none'}."
                raise UnknownName("option", name, self.options, hint)

    def split(self, deployment: Deployment, package: Package, split: Split) -> Deployment:
        """Put a second version beside the deployed one; a second version that is there ends.

        Returns
        -------
        Deployment
            With `canary` filled.

        Raises
        ------
        WrongUsage
            If the target can't (`can_split`).
        StepFailed
            If the second version does not come up, or does not answer as its package says; the
            deployed one goes on, alone.
        """
        raise WrongUsage(
            f"The target {self.to} can't share requests between two versions.",
            "Deploy the new version whole, or a canary --to local.",
        )

    def unsplit(self, deployment: Deployment) -> Deployment:
        """End the second version; no error if there is none."""
        return deployment

    @abstractmethod
    def status(self, deployment: Deployment) -> Deployment:
        """The deployment as it is now: ``up``, or ``down`` with the reason."""

    @abstractmethod
    def undeploy(self, deployment: Deployment) -> Deployment:
        """Stop it; ending what is gone already is no error. The status is ``stopped``."""

    @abstractmethod
    def logs(self, deployment: Deployment, lines: int = 50) -> str:
        """The last lines that it wrote."""

    def ask(self, deployment: Deployment, body: bytes, *, client_id: str = "") -> Reply:
        """Let it answer a body of MLflow's scoring protocol.

        Over HTTP at the deployment's `url`; a target that has none brings the question there in
        its own way.

        Raises
        ------
        httpx.HTTPError
            If it can't be reached or breaks off.
        StepFailed
            If it can't answer; says why.
        """
        from mlops_magics.serving import client

        return client.ask(deployment.url, body, client_id=client_id)
