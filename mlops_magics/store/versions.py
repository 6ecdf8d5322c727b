"""Model versions: what a reference names, where the model lies, and its aliases."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import mlflow
from mlflow.exceptions import MlflowException

from mlops_magics import flavors, settings
from mlops_magics.errors import MlopsError, NotIntact, UnknownName, WrongUsage, did_you_mean
from mlops_magics.store import locks, runs

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion
    from mlflow.models import ModelSignature

#: What a model may be called: it becomes a folder, a URL and a reference.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")


@dataclass(frozen=True, kw_only=True)
class Version:
    """A registered version and what is known of it.

    Attributes
    ----------
    digest : str
        ``sha256:…`` over the model's files, as they were when it was trained.
    dataset_run : str
        The `prepare` run of the data that it was trained on; empty when there was none.
    created : int
        Milliseconds since the epoch, UTC.
    """

    name: str
    number: int
    run_id: str
    digest: str = ""
    dataset_run: str = ""
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    created: int = 0
    estimator: str = ""

    @property
    def ref(self) -> str:
        """``name/number``."""
        return f"{self.name}/{self.number}"


def check_name(name: str) -> str:
    """The name, if a model, a run or a dataset may be called so.

    Raises
    ------
    WrongUsage
        If it may not; says what is allowed.
    """
    if not NAME.fullmatch(name):
        raise WrongUsage(
            f"{name!r} can't be a name: letters, digits, '-', '_' and '.' are allowed, "
            "beginning with a letter or a digit.",
            f"For example {re.sub(r'[^A-Za-z0-9_.-]+', '-', name).strip('-_.') or 'credit'!r}.",
        )
    return name


def resolve(ref: str) -> Version:
    """What a reference names: ``credit``, ``credit@champion``, ``credit/3``, ``runs:/…``.

    Raises
    ------
    UnknownName
        If there is no such model, version, alias or run; with the nearest that exist.
    WrongUsage
        If the reference has none of these forms.
    """
    if ref.startswith("runs:/"):
        return _of_run(ref.removeprefix("runs:/").split("/")[0])
    plain = ref.removeprefix("models:/")
    match = re.fullmatch(r"(?P<name>[^@/\s]+)(?:@(?P<alias>[^@/\s]+)|/(?P<number>\d+))?", plain)
    if match is None:
        raise WrongUsage(
            f"{ref!r} is no reference to a model.",
            "Write credit, credit@champion, credit/3, runs:/RUN_ID or models:/credit/3.",
        )
    name, alias, number = match["name"], match["alias"], match["number"]
    found = of(name)
    if not found:
        raise UnknownName("model", name, names())
    if alias:
        by_alias = {a: v for v in found for a in v.aliases}
        if alias not in by_alias:
            raise UnknownName(f"alias of model {name}", alias, by_alias)
        return by_alias[alias]
    if number:
        by_number = {v.number: v for v in found}
        if int(number) not in by_number:
            raise _no_version(name, number, sorted(by_number))
        return by_number[int(number)]
    return found[0]


def _no_version(name: str, number: str, known: list[int]) -> UnknownName:
    error = UnknownName("version", f"{name}/{number}", [])
    if len(known) == 1:
        error.hint = f"There is {name}/{known[0]} only."
    elif known == list(range(known[0], known[-1] + 1)):
        error.hint = f"There are {name}/{known[0]} to {name}/{known[-1]}."
    else:
        error.hint = f"There are {', '.join(f'{name}/{n}' for n in known[-10:])}."
    return error


def _of_run(run_id: str) -> Version:
    client = runs.connect()
    found = list(client.search_model_versions(f"run_id = '{run_id}'")) if run_id.isalnum() else []
    if not found:
        runs.get(run_id)  # says so if there is no such run
        raise WrongUsage(f"Run {run_id} left no registered model.", "Name a run of `train`.")
    return of_mlflow(found[0])


def names() -> list[str]:
    """The registered models."""
    with runs.reaching("name its models") as client:
        found = [str(m.name) for m in client.search_registered_models(max_results=1000)]
    return sorted(name for name in found if not name.startswith(locks.PREFIX))


def of(name: str) -> list[Version]:
    """All versions of a model, newest first; empty when there is no such model."""
    if not NAME.fullmatch(name):
        return []
    with runs.reaching("give the model") as client:
        try:
            model = client.get_registered_model(name)
        except MlflowException as error:
            if not runs.is_missing(error):
                raise
            return []
        found = list(client.search_model_versions(f"name = '{name}'", max_results=1000))
    # The search returns versions without their aliases on some stores; the model has them all.
    aliases: dict[int, list[str]] = {}
    for alias, number in model.aliases.items():
        aliases.setdefault(int(number), []).append(str(alias))
    versions = [of_mlflow(v, aliases.get(int(v.version), [])) for v in found]
    return sorted(versions, key=lambda v: v.number, reverse=True)


def of_mlflow(version: MlflowVersion, aliases: list[str] | None = None) -> Version:
    """What MLflow gives, as ours; it may know of no alias."""
    tags = {str(k): str(v) for k, v in version.tags.items()}
    return Version(
        name=str(version.name),
        number=int(version.version),
        run_id=str(version.run_id or ""),
        digest=tags.get("mlops.digest", ""),
        dataset_run=tags.get("mlops.dataset_run", ""),
        aliases=tuple(sorted(map(str, version.aliases if aliases is None else aliases))),
        tags=tags,
        created=int(version.creation_timestamp or 0),
        estimator=tags.get("mlops.estimator", ""),
    )


def local_path(version: Version) -> Path:
    """The folder of a version's model on this machine, proven to be what was trained.

    Raises
    ------
    NotIntact
        If the files differ from the digest taken when the model was trained.
    """
    uri = str(runs.connect().get_model_version_download_uri(version.name, str(version.number)))
    parsed = urlparse(uri)
    if parsed.scheme in ("", "file"):
        path = Path(unquote(parsed.path))
    else:
        cache = settings.load().state / "models" / version.digest.removeprefix("sha256:")
        path = cache if cache.is_dir() else _download(uri, cache)
    if not path.is_dir():
        raise MlopsError(
            f"The files of {version.ref} are not at {path}.",
            "Were they moved or deleted? The version must be trained again.",
        )
    if version.digest and flavors.digest(path) != version.digest:
        raise NotIntact(
            f"The files of {version.ref} at {path} are not the ones that were trained: "
            "their digest differs from the recorded one.",
            "They are not loaded. Train the version again or restore the files.",
        )
    return path


def _download(uri: str, target: Path) -> Path:
    """Fetch a model's folder whole or not at all; MLflow puts it below the place it is given."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as aside:
        Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=aside)).replace(target)
    return target


