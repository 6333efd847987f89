"""A sample of the cells that are free or slower: their values are those of the stack as it was."""

from functools import lru_cache

import pytest

from emu.lockin.catalogue import load_catalogue
from emu.lockin.compare import compared
from emu.lockin.outcome import Bench, Outcome
from emu.lockin.parts import SLOTS
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build

KNOWN = load_catalogue()
MODEL = build("mlp", {})
EACH = 2  # cells of a stack that are computed


@lru_cache(maxsize=1)
def laboratory() -> Laboratory:
    return Laboratory(KNOWN, Source(to_graph(MODEL, {})))


def bench(stack: str) -> Bench:
    return Bench(laboratory(), KNOWN.stacks[stack])


def cells(stack: str) -> list[Outcome]:
    """Swaps of one slot after which the stack is free or slower, the fastest and slowest first."""
    tried, base = bench(stack), KNOWN.stacks[stack]
    swaps = [{s: b} for s in SLOTS for b in KNOWN.options(s) if b != base[s]]
    fit = [swap for swap in swaps if laboratory().refusal({**base, **swap}) is None]
    found = [o for o in map(tried.swap, fit) if o.kind in ("free", "slower")]
    found.sort(key=lambda outcome: outcome.ratio or 0)
    return [*found[:1], *found[1:][-1:]][:EACH]


WITH_CELLS = [
    "ascend-like",
    "cuda-like",
    "furiosa-like",
    "jax-tpu-like",
    "kunlun-like",
    "oneapi-like",
    "poplar-like",
    "rbln-like",
    "rocm-like",
]


@pytest.mark.parametrize("stack", WITH_CELLS)
def test_a_cell_that_is_free_or_slower_has_equal_values(stack: str) -> None:
    found = cells(stack)
    assert found
    assert [compared(MODEL, bench(stack), cell).said for cell in found] == ["checked"] * len(found)


def test_only_stacks_of_which_no_slot_can_be_swapped_alone_have_no_such_cell() -> None:
    assert [stack for stack in KNOWN.stacks if cells(stack)] == WITH_CELLS
