"""The element types that a model can be computed in."""

DTYPES = ("fp32", "fp16", "bf16", "int8", "fp8")
