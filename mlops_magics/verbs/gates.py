"""Gates: goals that are judged in any case, beside those that are given.

They stand in a file of their own, so that whoever judges a model can't lower them: goals one a
line, or TOML::

    goals = '''
    roc_auc >= 0.75
    '''
    on = "credit-data"          # optional: what they are judged on, and how

    [credit]                    # more for one model
    goals = "recall >= 0.50 by Home"

The file that the setting `gates` names holds always; ``--gates FILE`` comes in addition.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import goals, settings
from mlops_magics.errors import BadGoal, UnknownName, WrongUsage, did_you_mean

if TYPE_CHECKING:
    from mlops_magics.goals.goal import Goal

#: What a file may fix beside its goals, the type of each, and what holds where it fixes nothing.
_FIXES: Mapping[str, type] = {"on": str, "vs": str, "seed": int, "allow_small": bool}
_KEYS = ("goals", *_FIXES)
_DEFAULTS: Mapping[str, Any] = {"on": "", "vs": "champion", "seed": 0, "allow_small": False}


@dataclass(frozen=True, kw_only=True)
class Gates:
    """What one file asks of one model.

    Attributes
    ----------
    file : str
        As it is called in sentences: below the project's folder, else its whole path.
    fixed : mapping
        What it fixes of ``on``, ``vs``, ``seed`` and ``allow_small``.
    """

    file: str
    goals: tuple[Goal, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """``sha256:…`` of what it asks; comments and blank lines don't count."""
        asked = {"goals": [plain(g.text) for g in self.goals], "fixed": dict(self.fixed)}
        text = json.dumps(asked, sort_keys=True, ensure_ascii=False)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def plain(text: str) -> str:
    """A goal's text without the spaces that don't count."""
    return " ".join(text.split())


def texts(given: str) -> str:
    """All that stands in the files of gates, to see which names they use."""
    return "\n".join(path.read_text(encoding="utf-8") for path in _files(given))


def of(given: str, model: str) -> tuple[Gates, ...]:
    """The gates of a model: those of the settings, then those of the file `given`.

    Raises
    ------
    UnknownName
        If there is no such file.
    BadGoal
        If a file can't be read; names all that is wrong with it.
    """
    return tuple(read(path, model) for path in _files(given))


def _files(given: str) -> list[Path]:
    options = settings.load()
    named = [(options.root / options.gates, "(The setting `gates` names it.)")] * bool(
        options.gates
    )
    named += [(Path(given), "")] * bool(given.strip())
    found: dict[Path, Path] = {}
    for path, hint in named:
        path = path.expanduser()
        if not path.is_file():
            near = [f.name for f in path.parent.glob("*") if f.is_file()]
            raise UnknownName("file of gates", str(path), near, hint)
        found.setdefault(path.resolve(), path)
    return list(found)


def read(path: Path, model: str) -> Gates:
    """The gates that a file has for a model.

    Raises
    ------
    BadGoal
        If it can't be read; names all that is wrong with it.
    """
    name = called(path)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        try:
            body = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadGoal(f"{name} is not valid TOML: {error}.", "Put text into quotes.") from error
    else:
        body = {"goals": text}
    tables = {k: v for k, v in body.items() if isinstance(v, dict) and k not in _KEYS}
    top = {k: v for k, v in body.items() if k not in tables}
    problems = _problems(top, "", "goals, " if path.suffix == ".toml" else "")
    for table, content in tables.items():
        problems += _problems(content, f"[{table}] ")
    if problems:
        count = "One thing is" if len(problems) == 1 else f"{len(problems)} things are"
        raise BadGoal(f"{count} wrong with the gates in {name}.\n" + "\n".join(problems))
    own = tables.get(model, {})
    asked = [g for part in (top, own) for g in goals.grammar.check(str(part.get("goals", "")))[0]]
    if not asked and not any(str(t.get("goals", "")).strip() for t in tables.values()):
        raise BadGoal(f"There is no goal in {name}.", "Write one a line: roc_auc >= 0.80")
    fixed = {k: v for part in (top, own) for k, v in part.items() if k in _FIXES}
    return Gates(file=name, goals=tuple(asked), fixed=fixed)


def called(path: Path) -> str:
    """A file's path below the project's folder, else the whole of it."""
    root = settings.load().root.resolve()
    whole = path.resolve()
    return str(whole.relative_to(root)) if whole.is_relative_to(root) else str(whole)


def _problems(table: Mapping[str, Any], where: str, goals_in: str = "goals, ") -> list[str]:
    found = []
    for key, value in table.items():
        wanted: type = str if key == "goals" else _FIXES.get(key, object)
        if key not in _KEYS:
            found.append(f"{where}{key}: there is no such key. {did_you_mean(key, _KEYS)}")
        elif type(value) is not wanted:
            kind = {str: "text", int: "a whole number", bool: "true or false"}[wanted]
            found.append(f"{where}{key} = {value!r}: {key} is {kind}.")
        elif isinstance(value, str) and key == "goals":
            lines = value.splitlines()
            found += [
                f"{where}{goals_in}line {p.line}, column {p.column}: {p.message}\n"
                f"    {lines[p.line - 1].strip()}"
                for p in goals.grammar.check(value)[1]
            ]
    return found


def fix(found: Sequence[Gates], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the gates fix them.

    Parameters
    ----------
    arguments : mapping
        ``on``, ``vs``, ``seed`` and ``allow_small`` as they were given.

    Raises
    ------
    WrongUsage
        If one was given that would judge the gates otherwise than they say.
    """
    result = dict(arguments)
    for gates in found:
        asks = dict(gates.fixed)
        # What the file leaves open must still not be what lets its goals pass.
        if any(goal.reference == "champion" for goal in gates.goals):
            asks.setdefault("vs", "champion")
        if any(goal.by for goal in gates.goals):
            asks.setdefault("allow_small", False)
        for name, wanted in asks.items():
            given = result[name]
            same = isinstance(given, type(wanted)) and given == wanted
            if same or (isinstance(given, str | int) and given == _DEFAULTS[name]):
                result[name] = wanted
                continue
            raise WrongUsage(
                f"The gates in {gates.file} are judged with {name} = {_written(wanted)}, and "
                f"{_written(given)} is asked for.",
                f"Leave out {name}, or change the gates.",
            )
    return result


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str | int) else f"a {type(value).__name__}"
