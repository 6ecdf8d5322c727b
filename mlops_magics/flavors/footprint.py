"""How much memory a saved model needs: measured in a process that does nothing else.

    python -m mlops_magics.flavors.footprint FOLDER ROWS.parquet

prints the bytes that this process held at most, its libraries included.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_magics.goals.samples import Undefined

if TYPE_CHECKING:
    import pandas as pd

#: A model that takes longer to load and to answer than this, s, has no figure.
PATIENCE = 120.0


def measure(path: Path, rows: pd.DataFrame) -> float:
    """The bytes that a process holds at most which loads the model and answers these rows.

    Parameters
    ----------
    path : Path
        The folder of the saved model.

    Raises
    ------
    Undefined
        If the model can't be loaded or asked there; says why.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        file = Path(folder) / "rows.pkl"
        rows.to_pickle(file)  # read again by the process that is started below, and by no other
        words = [sys.executable, "-m", "mlops_magics.flavors.footprint", str(path), str(file)]
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            raise Undefined(
                f"a process of its own did not load the model and answer within {PATIENCE:.0f} s"
            ) from None
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if done.returncode or not last.isdigit():
        why = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise Undefined(f"a process of its own could not load the model and answer: {why}")
    return float(last)


def _main(path: str, file: str) -> None:
    import pandas as pd

    from mlops_magics import flavors

    flavors.load(Path(path)).predict(pd.read_pickle(file))  # noqa: S301  # written by `measure`
    print(_peak())


def _peak() -> int:
    """Bytes that this process held at most."""
    status = Path("/proc/self/status")
    if status.is_file():  # what getrusage tells on Linux may be that of the parent
        line = next(li for li in status.read_text().splitlines() if li.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most) * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    _main(*sys.argv[1:])
