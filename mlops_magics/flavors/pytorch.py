"""PyTorch modules: those of its own layers, and those whose class the user has written."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData
from mlops_magics.flavors import plain, readings
from mlops_magics.flavors.base import Saving

if TYPE_CHECKING:
    import numpy as np

    from mlops_magics.flavors.folder import ModelFolder

_FILE = "model.pth"
_ROWS = 4096  # that go through the network at once
_LAST = {
    "Sigmoid": "probabilities",
    "Softmax": "probabilities",
    "LogSoftmax": "logits",  # of which a softmax gives the probabilities again
}


class PytorchFlavor(readings.RawFlavor):
    """`torch.nn.Module` with parameters; its attributes ``task`` and ``classes_`` are heeded."""

    name = "pytorch"
    mlflow_flavor = "pytorch"
    needs = ("torch", "pytorch", "PyTorch")

    def recognises(self, obj: Any) -> bool:
        """A module that can learn: a loss has no parameters, and Keras has a flavor of its own."""
        return (
            plain.derives(obj, "torch.nn", "Module")
            and not plain.derives(obj, "keras", "Layer")
            and next(iter(obj.parameters()), None) is not None
            and not type(obj).__module__.startswith("torch.nn.modules.loss")
        )

    def is_fitted(self, obj: Any) -> bool:
        """Always: nothing in a module tells whether it has learned."""
        return True

    def outputs(self, obj: Any) -> str:
        """By the layer that was made last, where it squeezes numbers into probabilities."""
        layers = list(obj.modules())
        return _LAST.get(type(layers[-1]).__name__, "") if _is_chain(obj) else ""

    def raw(self, obj: Any, X: Any) -> np.ndarray:
        """What the module answers in evaluation mode, whose state is left as it was."""
        import numpy as np
        import torch

        rows = _tensor(obj, X)
        training = [m for m in obj.modules() if m.training]
        obj.eval()
        try:
            with torch.no_grad():
                parts = [_first(obj(part)) for part in torch.split(rows, _ROWS)]
        finally:
            for module in training:
                module.training = True
        found: np.ndarray = torch.cat(parts).float().cpu().numpy()
        return np.asarray(found)

    def params(self, obj: Any) -> dict[str, Any]:
        """Its plain attributes, and its size."""
        own = {k: v for k, v in plain.attributes(obj).items() if k != "training"}
        return {**own, "parameters": _count(obj)}

    def describe(self, obj: Any) -> str:
        """Its class and size."""
        return f"{type(obj).__name__} ({_count(obj):,} parameters)"

    def parts(self, obj: Any) -> Iterator[Any]:
        """The modules that it is made of."""
        yield from list(obj.modules())[1:]

    def saving(self, obj: Any, scratch: Path) -> Saving:
        """The whole module, its class included where that is the user's."""
        from mlops_magics.flavors import graph

        module = getattr(obj, "_orig_mod", obj)  # what was compiled
        own = graph.local_code(graph.modules(module))
        written = sorted({type(m).__name__ for m in module.modules() if not _is_layer(type(m))})
        metadata = {}
        if written:
            metadata["mlops.cloudpickle_because"] = (
                f"the class {', '.join(written[:3])} is code, not a layer of PyTorch's own"
            )
        return Saving(
            module="pytorch",
            arguments={"pytorch_model": module, **({"code_paths": own} if own else {})},
            newer={"serialization_format": "pickle"},  # as it always was before
            metadata=metadata,
        )

    def packages(self, obj: Any) -> list[str]:
        """PyTorch, and what the module is made of."""
        from mlops_magics.flavors import graph

        return graph.requirements(obj, {"torch", "numpy", "pandas", "cloudpickle"})

    def opens(self, folder: ModelFolder) -> bool:
        """What MLflow saved as a whole module, not as an exported program."""
        return super().opens(folder) and self._file(folder).is_file()

    def _file(self, folder: ModelFolder) -> Path:
        return folder.path / str(folder.flavors["pytorch"].get("model_data", "data")) / _FILE

    def read(self, path: Path, folder: ModelFolder) -> Any:
        """Without code where it is made of PyTorch's layers only; else by pickle."""
        import torch

        file = self._file(folder)
        try:
            if layers := _layers(file):
                with torch.serialization.safe_globals(layers):
                    return torch.load(file, map_location="cpu", weights_only=True)
            return torch.load(file, map_location="cpu", weights_only=False)
        except (pickle.UnpicklingError, EOFError, RuntimeError, AttributeError) as error:
            first = (str(error).splitlines() or [""])[0]
            raise BadData(f"{file} can't be loaded ({type(error).__name__}: {first}).") from error


def _is_chain(obj: Any) -> bool:
    """Whether its parts are run in the order in which they were made."""
    return type(obj).__name__ == "Sequential" or _is_layer(type(obj))


def _is_layer(kind: type) -> bool:
    return kind.__module__.startswith("torch.nn.modules.")


def _count(obj: Any) -> int:
    return sum(p.numel() for p in obj.parameters())


def _first(answer: Any) -> Any:
    """The tensor in an answer: itself, its ``logits``, or the first of several."""
    if isinstance(answer, dict):
        return answer.get("logits", next(iter(answer.values())))
    if hasattr(answer, "logits"):
        return answer.logits
    return answer[0] if isinstance(answer, tuple | list) else answer


def _tensor(obj: Any, X: Any) -> Any:
    """Rows as the module's first weights want them; whole numbers stay so for an embedding."""
    import numpy as np
    import torch

    first = next(iter(obj.parameters()))
    embeds = any(type(m).__name__.startswith("Embedding") for m in obj.modules())
    if not isinstance(X, torch.Tensor):
        array = np.asarray(X)
        if array.dtype == object:
            array = array.astype("float64")
        X = torch.from_numpy(np.array(array))  # a copy, for torch would write into it
    if embeds and not X.is_floating_point():
        return X.to(first.device)
    return X.to(device=first.device, dtype=first.dtype)


def _layers(file: Path) -> list[type]:
    """PyTorch's own classes that a file names, if it names nothing else; else none."""
    import torch

    named = getattr(torch.serialization, "get_unsafe_globals_in_checkpoint", None)
    if named is None:  # before 2.6
        return []
    try:
        names = named(file)
    except pickle.UnpicklingError:  # it holds more than names
        return []
    found = []
    for name in names:
        module, _, attribute = name.rpartition(".")
        kind = getattr(torch.nn, attribute, None)
        if not isinstance(kind, type) or kind.__module__ != module or not _is_layer(kind):
            return []
        found.append(kind)
    return found
