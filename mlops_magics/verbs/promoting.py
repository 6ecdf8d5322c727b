"""`promote` and `history`: who let a version through, on which verdict, and when."""

from __future__ import annotations

from typing import Annotated

from mlops_magics import records, settings, store
from mlops_magics.errors import Refused, WrongUsage
from mlops_magics.records import History, Promotion
from mlops_magics.verbs import freshness
from mlops_magics.verbs.declaration import Model, verb
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.steps import step


@verb()
def promote(
    model: Model,
    *,
    to: str = "champion",
    override: str = "",
    message: Annotated[str, Option(("-m", "--message"))] = "",
) -> Promotion:
    """Move an alias to a version that has a passing verdict.

    Parameters
    ----------
    model : model
        The version to promote, for example ``credit@candidate``.
    to : str
        The alias that it gets.
    override : str, optional
        The reason for promoting without a passing verdict; it is recorded under your name.
    message : str, optional
        A note for whoever reads the history.

    Returns
    -------
    Promotion

    Raises
    ------
    Refused
        If the version has no passing verdict, or the model was changed after it.
    UnknownName
        If there is no such version.
    """
    if not isinstance(model, str):
        raise WrongUsage("Only a registered version can be promoted.", "Name it: credit@candidate.")
    version = store.versions.resolve(model)
    objection = freshness.objection(version)
    if objection and not override.strip():
        raise Refused(
            f"{version.ref} is not promoted: {objection}.",
            f"Run `validate {version.ref}` first, or give a reason with --override.",
        )
    from filelock import FileLock

    options = settings.load()
    options.state.mkdir(parents=True, exist_ok=True)
    verdict = version.tags.get("mlops.verdict")
    arguments = {"model": model, "to": to, "override": override, "message": message}
    follows = [verdict or version.run_id]
    # Two promotions at once on this machine: the second reads what the first one left.
    with (
        FileLock(options.state / "aliases.lock", timeout=60),
        step("promote", experiment=version.name, arguments=arguments, follows=follows) as current,
    ):
        previous = next((v for v in store.versions.of(version.name) if to in v.aliases), None)
        store.versions.set_alias(version.name, to, version.number)
        record = Promotion(
            model=version.name,
            alias=to,
            version=version.ref,
            previous=previous.ref if previous else None,
            actor=current.who["actor"],
            at=records.now(),
            reason=override.strip() or message,
            verdict=verdict,
            overridden=bool(objection),
            run_id=current.run_id,
        )
        current.tags({"mlops.model": version.ref, "mlops.alias": to})
        current.json("promotion.json", record)
        current.summary = {
            "model": version.ref,
            "alias": to,
            "previous": record.previous,
            "reason": record.reason,
            "overridden": record.overridden or None,
        }
    return record


@verb()
def history(name: str) -> History:
    """Tell who did what to a model, when, from where and why.

    Parameters
    ----------
    name : str
        The model's name.

    Returns
    -------
    History
        Each recorded step, oldest first.

    Raises
    ------
    UnknownName
        If nothing is recorded under that name.
    """
    events = store.history.events(name)
    if not events:
        raise store.history.unknown(name)
    return History(name=name, events=tuple(events))
