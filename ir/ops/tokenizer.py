"""onnxruntime's Tokenizer, which text models of scikit-learn are exported with, for the host.

onnxruntime, ContribOperators.md: com.microsoft.Tokenizer.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from onnx.reference.op_run import OpRun

from emu.ir.types import Array

if TYPE_CHECKING:
    from onnx.defs import OpSchema

DOMAIN = "com.microsoft"
START, END = "\x02", "\x03"  # marks of Unicode for the start and the end of a text


class Tokenizer(OpRun):
    """The tokens of each text, [..., most tokens], filled up behind with ``pad_value``.

    Tokens match ``tokenexp``, or are what stands between ``separators``, each a pattern; the
    separator of no length cuts into characters. Those of less than ``mincharnum`` are left out.
    """

    op_domain = DOMAIN

    def _run(
        self,
        x: Array,
        mark: int = 0,
        mincharnum: int = 1,
        pad_value: str = "",
        separators: Sequence[str] = (),
        tokenexp: str = "",
    ) -> tuple[Array]:
        rows = [
            [token for token in _cut(str(text), tokenexp, separators) if len(token) >= mincharnum]
            for text in x.reshape(-1)
        ]
        if mark and any(rows):
            rows = [[START, *row, END] for row in rows]
        most = max(map(len, rows), default=0)
        filled = [[*row, *[pad_value] * (most - len(row))] for row in rows]
        return (np.array(filled, object).reshape(*x.shape, most),)


def _cut(text: str, expression: str, separators: Sequence[str]) -> Iterable[str]:
    if expression:
        return (match.group() for match in re.finditer(expression, text))
    if "" in separators:
        return text
    return re.split("|".join(f"(?:{separator})" for separator in separators), text)


def schema() -> "OpSchema":
    """What the op takes and makes, in the form that ONNX has for its own."""
    from onnx.defs import OpSchema

    text = OpSchema.FormalParameter("X", "tensor(string)")
    tokens = OpSchema.FormalParameter("Y", "tensor(string)")
    kinds = OpSchema.AttrType
    attributes = [
        OpSchema.Attribute(name, kind, required=False)
        for name, kind in (
            ("mark", kinds.INT),
            ("mincharnum", kinds.INT),
            ("pad_value", kinds.STRING),
            ("separators", kinds.STRINGS),
            ("tokenexp", kinds.STRING),
        )
    ]
    return OpSchema("Tokenizer", DOMAIN, 1, inputs=[text], outputs=[tokens], attributes=attributes)
