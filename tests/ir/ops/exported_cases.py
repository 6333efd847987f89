"""Small cases of the ops that files of exporters have beside those of the zoo."""

import numpy as np

from tests.ir.ops.op_cases import Case, bits, real, whole

# Within (-1, 1), where every angle has its functions.
NEAR = np.linspace(-0.9, 0.9, 15, dtype=np.float32).reshape(3, 5)
PLACES = np.array([[0, 1, -1], [2, 0, 0]], np.int64)
AXES = np.array(1, np.int64)

ACTIVATIONS = [
    *(Case(op, [real(3, 5) * 2]) for op in "Elu Celu Selu Mish Softsign ThresholdedRelu".split()),
    Case("Elu", [real(3, 5)], {"alpha": 0.3}),
    Case("Celu", [real(3, 5)], {"alpha": 0.3}),
    Case("Shrink", [real(3, 5)], {"bias": 0.2, "lambd": 0.4}),
    *(Case(op, [NEAR]) for op in "Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Atanh".split()),
    Case("Acosh", [1 + np.abs(NEAR)]),
]
PAIRS = [
    *(Case(op, [whole(1, 2, 3), whole(2, 2, 2)]) for op in ("GreaterOrEqual", "LessOrEqual")),
    Case("Xor", [bits(3, 4), bits(4)]),
    Case("Mod", [whole(-7, 7, -7, 6), whole(2, -2, -2, 4)]),
    Case("Mod", [whole(-7, 7, -7, 6), whole(2, -2, -2, 4)], {"fmod": 1}),
    Case("Mod", [real(3, 4), real(3, 4)], {"fmod": 1}),
]
SELECTION = [
    *(
        Case(op, [np.array([[1, 3, 3], [2, 0, 2]], np.float32)], attrs)
        for op in ("ArgMax", "ArgMin")
        for attrs in ({"axis": 1}, {"axis": -1, "keepdims": 0, "select_last_index": 1})
    ),
    *(
        Case("CumSum", [real(2, 4)], {"axis": 1, **attrs}, [AXES], attrs)
        for attrs in ({}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1})
    ),
]
SCATTER = [
    Case("GatherElements", [real(3, 4), PLACES], {"axis": 1}),
    *(
        Case(
            "ScatterElements",
            [real(3, 4), np.array([[0, 1], [2, -1]]), real(2, 2)],
            {"axis": 1, "reduction": reduction},
        )
        for reduction in ("none", "add", "mul", "max", "min")
    ),
    Case("GatherND", [real(3, 4, 5), np.array([[0, 1], [2, -1]])]),
    Case("GatherND", [real(2, 4, 5), np.array([[1], [3]])], {"batch_dims": 1}),
    Case("ScatterND", [real(4, 3), np.array([[0], [-1]]), real(2, 3)]),
    Case("ScatterND", [real(4, 3), np.array([[1], [1]]), real(2, 3)], {"reduction": "add"}),
]
EXPORTED = [*ACTIVATIONS, *PAIRS, *SELECTION, *SCATTER]
