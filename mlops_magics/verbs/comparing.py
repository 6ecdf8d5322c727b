"""`compare`: runs and versions side by side, best first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlops_magics import goals, store
from mlops_magics.errors import UnknownName, WrongUsage, did_you_mean
from mlops_magics.goals.directions import Direction
from mlops_magics.records import Comparison, Run, Tuning
from mlops_magics.verbs import session, standings
from mlops_magics.verbs.declaration import verb
from mlops_magics.verbs.differing import RunRef

if TYPE_CHECKING:
    from mlops_magics.store.entries import Page, Scope

#: How many of the best have their curves drawn over each other.
_CURVES = 5


@verb()
def compare(
    *names: RunRef,
    by: str = "",
    top: int = 20,
    offset: int = 0,
    smallest: bool = False,
    all_: bool = False,
) -> Comparison:
    """Compare runs and versions: a leaderboard with parameters, metrics, cost and trust.

    Trials of a search, and runs that failed or were killed, are left out and counted. Whether
    more of a metric is better is known for its name; where it is not, the assumption is stated.

    Parameters
    ----------
    names : model
        ``credit`` (all its versions and runs), ``credit@champion``, ``credit/3``, ``runs:/ID``;
        several are compared with each other. In a notebook, by default the model trained last.
    by : str, optional
        The metric to sort by; ``-NAME`` if less of it is better, ``+NAME`` if more. By default
        the metric that the model was trained for, else the usual one of its task.
    top : int
        How many to show.
    offset : int
        How many of the best to skip: ``--offset 20`` shows the second page.
    smallest : bool
        Less of the metric is better.
    all_ : bool
        With trials, and with runs that failed or were killed.

    Returns
    -------
    Comparison

    Raises
    ------
    UnknownName
        If there is no such model, version, run or metric; with the nearest.
    WrongUsage
        If nothing is named and nothing was trained, or a number makes no sense.
    """
    if top < 1 or offset < 0:
        raise WrongUsage(
            f"top is {top} and offset {offset}: at least 1 and 0 are needed.",
            "For example --top 20 --offset 20 for the second page.",
        )
    asked = [_text(n) for n in names] or [_last()]
    scope = _scope(asked, all_)
    metric, direction = _metric(by, smallest, scope)
    page = store.leaderboard.page(scope, metric, direction.greater_is_better, top, offset)
    if by and not _measured(page, metric):
        _refuse_unknown(metric, scope)
    versions = store.leaderboard.versions_of([e.run_id for e in page.entries])
    rows = standings.rows(page.entries, versions, names=scope.names, by=metric, offset=offset)
    return Comparison(
        names=tuple(asked),
        by=metric,
        greater_is_better=direction.greater_is_better,
        rows=tuple(rows),
        varying=standings.varying(rows),
        total=page.total,
        offset=offset,
        trials=page.trials,
        failed=page.failed,
        curves=standings.curves(rows[:_CURVES], page.entries[:_CURVES]),
        warnings=tuple(_warnings(rows, metric, direction, page, offset)),
    )


def _text(name: Any) -> str:
    """A reference as text; records stand for what they are of."""
    if isinstance(name, Run):
        return name.model or f"runs:/{name.run_id}"
    if isinstance(name, Tuning):
        return name.name
    if isinstance(name, str):
        return name
    raise WrongUsage(
        f"A {type(name).__name__} can't be compared: only what is recorded can.",
        "Name a model (credit), a version (credit/3, credit@champion) or a run (runs:/ID).",
    )


def _last() -> str:
    last = session.latest_run()
    if last is None:
        raise WrongUsage(
            "Nothing to compare was named, and nothing was trained here yet.",
            f"Name a model. {did_you_mean('', store.versions.names())}",
        )
    return last[1]


def _scope(refs: Sequence[str], everything: bool) -> Scope:
    names: list[str] = []
    run_ids: list[str] = []
    for ref in refs:
        if ref.startswith("runs:/"):
            run_id = ref.removeprefix("runs:/").partition("/")[0]
            run_ids.append(str(store.runs.get(run_id).info.run_id))
        elif "@" in ref or "/" in ref:
            version = store.versions.resolve(ref)
            if not version.run_id:
                raise WrongUsage(
                    f"{version.ref} was registered without a run, so nothing is known to compare.",
                    "Name a version that a run left.",
                )
            run_ids.append(version.run_id)
        elif ref and store.leaderboard.knows(ref):
            names.append(ref)
        else:
            raise UnknownName("model", ref, store.versions.names())
    return store.leaderboard.Scope(
        names=tuple(names), run_ids=tuple(run_ids), everything=everything
    )


def _metric(by: str, smallest: bool, scope: Scope) -> tuple[str, Direction]:
    """What to sort by and which way is better; an empty name when these runs have no metric."""
    sign = by[:1] if by[:1] in ("-", "+") else ""
    if by == sign:
        by = _main(scope)
        if not by:
            return "", Direction(True)
    else:
        by = by.removeprefix(sign)
    if smallest or sign:
        return by, Direction(not smallest and sign != "-")
    return by, goals.directions.of(by)


def _main(scope: Scope) -> str:
    """The metric that the models were trained for, else the usual one, else the most frequent."""
    counts = store.leaderboard.metrics(scope)
    wanted = [v for name in scope.names for v in store.versions.of(name)]
    for found in store.leaderboard.versions_of(scope.run_ids).values():
        wanted += found
    for version in sorted(wanted, key=lambda v: v.created, reverse=True):
        if (metric := version.tags.get("mlops.metric", "")) in counts:
            return metric
    return standings.usual(counts)


def _measured(page: Page, metric: str) -> bool:
    """Whether any run has the metric: those that have it come first."""
    return bool(page.entries) and metric in page.entries[0].metrics


def _refuse_unknown(metric: str, scope: Scope) -> None:
    counts = store.leaderboard.metrics(scope)
    if counts and metric not in counts:  # it is there where only the page is beyond the last run
        raise UnknownName("logged metric", metric, counts)


def _warnings(
    rows: Sequence[dict[str, Any]], metric: str, direction: Direction, page: Page, offset: int
) -> list[str]:
    found: list[str] = []
    if not rows:
        beyond = f"There is no run after the first {offset}."
        return [beyond if page.total else "There is no finished run to compare."]
    if not metric:
        return ["These runs have no metrics: the newest are first."]
    if direction.assumed:
        other = "+" if not direction.greater_is_better else "-"
        found.append(f"{_sentence(direction.assumed)}; --by={other}{metric} turns it round.")
    values = [row["metrics"].get(metric) for row in rows]
    if lacking := sum(v is None for v in values):
        found.append(f"{_runs(lacking)} without {metric} at the end.")
    if undefined := sum(v is not None and math.isnan(v) for v in values):
        found.append(f"{_runs(undefined)} whose {metric} is not a number, after all others.")
    other_rows = [row for row in rows if row["comparable"] is False]
    unknown = [row for row in rows if row["comparable"] is None]
    if other_rows:
        found.append(
            f"{_runs(len(other_rows))} measured on other rows than the best ({_named(other_rows)}):"
            " these metrics can't be compared with the others."
        )
    if unknown and len(unknown) < len(rows):
        found.append(
            f"{_runs(len(unknown))} whose test rows are not recorded ({_named(unknown)}): whether "
            "these metrics can be compared is not known."
        )
    return found


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _named(rows: Sequence[dict[str, Any]]) -> str:
    labels = [str(row["model"] or row["name"] or row["run_id"][:8]) for row in rows]
    return ", ".join(labels[:4]) + (" …" if len(labels) > 4 else "")


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:]
