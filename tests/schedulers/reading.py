"""What a scheduler's own parser makes of the files: the script that /bin/sh is given."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import jinja2
import yaml


def cron(files: Mapping[str, str]) -> str:
    """The command of the only entry, as Vixie's cron and as ISC's read it, which have to agree."""
    [text] = files.values()
    entries = [line for line in text.splitlines() if line and line[0] not in "#C"]
    [entry] = entries
    command = entry.split(" ", 5)[5]
    read = {_percent(command, "%"), _percent(command, "%\\")}
    assert len(read) == 1, read
    return read.pop()


def _percent(command: str, escapable: str) -> str:
    """`do_command` of cron: the escape before `escapable` goes; a bare % ends the command."""
    out, escaped = "", False
    for char in command:
        if escaped:
            out = out[:-1] + char if char in escapable else out + char
            escaped = False
        elif char == "%":
            raise AssertionError(f"a line's end in {command!r}")
        else:
            out, escaped = out + char, char == "\\"
    return out


def systemd(files: Mapping[str, str]) -> str:
    """The last word of ExecStart, as systemd.syntax(7) and systemd.service(5) have it."""
    [service] = [text for name, text in files.items() if name.endswith(".service")]
    [line] = [row for row in service.splitlines() if row.startswith("ExecStart=")]
    before, quoted = line.split(" -c ", 1)
    assert before == "ExecStart=/bin/sh"
    return without_specifiers(unquoted(quoted)).replace("$$", "$")


def unquoted(word: str) -> str:
    """A word in double quotes, with its C escapes."""
    assert word[0] == word[-1] == '"'
    assert not re.search(r'(?<!\\)(\\\\)*"', word[1:-1]), word
    known = {"n": "\n", "t": "\t", "\\": "\\", '"': '"'}
    return re.sub(r"\\(.)", lambda found: known[found[1]], word[1:-1])


def without_specifiers(text: str) -> str:
    """``%%`` is a percent sign; any other would be expanded."""
    assert "%" not in text.replace("%%", "")
    return text.replace("%%", "%")


def github(files: Mapping[str, str]) -> str:
    """The last step's script."""
    [text] = files.values()
    steps = yaml.safe_load(text)["jobs"]["mlops"]["steps"]
    return expanded(steps[-1]["run"])


def expanded(text: str) -> str:
    """A text as GitHub gives it to a shell: expressions that are a literal are that literal."""
    told = re.sub(r"\$\{\{ '((?:[^']|'')*)' \}\}", lambda found: found[1].replace("''", "'"), text)
    outside = re.sub(r"\$\{\{ '(?:[^']|'')*' \}\}", "", text)
    assert "${{" not in outside
    return told


def kubernetes(files: Mapping[str, str]) -> str:
    """The only argument, with the cluster's own variables expanded."""
    [text] = files.values()
    pod = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["command"] == ["/bin/sh", "-c"]
    [script] = container["args"]
    return references(script)


def references(text: str) -> str:
    """`expansion.Expand` of Kubernetes, where no variable may be left to be expanded."""
    out, at = "", 0
    while at < len(text):
        if text[at] == "$" and text[at + 1 : at + 2] == "$":
            at += 1
        elif text[at] == "$":
            assert text[at + 1 : at + 2] != "(", text
        out, at = out + text[at], at + 1
    return out


def airflow(files: Mapping[str, str]) -> str:
    """The task's command, rendered as a template."""
    task = airflow_task(files)
    assert not task["bash_command"].endswith((".sh", ".bash"))  # the name of a file, to Airflow
    return rendered(task["bash_command"])


def airflow_task(files: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of the only operator."""
    [text] = files.values()
    calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)]
    [task] = [c for c in calls if getattr(c.func, "id", "").endswith("Operator")]
    return {str(k.arg): ast.literal_eval(k.value) for k in task.keywords}


def rendered(text: str, **known: Any) -> str:
    """What Airflow's Jinja makes of a template."""
    return jinja2.Environment(autoescape=False).from_string(text).render(**known)
