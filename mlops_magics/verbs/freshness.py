"""Whether a version's verdict still holds: nothing that it rests on was changed since.

The verdict is read from its run, not from the tags of the version, which anybody can set.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import evidence, settings, store
from mlops_magics.errors import MlopsError, NotIntact, StoreUnreachable, UnknownName
from mlops_magics.verbs import evaluation, gates, goal_texts, own_metrics, verdict_keeping

if TYPE_CHECKING:
    from mlops_magics.store.versions import Version

Facts = Mapping[str, Any]


def objection(version: Version) -> str:
    """Why a version may not be promoted on its verdict; empty when nothing stands against it.

    It rests on the model's files, on the rows it was judged on, on the goals that are judged in
    any case, on the user's own metrics and, where a goal compares with it, on the champion.
    """
    run_id = version.tags.get(verdict_keeping.TAG)
    if not run_id:
        return "it has not been validated"
    try:
        verdict: Facts = store.runs.read_json(run_id, goal_texts.VERDICT)
    except (UnknownName, StoreUnreachable, ValueError):
        return f"its verdict can't be read any more (run {run_id})"
    if said := store.ledger.objection(run_id):
        return f"its verdict can't be relied on: {said}"
    if verdict.get("model") not in (None, version.ref):
        return f"the verdict that it names ({run_id}) is that of {verdict['model']}"
    if not verdict.get("passed"):
        return "its verdict is failed"
    if said := stale(version, verdict):
        return f"its verdict is stale: {said}"
    return ""


def stale(version: Version, verdict: Facts) -> str:
    """What was changed of that on which a verdict rests; empty when nothing was."""
    for changed in (_model, _data, _gates, _functions, _champion):
        if said := changed(version, verdict):
            return said
    return ""


def _model(version: Version, verdict: Facts) -> str:
    if verdict.get("model_digest", "") != version.digest:
        return "the model was changed since"
    try:
        store.versions.local_path(version)
    except NotIntact:
        return "the files of the model were changed since"
    except MlopsError as error:
        return error.message.rstrip(".")
    return ""


def _data(version: Version, verdict: Facts) -> str:
    name, digest = str(verdict.get("dataset", "")), verdict.get("dataset_digest")
    if verdict.get("origin") == "dataset":
        return _dataset(name, digest)
    if verdict.get("origin") == "file":
        return _file(name, digest)
    return ""  # rows that were in memory only can't be looked at again


def _dataset(name: str, digest: Any) -> str:
    try:
        newest = store.datasets.find(name)
    except UnknownName:
        return f"the dataset {name!r} that it was judged on is gone"
    now = newest.split.get("test_digest") if newest.split.get("test_rows") else newest.digest
    if now != digest:
        return f"the dataset {name!r} was prepared anew with other content since"
    return ""


def _file(name: str, digest: Any) -> str:
    local = "://" not in name
    if local and not Path(name).is_file():
        return f"the file {name} that it was judged on is gone"
    try:
        found = evidence.tables.read(name)
    except Exception as error:  # a link that has expired is no change; a file that is broken is
        return f"the file {name} can't be read any more ({error})" if local else ""
    if evidence.data.fingerprint(found) != digest:
        return f"the file {name} was changed since"
    return ""


def _gates(version: Version, verdict: Facts) -> str:
    """What the files of gates ask today that they did not ask then."""
    files = str(verdict.get("gates") or "").split(", ")
    judged = dict(zip(files, str(verdict.get("gates_digest") or "").split(", "), strict=False))
    options = settings.load()
    texts = {gates.plain(str(g["text"])) for g in verdict.get("goals", ()) if g.get("gate")}
    insisted = gates.called(options.root / options.gates) if options.gates else ""
    # Those that the settings name must be there; another file may have been CI's alone.
    others = [n for n in files if n and n != insisted and (options.root / n).is_file()]
    for name in filter(None, (insisted, *others)):
        given = "" if name == insisted else str(options.root / name)
        with own_metrics.known(gates.texts(given)):
            found = {g.file: g for g in gates.of(given, version.name)}
        now = found[name]
        if judged.get(name) == now.digest:
            continue
        if name not in judged:
            return f"it was reached without the gates in {name}"
        new = [g.text for g in now.goals if gates.plain(g.text) not in texts]
        if new:
            more = f" and {len(new) - 1} more" if new[1:] else ""
            return f"the gates in {name} were changed since: {new[0]!r}{more} was not judged"
        return f"the gates in {name} were changed since"
    return ""


def _functions(version: Version, verdict: Facts) -> str:
    """Whether a metric in the file that the settings name is another one by now."""
    told: Mapping[str, Facts] = verdict.get("functions") or {}
    of_file = {name: f for name, f in told.items() if f.get("file")}
    if not of_file or not settings.load().metrics:
        return ""
    with own_metrics.known(" ".join(of_file)) as own:
        for name, then in of_file.items():
            now = own.file.get(name)
            if now is None:
                return f"the metric {name!r} is not in {own.path} any more"
            if own_metrics.source(now) != then.get("source"):
                return f"the metric {name!r} was changed in {own.path} since"
    return ""


def _champion(version: Version, verdict: Facts) -> str:
    """Whether the one that it was compared with is still the one to compare with."""
    vs, against = verdict.get("vs"), verdict.get("against")
    if not vs:
        return ""
    try:
        now = evaluation.champion_of(version, str(vs))
    except UnknownName:
        return f"there is no {vs} of {version.name} any more, which it was compared with"
    if now is None:
        return f"there is no {vs} any more; it was compared with {against}" if against else ""
    if now.ref in (against, version.ref):
        return ""
    if against is None:
        return f"there was no {vs} to compare it with, and now there is {now.ref}"
    return f"it was compared with {against}, and the {vs} is now {now.ref}"
