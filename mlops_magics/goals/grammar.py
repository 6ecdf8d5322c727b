"""The goal language: text → goals, with every mistake found at once.

::

    roc_auc >= 0.80
    roc_auc >= 0.80 with 95%             # judged on its interval, not on its point
    roc_auc >= champion - 0.005          # not worse than the champion, by a paired bootstrap
    recall >= 0.60 by Home               # in every group
    recall gap <= 0.10 by "Marital status"   # between groups
    selection_rate ratio >= 0.8 by Home      # lowest over highest
    roc_auc >= 0.75 under noise 10%          # when the inputs are disturbed
    roc_auc drop <= 0.02 under missing 20%   # what it loses by that
    profit(tp=100, fp=-20, threshold=0.3) >= 5000
    cost(fn=Amount) <= 10_000                # an amount of each row's own
    p95_latency(batch=100) <= 50 ms
    drift(*) <= 0.2                      # of every feature
    estimated(roc_auc) >= 0.75           # before labels are known

One goal a line; ``#`` starts a comment. What a line *says* is read here, what it *means* is
looked at in `checking`. The parser is made at the first call.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mlops_magics.errors import BadGoal
from mlops_magics.goals import checking
from mlops_magics.goals.goal import Goal

if TYPE_CHECKING:
    from lark import Lark
    from lark.exceptions import UnexpectedInput

__all__ = ["Goal", "Problem", "check", "parse"]

_GRAMMAR = r"""
goal: metric [SPREAD] COMPARATOR _bound clause*
metric: NAME ["(" [_argument ("," _argument)*] ")"]
_argument: keyword | column
keyword: NAME "=" (number | NAME | STRING)
column: NAME | STRING | STAR
_bound: reference | threshold
reference: REFERENCE [SIGN NUMBER [UNIT]]
threshold: number [UNIT]
number: [SIGN] NUMBER
clause: BY (NAME | STRING)
      | WITH NUMBER PERCENT
      | UNDER NAME NUMBER [PERCENT]

REFERENCE.3: /(champion|baseline)\b/
SPREAD.3: /(gap|ratio|drop)\b/
BY.3: /by\b/
WITH.3: /with\b/
UNDER.3: /under\b/
PERCENT.2: "%"
COMPARATOR: /[<>=!]=|=[<>]|<>|[<>=≥≤≠]/
SIGN: /[+\-]/
NUMBER: /(\d+(_\d+)*(\.\d+)?|\.\d+)([eE][+\-]?\d+)?/
UNIT: /%|[^\W\d_]+/
NAME: /[^\W\d]\w*/
STRING: /"([^"\\\n]|\\.)*"|'([^'\\\n]|\\.)*'/
STAR: "*"
COMMENT: /#[^\n]*/
%ignore COMMENT
%ignore /[ \t\r\f\u00a0]+/
"""

# Terminals as a person would call them, in the order in which they are offered.
_WORDS = (
    ("COMPARATOR", "a comparator (>=, >, <=, <)"),
    ("NAME", "a name"),
    ("STRING", "a quoted name"),
    ("STAR", "*"),
    ("REFERENCE", "champion"),
    ("REFERENCE", "baseline"),
    ("NUMBER", "a number"),
    ("SIGN", "a sign (+, -)"),
    ("UNIT", "a unit"),
    ("PERCENT", "%"),
    ("SPREAD", "gap, ratio or drop"),
    ("LPAR", "("),
    ("COMMA", "a comma"),
    ("EQUAL", "="),
    ("RPAR", ")"),
    ("BY", "by COLUMN"),
    ("WITH", "with 95%"),
    ("UNDER", "under noise 10%"),
    ("$END", "the end of the line"),
)


@dataclass(frozen=True)
class Problem:
    """What is wrong with one line; line and column count from 1."""

    line: int
    column: int
    message: str


def parse(text: str) -> tuple[Goal, ...]:
    """Read goals, one a line.

    Raises
    ------
    BadGoal
        If any line can't be read, naming all such lines with line, column and what would be
        valid there; or if there is no goal at all.
    """
    goals, problems = check(text)
    if problems:
        raise BadGoal(_report(text.splitlines(), problems))
    if not goals:
        raise BadGoal("There is no goal in the text.", "Write one a line: roc_auc >= 0.80")
    return tuple(goals)


def check(text: str) -> tuple[list[Goal], list[Problem]]:
    """The goals that can be read, and what is wrong with the other lines (for an editor)."""
    goals: list[Goal] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            goals.append(_read(line, number))
        except checking.Unreadable as error:
            problems.append(Problem(number, error.column, error.message))
    return goals, problems


def _read(line: str, number: int) -> Goal:
    from lark.exceptions import UnexpectedInput

    try:
        tree = _parser().parse(line)
    except UnexpectedInput as error:
        raise checking.Unreadable(*_explain(error, line)) from None
    return checking.build(tree, line, number)


@cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(
        _GRAMMAR, start="goal", parser="lalr", propagate_positions=True, maybe_placeholders=True
    )


def _explain(error: UnexpectedInput, line: str) -> tuple[int, str]:
    """Where a line stops making sense, and what could have stood there."""
    from lark.exceptions import UnexpectedToken

    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        column, found = error.token.end_column or 1, "the line ends here"
    elif isinstance(error, UnexpectedToken):
        column, found = error.column, f"{str(error.token)!r} can't stand here"
    else:
        column, found = error.column, f"{line[error.column - 1]!r} can't stand here"
        if line[column - 1] in "\"'":
            return column, "this quote is never closed."
    if not line[: column - 1].strip():
        return column, f"{found}: a goal begins with a metric, as in roc_auc >= 0.80."
    reached = _parser().parse_interactive(line[: column - 1])
    reached.exhaust_lexer()
    expected: set[str] = reached.accepts()  # type: ignore[no-untyped-call]
    return column, f"{found}: expected {_alternatives([w for t, w in _WORDS if t in expected])}."


def _alternatives(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _report(lines: list[str], problems: list[Problem]) -> str:
    blocks = []
    for problem in problems:
        line = lines[problem.line - 1].expandtabs(1)
        caret = " " * (problem.column - 1) + "^"
        blocks.append(
            f"line {problem.line}, column {problem.column}: {problem.message}\n"
            f"    {line.rstrip()}\n    {caret}"
        )
    count = "A goal" if len(problems) == 1 else f"{len(problems)} goals"
    return f"{count} can't be read.\n" + "\n".join(blocks)
