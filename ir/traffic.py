"""Bytes that cross group boundaries by definition, whatever a device caches."""

from dataclasses import dataclass

from emu.ir.group import Fused


@dataclass(frozen=True, slots=True)
class Boundary:
    """Bytes of constants (each counted once), and of the values that groups read and write."""

    weights: int
    activations_read: int
    activations_written: int


def boundary_bytes(fused: Fused) -> Boundary:
    """Return what crosses: a group reads each input once and writes each output once."""
    graph = fused.graph
    read = [value for group in fused.groups for value in group.inputs]
    written = [value for group in fused.groups for value in group.outputs]
    weights = {value for value in read if value in graph.constants}

    def size(value: str) -> int:
        return graph.types[value].bytes

    return Boundary(
        weights=sum(map(size, weights)),
        activations_read=sum(size(value) for value in read if value not in weights),
        activations_written=sum(map(size, written)),
    )
