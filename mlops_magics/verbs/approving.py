"""Promotions that wait until enough people have agreed.

A promotion that is held moves nothing. Its run is the request; each approval is a step of its own
that names the request. Who somebody is rests on the setting `actor` (the login name) and on the
key that signs the entries of the history: both have to differ from those of everybody who has
agreed before. Whoever may act as another user of the machine, and use that user's key, can agree
in that name too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_magics import evidence, settings, store
from mlops_magics.errors import NotIntact, Refused, WrongUsage
from mlops_magics.verbs import moves

#: The tag by which an approval, a promotion or a withdrawal names its request.
REQUEST = "mlops.request"


@dataclass(frozen=True)
class Request:
    """A promotion that is held.

    Attributes
    ----------
    told : mapping
        The newest record of it: who has agreed so far, to what.
    newest : str
        The run that has left it.
    """

    run_id: str
    told: Mapping[str, Any]
    newest: str

    @property
    def version(self) -> str:
        """Which version is to be promoted."""
        return str(self.told["version"])

    @property
    def alias(self) -> str:
        """Which alias it is to get."""
        return str(self.told["alias"])

    @property
    def approvals(self) -> tuple[Mapping[str, Any], ...]:
        """Who has agreed: ``actor``, ``at``, ``reason``, ``key``."""
        return tuple(self.told["approvals"])

    @property
    def overridden(self) -> bool:
        """Whether it was asked for in spite of the verdict."""
        return bool(self.told.get("overridden"))


def waiting(name: str) -> list[Request]:
    """What is held of a model, oldest first."""
    found: dict[str, Request] = {}
    for run in store.ledger.steps(name, "promote"):
        tags = run.data.tags
        if tags.get("mlops.status") != "finished":
            continue
        told = store.ledger.read(run, moves.PROMOTION)
        if not isinstance(told, Mapping):
            continue
        request = tags.get(REQUEST, str(run.info.run_id))
        if told.get("status") == "held":
            found[request] = Request(request, told, str(run.info.run_id))
        else:
            found.pop(request, None)
            # Whatever else was asked for this alias was asked when it stood elsewhere.
            found = {k: r for k, r in found.items() if r.alias != told.get("alias")}
    return list(found.values())


def find(version: store.versions.Version, alias: str) -> Request | None:
    """What is held for this version and alias."""
    held = waiting(version.name)
    return next((r for r in held if (r.version, r.alias) == (version.ref, alias)), None)


def asked(version: store.versions.Version, alias: str) -> Request:
    """What is held for this version and alias.

    Raises
    ------
    WrongUsage
        If nothing is.
    NotIntact
        If its record was altered.
    """
    found = find(version, alias)
    if found is not None:
        for run_id in dict.fromkeys((found.run_id, found.newest)):
            if said := store.ledger.objection(run_id):
                raise NotIntact(
                    f"The request to promote {version.ref} can't be relied on: {said}.",
                    f"See `verify {version.name}`.",
                )
        return found
    others = [f"{r.version} as {r.alias}" for r in waiting(version.name)]
    raise WrongUsage(
        f"No promotion of {version.ref} to {alias} waits for an approval.",
        f"Held: {', '.join(others)}." if others else f"Ask for one: promote {version.ref}.",
    )


def voice(reason: str, at: str) -> dict[str, Any]:
    """Whoever acts now, as one who agrees."""
    options = settings.load()
    key = evidence.keys.signer(options.keys).public_key.keyval["public"]
    return {"actor": evidence.environment.who()["actor"], "at": at, "reason": reason, "key": key}


def check_other(request: Request, mine: Mapping[str, Any]) -> None:
    """Refuse whoever has agreed before.

    Raises
    ------
    Refused
        If it is the same person, or the same key.
    """
    for other in request.approvals:
        if other["actor"] == mine["actor"]:
            when = "asked for" if other is request.approvals[0] else "approved"
            raise Refused(
                f"You ({mine['actor']}) have {when} the promotion of {request.version} yourself: "
                "another person has to approve it.",
                f"For example: mlops promote {request.version} --approve.",
            )
        if other["key"] == mine["key"]:
            raise Refused(
                f"{mine['actor']} signs with the same key as {other['actor']}, so this can't be "
                "told from the same person.",
                "Each person needs a key of their own (the setting `keys`).",
            )


def stranger(request: Request) -> str:
    """A warning if whoever has asked signs with a key that is not known here; else empty."""
    entry = store.ledger.entry_of(store.runs.get(request.run_id))
    trusted = evidence.keys.trusted(settings.load().keys)
    if entry is None or evidence.chain.signer_of(entry, trusted):
        return ""
    return (
        f"The key {entry.key[:16]}… that signed the request of {request.approvals[0]['actor']} is "
        "not known here, so that it was they is only what the request says."
    )


def check_unchanged(
    request: Request, version: store.versions.Version, previous: str | None, objection: str
) -> None:
    """Refuse what is not any more what the others have agreed to.

    Raises
    ------
    Refused
        If the alias was moved, the model changed or the verdict fell meanwhile.
    """
    why = ""
    if previous != request.told.get("previous"):
        why = f"{request.alias} is {previous or 'gone'} by now"
    elif request.told.get("model_digest") != version.digest:
        why = "the model was changed"
    elif objection and not request.overridden:
        why = objection
    if why:
        raise Refused(
            f"The request to promote {request.version} has lapsed: {why}.",
            f"Withdraw it (promote {request.version} --withdraw), and ask anew.",
        )
