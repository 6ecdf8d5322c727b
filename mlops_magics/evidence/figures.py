"""Figures as static pictures, from whichever library drew them; none of them is imported."""

from __future__ import annotations

import hashlib
import io
import re
from typing import Any

from mlops_magics.errors import BadData, WrongUsage

_FORMATS = ("png", "svg")


def is_figure(value: Any) -> bool:
    """Whether `value` can be drawn: a figure, axes or a grid of matplotlib's kind, or a chart."""
    return (
        not isinstance(value, type)
        and any(
            hasattr(value, name) for name in ("savefig", "write_image", "_repr_png_", "_repr_svg_")
        )
    ) or hasattr(getattr(value, "figure", None), "savefig")


def pictures(figure: Any) -> dict[str, bytes]:
    """The figure as files: name → content, as PNG and as SVG where the library can do both.

    The name is made of the figure's title, and of its content, so that two figures of one title
    stand side by side.

    Raises
    ------
    WrongUsage
        If it is no figure.
    BadData
        If its library can't draw it.
    """
    if not is_figure(figure):
        raise WrongUsage(
            f"A {type(figure).__name__} is no figure.",
            "Give one that has savefig (matplotlib, seaborn), write_image (plotly) or a picture "
            "of its own (_repr_png_, _repr_svg_).",
        )
    try:
        drawn = {kind: content for kind in _FORMATS if (content := _draw(figure, kind))}
    except Exception as error:  # whatever a drawing library raises
        raise BadData(
            f"The {type(figure).__name__} can't be drawn: {type(error).__name__}: {error}."
        ) from error
    if not drawn:
        raise BadData(f"The {type(figure).__name__} gave no picture.")
    digest = hashlib.sha256(next(iter(drawn.values()))).hexdigest()[:8]
    return {f"{_title(figure)}-{digest}.{kind}": content for kind, content in drawn.items()}


def _draw(figure: Any, kind: str) -> bytes:
    if not hasattr(figure, "savefig") and hasattr(getattr(figure, "figure", None), "savefig"):
        figure = figure.figure  # axes
    if hasattr(figure, "savefig"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, bbox_inches="tight")
        return buffer.getvalue()
    if hasattr(figure, "write_image"):
        return bytes(figure.to_image(format=kind))
    content = getattr(figure, f"_repr_{kind}_", lambda: None)()
    return content.encode("utf-8") if isinstance(content, str) else bytes(content or b"")


def _title(figure: Any) -> str:
    owner = getattr(figure, "figure", figure)
    axes = getattr(owner, "axes", None) or []
    titles = [getattr(owner, "get_suptitle", str)()]
    titles += [a.get_title() for a in axes if hasattr(a, "get_title")]
    first = next((t for t in titles if t), "")
    return re.sub(r"\W+", "-", first).strip("-").lower()[:60] or "figure"
