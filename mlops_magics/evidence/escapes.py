"""What magics and shell commands do to names, as IPython has turned them into calls.

``%time x = f()`` has become ``get_ipython().run_line_magic('time', 'x = f()')``. Bodies that are
Python are read as such; of anything else only the words that are names of the notebook are known.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from mlops_magics.evidence import effects, references

if TYPE_CHECKING:
    from mlops_magics.evidence.names import Reader

#: Magics whose line or body is Python of the notebook; whether what it binds stays bound.
_PYTHON = {
    "time": True, "prun": True, "capture": True, "debug": True, "train": True,
    "timeit": False, "memit": False, "mprun": False, "lprun": False, "memray_flamegraph": False,
    "tune": False,
}  # fmt: skip
#: Magics that touch no name of the notebook.
_HARMLESS = {
    "matplotlib", "config", "pylab", "precision", "xmode", "colors", "who", "whos", "who_ls",
    "pwd", "ls", "ll", "lsmagic", "magic", "quickref", "history", "hist", "notebook", "save",
    "pinfo", "pinfo2", "pdoc", "pdef", "psource", "pfile", "psearch", "pycat", "cat", "less",
    "more", "man", "html", "HTML", "svg", "SVG", "latex", "markdown", "javascript", "js",
    "logstart", "logstop", "logon", "logoff", "pdb", "tb", "alias", "automagic", "connect_info",
    "page", "pprint", "doctest_mode", "edit", "gui", "watermark", "code_wrap", "subshell",
    "bookmark",
}  # fmt: skip
_INSTALLERS = {"pip", "conda", "mamba", "micromamba", "uv"}
_INSTALL = re.compile(r"\s*(?:\S*python\S*\s+-m\s+)?(?:pip3?|uv|conda|mamba)\b.*\b(?:un)?install\b")
_SHELLS = {"bash", "sh", "script", "system", "sx", "cmd", "ruby", "perl", "pypy", "python2",
           "python", "python3", "!", "sc"}  # fmt: skip
_FOLDER = {"cd", "pushd", "popd"}
#: Magics that bring state from elsewhere, so that what they read can't be told.
_OPAQUE = {"macro", "rerun", "recall", "rep", "load", "loadpy", "ipytest", "autocall", "reset",
           "reset_selective", "xdel"}  # fmt: skip
#: What `prepare` binds in a notebook.
PREPARED = ("X_train", "X_test", "y_train", "y_test", "features")
#: A name that stands for the dataset prepared last, and one for the magics of an extension.
DATASET = "<dataset>"
MAGICS = "<magics>"

_EXPANSION = re.compile(r"\{([^{}]+)\}|\$(\w+)")


def read(reader: Reader, node: ast.Call) -> bool:
    """Note what a call of IPython's does; whether it was one."""
    function = references.dotted(node.func)
    if not function.startswith("get_ipython()"):
        return False
    kind = function.rpartition(".")[2]
    arguments = [references.text(a) for a in node.args]
    if kind == "run_line_magic" and len(arguments) >= 2 and None not in arguments[:2]:
        _line_magic(reader, str(arguments[0]), str(arguments[1]))
    elif kind == "run_cell_magic" and len(arguments) == 3 and None not in arguments:
        _cell_magic(reader, *map(str, arguments))
    elif kind in ("system", "getoutput") and arguments and arguments[0] is not None:
        _shell(reader, arguments[0])
    elif kind in ("run_cell", "ex", "ev") and arguments and arguments[0] is not None:
        reader.include(arguments[0])
    elif kind not in ("set_next_input", "show_usage"):
        reader.hide("calls get_ipython()")
    return True


def _note(reader: Reader, what: str) -> None:
    if what not in reader.facts.notes:
        reader.facts.notes.append(what)


