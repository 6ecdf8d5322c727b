"""The command line: ``mlops VERB …``, parsed from the verb's own signature."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout
from types import TracebackType
from typing import Any

import mlops_magics
from mlops_magics.doors import ci, progress
from mlops_magics.errors import Interrupted, MlopsError, UnknownName
from mlops_magics.records import Record
from mlops_magics.verbs import declaration


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code (see the contract's table)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"mlops_magics {mlops_magics.__version__}")
        return 0
    name, words = words[0], words[1:]
    try:
        return _run(name, words)
    except MlopsError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        print(f"Interrupted. {error}".rstrip(), file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(name: str, words: list[str]) -> int:
    try:
        found = declaration.find(name)
    except UnknownName as error:
        error.hint = f"{error.hint.strip()} `mlops --help` lists them."
        raise
    from mlops_magics.doors import parsing

    before_dashes = words[: words.index("--")] if "--" in words else words
    if "--help" in before_dashes or "-h" in before_dashes:
        print(parsing.help_text(name))
        return 0
    as_json, quiet = "--json" in before_dashes, "--quiet" in before_dashes
    bound = parsing.parse(name, [w for w in words if w not in ("--json", "--quiet")])
    if not found.runs_code:
        from mlops_magics.notebooks import headless

        headless.lighten()  # this process is ours alone
    try:
        # What a verb's libraries or the user's script print is no part of the JSON document.
        with (
            progress.shown(sys.stderr, quiet=quiet),
            redirect_stdout(sys.stderr if as_json else sys.stdout),
        ):
            record = found.function(*bound.args, **bound.kwargs)
    except Interrupted as stopped:
        show(stopped.record, as_json)
        raise
    except (MlopsError, KeyboardInterrupt):
        raise
    except Exception as error:
        return _foreign(error, found)
    return show(record, as_json)


def show(record: Any, as_json: bool) -> int:
    """Print a record; returns the exit code that it stands for."""
    if not isinstance(record, Record):
        raise MlopsError(
            "This verb needs code to run.", "For example: mlops train credit train_credit.py"
        )
    print(record.to_json() if as_json else record)
    ci.tell(record)
    return record.exit_code


def _foreign(error: Exception, found: declaration.Declaration) -> int:
    """An exception that is not ours: whole when the user's code raised it, else one sentence."""
    if found.runs_code:
        frames: TracebackType | None = error.__traceback__
        ours = os.path.dirname(mlops_magics.__file__)
        while frames is not None and frames.tb_frame.f_code.co_filename.startswith(ours):
            frames = frames.tb_next
        traceback.print_exception(type(error), error, frames or error.__traceback__)
        return 1
    if os.environ.get("MLOPS_DEBUG"):
        traceback.print_exception(error)
    print(
        f"{found.name} failed unexpectedly: {type(error).__name__}: {error}. "
        "This is a fault of mlops_magics; MLOPS_DEBUG=1 shows where.",
        file=sys.stderr,
    )
    return 1


def overview() -> str:
    """What ``mlops --help`` prints: every verb with its summary."""
    verbs = declaration.declarations()
    width = max(map(len, verbs))
    lines = [f"  {name:<{width}}  {found.summary}" for name, found in verbs.items()]
    return "\n".join(
        [
            "Usage: mlops VERB [ARGUMENTS] [--json] [--quiet]",
            "",
            "The whole life of a model, from the command line.",
            "",
            *lines,
            "",
            "mlops VERB --help tells a verb's arguments. In a notebook: %load_ext mlops_magics.",
            "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 judged and found wanting,",
            "            4 held for approval, 5 a record is not intact.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
