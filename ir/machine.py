"""What the compiler and the kernels may know of a device, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Machine:
    """The shape of a chip that kernels tile for.

    ``grid`` machines run any number of parallel tiles in waves (a GPU); others spread parallel
    loops over at most ``cores`` cores. ``onchip_bytes`` is the on-chip memory of one core for the
    buffers of a program, ``device_bytes`` the device memory, ``matrix_shape`` the granule (rows,
    columns) of the matrix unit, ``max_threads`` the lanes that one tile may use. They go in warps
    of ``warp_threads``, and ``schedulers`` of a core run one warp each at a time. Kernels
    for a unit with ``fine_tiles`` come in tiles between the powers of two as well. With a
    ``network`` a core reaches what lies in the on-chip memory of others. Each version of a buffer
    takes whole banks of ``bank_bytes``.
    """

    name: str
    grid: bool
    cores: int
    onchip_bytes: int
    device_bytes: int
    alignment_bytes: int
    matrix_shape: tuple[int, int]
    max_threads: int = 1024
    warp_threads: int = 32
    schedulers: int = 4
    fine_tiles: bool = False
    network: bool = False
    bank_bytes: int = 1


@dataclass(frozen=True)
class Residency:
    """What a shared cache holds: within one block of tiles each byte is fetched from memory once.

    ``block`` gives, per parallel loop, how many neighbouring iterations form a block. An empty
    block means that nothing is shared and every load goes to device memory.
    """

    block: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
