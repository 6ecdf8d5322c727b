"""A verb's signature, read as a command: one library parses magics and command line alike."""

from __future__ import annotations

import inspect
import io
import shlex
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

import cyclopts
from cyclopts import App, Parameter
from rich.console import Console

from mlops_magics.errors import WrongUsage, did_you_mean
from mlops_magics.verbs import declaration
from mlops_magics.verbs.declaration import Declaration, Reference
from mlops_magics.verbs.options import Option

#: Options that every verb has, in the magics and on the command line; the doors use them.
COMMON = {
    "json": "Print the record as one JSON document and nothing else.",
    "quiet": "Show no progress.",
}


@cache
def command(name: str) -> App:
    """The parser of one verb."""
    found = declaration.find(name)
    app = App(
        name=name,
        help_flags=[],
        version_flags=[],
        help_format="rst",
        result_action="return_value",
    )
    app.default(_as_command(found))
    return app


def _as_command(found: Declaration) -> Callable[..., Any]:
    """A function with the verb's signature in the parser's terms; it is never called."""
    hints = typing.get_type_hints(found.function, include_extras=True)
    parameters = []
    for parameter in inspect.signature(found.function).parameters.values():
        annotation = _annotation(hints.get(parameter.name, str), parameter)
        kind = parameter.kind
        if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            kind = inspect.Parameter.POSITIONAL_ONLY  # a word, not also an option
        default = parameter.default
        # Where pydantic happens to be loaded, the parser holds the defaults to their types too.
        if isinstance(default, Mapping):
            default = list(default.items())
        elif default is None:
            annotation = annotation | None
        parameters.append(parameter.replace(annotation=annotation, kind=kind, default=default))

    def placeholder(*arguments: Any, **options: Any) -> None:
        """Replaced below."""

    placeholder.__doc__ = _help_text(found)
    placeholder.__name__ = found.name
    placeholder.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    placeholder.__annotations__ = {p.name: p.annotation for p in parameters}
    return placeholder


def _help_text(found: Declaration) -> str:
    """The docstring up to and with its parameters; returns and raises are for Python callers."""
    text = inspect.getdoc(found.function) or ""
    for section in ("Returns", "Raises", "Examples", "Notes", "Yields"):
        head, mark, _ = text.partition(f"\n\n{section}\n{'-' * len(section)}")
        text = head if mark else text
    return text


def _annotation(hint: Any, parameter: inspect.Parameter) -> Any:
    marks = list(getattr(hint, "__metadata__", ()))
    base = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if any(isinstance(m, Reference) for m in marks):
        base = str
    spelled = next((m.names for m in marks if isinstance(m, Option)), None)
    if spelled is None and parameter.name.endswith("_"):
        spelled = (f"--{parameter.name.rstrip('_')}",)
    base = _parsable(base)
    options: dict[str, Any] = {"show_default": _shown}
    if parameter.default is not True:  # --no-X only where X is what happens by itself
        options["negative"] = ()
    if spelled:
        options["name"] = spelled
    return Annotated[base, Parameter(**options)]


def _shown(default: Any) -> str | None:
    """A default as the help shows it; nothing for nothing."""
    return None if default in (None, False, "", [], ()) else str(default)


def _parsable(hint: Any) -> Any:
    """The type in which words of a command line become the argument."""
    if hint is Any or hint is object:
        return str
    origin = get_origin(hint)
    if origin in (typing.Union, UnionType):
        choices = [a for a in get_args(hint) if a is not type(None)]
        first = str if str in choices else _parsable(choices[0])
        return first | None if type(None) in get_args(hint) else first
    if origin in (Sequence, list, tuple) and origin is not tuple:
        return list[_parsable(get_args(hint)[0])]  # type: ignore[misc]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return list[tuple[str, str]]
    return hint


def parse(name: str, words: Sequence[str]) -> inspect.BoundArguments:
    """The arguments that `words` give to the verb `name`.

    Raises
    ------
    WrongUsage
        If they do not fit its signature; one sentence, with the nearest option.
    """
    app = command(name)
    try:
        _, bound, _ = app.parse_args(list(words), print_error=False, exit_on_error=False)
    except cyclopts.CycloptsError as error:
        raise WrongUsage(_sentence(name, error), f"See `mlops {name} --help`.") from None
    hints = typing.get_type_hints(declaration.find(name).function)
    for parameter, value in bound.arguments.items():
        origin = get_origin(hints.get(parameter))
        if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
            bound.arguments[parameter] = dict(value)
    return bound


def _sentence(name: str, error: cyclopts.CycloptsError) -> str:
    if isinstance(error, cyclopts.UnknownOptionError):
        option = str(error.token.keyword or error.token.value) if error.token else ""
        return f"{name} has no option {option!r}. {did_you_mean(option, options(name))}"
    if isinstance(error, cyclopts.UnusedCliTokensError):
        extra = " ".join(error.unused_tokens or [])
        return f"{name} does not take {extra!r} here."
    if isinstance(error, cyclopts.MissingArgumentError) and error.argument is not None:
        missing = error.argument.name
        if not missing.startswith("-"):
            return f"{name} needs {missing.upper()}."
        return f"The option {missing} of {name} needs a value."
    return f"{name}: {' '.join(str(error).split())}"


def split(line: str) -> list[str]:
    """The words of a magic's line, quoted as in a shell.

    Raises
    ------
    WrongUsage
        If a quote is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise WrongUsage(f"The line {line!r} can't be split into words: {error}.") from None


def options(name: str) -> list[str]:
    """All spellings of a verb's options."""
    collection = command(name).assemble_argument_collection()
    found = [n for argument in collection for n in argument.names if n.startswith("-")]
    return [*found, "--help", *(f"--{n}" for n in COMMON)]


def choices(name: str, option: str) -> list[str]:
    """The values that an option accepts, where its type lists them."""
    for argument in command(name).assemble_argument_collection():
        if option in argument.names and get_origin(argument.hint) is Literal:
            return [str(v) for v in get_args(argument.hint)]
    return []


def references(name: str) -> dict[str, str]:
    """Parameter → what its value refers to (``data``, ``model``, ``deployment``…)."""
    hints = typing.get_type_hints(declaration.find(name).function, include_extras=True)
    return {
        parameter: mark.kind
        for parameter, hint in hints.items()
        for mark in getattr(hint, "__metadata__", ())
        if isinstance(mark, Reference)
    }


def help_text(name: str) -> str:
    """What ``mlops NAME --help`` and ``%NAME?`` both show."""
    out = io.StringIO()
    console = Console(
        file=out, width=100, force_terminal=False, color_system=None, force_jupyter=False
    )
    command(name).help_print([], console=console)
    text = out.getvalue().rstrip()
    lines = [f"  --{option:<10} {meaning}" for option, meaning in COMMON.items()]
    found = declaration.find(name)
    forms = [f"%{name} …", f"mlops {name} …", f"mlops_magics.{found.function.__name__}(…)"]
    if found.body:
        forms.insert(0, f"%%{name} … (the cell's body is {found.body!r})")
    return "\n".join([text, "", "Everywhere:", *lines, "", f"Forms: {' · '.join(forms)}", ""])


def positional(name: str) -> list[str]:
    """For each positional argument, what it refers to (``name`` for a model's bare name)."""
    kinds = references(name)
    parameters = inspect.signature(declaration.find(name).function).parameters.values()
    return [
        kinds.get(p.name, "name" if p.name == "name" else "")
        for p in parameters
        if p.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
