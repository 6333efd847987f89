"""What a kernel may choose: tile sizes, the order of loops, how many cores, how many versions."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod


@dataclass(frozen=True)
class Tiling:
    """One way to cut a group.

    ``tile`` is the tile of the last output, a number a dimension (its extent or more: whole);
    ``k`` the step of an anchor's reduction (0: whole); ``order`` the dimensions, outermost loop
    first; ``cores`` how many cores share the tiles (0: every tile is parallel, as on a grid);
    ``depth`` the versions of each streamed buffer; ``split`` how tiles of a grid share their
    reduction with cores that would be idle, if they do: "split_k" or "stream_k".
    """

    tile: tuple[int, ...]
    k: int = 0
    order: tuple[int, ...] = ()
    cores: int = 1
    depth: int = 2
    threads: int = 256
    load_width_bytes: int = 16
    split: str = ""


@lru_cache(maxsize=65536)
def spread(trips: tuple[int, ...], cores: int) -> tuple[int, ...]:
    """Return over how many cores each loop is spread, for the fewest rounds on ``cores`` cores.

    ``trips`` are iterations, outermost loop first. Among equals, fewer cores, then more on the
    outer loops: a core that would have no tile of its own is left out.
    """
    ways = [sorted({-(-n // -(-n // p)) for p in range(1, min(n, cores) + 1)}) for n in trips]
    best = (1,) * len(trips)
    best_key = (prod(trips), 1, best)
    for parts in product(*ways):
        used = prod(parts)
        if used > cores:
            continue
        rounds = prod(-(-n // p) for n, p in zip(trips, parts, strict=True))
        key = (rounds, used, tuple(-p for p in parts))
        if key < best_key:
            best, best_key = parts, key
    return best
