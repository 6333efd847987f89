"""Files of real exporters are read, brought down to devices, and give onnxruntime's values.

Every file is run on one device and scope here; ``benches/corpus.py`` runs each on all.
"""

from pathlib import Path

import numpy as np
import pytest

from emu.executing.reference import onnxruntime_outputs
from emu.models.reader import read_model
from emu.pipeline import compile
from tests.corpus.cases import ATOL, PAIRS, RTOL, dims_of_file, paths

FEWEST, LARGEST_BYTES, ALL_BYTES = 20, 100_000, 2_000_000


@pytest.mark.parametrize(("number", "path"), list(enumerate(paths())), ids=lambda v: str(v)[-30:])
def test_a_file_gives_the_values_of_onnxruntime(number: int, path: Path) -> None:
    device, scope = PAIRS[number % len(PAIRS)]
    executable = compile(path, device=device, fusion=scope, dims=dims_of_file(path))
    run = executable.run(check=False)
    assert run.inputs is not None
    assert run.outputs is not None
    expected = onnxruntime_outputs(read_model(path), run.inputs)
    assert expected.keys() == run.outputs.keys()
    for name, values in expected.items():
        assert np.isfinite(values).all(), f"{name} says nothing"
        np.testing.assert_allclose(run.outputs[name], values, rtol=RTOL, atol=ATOL, err_msg=name)


def test_the_corpus_is_wide_and_small() -> None:
    sizes = [path.stat().st_size for path in paths()]
    assert len(sizes) >= FEWEST
    assert max(sizes) <= LARGEST_BYTES
    assert sum(sizes) <= ALL_BYTES


def test_the_corpus_has_both_exporters_and_many_opsets() -> None:
    protos = [read_model(path).proto for path in paths()]
    opsets = {o.version for p in protos for o in p.opset_import if o.domain in ("", "ai.onnx")}
    assert {p.producer_name for p in protos} >= {"pytorch"}
    assert len(opsets) >= 8
