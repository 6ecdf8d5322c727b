"""Why a model answers as it does: importance, dependence, contributions; pure, knows no store."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from mlops_magics.explanations import (
        contributions,
        dependence,
        directions,
        figures,
        linear,
        links,
        mosaic,
        origins,
        parts,
        permutation,
        places,
        questions,
        sampling,
        trees,
        words,
    )

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "contributions",
        "dependence",
        "directions",
        "figures",
        "linear",
        "links",
        "mosaic",
        "origins",
        "parts",
        "permutation",
        "places",
        "questions",
        "sampling",
        "trees",
        "words",
    ],
)