def infer_signature(inputs: Any, outputs: Any) -> ModelSignature:
    """MLflow's signature of a model from a sample of what goes in and comes out."""
    import warnings

    from mlflow.models import infer_signature as infer

    with warnings.catch_warnings():
        # Integer columns may later hold missing values; the caller widens them, so no warning.
        warnings.simplefilter("ignore")
        return infer(inputs, outputs)


def size(version: Version) -> int:
    """Bytes of a version's files."""
    return sum(f.stat().st_size for f in local_path(version).rglob("*") if f.is_file())


def tag(version: Version, key: str, value: Any) -> None:
    """Set a tag of a version."""
    runs.connect().set_model_version_tag(version.name, str(version.number), key, str(value))


def untag(version: Version, key: str) -> None:
    """Take a tag from a version; nothing happens if it has none of that name."""
    with runs.reaching("take a tag away") as client:
        try:
            client.delete_model_version_tag(version.name, str(version.number), key)
        except MlflowException as error:
            if not runs.is_missing(error):
                raise


def check_alias(alias: str) -> None:
    """Refuse what can't be an alias.

    Raises
    ------
    WrongUsage
        If it can't; says what is allowed.
    """
    if not re.fullmatch(r"[A-Za-z][\w\-]*", alias) or re.fullmatch(r"v\d+|latest", alias):
        raise WrongUsage(
            f"{alias!r} can't be an alias: a letter, then letters, digits, '-' and '_' "
            "(not 'latest' and not v1, v2…, which MLflow keeps for itself).",
            did_you_mean(alias, ["candidate", "champion", "challenger"]),
        )


def set_alias(name: str, alias: str, number: int) -> None:
    """Point an alias at a version; who and why is `store.history`'s business."""
    check_alias(alias)
    with runs.reaching("move an alias") as client:
        client.set_registered_model_alias(name, alias, str(number))
