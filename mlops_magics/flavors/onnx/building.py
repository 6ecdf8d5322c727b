"""A graph in the making: operators are added one by one, each named for its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mlops_magics.errors import BadData

if TYPE_CHECKING:
    from mlops_magics.flavors.onnx.fields import Field

#: The version of ONNX's own operators, the first that compare text; and of those for machine
#: learning, the first that have trees in double precision.
OPSET, ML_OPSET = 19, 5
ML = "ai.onnx.ml"
#: What skl2onnx writes for trees inside of other estimators; newer versions dropped it.
_OLD = {"TreeEnsembleClassifier", "TreeEnsembleRegressor"}
_OLD_ML_OPSET = 3
#: The form of the file that goes with them.
IR = 10


@dataclass(frozen=True, slots=True)
class Piece:
    """Columns side by side in one tensor, rows × `width`."""

    name: str
    width: int
    is_text: bool = False


#: What a step is given or gives: pieces side by side.
Table = list[Piece]


class Graph:
    """Nodes and constants; a name is never used twice, and the same model gives the same names.

    Attributes
    ----------
    single_first : bool
        Whether what skl2onnx converts is to count in single precision.
    notes : list of str
        Where the graph answers and the model would not.
    """

    def __init__(self, single: bool = False) -> None:
        self.single_first = single
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.notes: list[str] = []
        self.domains: dict[str, int] = {}
        self.count = 0

    def name(self, kind: str) -> str:
        """A new name."""
        self.count += 1
        return f"{kind}_{self.count}"

    def constant(self, values: Any, dtype: Any = None) -> str:
        """Add a constant tensor."""
        name = self.name("constant")
        array = np.asarray(values, dtype=dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add an operator with one output, whose name is returned."""
        output = self.name(op)
        node = helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes)
        self.nodes.append(node)
        return output

    def double(self, name: str) -> str:
        """The tensor in double precision."""
        return self.add("Cast", name, to=TensorProto.DOUBLE)

    def single(self, name: str) -> str:
        """The tensor in single precision."""
        return self.add("Cast", name, to=TensorProto.FLOAT)

    def rounded(self, name: str) -> str:
        """Doubles as single precision has them, for models that round what they are given."""
        return self.double(self.single(name))

    def column(self, table: Table, index: int) -> Piece:
        """One column of a table."""
        for piece in table:
            if index < piece.width:
                if piece.width == 1:
                    return piece
                name = self.add("Gather", piece.name, self.constant([index], np.int64), axis=1)
                return Piece(name, 1, piece.is_text)
            index -= piece.width
        raise IndexError(index)

    def columns(self, table: Table, indices: Sequence[int]) -> Table:
        """Several columns of a table, in that order."""
        if len(table) == 1 and table[0].width > 1:
            if list(indices) == list(range(table[0].width)):
                return table
            name = self.add("Gather", table[0].name, self.constant(indices, np.int64), axis=1)
            return [Piece(name, len(indices), table[0].is_text)]
        return [self.column(table, index) for index in indices]

    def joined(self, table: Table, what: str = "The model") -> Piece:
        """All columns in one tensor.

        Raises
        ------
        BadData
            If there are numbers and text among them, or nothing at all.
        """
        if len({piece.is_text for piece in table}) != 1:
            raise BadData(
                f"{what} is given text beside numbers, which one tensor can't hold.",
                "Encode the text in a step before.",
            )
        if len(table) == 1:
            return table[0]
        name = self.add("Concat", *(piece.name for piece in table), axis=1)
        return Piece(name, width(table), table[0].is_text)

    def inline(self, model: Any, inputs: Sequence[str]) -> list[str]:
        """Another model's operators, fed with `inputs`; the names of its outputs."""
        prefix = self.name("part")
        # Such as onnxruntime's own operators on text.
        self.domains |= {
            o.domain: o.version for o in model.opset_import if o.domain not in ("", ML)
        }
        graph = model.graph
        own = {value.name: name for value, name in zip(graph.input, inputs, strict=True)}
        for constant in graph.initializer:
            own[constant.name] = f"{prefix}_{constant.name}"
            copy = type(constant)()
            copy.CopyFrom(constant)
            copy.name = own[constant.name]
            self.constants.append(copy)
        for node in graph.node:
            copy = type(node)()
            copy.CopyFrom(node)
            for output in node.output:
                own[output] = f"{prefix}_{output}" if output else ""
            copy.name = f"{prefix}_{node.name or node.output[0]}"
            del copy.input[:], copy.output[:]
            copy.input.extend(own.get(name, name) for name in node.input)
            copy.output.extend(own[name] for name in node.output)
            self.nodes.append(copy)
        return [own[value.name] for value in graph.output]

    def model(self, inputs: Sequence[Field], outputs: dict[str, tuple[str, int, list[Any]]]) -> Any:
        """The finished model.

        Parameters
        ----------
        outputs : dict
            Name of an output → the tensor's name, its type and shape.
        """
        old = bool(_OLD & {node.op_type for node in self.nodes})
        for name, (inner, _, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [inner], [name], name=f"out_{name}"))
        graph = helper.make_graph(
            self.nodes,
            "model",
            [
                helper.make_tensor_value_info(
                    field.name,
                    TensorProto.STRING if field.is_text else TensorProto.DOUBLE,
                    ["rows", field.width],
                )
                for field in inputs
            ],
            [
                helper.make_tensor_value_info(name, kind, shape)
                for name, (_, kind, shape) in outputs.items()
            ],
            self.constants,
        )
        made = helper.make_model(
            graph,
            opset_imports=[
                helper.make_opsetid("", OPSET),
                helper.make_opsetid(ML, _OLD_ML_OPSET if old else ML_OPSET),
                *(helper.make_opsetid(domain, v) for domain, v in sorted(self.domains.items())),
            ],
            producer_name="mlops_magics",
            ir_version=IR,
        )
        onnx.checker.check_model(made)
        return made


def width(table: Table) -> int:
    """How many columns a table has."""
    return sum(piece.width for piece in table)
