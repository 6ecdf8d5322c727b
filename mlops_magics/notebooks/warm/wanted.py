"""Which modules a batch of notebooks imports, as far as their text tells."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any

#: More modules than this are not imported ahead; those that most notebooks import come first.
MOST = 60

#: What the magics import once they train: most of it is MLflow.
OURS = (
    *("numpy", "pandas", "scipy.stats", "sklearn.base", "sklearn.pipeline", "sklearn.metrics"),
    *("sklearn.model_selection", "sklearn.utils.estimator_html_repr"),
    *("mlflow", "mlflow.models", "mlflow.store.tracking.sqlalchemy_store"),
    *("mlops_magics.doors.magics", "mlops_magics.verbs.training", "mlops_magics.verbs.preparing"),
    *("mlops_magics.store.runs", "mlops_magics.store.datasets", "mlops_magics.flavors.sklearn"),
)

_MAGICS = "mlops_magics"

#: A call of a verb that needs them, in any of its forms.
_VERB = re.compile(r"(?:^\s*%%?|\bmlops\.)(?:train|tune|prepare|validate|monitor)\b", re.MULTILINE)

#: What changes how imports come out: variables that are set, packages that are installed.
_CHANGES = re.compile(
    r"""\benviron\s*\[[^\]]*\]\s*=[^=] | \benviron\.(update|setdefault|pop|clear|__setitem__)\b
    | \bputenv\b | \bunsetenv\b | dotenv | ^\s*%(?:set_)?env\b
    | ^\s*[%!]\s*(?:pip|conda|mamba|micromamba|uv)\b | ^\s*%%(?:bash|sh|script)\b""",
    re.MULTILINE | re.VERBOSE,
)


def changes_imports(notebook: Any) -> bool:
    """Whether a notebook sets variables or installs packages, as far as its text tells.

    What it imports then has to come after that.
    """
    return any(c.cell_type == "code" and _CHANGES.search(c.source) for c in notebook.cells)


def modules(notebooks: Sequence[Any]) -> list[str]:
    """Names to import, in the order of the notebooks; only of packages that are installed.

    ``package:name`` stands for what ``from package import name`` imports.

    The user's own modules are not among them: what is edited between two runs has to be seen.

    Parameters
    ----------
    notebooks : sequence of NotebookNode
        Their cells are read, not run.
    """
    found: Counter[str] = Counter()
    for notebook in notebooks:
        cells = [c.source for c in notebook.cells if c.cell_type == "code"]
        names = [name for source in cells for name in _imports(source)]
        found.update(list(dict.fromkeys(names)))
        if any(_VERB.search(source) for source in cells):
            found.update(OURS)
    installed = {top: _installed(top) for top in {_top(name) for name in found}}
    usual = [name for name, _ in found.most_common() if installed[_top(name)]]
    kept = set(usual[:MOST])
    return [name for name in found if name in kept]


def _top(name: str) -> str:
    return name.partition(":")[0].partition(".")[0]


def _imports(source: str) -> Iterable[str]:
    """What a cell imports, whatever else is in it: magics and shell lines are left out."""
    for statement in _statements(source):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            yield statement.module
            # It may be a module or not; classes, by the look of their names, are none.
            names = [alias.name for alias in statement.names]
            yield from (f"{statement.module}:{name}" for name in names if name.islower())


def _statements(source: str) -> Iterable[ast.stmt]:
    lines = [("pass" if line.startswith(("%", "!", "?")) else line) for line in source.split("\n")]
    try:
        yield from ast.parse("\n".join(lines)).body
        return
    except (SyntaxError, ValueError):
        pass
    for line in lines:  # one line that is no Python does not hide the others
        if line.startswith(("import ", "from ")):
            try:
                yield from ast.parse(line).body
            except (SyntaxError, ValueError):
                continue


def _installed(top: str) -> bool:
    """Whether it is a package that was installed, rather than a file of the user's."""
    if top == _MAGICS:
        return True
    if top in sys.stdlib_module_names:
        return False
    try:
        spec = find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return False
    places = [spec.origin or "", *(spec.submodule_search_locations or [])] if spec else []
    return any(f"{name}-packages" in place for place in places for name in ("site", "dist"))
