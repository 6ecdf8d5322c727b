"""Small machines: a bundle with an ONNX graph in a folder, or on each device of a list."""
