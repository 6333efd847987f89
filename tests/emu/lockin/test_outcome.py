"""Outcomes of substitutions in stacks of a small catalogue, each by what happened."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import pytest

from emu.lockin.catalogue import load_catalogue
from emu.lockin.outcome import Bench, Outcome
from emu.lockin.parts import SLOTS, Bundle, Catalogue, title
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import PARTS, Table, changed, driver, kernels, offer, write

SOURCE = Source(to_graph(build("mlp", {}), {}))


def bench(known: Catalogue, stack: str = "stack-a", floor: float = 10.0) -> Bench:
    return Bench(Laboratory(known, SOURCE), known.stacks[stack], floor)


def parts(known: Catalogue, **names: str) -> Mapping[str, Bundle]:
    return {slot: (known.parts[slot][name],) for slot, name in names.items()}


def swapped(known: Catalogue, floor: float = 10.0, **names: str) -> Outcome:
    return bench(known, floor=floor).swap(parts(known, **names))


def made(folder: Path, tables: dict[str, Table] = PARTS) -> Catalogue:
    return load_catalogue(write(folder, parts=tables))


def with_shallow_kernels(folder: Path) -> Catalogue:
    exports = [offer("ops-a"), offer("isa-a", 1, 2)]
    shallow = kernels([offer("calls-a")], exports, depth="reference")
    return made(folder, {**PARTS, "shallow": shallow})


def test_a_part_that_does_as_well_is_free(tmp_path: Path) -> None:
    known = made(tmp_path, {**PARTS, "twin": PARTS["kernels-a"]})
    found = swapped(known, kernels="twin")
    assert (found.kind, found.ratio) == ("free", 1.0)


def test_shallower_kernels_are_slower_by_their_own_tiles(tmp_path: Path) -> None:
    found = swapped(with_shallow_kernels(tmp_path), kernels="shallow")
    assert found.kind == "slower"
    assert found.ratio is not None
    assert found.ratio == found.after_ps / found.before_ps > 1.05


def test_what_is_slower_than_the_floor_is_below_it(tmp_path: Path) -> None:
    assert (
        swapped(with_shallow_kernels(tmp_path), floor=1.06, kernels="shallow").kind == "below-floor"
    )


def test_a_compiler_that_nobody_calls_is_vacuous(tmp_path: Path) -> None:
    known = made(tmp_path)
    assert swapped(known, front_end="eager-a", compiler="compiler-b").kind == "vacuous"


def test_drivers_and_front_ends_beside_those_that_are_used_are_vacuous(tmp_path: Path) -> None:
    idle = driver([offer("isa-a", 1, 2)], [offer("calls-b")], chip_ids=[])
    known = made(tmp_path, {**PARTS, "idle": idle, "graph-c": PARTS["graph-a"]})
    for slot, names in (("driver", ("driver-a", "idle")), ("front_end", ("graph-a", "graph-c"))):
        found = bench(known).swap({slot: tuple(known.parts[slot][name] for name in names)})
        assert (found.kind, title(found.unused)) == ("vacuous", names[1])
        assert found.ratio == 1.0


def test_all_that_is_called_in_an_eager_stack_is_no_compiler(tmp_path: Path) -> None:
    known = made(tmp_path)
    choice = {**known.stacks["stack-a"], **parts(known, front_end="eager-a")}
    called = Laboratory(known, SOURCE).try_(choice).called
    assert {part.slot for part in called} == set(SLOTS) - {"compiler"}


def test_a_policy_without_demands_is_vacuous(tmp_path: Path) -> None:
    assert swapped(made(tmp_path), orchestrator="anything").kind == "vacuous"


def test_another_front_end_takes_its_compiler_with_it(tmp_path: Path) -> None:
    known = made(tmp_path, changed(PARTS, "compiler-b", exports=[offer("isa-a", 1, 2)]))
    found = swapped(known, front_end="whole-b")
    assert (found.label, [(s, title(b)) for s, b in found.cofactors]) == (
        "co+1",
        [("compiler", "compiler-b")],
    )
    assert found.failure is not None
    assert (found.failure.contract, found.failure.name) == ("K2", "NoCommonIR")


def test_among_the_fewest_changes_the_fastest_is_named_then_the_first_by_name(
    tmp_path: Path,
) -> None:
    able = changed(PARTS, "compiler-b", exports=[offer("isa-a", 1, 2)])
    fast = able["compiler-b"]
    slow = changed({"slow": fast}, "slow", scope="none")["slow"]
    known = made(tmp_path, {**able, "a-slow": slow, "twin": fast})
    found = swapped(known, front_end="whole-b")
    assert [(s, title(b)) for s, b in found.cofactors] == [("compiler", "compiler-b")]
    choices = [{**known.stacks["stack-a"], **found.replaced, **dict(found.cofactors)}]
    choices.append({**choices[0], **parts(known, compiler="a-slow")})
    times = [Laboratory(known, SOURCE).try_(choice).ps for choice in choices]
    assert 0 < times[0] < times[1]


def test_another_driver_is_blocked_while_the_chip_stays(tmp_path: Path) -> None:
    tried = bench(made(tmp_path))
    found = tried.swap(parts(tried.laboratory.catalogue, driver="driver-b"))
    assert (found.kind, found.ratio, found.cofactors) == ("blocked", None, ())
    assert found.blocking == (("K7",), *found.blocking[1:])
    anywhere = tried.anywhere(found)
    assert ("device", "chip-b") in [(s, title(b)) for s, b in anywhere]
    assert found.apart == len(anywhere)


@pytest.mark.parametrize("floor", [1.0, 1.3, 10.0])
def test_the_fewest_changes_above_the_floor_are_those_of_brute_force(
    tmp_path: Path, floor: float
) -> None:
    """Of all stacks, also where what fits with fewer changes is too slow."""
    tried = bench(with_shallow_kernels(tmp_path), floor=floor)
    known = tried.laboratory.catalogue
    for slot in SLOTS:
        for bundle in known.options(slot):
            found = tried.swap({slot: bundle})
            if bundle != tried.base[slot] and found.kind != "free":
                fewest = {
                    kept: min(_changes(tried, {slot: bundle}, kept), default=0)
                    for kept in (tried.keep, ())
                }
                assert len(found.cofactors) == fewest[tried.keep]
                assert found.failure is None or found.apart == fewest[()]


def _changes(tried: Bench, replaced: Mapping[str, Bundle], kept: tuple[str, ...]) -> Iterator[int]:
    """How many further slots each stack changes that fits and is above the floor."""
    options = tried.options(replaced, frozenset((*kept, *replaced)))
    for bundles in product(*options.values()):
        choice = dict(zip(options, bundles, strict=True))
        if tried.laboratory.refusal(choice) is None and tried.above_floor(choice):
            yield len(tried.changed(choice, replaced))


def test_a_stack_that_fails_by_itself_is_a_native_failure(tmp_path: Path) -> None:
    known = made(tmp_path, changed(PARTS, "chip-a", firmware_version="9"))
    found = swapped(known, kernels="kernels-a")
    assert found.kind == "native-failure"
    assert found.failure is not None
    assert found.failure.stage == "bind"


def test_another_chip_is_compared_at_equal_peaks(tmp_path: Path) -> None:
    twin = {**PARTS["chip-a"], "facts": {**PARTS["chip-a"]["facts"]}}
    known = made(tmp_path, {**PARTS, "twin": twin})
    found = swapped(known, device="twin")
    assert (found.kind, found.ratio) == ("free", 1.0)


def test_renaming_everything_changes_no_outcome(tmp_path: Path) -> None:
    first = made(tmp_path / "first")
    names = {name: f"part{i}" for i, name in enumerate(sorted(PARTS))}
    renamed = {names[name]: table for name, table in PARTS.items()}
    folder = write(tmp_path / "second", parts=renamed, stacks={})
    second = load_catalogue(folder)
    base = {
        slot: tuple(second.parts[slot][names[p.name]] for p in bundle)
        for slot, bundle in first.stacks["stack-a"].items()
    }
    for slot, known in first.parts.items():
        for name in known:
            one = bench(first).swap(parts(first, **{slot: name}))
            laboratory = Laboratory(second, SOURCE)
            two = Bench(laboratory, base).swap(parts(second, **{slot: names[name]}))
            assert (one.label, one.ratio) == (two.label, two.ratio)
            assert sorted(one.blocking) == sorted(two.blocking)


@pytest.mark.parametrize("lie", [{"exports": [offer("isa-b")]}, {"layouts": ["nhwc"]}])
def test_a_planted_lie_is_found_by_running(tmp_path: Path, lie: dict[str, object]) -> None:
    known = made(tmp_path, {**PARTS, "liar": changed(PARTS, "chip-a", **lie)["chip-a"]})
    assert swapped(known, device="liar").kind != "free"
