"""Files of one op of onnxruntime's own domain, and what onnxruntime computes for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from emu.executing.reference import onnxruntime_outputs
from emu.ir.interpret import interpret
from emu.ir.types import Array
from emu.models.microsoft.table import DOMAIN
from emu.models.model import Model
from emu.models.reader import to_graph
from tests.models.small_models import one_node, opened

# An op, its inputs, those that are constants, the types of its outputs, and attributes.
Spec = tuple[str, Sequence[Array], Sequence[Array | None], str, dict[str, Any]]


def modelled(folder: Path, spec: Spec, domain: str = DOMAIN) -> tuple[Model, dict[str, Array]]:
    """A file of one node; of the types of its outputs, "-" is one that nobody reads."""
    op, inputs, constants, outputs, attrs = spec
    dtypes = outputs.split()
    types = ["f32" if dtype == "-" else dtype for dtype in dtypes]
    made, fed = one_node(op, inputs, 21, constants, types)
    made.graph.node[0].attribute.extend(helper.make_attribute(k, v) for k, v in attrs.items())
    kept = [o for o, dtype in zip(made.graph.output, dtypes, strict=True) if dtype != "-"]
    del made.graph.output[:]
    made.graph.output.extend(kept)
    made.graph.node[0].domain = domain
    made.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return opened(folder, made), fed


def compare(model: Model, fed: dict[str, Array]) -> None:
    """Real numbers are close, and integers one step apart at most, where a half is rounded."""
    ours, theirs = (interpret(to_graph(model, {}), fed), onnxruntime_outputs(model, fed))
    assert ours.keys() == theirs.keys()
    for name, mine in ours.items():
        other = theirs[name]
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
        if mine.dtype.kind == "f":
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
            continue
        apart = np.abs(mine.astype(np.int64) - other.astype(np.int64))
        assert apart.max() <= 1
        assert np.mean(apart > 0) < 0.05