def _line_magic(reader: Reader, name: str, line: str) -> None:
    facts = reader.facts
    _expansions(reader, line)
    if name in _PYTHON:
        _python(reader, name, _without_options(line))
    elif name in _INSTALLERS:
        _note(reader, f"installs packages (%{name})")
    elif name in _SHELLS:
        _shell(reader, line)
    elif name in _FOLDER:
        facts.effects.add("working directory")
    elif name in ("env", "set_env"):
        variable = re.split(r"[\s=]", line.strip(), maxsplit=1)
        if len(variable) > 1:
            facts.effects.add(f"os.environ[{variable[0]}]")
    elif name in ("load_ext", "reload_ext"):
        reader.store(f"{MAGICS} {line.strip()}")
        facts.maybe.add(MAGICS)  # that of one does not take the place of another's
    elif name in ("autoreload", "aimport"):
        reader.load(MAGICS)
    elif name == "run":
        _run(reader, line)
    elif name == "store":
        if "-r" in line.split():
            reader.hide("restores variables with %store -r, which come from another session")
    elif name == "mlops_begin":
        _begin(reader, line)
    elif name == "prepare":
        _prepare(reader, line)
    elif name in _OPAQUE:
        reader.hide(f"uses %{name}")
    elif name not in _HARMLESS:
        _foreign(reader, f"%{name}", line)


def _cell_magic(reader: Reader, name: str, line: str, body: str) -> None:
    facts = reader.facts
    _expansions(reader, line)
    if name in _PYTHON:
        if name == "capture" and (output := _without_options(line).split()):
            reader.store(output[0])
        if name in ("time", "timeit", "prun") and (setup := _without_options(line)):
            _python(reader, name, setup)
        if name == "tune":  # it ends in a training
            _begin(reader, line)
        _python(reader, name, body)
    elif name in ("writefile", "file"):
        facts.files_written.update(effects.words(line))
    elif name in _SHELLS:
        for option in re.findall(r"--(?:out|err|proc)[= ]+(\w+)", line):
            reader.store(option)
        _shell(reader, body, f"%%{name}")
    elif name not in _HARMLESS:
        _foreign(reader, f"%%{name}", f"{line}\n{body}")


def _python(reader: Reader, name: str, body: str) -> None:
    if body.strip() and not reader.include(body, keep=_PYTHON[name]):
        _words(reader, body)


def _without_options(line: str) -> str:
    """``-n 10 -r 3 f(x)`` → ``f(x)``."""
    return re.sub(r"^\s*(?:--?[A-Za-z][\w-]*(?:[= ]?[\d.]+)?\s+)*(?:--?[A-Za-z][\w-]*$)?", "", line)


def _shell(reader: Reader, command: str, how: str = "!") -> None:
    _expansions(reader, command)
    if _INSTALL.match(command):
        _note(reader, f"installs packages ({how if how != '!' else '!pip'})")
        return
    # It may write any file that it names; a later cell that reads one is tied to it.
    reader.facts.files_written.update(effects.words(command))
    reader.facts.files_read.update(effects.words(command))
    _note(reader, f"runs a shell command ({how}), whose effects can't be told")


def _run(reader: Reader, line: str) -> None:
    words = line.split()
    reader.facts.files_read.update(effects.words(line))
    file = next((w for w in words if not w.startswith("-")), "")
    reader.facts.stars.append(f"%run {file}")
    if "-i" in words:
        reader.hide(f"runs {file} on the notebook's own names (%run -i)")


def _begin(reader: Reader, line: str) -> None:
    """``%%train NAME …``: measures on the notebook's test rows, else on the last dataset's."""
    for option in re.findall(r"--(?:data|model)[= ]+(\w+)", line):
        reader.facts.words.add(option)
    reader.facts.words |= {"X_test", "y_test", DATASET, f"{MAGICS} mlops_magics"}


def _prepare(reader: Reader, line: str) -> None:
    reader.facts.words |= {*line.split()[:1], f"{MAGICS} mlops_magics"}
    reader.facts.files_read.update(effects.words(line))
    for name in (*PREPARED, DATASET):
        reader.store(name)


def _foreign(reader: Reader, magic: str, text: str) -> None:
    """A magic of another package."""
    _words(reader, text)
    reader.facts.words.add(MAGICS)
    _note(reader, f"uses {magic}, whose effects can't be told")


def _words(reader: Reader, text: str) -> None:
    reader.facts.words |= set(re.findall(r"[A-Za-z_]\w*", text))


def _expansions(reader: Reader, line: str) -> None:
    for expression, name in _EXPANSION.findall(line):
        if name:
            reader.facts.words.add(name)
            continue
        try:
            tree = ast.parse(expression, mode="eval")
        except SyntaxError:
            continue
        reader.facts.words |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
