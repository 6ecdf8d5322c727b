"""`promote`: no alias moves without a verdict that holds, or a reason and a name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mlops_magics import records, settings, store
from mlops_magics.errors import Refused, WrongUsage
from mlops_magics.records import Promotion
from mlops_magics.verbs import approving, freshness, moves
from mlops_magics.verbs.declaration import Model, verb
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.steps import Step, step

#: A reason has at least so many letters; fewer tell nobody anything.
SHORTEST = 8


@verb()
def promote(
    model: Model,
    *,
    to: str = "champion",
    override: str = "",
    approve: bool = False,
    withdraw: bool = False,
    message: Annotated[str, Option(("-m", "--message"))] = "",
) -> Promotion:
    """Move an alias to a version that has a passing verdict.

    The verdict must still hold: a change of the model, of the data or of the gates since makes it
    stale. With the setting ``approval = 2`` the promotion is held, with exit code 4, until another
    user has approved it; nothing moves before.

    Parameters
    ----------
    model : model
        The version to promote, for example ``credit@candidate``.
    to : str
        The alias that it gets.
    override : str, optional
        The reason for promoting without a passing verdict; it is recorded under your name.
    approve : bool
        Agree to a promotion that another user has asked for.
    withdraw : bool
        Take back, or turn down, a promotion that is held; needs a message.
    message : str, optional
        A note for whoever reads the history.

    Returns
    -------
    Promotion
        With the status ``promoted``, ``held`` or ``withdrawn``.

    Raises
    ------
    Refused
        If the version has no passing verdict, the verdict does not hold any more, or whoever
        approves is the one who asked.
    UnknownName
        If there is no such version.
    WrongUsage
        If a reason says nothing, or nothing is held.
    """
    if not isinstance(model, str):
        raise WrongUsage("Only a registered version can be promoted.", "Name it: credit@candidate.")
    if approve + withdraw + bool(override) > 1:
        raise WrongUsage(
            "--approve, --withdraw and --override exclude each other.", "Give one of them."
        )
    version = store.versions.resolve(model)
    store.versions.check_alias(to)
    arguments: dict[str, Any] = {"model": model, "to": to, "override": override}
    arguments |= {"message": message}
    arguments |= {"approve": approve} if approve else {}
    arguments |= {"withdraw": withdraw} if withdraw else {}
    verdict = version.tags.get("mlops.verdict")
    # Nobody else moves an alias of this model meanwhile, on this machine or another.
    with store.locks.alone(f"aliases-{version.name}"):
        work = _Promotion(version, to, override, message)
        if approve:
            work.approve()
        elif withdraw:
            work.withdraw()
        else:
            work.ask()
        with step(
            "promote",
            experiment=version.name,
            arguments=arguments,
            follows=[verdict or version.run_id],
        ) as current:
            return work.do(current)


class _Promotion:
    """One promotion: what stands against it, who has agreed, and its record."""

    def __init__(
        self, version: store.versions.Version, alias: str, override: str, message: str
    ) -> None:
        self.version = version
        self.alias = alias
        self.override = override.strip()
        self.message = message
        self.at = records.now()
        found = store.versions.of(version.name)
        self.previous = next((v.ref for v in found if alias in v.aliases), None)
        self.objection = freshness.objection(version)
        self.request: approving.Request | None = None
        self.approvals: tuple[Any, ...] = ()
        self.warnings: tuple[str, ...] = ()
        self.overridden = False
        self.reason = self.override or message
        self.status: Literal["promoted", "held", "withdrawn"] = "promoted"
        self.needed = settings.load().approval

    def ask(self) -> None:
        """Ask for it, on the verdict or with a reason."""
        if self.override and len(self.override) < SHORTEST:
            raise WrongUsage(
                f"{self.override!r} is no reason that anybody will understand later.",
                "Say why this version is promoted without a passing verdict: --override REASON.",
            )
        if self.objection and not self.override:
            raise Refused(
                f"{self.version.ref} is not promoted: {self.objection}.",
                f"Run `validate {self.version.ref}` first, or give a reason with --override.",
            )
        self.overridden = bool(self.objection)
        if self.needed > 1:
            if approving.find(self.version, self.alias) is not None:
                raise WrongUsage(
                    f"The promotion of {self.version.ref} to {self.alias} is held already.",
                    f"Another person approves it: promote {self.version.ref} --approve.",
                )
            self.approvals = (approving.voice(self.reason, self.at),)
            self.status = "held"

    def approve(self) -> None:
        """Agree to what another has asked for; the last one needed lets it through."""
        self.request = approving.asked(self.version, self.alias)
        mine = approving.voice(self.message, self.at)
        approving.check_other(self.request, mine)
        approving.check_unchanged(self.request, self.version, self.previous, self.objection)
        self.approvals = (*self.request.approvals, mine)
        self.warnings = tuple(filter(None, [approving.stranger(self.request)]))
        self.overridden = self.request.overridden
        self.reason = str(self.request.told.get("reason", ""))
        self.needed = max(self.needed, int(self.request.told.get("needed", 1)))
        if len(self.approvals) < self.needed:
            self.status = "held"

    def withdraw(self) -> None:
        """Take it back, or turn it down."""
        self.request = approving.asked(self.version, self.alias)
        if not self.message.strip():
            raise WrongUsage("A withdrawal needs its reason.", "Give one with -m REASON.")
        self.approvals = self.request.approvals
        self.overridden = self.request.overridden
        self.reason = self.message
        self.status = "withdrawn"

    def do(self, current: Step) -> Promotion:
        """Record it, and move the alias if nothing is wanting."""
        record = Promotion(
            model=self.version.name,
            alias=self.alias,
            version=self.version.ref,
            previous=self.previous,
            actor=current.who["actor"],
            at=self.at,
            reason=self.reason,
            verdict=self.version.tags.get("mlops.verdict"),
            overridden=self.overridden,
            objection=self.objection,
            model_digest=self.version.digest,
            run_id=current.run_id,
            status=self.status,
            approvals=self.approvals,
            needed=self.needed,
            warnings=self.warnings,
        )
        # Before the alias moves, so that a step that is killed in between has told of it.
        current.json(moves.PROMOTION, record)
        current.tags({"mlops.model": self.version.ref, "mlops.alias": self.alias})
        if self.request is not None:
            current.tags({approving.REQUEST: self.request.run_id})
        current.summary = {
            "model": self.version.ref,
            "alias": self.alias,
            "held": f"{len(self.approvals)} of {self.needed} agreed"
            if self.status == "held"
            else None,
            "withdrawn": True if self.status == "withdrawn" else None,
            "previous": self.previous,
            "reason": self.reason,
            "overridden": self.overridden or None,
            "approved by": ", ".join(a["actor"] for a in self.approvals[1:]),
        }
        if self.status == "promoted":
            store.versions.set_alias(self.version.name, self.alias, self.version.number)
        return record
