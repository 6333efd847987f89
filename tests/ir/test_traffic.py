"""Bytes that cross group boundaries, counted by hand."""

from emu.ir.fusion import decide
from emu.ir.traffic import Boundary, boundary_bytes
from tests.ir.fusion.graph_text import SCALAR, TYPE, graph_of

V, S = TYPE.bytes, SCALAR.bytes


def test_every_value_is_written_once_and_read_once_per_group() -> None:
    fused = decide(graph_of("a = Relu x\nb = Tanh a\nc = Mul a b"), "none")
    assert boundary_bytes(fused) == Boundary(0, 4 * V, 3 * V)


def test_a_weight_counts_once_whoever_reads_it() -> None:
    fused = decide(graph_of("a = Conv x w\nb = Conv a w\nc = Mul b 2"), "none")
    assert boundary_bytes(fused) == Boundary(V + S, 3 * V, 3 * V)


def test_what_stays_inside_a_group_costs_nothing() -> None:
    fused = decide(graph_of("a = Conv x w\nb = Relu a\nc = Mul b b"), "vertical")
    assert boundary_bytes(fused) == Boundary(V, V, V)
