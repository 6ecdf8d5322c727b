"""What is known of packages that look, while they are imported, at the process they are in."""

from __future__ import annotations

#: Packages → what they ask for and may: they look for a file of their own process, make a name
#: that has to be unlike others of the same process, or drop the answer.
_HARMLESS = {
    "fastapi": {"uuid4"},
    "joblib": {"getpid"},
    "mlflow": {"uuid4"},
    "opentelemetry": {"uuid4"},
    "psutil": {"getpid"},
    "tqdm": {"get_ipython"},  # which frontend: a kernel's modules are there, which is what counts
    "ipywidgets": {"get_ipython"},  # see below
}

#: Modules → the function in them to call once the kernel has taken them up: what their import
#: does only where there is a shell.
AFTERWARDS = {"ipywidgets": "_handle_ipython"}

#: Threads, by the names that they give themselves, which end and come back around a fork.
THREADS = {"jemalloc_bg_thd"}

#: What makes a kernel.
KERNEL = ("ipykernel.ipkernel", "ipykernel.kernelapp", "ipykernel.zmqshell")

#: What a kernel imports on its way up, not before; by names that may be others one day.
LAZY = (
    *("ipykernel.debugger", "IPython.core.completerlib", "IPython.core.oinspect", "pydoc", "pdb"),
    *("IPython.extensions.storemagic", "tornado.platform.asyncio", "sqlite3", "xml.parsers.expat"),
    *("tornado.queues", "encodings.idna", "cProfile", "faulthandler"),
)

#: Variables that belong to one kernel alone, and that nothing looks at while it is imported. In all
#: others a kernel has to be like its parent: imports look at them, and so does Python itself.
OWN = {
    *("MLOPS_NOTEBOOK", "MLOPS_EXECUTION", "MLOPS_JOURNAL", "MLOPS_ATTEMPT"),
    *("JPY_PARENT_PID", "JPY_SESSION_NAME"),
}


def harmless(module: str, what: str) -> bool:
    """Whether a module may ask for this while it is imported."""
    return what in _HARMLESS.get(module.partition(".")[0], ())
