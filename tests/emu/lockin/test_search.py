"""The search over all stacks of a small catalogue, against brute force that remembers nothing."""

from itertools import chain, combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.errors import EmuError
from emu.lockin.catalogue import load_catalogue
from emu.lockin.contracts import CONTRACTS, NAMES
from emu.lockin.parts import SLOTS, Catalogue, Choice
from emu.lockin.search import (
    Masks,
    blocking_sets,
    co_substitutions,
    few_changes,
    least_changes,
    masks,
)
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import write

SOURCE = Source(to_graph(build("conv_block", {"image": 8, "channels": 4}), {}))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load_catalogue(write(tmp_path_factory.mktemp("small")))


def by_force(choice: Choice, known: Catalogue) -> int:
    """The mask of one stack, every contract executed anew on all of it."""
    mask = 0
    for contract in CONTRACTS:
        try:
            contract.run(choice, SOURCE, known)
        except EmuError:
            mask |= 1 << NAMES.index(contract.name)
    return mask


def test_masks_are_those_of_brute_force(known: Catalogue) -> None:
    options = {slot: known.options(slot) for slot in SLOTS}
    found = masks(Laboratory(known, SOURCE), options)
    assert found.stacks == 3 * 2 * 2 * 2 * 2 * 3
    for place in np.ndindex(found.table.shape):
        assert found.table[place] == by_force(found.choice(place), known)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_least_changes_are_those_of_brute_force_however_the_table_is_cut(
    data: st.DataObject,
) -> None:
    """Stand-ins for bundles, so that any table can be planted; the base may be cut away."""
    lengths = data.draw(st.tuples(*[st.integers(1, 3)] * len(SLOTS)))
    options: Any = {s: [f"{s} {i}" for i in range(n)] for s, n in zip(SLOTS, lengths, strict=True)}
    seed, masks_in_use = data.draw(st.integers(0, 99)), data.draw(st.integers(1, 30))
    table = np.random.default_rng(seed).integers(0, masks_in_use, lengths).astype(np.uint8)
    kept: Any = {s: data.draw(st.permutations(o).map(_beginning)) for s, o in options.items()}
    base: Any = {s: data.draw(st.sampled_from(o)) for s, o in options.items()}
    replaced = data.draw(st.frozensets(st.sampled_from(SLOTS)))
    ways: dict[frozenset[str], set[tuple[int, ...]]] = {}
    for place in np.ndindex(table.shape):
        stack: Any = {s: options[s][i] for s, i in zip(SLOTS, place, strict=True)}
        if not table[place] and all(stack[s] in kept[s] for s in SLOTS):
            changed = frozenset(s for s in SLOTS if s not in replaced and stack[s] != base[s])
            ways.setdefault(changed, set()).add(place)
    wanted = {slots: fit for slots, fit in ways.items() if not any(o < slots for o in ways)}
    found = list(least_changes(Masks(options, table).only(kept), base, replaced))
    assert {slots: {_place(options, c) for c in stacks()} for slots, stacks in found} == wanted
    assert [slots for slots, _ in found] == sorted(wanted, key=lambda s: (len(s), sorted(s)))


def _place(options: Any, choice: Choice) -> tuple[int, ...]:
    return tuple(options[slot].index(bundle) for slot, bundle in choice.items())


