"""Exact requirements: everything that a set of packages needs, as it is installed here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mlops_magics.errors import BadData
from mlops_magics.evidence.installed import public

#: What the server itself imports.
SERVER = ("starlette", "uvicorn", "httptools", "prometheus_client", "numpy", "PyYAML")
#: What it needs besides for a model of Python; scikit-learn and its like come with the model.
NATIVE = ("pandas",)
#: ... and for a model that is a graph.
GRAPH = ("onnxruntime",)
#: Makes uvicorn faster where it is installed.
FASTER = ("uvloop",)


@dataclass
class Lock:
    """Requirements by name, each exact.

    Attributes
    ----------
    pins : dict
        Canonical name → the line of ``requirements.txt``.
    notes : list of str
        Where what is installed here is not what the model was trained with.
    """

    pins: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def names(self) -> frozenset[str]:
        """The canonical names of all packages."""
        return frozenset(self.pins)

    def text(self) -> str:
        """The file's content, sorted by name."""
        return "".join(f"{self.pins[name]}\n" for name in sorted(self.pins))

    def add(self, other: Lock) -> None:
        """Take in what another one has besides; a version that is here stays."""
        self.pins = {**other.pins, **self.pins}
        self.notes += [note for note in other.notes if note not in self.notes]


def lock(wanted: Iterable[str]) -> Lock:
    """The closure of requirements, with the versions that are installed here.

    Parameters
    ----------
    wanted : iterable of str
        Requirements as a model records them (``name==version``) or bare names. A version that
        is given stays as it is: it is what the model was trained with.

    Raises
    ------
    BadData
        If a requirement can't be read, or a package is not installed whose needs must be known.
    """
    found = Lock()
    given: dict[str, str] = {}
    todo: list[tuple[str, frozenset[str]]] = []
    for line in wanted:
        requirement = _read(line)
        if exact := _exact(requirement):
            given[canonicalize_name(requirement.name)] = exact
        todo.append((requirement.name, frozenset(requirement.extras)))
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, extras = todo.pop()
        key = (canonicalize_name(name), extras)
        if key in seen:
            continue
        seen.add(key)
        package = _installed(name)
        here = public(package.version)
        version = given.get(key[0], here)
        if version != here:
            found.notes.append(
                f"The model was trained with {name} {version}; {package.version} is installed here."
            )
        found.pins[key[0]] = f"{package.metadata['Name']}=={version}"
        todo += _needs(package, extras)
    return found


def installed(names: Iterable[str]) -> list[str]:
    """Those of the packages that are installed here."""
    return [name for name in names if _find(name) is not None]


def _needs(
    package: metadata.Distribution, extras: frozenset[str]
) -> list[tuple[str, frozenset[str]]]:
    needs = []
    for line in package.requires or ():
        requirement = _read(line)
        marker = requirement.marker
        # A marker may ask for each extra in turn; none of them is the empty one.
        if marker is None or any(marker.evaluate({"extra": e}) for e in extras or {""}):
            needs.append((requirement.name, frozenset(requirement.extras)))
    return needs


def _read(line: str) -> Requirement:
    try:
        return Requirement(line)
    except InvalidRequirement as error:
        raise BadData(f"The requirement {line!r} can't be read: {error}.") from error


def _exact(requirement: Requirement) -> str:
    versions = [s.version for s in requirement.specifier if s.operator in ("==", "===")]
    return versions[0] if len(versions) == 1 and "*" not in versions[0] else ""


def _find(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _installed(name: str) -> metadata.Distribution:
    package = _find(name)
    if package is None:
        raise BadData(
            f"The model needs the package {name!r}, which is not installed here, so its own "
            "needs are not known.",
            f"pip install {name}",
        )
    return package
