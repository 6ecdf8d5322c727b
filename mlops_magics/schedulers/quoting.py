"""One job as a line or a script of the shell, and as what other formats make of text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from mlops_magics.errors import Refused, WrongUsage

#: Characters that a file of any of the formats could not hold, or no shell would hand on.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def check(words: Sequence[str]) -> None:
    """Refuse words that can't be brought through a file and a shell unchanged.

    Raises
    ------
    WrongUsage
        Names the first one.
    """
    for word in words:
        if _CONTROL.search(word) or word.endswith("\n"):
            raise WrongUsage(
                f"{word!r} can't stand in a scheduler's file.",
                "Leave control characters and a line's end at its end out.",
            )


def lines(program: Sequence[str], commands: Sequence[Sequence[str]]) -> list[str]:
    """The commands for a POSIX shell, one a line.

    A command that found something wanting (exit code 3) does not keep the next one from running;
    what failed does. The script ends with 3 then, unless a later one fails.
    """
    return joined([shlex.join([*program, *command]) for command in commands])


def joined(asked: Sequence[str]) -> list[str]:
    """Commands, each quoted already, as the lines of such a script."""
    if len(asked) == 1:
        return [*asked]
    between = f"{{ found=$?; [ $found -eq {Refused.exit_code} ] || exit $found; }}"
    first = [f"{command} || {between}" for command in asked[:-1]]
    return ["found=0", *first, f"{asked[-1]} || exit", "exit $found"]


def in_one_line(words: Sequence[str]) -> str:
    """Words for a shell where a line's end would end the command: a crontab.

    A backslash may mean something else to one cron than to another, so that a word which holds one
    is told by numbers.
    """
    return " ".join(_printed(w) if re.search(r"[\\\n]", w) else shlex.quote(w) for w in words)


def _printed(word: str) -> str:
    told = re.sub(r"[\\\n%]", lambda found: f"\\0{ord(found[0]):03o}", word)
    return f'"$(printf %b {shlex.quote(told)})"'


def assignments(environment: Mapping[str, str]) -> list[str]:
    """``NAME=VALUE`` words for ``export``."""
    return [f"{name}={value}" for name, value in environment.items()]


def systemd(text: str) -> str:
    """A text as one quoted word of a unit file, which neither expands nor splits it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped.replace("%", "%%")}"'


def jinja(text: str) -> str:
    """A text that a template of Airflow's gives back as it is."""
    return re.sub(r"\{(?=[{%#])", "{{ '{' }}", text)


def github(text: str) -> str:
    """A text in which GitHub finds no expression."""
    return text.replace("${{", "${{ '${{' }}")
