"""What a call does beyond the names of the notebook: files, seeds, and settings of the process."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator

from mlops_magics.evidence import references

#: Calls that set something for the whole process: a seed, an option, a folder.
_SETTERS = re.compile(
    r"(?:.*\.)?(?:seed|seed_all|manual_seed(?:_all)?|set_seed|set_random_seed|seed_everything"
    r"|set_config|set_option|set_backend|set_float_precision|set_default_dtype|set_default_device"
    r"|set_num_threads|use_deterministic_algorithms|set_float32_matmul_precision"
    r"|enable_op_determinism|filterwarnings|simplefilter|seterr|set_start_method|setlocale"
    r"|enable_metadata_routing|patch_sklearn)|os\.chdir|os\.putenv|os\.environ\.\w+|sys\.path\.\w+"
    r"|load_dotenv|(?:.*\.)load_dotenv|sys\.setrecursionlimit|site\.addsitedir"
)
_READING = re.compile(r"os\.environ\.(?:get|copy|items|keys|values)|sys\.path\.(?:index|copy)")
_SEED = re.compile(r"(?:.*\.)?\w*seed\w*")
#: Options of display only.
_DISPLAY = re.compile(r"(?:display|styler|plotting)\.|max_(?:rows|columns)")

_DRAWS = re.compile(
    r"(?:random|(?:np|numpy)\.random)\.(?!seed|default_rng|RandomState|Generator|Random\b|get_state"
    r"|SeedSequence|PCG64|MT19937|Philox)\w+|(?:torch|tf\.random)\.(?:rand|randn|randint|randperm"
    r"|normal|bernoulli|multinomial|uniform)\w*"
)

_WRITERS = re.compile(
    r"(?:.*\.)?(?:to_(?:csv|parquet|feather|json|pickle|excel|hdf|orc|stata|sql|xml|html|numpy)"
    r"|save\w*|dump|write\w*|sink_\w+|urlretrieve|copy\w*|move|touch|mkdir|makedirs|rename|replace"
    r"|extractall|unpack_archive)"
)
_WRITE_MODES = re.compile(r"[rwxab+t]*[wxa+][wxab+t]*")
_FILE = re.compile(r"[^\n\r\0]{1,300}\.[A-Za-z0-9]{1,8}")


def of_call(node: ast.Call, function: str) -> Iterator[str]:
    """The settings of the process that a call changes, each under a name of its own."""
    if not _SETTERS.fullmatch(function) or _READING.fullmatch(function):
        return
    key = references.text(node.args[0]) if node.args else None
    if key is not None and _DISPLAY.match(key):
        return
    # A seed takes the place of the one before; so does an option of the same name.
    yield f"{function}({key})" if key is not None else function


def of_assignment(node: ast.AST) -> str:
    """``os.environ["A"] = …`` and the like, under a name of its own; empty for anything else."""
    if isinstance(node, ast.Subscript) and references.dotted(node.value) == "os.environ":
        return f"os.environ[{references.text(node.slice) or '…'}]"
    target = node.value if isinstance(node, ast.Subscript) else node
    written = references.dotted(target)
    if written == "sys.path":
        return "sys.path"
    # Switches such as torch.backends.cudnn.deterministic.
    return written if ".backends." in written else ""


def is_seed(effect: str) -> bool:
    """Whether an effect seeds a generator of random numbers."""
    return bool(_SEED.fullmatch(effect.partition("(")[0]))


def draws(function: str) -> bool:
    """Whether a call draws random numbers from a generator that the process shares."""
    return bool(_DRAWS.fullmatch(function))


def files(text: str) -> Iterator[str]:
    """The file that a literal text may name, by its last part."""
    if _FILE.fullmatch(text) and " " not in (name := os.path.basename(text)):
        yield name


def modules(name: str) -> Iterator[str]:
    """The files that an import of a module in the working directory would read."""
    first = name.lstrip(".").partition(".")[0]
    if first:
        yield f"{first}.py"


def written(node: ast.Call, function: str) -> Iterator[str]:
    """The files that a call writes, as far as their names stand in it."""
    method = node.func.attr if isinstance(node.func, ast.Attribute) else function
    opened = method == "open" and any(
        _WRITE_MODES.fullmatch(mode)
        for a in (*node.args, *(k.value for k in node.keywords))
        if (mode := references.text(a)) is not None
    )
    if not (opened or _WRITERS.fullmatch(method)):
        return
    for inner in ast.walk(node):
        if (found := references.text(inner)) is not None:
            yield from files(found)


def words(line: str) -> Iterator[str]:
    """The files that a shell command may name."""
    for word in re.split(r"[\s;|&<>()'\"=]+", line):
        yield from files(word)
