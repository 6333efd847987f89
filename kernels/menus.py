"""The menus: which tilings a library tries for a group, the most generally useful first.

A shorter menu is the beginning of a longer one. What is on it depends on the shape of the group and
on capacities of the machine, never on how many cores there are.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from emu.ir.body import Body
from emu.ir.machine import Machine
from emu.ir.ops import OPS, Fusion
from emu.kernels.tiling import Tiling

# Menus of up to PAGE tilings have the common ones; longer ones go on with those of the full menu.
PAGE = 16
# (rows, columns, reduction, versions of each streamed buffer) of an output tile for a grid of cores
# with registers.
GRID_TILES = (
    (32, 32, 16, 2),
    (64, 64, 16, 2),
    (128, 64, 16, 2),
    (128, 128, 16, 2),
    (64, 32, 32, 2),
    (32, 32, 32, 2),
    (32, 64, 32, 2),
    (16, 64, 32, 2),
    (16, 32, 64, 2),
    (64, 128, 16, 2),
    (256, 64, 16, 2),
    (128, 32, 32, 2),
)
FULL_GRID_TILES = (
    (16, 16, 64, 3),
    (8, 32, 64, 3),
    (8, 16, 128, 3),
    (8, 8, 128, 3),
    (32, 8, 128, 3),
    (8, 4, 256, 3),
    (64, 64, 32, 3),
    (128, 256, 16, 2),
    (256, 128, 16, 2),
    (64, 256, 16, 2),
)
# Tiles between the powers of two, for matrix units whose kernels have them: cublasLtMatmulTile_t.
FINE_GRID_TILES = (
    (128, 192, 16, 2),
    (192, 128, 16, 2),
    (128, 160, 16, 2),
    (160, 128, 16, 2),
    (96, 128, 16, 2),
    (128, 96, 16, 2),
)
# The same in units of the matrix array; 0 is the whole dimension; the last says which is outer.
CORE_TILES = (
    (1, 1, 1, "n", 2),
    (4, 1, 0, "n", 2),
    (4, 2, 4, "n", 2),
    (8, 1, 0, "n", 2),
    (16, 1, 0, "n", 2),
    (4, 4, 0, "n", 2),
    (2, 0, 0, "m", 2),
    (4, 0, 0, "m", 2),
    (2, 1, 0, "n", 2),
    (1, 1, 0, "n", 2),
    (0, 1, 0, "n", 2),
    (1, 0, 0, "m", 2),
    (1, 2, 4, "m", 2),
)
FULL_CORE_TILES = (
    (1, 1, 4, "n", 3),
    (4, 2, 4, "n", 3),
    (8, 1, 2, "n", 3),
    (8, 4, 2, "n", 2),
    (16, 2, 2, "n", 2),
    (0, 2, 1, "n", 2),
    (2, 4, 4, "m", 3),
    (1, 4, 4, "m", 3),
)
GRID_ELEMENTS = (1024, 4096, 2048, 512, 8192, 256)
FULL_GRID_ELEMENTS = (128, 64)
CORE_SHARES = (64, 32, 16, 128, 8, 512)  # tiles as shares of on-chip memory
FULL_CORE_SHARES = (256, 6)
CHAIN_ROWS = (4, 8, 2, 14, 7)
FULL_CHAIN_ROWS = (1, 28)
ATTENTION_TILES = (
    (64, 64),
    (128, 64),
    (128, 128),
    (64, 128),
    (256, 64),
    (32, 64),
    (256, 256),
    (512, 64),
    (1024, 64),
    (512, 128),
    (1024, 128),
)
FULL_ATTENTION_TILES = ((16, 64), (32, 32), (16, 128), (64, 256))
Entry = TypeVar("Entry")


def _page(common: Sequence[Entry], full: Sequence[Entry], length: int) -> tuple[Entry, ...]:
    """The first ``length`` entries of a menu."""
    return (*common[:length], *full[: max(0, length - PAGE)])


def product_menu(body: Body, machine: Machine, length: int) -> Iterator[Tiling]:
    """Tilings of a group around one anchor; steps of a reduction are as many bytes in any dtype."""
    if machine.grid:
        finer = max(1, 4 // body.types[body.nodes[(anchors(body) or [0])[0]].ins[0]].itemsize)
        full = FULL_GRID_TILES + (FINE_GRID_TILES if machine.fine_tiles else ())
        for m, n, k, depth in _page(GRID_TILES, full, length):
            threads = machine.warp_threads * _warps(m * n, machine)
            tile = _product_tile(body, m, n)
            yield Tiling(tile, k * finer, cores=0, depth=depth, threads=threads)
        yield Tiling(_product_tile(body, 8, 32), 8 * finer, cores=0, threads=32)
        return
    rows, columns = machine.matrix_shape
    for m, n, k, outer, depth in _page(CORE_TILES, FULL_CORE_TILES, length):
        tile = _product_tile(body, m * rows or _ALL, n * columns or _ALL)
        yield Tiling(tile, k * rows, _order(body, outer), machine.cores, depth)
    yield Tiling(_product_tile(body, 8, 8), 8, _order(body, "n"), machine.cores, depth=1)


_ALL = 1 << 40
# The outputs of a product that one warp computes. CUTLASS's are at most 64 x 64, 128 sums a thread
# of 32, and its smallest 16 x 16 (cutlass_library, GenerateSM80 and the kernels with wmma).
WARP_MOST, WARP_LEAST = 64 * 64, 16 * 16


def _warps(outputs: int, machine: Machine) -> int:
    """Warps of a tile: enough for the sums, and one a scheduler where each has enough to do."""
    return max(1, outputs // WARP_MOST, min(machine.schedulers, outputs // WARP_LEAST))


def _product_tile(body: Body, m: int, n: int) -> tuple[int, ...]:
    """A tile of the last output with about ``m`` rows and ``n`` columns."""
    shape = body.types[body.nodes[-1].out].dims
    inner_m, inner_n = _dimensions(body)
    tile = [1] * len(shape)
    _fill(tile, shape, inner_n, n)
    _fill(tile, shape, inner_m, m)
    return tuple(tile)


def _dimensions(body: Body) -> tuple[list[int], list[int]]:
    """Dimensions of the last output that are rows, and columns, of the product, inner first."""
    rank = len(body.types[body.nodes[-1].out].shape)
    if rank == 4 and body.nodes[0].op in ("Conv", "ConvTranspose", "ConvInteger"):
        return [3, 2, 0], [1]
    if rank < 2:
        return [], list(range(rank))
    heads = [1] if rank == 4 else []
    rows = [d for d in range(rank - 2, -1, -1) if d not in heads]
    return rows, [rank - 1, *heads]


def _fill(tile: list[int], shape: Sequence[int], dims: Sequence[int], budget: int) -> None:
    """Spend a budget of elements on dimensions, the first ones first, in even steps."""
    for d in dims:
        most = max(1, min(shape[d], budget))
        tile[d] = -(-shape[d] // -(-shape[d] // most))
        budget //= max(1, tile[d])


def _order(body: Body, outer: str) -> tuple[int, ...]:
    rows, columns = _dimensions(body)
    rows, columns = sorted(rows), sorted(columns)
    return (*columns, *rows) if outer == "n" else (*rows, *columns)


def pointwise_menu(body: Body, machine: Machine, length: int) -> Iterator[Tiling]:
    """Tilings of a group without an anchor: neighbouring elements, inner dimensions first."""
    out = body.types[body.nodes[-1].out]
    dims = list(range(len(out.shape) - 1, -1, -1))
    for tiling_elements in _elements(body, machine, length):
        tile = [1] * len(out.shape)
        _fill(tile, out.dims, dims, tiling_elements)
        threads = max(32, min(machine.max_threads, tiling_elements // 4 // 32 * 32))
        cores = 0 if machine.grid else machine.cores
        yield Tiling(tuple(tile), cores=cores, threads=threads)


def row_menu(body: Body, machine: Machine, length: int) -> Iterator[Tiling]:
    """A row of the last output a tile, a lane for each of its elements while there are lanes."""
    del length
    dims = body.types[body.nodes[-1].out].dims
    tile = (*(1 for _ in dims[:-1]), *dims[-1:])
    threads = max(32, min(machine.max_threads, (dims or (1,))[-1] // 32 * 32))
    yield Tiling(tile, cores=0 if machine.grid else machine.cores, threads=threads)


def _elements(body: Body, machine: Machine, length: int) -> Iterator[int]:
    """Sizes of output tiles; a group that reduces makes fewer outputs than it reads."""
    out = body.types[body.nodes[-1].out]
    largest = max(t.elements for t in body.types)
    shrink = max(1, largest // max(1, out.elements))
    if machine.grid:
        yield from (max(1, n // shrink) for n in _page(GRID_ELEMENTS, FULL_GRID_ELEMENTS, length))
        yield 1
        return
    width = max(1, sum(t.bytes for t in body.types) // max(1, out.elements))
    shares = _page(CORE_SHARES, FULL_CORE_SHARES, length)
    yield from (max(1, machine.onchip_bytes // share // width) for share in shares)
    yield 1


def chain_menu(body: Body, machine: Machine, length: int) -> Iterator[Tiling]:
    """Tilings of several anchors: bands of rows of the last output, all channels of each."""
    shape = body.types[body.nodes[-1].out].dims
    rank = len(shape)
    band = 2 if rank == 4 else max(0, rank - 2)
    scale = 1 if rank == 4 else (64 if machine.grid else machine.matrix_shape[0])
    for rows in _page(CHAIN_ROWS, FULL_CHAIN_ROWS, length):
        tile = list(shape)
        for d in range(rank):
            if d < band and not (rank == 4 and d == 1):
                tile[d] = 1
        tile[band] = min(shape[band], rows * scale)
        cores = 0 if machine.grid else machine.cores
        yield Tiling(tuple(tile), cores=cores)


def attention_menu(body: Body, machine: Machine, length: int) -> Iterator[Tiling]:
    """Tilings of attention: query rows, and key rows per step."""
    del body
    for queries, keys in _page(ATTENTION_TILES, FULL_ATTENTION_TILES, length):
        cores = 0 if machine.grid else machine.cores
        yield Tiling((queries,), keys, cores=cores)


def anchors(body: Body) -> list[int]:
    """Positions of the anchors of a body."""
    return [i for i, n in enumerate(body.nodes) if OPS[n.op].fusion == Fusion.ANCHOR]