def _beginning(bundles: list[str]) -> list[str]:
    return bundles[: -(-len(bundles) // 2)]


def test_each_contract_is_executed_once_for_each_projection(known: Catalogue) -> None:
    laboratory = Laboratory(known, SOURCE)
    masks(laboratory, {slot: known.options(slot) for slot in SLOTS})
    met = [contract.name for contract, _ in laboratory.meetings.errors]
    assert met.count("K7") == 2 * 2
    assert met.count("K3") == 2 * 2 * 2  # of a front end it sees the mode only


def subsets() -> list[frozenset[str]]:
    sizes = range(len(SLOTS) + 1)
    return [frozenset(s) for s in chain.from_iterable(combinations(SLOTS, n) for n in sizes)]


@pytest.mark.parametrize("slot", SLOTS)
def test_co_substitutions_are_those_of_brute_force(known: Catalogue, slot: str) -> None:
    """Every inclusion-minimal set of further slots that makes a substitution fit, and no other."""
    base, other = known.stacks["stack-a"], known.stacks["stack-b"]
    target = {**base, slot: other[slot]}
    fits: set[frozenset[str]] = set()
    for changed in subsets():
        if slot in changed or any(smaller <= changed for smaller in fits):
            continue
        ways = product(
            *(
                [o for o in known.options(s) if o != base[s]] if s in changed else [target[s]]
                for s in SLOTS
            )
        )
        if any(by_force(dict(zip(SLOTS, way, strict=True)), known) == 0 for way in ways):
            fits.add(changed)
    options = {s: (target[s],) if s == slot else known.options(s) for s in SLOTS}
    found = co_substitutions(masks(Laboratory(known, SOURCE), options), base, frozenset({slot}))
    sets = [frozenset(s for s in SLOTS if s != slot and c[s] != base[s]) for c in found]
    assert set(sets) == fits
    assert [len(s) for s in sets] == sorted(len(s) for s in sets)


@pytest.mark.parametrize("slot", ["driver", "kernels"])
def test_blocking_sets_hit_every_mask_and_none_is_too_large(known: Catalogue, slot: str) -> None:
    base, other = known.stacks["stack-a"], known.stacks["stack-b"]
    kept = {slot: (other[slot],), "device": (base["device"],)}
    found = masks(Laboratory(known, SOURCE), {s: kept.get(s) or known.options(s) for s in SLOTS})
    occurring = found.distinct()
    names = list(NAMES)
    hitting = [
        set(some)
        for n in range(1, len(names) + 1)
        for some in combinations(names, n)
        if all(any(m >> names.index(c) & 1 for c in some) for m in occurring)
    ]
    least = [h for h in hitting if not any(other < h for other in hitting)]
    assert [set(b) for b in blocking_sets(found)] == least


def test_only_the_floor_can_forbid_stacks_that_break_no_contract(known: Catalogue) -> None:
    found = masks(Laboratory(known, SOURCE), {slot: known.options(slot) for slot in SLOTS})
    sets = blocking_sets(found)
    assert sets
    assert all("FLOOR" in contracts for contracts in sets)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_stacks_with_few_changes_and_one_of_each_kind_are_those_of_brute_force(
    data: st.DataObject,
) -> None:
    """Stand-ins for bundles, so that any table can be planted; not all masks say why."""
    lengths = data.draw(st.tuples(*[st.integers(1, 3)] * len(SLOTS)))
    options: Any = {s: [f"{s} {i}" for i in range(n)] for s, n in zip(SLOTS, lengths, strict=True)}
    seed, below = data.draw(st.integers(0, 99)), data.draw(st.integers(0, len(SLOTS)))
    table = np.random.default_rng(seed).integers(0, 3, lengths).astype(np.uint8)
    found = Masks(options, table)
    base: Any = {s: data.draw(st.sampled_from(o)) for s, o in options.items()}
    replaced = data.draw(st.frozensets(st.sampled_from(SLOTS), max_size=2))
    slots = data.draw(st.lists(st.sampled_from(SLOTS), min_size=1, max_size=5, unique=True))

    few = few_changes(found, base, replaced, below).fitting()
    changed = [sum(c[s] != base[s] for s in SLOTS if s not in replaced) for c in found.fitting()]
    assert few == [c for c, n in zip(found.fitting(), changed, strict=True) if n < below]

    kinds = [tuple(c[s] for s in slots) for c in found.fitting()]
    each = list(found.one_of_each(slots))
    assert sorted(tuple(c[s] for s in slots) for c in each) == sorted(set(kinds))
    assert all(choice in found.fitting() for choice in each)


def test_stacks_are_like_the_one_that_they_share_most_slots_with(known: Catalogue) -> None:
    one, other = known.stacks.values()
    assert known.likeness(one) == known.likeness(other) == len(SLOTS)
    mixed = {**one, "kernels": other["kernels"], "device": other["device"]}
    apart = sum(one[slot] != other[slot] for slot in ("kernels", "device"))
    assert known.likeness(mixed) == len(SLOTS) - apart
