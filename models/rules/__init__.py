"""One rule for each ONNX op: how it becomes ops of the table, with structure as attributes."""
