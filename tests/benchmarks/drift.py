"""Drift of 1,000,000 × 25 mixed columns against a stored profile, beside Evidently and NannyML.

Each in a process of its own that reads the same Parquet files: ours the current rows, in batches,
and the profile of the reference; theirs both tables. Processor time is from the first byte read to
the last figure, imports left out; memory is the most that the process had, imports included. Ours
besides at ten times the rows. Evidently's preset has its defaults; NannyML's calculator has one
chunk, and its methods by default.

They are installed by pip into environments of their own, which ``--venvs`` keeps. Takes some six
minutes.

    python -m tests.benchmarks.drift
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

#: Rows, and how many columns of numbers and of words.
ROWS, NUMBERS, WORDS = 1_000_000, 20, 5
MEASURED = r"""
import json, re, sys, time
begun = time.process_time()
def done(figures):
    # Not getrusage: its peak is that of the parent, before this program took its place.
    peak = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
    print(json.dumps({"cpu": time.process_time() - begun, "mb": peak / 1024, **figures}))
"""
OURS = """
import sys
import pyarrow.parquet as pq, scipy.stats, pandas
from mlops_magics.drift import quality, report, seen
MEASURED
profile = json.load(open(sys.argv[1]))
came = seen.of_parquet(profile, sys.argv[2])
found = report.compare(profile, came)
quality.find(profile, came)
done({"ks": {f["name"]: f["ks"] for f in found if "ks" in f}})
"""
PEERS = {
    "evidently": (
        ["evidently", "pandas<3", "pyarrow"],
        """
import sys
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
MEASURED
sides = [pd.read_parquet(f) for f in sys.argv[1:3]]
words = [c for c in sides[0] if c.startswith("word")]
kinds = DataDefinition(
    numerical_columns=[c for c in sides[0] if c not in words], categorical_columns=words
)
old, new = (Dataset.from_pandas(s, data_definition=kinds) for s in sides)
Report([DataDriftPreset()]).run(new, old).dict()
done({})
""",
    ),
    "nannyml": (
        ["nannyml", "statsmodels", "pyarrow"],
        """
import sys
import pandas as pd
import nannyml
MEASURED
old, new = (pd.read_parquet(f) for f in sys.argv[1:3])
calculator = nannyml.UnivariateDriftCalculator(column_names=list(old), chunk_number=1)
calculator.fit(old)
calculator.calculate(new).to_df()
done({})
""",
    ),
}


def main() -> None:
    """Measure all, print figures and ratios."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.drift")
    parser.add_argument("--venvs", type=Path, help="where the peers are, or are installed")
    parser.add_argument("--peers", nargs="*", default=list(PEERS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        venvs = options.venvs.absolute() if options.venvs else place / "venvs"
        old, new, many = (place / f"{side}.parquet" for side in ("old", "new", "many"))
        write(old, 0, ROWS)
        write(new, 1, ROWS)
        write(many, 1, 10 * ROWS)
        profile(old, place / "profile.json")
        shown = {
            "ours": measured(sys.executable, OURS, place / "profile.json", new),
            "ours, 10 × rows": measured(sys.executable, OURS, place / "profile.json", many),
        }
        print(f"{'':18}  CPU s  peak MB  KS off by", flush=True)
        exact = farthest(old, new, shown["ours"]["ks"])
        for called, found in shown.items():
            off = f"{exact:10.5f}" if called == "ours" else ""
            print(f"{called:18} {found['cpu']:6.2f} {found['mb']:8.0f} {off}", flush=True)
        for called in options.peers:
            packages, script = PEERS[called]
            found = measured(installed(venvs / called, packages), script, old, new)
            print(f"{called:18} {found['cpu']:6.2f} {found['mb']:8.0f}", flush=True)
            for what in ("cpu", "mb"):
                ratio = shown["ours"][what] / found[what]
                print(f"  {what} ours / {called}: {ratio:.4f} (1 / {1 / ratio:.0f})", flush=True)


def write(file: Path, seed: int, rows: int) -> None:
    """Numbers of several shapes with gaps, and words; those of seed 1 have moved a little."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    writer = None
    for _ in range(0, rows, 250_000):
        count = min(rows, 250_000)
        table = {}
        for number in range(NUMBERS):
            moved = 1 + 0.02 * seed * (number % 5)
            values = (
                rng.normal(0, 1, count) * moved,
                rng.gamma(2.0, 30.0 * moved, count),
                rng.integers(0, 60, count).astype(float),
                rng.lognormal(3, 0.8, count) * moved,
            )[number % 4]
            gaps = rng.random(count) < 0.03
            table[f"number{number}"] = pa.array(values, mask=gaps)
        for number in range(WORDS):
            names = np.array([f"w{i}" for i in range(4 + 9 * number)])
            table[f"word{number}"] = pa.array(names[rng.integers(0, len(names), count)])
        made = pa.table(table)
        writer = writer or pq.ParquetWriter(file, made.schema)
        writer.write_table(made)
    if writer is not None:
        writer.close()


def profile(file: Path, target: Path) -> None:
    """What is stored with a version."""
    import pandas as pd

    from mlops_magics.evidence import profile

    target.write_text(json.dumps(profile.profile(pd.read_parquet(file))))


def measured(python: str, script: str, *arguments: Path) -> dict[str, Any]:
    """What a process tells of itself."""
    done = subprocess.run(
        [python, "-c", script.replace("MEASURED", MEASURED), *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def farthest(old: Path, new: Path, found: dict[str, float]) -> float:
    """How far the distance of any column is from scipy's of all values."""
    import pandas as pd
    from scipy import stats

    worst = 0.0
    for name, ks in found.items():
        sides = [pd.read_parquet(f, columns=[name])[name].dropna() for f in (old, new)]
        worst = max(worst, abs(stats.ks_2samp(*sides, method="asymp").statistic - ks))
    return worst


def installed(place: Path, packages: list[str]) -> str:
    """The Python of an environment with these packages."""
    python = place / "bin" / "python"
    if not (place / "done").exists():
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (place / "done").touch()
    return str(python)


if __name__ == "__main__":
    main()
