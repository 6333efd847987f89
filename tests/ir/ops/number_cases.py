"""Small cases of ops on bits and kinds of numbers, and of norms and products over windows."""

import numpy as np

from emu.ir.types import Array
from tests.ir.ops.op_cases import IMAGE, Case, real, whole

KINDS = np.array([0, -1, np.nan, np.inf, -np.inf], np.float32)
POSITIVE = np.array([0.5, 1.5, 2, 3], np.float32)
SQUARE = {"kernel_shape": (3, 2), "strides": (2, 1)}


def small(*numbers: int) -> Array:
    return np.array(numbers, np.uint8)


BITS = [
    Case("BitwiseNot", [whole(0, -1, 77)]),
    *(Case(f"Bitwise{op}", [whole(12, -3, 7), whole(10)]) for op in ("And", "Or", "Xor")),
    *(
        Case("BitShift", [small(1, 200, 255), small(0, 3, 7)], {"direction": side})
        for side in ("LEFT", "RIGHT")
    ),
]
NUMBERS = [
    Case("IsNaN", [KINDS]),
    Case("IsInf", [KINDS]),
    Case("IsInf", [KINDS], {"negative": 0}, (), {"detect_negative": 0}),
    Case("IsInf", [KINDS], {"positive": 0}, (), {"detect_positive": 0}),
]
ROWS = [
    *(Case("Hardmax", [np.array([[1, 3, 3], [2, 0, 2]], np.float32)], {"axis": a}) for a in (0, 1)),
    Case("ReduceProd", [real(2, 3, 4)], {"axes": (1,)}, [whole(1)], {}),
    Case("ReduceProd", [POSITIVE]),
    Case(
        "ReverseSequence",
        [real(4, 3), whole(1, 4, 2)],
        {"batch_axis": 1, "time_axis": 0},
    ),
]
WINDOWS = [
    Case("LpPool", [real(*IMAGE)], {**SQUARE, "p": 1}),
    Case("LpPool", [real(*IMAGE)], {**SQUARE, "pads": (1, 0, 1, 1), "dilations": (2, 1)}),
    Case(
        "LRN",
        [real(2, 5, 3, 4)],
        {"size": 3, "alpha": 0.5, "beta": 0.6, "bias": 2.0, "pads": (1, 1)},
        (),
        {"size": 3, "alpha": 0.5, "beta": 0.6, "bias": 2.0},
    ),
]
NUMBER = [*BITS, *NUMBERS, *ROWS, *WINDOWS]
