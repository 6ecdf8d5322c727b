"""Models as ONNX graphs, for machines that have only onnxruntime and numpy.

Numbers are carried in double precision and columns keep their names, so that a graph answers as
its model does to the last digits; where a framework itself counts in single precision, so does
the graph. Trees and the encoders of categories are written here, for the converters that exist
round them to single precision, which moves rows over thresholds; all else is skl2onnx's and
PyTorch's own work.

This stays at home: a bundle carries the graph, not what made it.
"""

from mlops_magics.flavors.onnx import missing
from mlops_magics.flavors.onnx.converting import Converted, convert
from mlops_magics.flavors.onnx.fields import Field, feeds

__all__ = ["Converted", "Field", "convert", "feeds", "missing"]
