"""The page of a bundle: its model in a browser, from any server of plain files."""

from __future__ import annotations

import shutil
from pathlib import Path

FOLDER = "web"
_HERE = Path(__file__).with_name(FOLDER)
_PAGE = ("index.html", "style.css", "page.js", "model.js", "onnxruntime-license.txt")
#: onnxruntime-web, which was fetched when this installation was built (hatch_build.py).
_VENDOR = ("vendor/ort.js", "vendor/ort.wasm")


def add(folder: Path) -> str:
    """Put the page into a bundle; why it was left out, empty if it was not."""
    if missing := _missing():
        return f"The web page was left out: {missing}."
    for name in (*_PAGE, *_VENDOR):
        place = folder / FOLDER / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_HERE / name, place)
    return ""


def _missing() -> str:
    if all((_HERE / name).is_file() for name in _VENDOR):
        return ""
    why = _HERE / "vendor/left_out.txt"
    if why.is_file():
        reason = why.read_text(encoding="utf-8").strip()
        return f"when this installation of mlops_magics was built, {reason}"
    return "this installation of mlops_magics has no onnxruntime-web"
