"""Looking at records: which files a path names, what their seals tell, whether models are whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import settings
from mlops_magics.errors import BadData, MlopsError, StoreUnreachable, UnknownName
from mlops_magics.records import Verification

if TYPE_CHECKING:
    from mlops_magics.evidence.seal import Finding

_SUFFIX = ".ipynb"


def items(path: str) -> Iterator[str]:
    """The path itself, or every notebook in the folder."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        yield str(path)
        return
    found = [
        str(file)
        for file in sorted(folder.rglob(f"*{_SUFFIX}"))
        if ".ipynb_checkpoints" not in file.parts
    ]
    if not found:
        raise BadData(f"The folder {path} holds no notebooks.", "Name one that `execute` wrote to.")
    yield from found


def one(path: str, key: str) -> Verification:
    """Verify one notebook file, or one model."""
    if not is_file(path):
        return model(path)
    _, finding, problem = look(Path(path).expanduser(), key)
    return told(path, finding, problem)


def is_file(path: str) -> bool:
    """Whether it is a file; a path that looks like one and is not there is refused."""
    file = Path(path).expanduser()
    if file.is_file():
        return True
    if file.suffix == _SUFFIX or file.exists():
        beside = file.parent if file.parent.is_dir() else Path()
        raise UnknownName("record", path, map(str, beside.glob(f"*{_SUFFIX}")))
    return False


def look(file: Path, key: str) -> tuple[dict[str, Any], Finding, str]:
    """The notebook, what its seal tells, and why it can't be read if it can't."""
    from mlops_magics.evidence import keys, manifests, seal

    if key:
        given = Path(key).expanduser()
        trusted: Mapping[str, Any] = {given.stem: keys.read_public(given)}
    else:
        trusted = keys.trusted(settings.load().keys)
    try:
        content = manifests.parse(file.read_bytes())
    except OSError as error:
        raise BadData(f"{file} can't be read: {error.strerror}.") from error
    except manifests.UnreadableError as error:
        return {}, seal.Finding(), f"It can't be relied on: {error}."
    return content, seal.verify(content, trusted), ""


def told(path: str, finding: Finding, problem: str) -> Verification:
    """What was found, as a record."""
    problems = [problem] if problem else list(finding.problems)
    if finding.sealed and not finding.problems and not finding.trusted:
        problems = [
            f"Nothing was changed since it was sealed, but the key {finding.key_id[:16]}… is not "
            "known here. Check it with --key FILE, the signer's signing.pub."
        ]
    known = finding.trusted or "a key not known here"
    return Verification(
        path=path,
        intact=finding.intact,
        problems=tuple(problems),
        signer=f"{known} ({finding.key_id[:16]}…)" if finding.key_id else "",
        sealed=finding.sealed,
        cells=finding.cells,
    )


def model(ref: str) -> Verification:
    """Compare a model's files with what was registered, and its history with what was recorded."""
    from mlops_magics import store
    from mlops_magics.verbs import custody

    try:
        version = store.versions.resolve(ref)
    except UnknownName as error:
        error.hint = f"{error.hint.strip()} There is no file of that name either."
        raise
    problems: list[str] = []
    try:
        store.versions.local_path(version)
    except StoreUnreachable:
        raise
    except MlopsError as error:  # they were changed, or are gone
        problems.append(error.message)
    found = custody.check(version.name)
    problems += [*found.problems, *found.unknown]
    return Verification(
        path=version.ref,
        intact=not problems,
        problems=tuple(problems),
        signer=", ".join(found.signers),
        entries=found.entries,
        head=found.head,
    )
