"""Which packages and which local code a model needs, from the objects that it is made of.

MLflow finds out by importing the model in a second process, which takes seconds. Here the
model is pickled to nowhere, and each class and function that the pickler meets is noted.
"""

from __future__ import annotations

import dis
import importlib.util
import io
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

from mlops_magics import evidence

#: Modules that are not called as their package is, for a quick answer.
KNOWN = {"sklearn": "scikit-learn", "yaml": "PyYAML", "PIL": "pillow", "cv2": "opencv-python"}


def modules(obj: Any) -> set[str]:
    """The modules of everything that `obj` is made of, ``__main__`` included.

    An object that can't be pickled at all gives what was met until then.
    """
    collector = _Collector()
    try:
        collector.dump(obj)
    except Exception:  # whatever a framework's own reducer raises; saving will say it
        collector.met.add(type(obj).__module__)
    return collector.met


class _Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


class _Collector(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    def __init__(self) -> None:
        self.met: set[str] = set()
        # Protocol 5 hands large arrays to the callback instead of copying them.
        super().__init__(_Nowhere(), protocol=5, buffer_callback=lambda buffer: None)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, ModuleType):
            self.met.add(obj.__name__)
        elif isinstance(obj, FunctionType) and obj.__module__ == "__main__":
            self.met |= _imported_by(obj.__code__)
            self.met.add("__main__")
        elif module := getattr(obj if callable(obj) else type(obj), "__module__", None):
            self.met.add(str(module))
            self.met.add(str(type(obj).__module__))
        return super().reducer_override(obj)


def packages(met: set[str]) -> dict[str, str]:
    """The installed packages behind modules, as name → version (without a local build's label)."""
    found = {}
    for module in met:
        if (package := _package(module)) is not None:
            found[package.metadata["Name"]] = evidence.installed.public(package.version)
    return found


def requirements(obj: Any, readers: set[str]) -> list[str]:
    """What an object and the modules `readers` that read it back need: ``name==version``."""
    found = packages(modules(obj) | readers)
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def local_code(met: set[str]) -> list[str]:
    """Files and folders of modules that belong to no installed package: the user's own.

    With those that they import in turn.
    """
    found: set[str] = set()
    seen: set[str] = set()
    todo = {module.partition(".")[0] for module in met}
    while todo:
        top = todo.pop()
        seen.add(top)
        if top in sys.stdlib_module_names or top == "__main__" or _package(top) is not None:
            continue
        loaded = sys.modules.get(top)
        todo |= _imported_in(loaded) - seen
        if path := _file(top):
            found.add(str(path.parent if path.name == "__init__.py" else path))
        else:  # a folder without __init__; or made while running, and pickled by value
            found.update(map(str, list(getattr(loaded, "__path__", ()))[:1]))
    return sorted(found)


def _imported_in(module: ModuleType | None) -> set[str]:
    """The top modules whose names, functions or classes are bound in a module of the user's."""
    parts = [m for n, m in sys.modules.items() if module and n.startswith(f"{module.__name__}.")]
    return {
        str(value.__name__ if isinstance(value, ModuleType) else value.__module__).partition(".")[0]
        for part in [module, *parts]
        for value in list(vars(part).values() if part else ())
        if isinstance(value, ModuleType) or isinstance(getattr(value, "__module__", None), str)
    }


def _imported_by(code: CodeType) -> set[str]:
    """The modules that a function imports when it runs."""
    found = {
        str(step.argval) for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"
    }
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    return found.union(*map(_imported_by, inner))


@cache
def _package(module: str) -> metadata.Distribution | None:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "__main__":
        return None
    file = _file(module)
    for name in dict.fromkeys((KNOWN.get(top, top), top)):
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        # A package may be called as a file of the user's is.
        if file is None or file.is_relative_to(Path(str(package.locate_file(""))).resolve()):
            return package
    for name in _by_module().get(top, []):
        package = metadata.distribution(name)
        where = {Path(str(f.locate())).resolve() for f in package.files or []}
        if file is None or file in where:
            return package
    return None


def _file(module: str) -> Path | None:
    loaded = sys.modules.get(module) or sys.modules.get(module.partition(".")[0])
    if file := getattr(loaded, "__file__", None):
        return Path(file).resolve()
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).resolve() if spec and spec.origin and spec.has_location else None


@cache
def _by_module() -> dict[str, list[str]]:
    return {k: list(v) for k, v in metadata.packages_distributions().items()}
