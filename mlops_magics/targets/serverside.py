"""What can be told to the server itself: the options of its own command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from mlops_magics.errors import WrongUsage

#: Those that are a user's to say, if the server has them; the rest is said by whoever starts it.
OPEN = (
    "batching",
    "keep-alive",
    "log-format",
    "max-body",
    "max-connections",
    "max-queue",
    "runtime",
    "timeout",
    "tls-cert",
    "tls-key",
)


@cache
def _known() -> Mapping[str, argparse.Action]:
    """Name of an option → what the server's parser has under it; ``--no-x`` is called ``x``."""
    from mlops_magics.serving.options import arguments

    known = {
        action.option_strings[0].removeprefix("--").removeprefix("no-"): action
        for action in arguments()._actions
        if action.option_strings
    }
    return {name: known[name] for name in OPEN if name in known}


def options() -> dict[str, str]:
    """Each option with its meaning."""
    return {name: str(action.help or "") for name, action in _known().items()}


def arguments(given: Mapping[str, str]) -> list[str]:
    """The options as words of the server's command line.

    Raises
    ------
    WrongUsage
        If a value is none that the option takes.
    """
    words: list[str] = []
    for name, value in given.items():
        if (action := _known().get(name)) is None:
            continue  # for the target, not for its server
        flag = action.option_strings[0]
        if action.nargs == 0:
            words += [flag] if _is_on(name, value) != flag.startswith("--no-") else []
        else:
            words += [flag, _checked(name, value, action)]
    return words


def _is_on(name: str, value: str) -> bool:
    if value.lower() not in ("on", "off"):
        raise WrongUsage(f"{name} is on or off, and not {value!r}.", f"Say -o {name} off.")
    return value.lower() == "on"


def _checked(name: str, value: str, action: argparse.Action) -> str:
    if action.choices and value not in action.choices:
        known = ", ".join(map(str, action.choices))
        raise WrongUsage(f"{name} can't be {value!r}.", f"It is one of {known}.")
    if action.type is Path:
        file = Path(value).expanduser().absolute()  # the server runs in another folder
        if not file.is_file():
            raise WrongUsage(f"{name} names the file {value!r}, which does not exist.")
        return str(file)
    if action.type in (int, float):
        try:
            action.type(value)
        except ValueError as error:
            kind = "a whole number" if action.type is int else "a number"
            raise WrongUsage(
                f"{name} is {kind}, and not {value!r}.", f"{str(action.help).capitalize()}."
            ) from error
    return value
