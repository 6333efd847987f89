"""emu's own ops stand for ops of the standard, which tables of kernels name."""

from importlib import import_module
from typing import Any

import numpy as np

from emu.ir.ops import OPS
from emu.ir.ops.own import OWN, standard

ONNX: Any = import_module("onnx")
STANDARD = {schema.name for schema in ONNX.defs.get_all_schemas_with_history()}
# What no kernel of a library computes, or each library by layouts that it shares with the chip.
APART = {"Onnx", "Decide", "Relayout"}


def test_every_op_is_of_the_standard_or_stands_for_ops_of_it() -> None:
    assert set(OPS) - STANDARD == {*OWN, *APART}
    assert {op for own in OWN for op in standard(own)} <= STANDARD
    assert all(standard(op) == (op,) for op in STANDARD & set(OPS))


def test_own_ops_compute_what_they_stand_for() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 4), dtype=np.float32)
    vector = rng.standard_normal(3, dtype=np.float32)
    q = rng.integers(-128, 128, (2, 3, 4), dtype=np.int8)
    scale = np.float32(0.25)
    run = {name: OPS[name].run for name in (*OWN, "Add", "DequantizeLinear")}

    added = run["Add"](x, vector[:, None])
    np.testing.assert_array_equal(run["BiasAdd"](x, vector), added)
    summed = run["Add"](x, run["DequantizeLinear"](q, scale))
    np.testing.assert_array_equal(run["DequantizeAdd"](x, q, scale), summed)
