"""Ops that onnxruntime's quantiser and optimiser write, as functions of ONNX's own ops."""
