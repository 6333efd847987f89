"""What a file may be and ask for."""

import pytest

from emu.ir.errors import BadOption, OverLimit, UnknownName
from emu.ir.types import TensorType
from emu.models.limits import KEYS, LIMITS, UNLIMITED, Limits, limits_with


def test_a_limit_is_the_most_that_is_allowed() -> None:
    limits = Limits(nodes=5)
    limits.check("nodes", 5, "here", "nodes")
    with pytest.raises(OverLimit, match=r"here: has 6 nodes; the limit is 5 \(--limits nodes=N\)"):
        limits.check("nodes", 6, "here", "nodes")


@pytest.mark.parametrize("shape", [(3, 4), (0, 12), (12, 0, 1), ("N", 12)])
def test_a_type_counts_its_bytes_as_if_no_dimension_were_empty(
    shape: tuple[int | str, ...],
) -> None:
    type = TensorType("f32", shape)
    Limits(tensor_bytes=48).check_type(type, "here")
    with pytest.raises(OverLimit, match="here: has 48 bytes; the limit is 47"):
        Limits(tensor_bytes=47).check_type(type, "here")


def test_a_type_has_no_more_dimensions_than_numpy_can_hold() -> None:
    UNLIMITED.check_type(TensorType("f32", (1,) * 32), "here")
    with pytest.raises(OverLimit, match="has 33 dimensions; 32 is the most"):
        UNLIMITED.check_type(TensorType("f32", (1,) * 33), "here")


def test_limits_change_by_their_names() -> None:
    assert limits_with({}) == LIMITS
    assert limits_with({"nodes": 7}) == Limits(nodes=7)
    with pytest.raises(UnknownName, match="did you mean 'nodes'"):
        limits_with({"node": 7})
    with pytest.raises(BadOption, match="a limit is at least 1"):
        limits_with({"nodes": 0})


def test_models_of_emu_itself_have_no_limits() -> None:
    assert all(getattr(UNLIMITED, key) > 1 << 60 for key in KEYS)
