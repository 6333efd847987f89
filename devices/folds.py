"""What a product costs a systolic array: folds of stationary weights, each streamed through.

The array holds two sets of weights, so that the next fold is shifted in, a row of the array a
cycle, while the rows of the data stream through the fold before (Jouppi et al., ISCA 2017, section
2: "double-buffered"). A fold then takes the longer of its stream and the shift of the next; what no
stream hides is the shift of the first fold of an array that has run out of work.
"""

from dataclasses import dataclass
from fractions import Fraction

from emu.devices.rates import Rates
from emu.devices.terms import Term, positive
from emu.devices.tile_shapes import Product, folds, last, lead
from emu.devices.units import Unit


@dataclass(frozen=True, slots=True)
class Folds:
    """A product of ``batch`` times [m, k] @ [k, n] on an array of ``rows`` x ``columns``.

    ``slowness`` are cycles per row of a fold: more than 1 for a dtype below the array's rate.
    ``data_bytes`` is what the product reads its rows from: the windows of a convolution overlap,
    and are expanded on the way from the memory of the core into the array (im2col).
    """

    batch: int
    m: int
    n: int
    k: int
    rows: int
    columns: int
    slowness: Fraction
    data_bytes: int = 0

    @property
    def read_bytes(self) -> int:
        """Bytes that the array reads through the port: its data again for each block of columns."""
        return self.data_bytes * -(-self.n // self.columns)

    @property
    def product(self) -> Product:
        """The product, as other shapes have it."""
        return self.batch, self.m, self.n, self.k

    @property
    def count(self) -> int:
        """How many tiles of stationary weights the product has; none if it sums nothing."""
        return folds(self.product, self.rows, self.columns)

    @property
    def shift(self) -> Fraction:
        """Cycles to shift the weights of a fold into the array."""
        return self.rows * self.slowness if self.count else Fraction()

    @property
    def lead(self) -> Fraction:
        """Cycles from the first row of the first fold to the first row of the last."""
        return lead(self.product, self.rows, self.columns) * self.slowness

    @property
    def last(self) -> Fraction:
        """Cycles in which the rows of the last fold stream."""
        return last(self.product, self.rows, self.columns) * self.slowness

    @property
    def held(self) -> Fraction:
        """Cycles for which the array is held, the shift of the first fold not counted."""
        return self.lead + self.last


def folds_of(product: Product, data_bytes: int, unit: Unit, rates: Rates, dtype: str) -> Folds:
    """The folds of a product of factors of ``dtype`` on the array of a core."""
    rows, columns = unit.rows or 1, unit.columns or 1
    return Folds(*product, rows, columns, rates.slowness(unit, dtype), data_bytes)


def array_terms(
    rates: Rates,
    folds: Folds,
    count: int,
    held: Fraction,
    dtype: str,
    active: int,
    again: Fraction,
) -> tuple[Term, ...]:
    """Split the cycles that ``count`` of the folds hold an array: operations, edges, filling.

    Each of the ``active`` cores has such folds; a share ``again`` of them does work once more.
    """
    streamed = min(held, count * folds.m * folds.slowness)
    flops = Fraction(2 * folds.batch * folds.m * folds.n * folds.k * count, max(1, folds.count))
    best, clock = rates.best_product(dtype), rates.clock
    peak = 2 * folds.rows * folds.columns / folds.slowness * clock
    true = flops / peak * clock  # cycles that the operations of one core take at its peak
    slower = true * (1 - peak / best)
    spare = Fraction(rates.cores - active, rates.cores)
    return positive(
        (
            Term("useful", flops * active * (1 - again), best * rates.cores),
            Term("recompute", flops * active * again, best * rates.cores),
            Term("padding", (streamed - true) * (1 - spare), clock),
            Term("idle", streamed * spare - slower * spare, clock),
            Term("slower_path", slower, clock),
            Term("fill_drain", held - streamed, clock),
        )
    )


def port_terms(rates: Rates, folds: Folds, count: int) -> tuple[Term, ...]:
    """What the array reads through the port of its core while ``count`` of the folds stream."""
    size = Fraction(folds.read_bytes * count, max(1, folds.count))
    return positive((Term("slower_path", size, rates.port),))
