"""Types of lock-in are found by disarming them, which is an edit of the catalogue."""

from pathlib import Path

from emu.lockin.catalogue import load_catalogue
from emu.lockin.disarm import TYPES, Disarmed, Worlds, better
from emu.lockin.outcome import Bench, Outcome
from emu.lockin.parts import Bundle, Catalogue
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import PARTS, Table, changed, kernels, offer, write

SOURCE = Source(to_graph(build("mlp", {}), {}))


def found(folder: Path, tables: dict[str, Table], **names: str) -> tuple[str, tuple[str, ...]]:
    known = load_catalogue(write(folder, parts=tables))
    laboratory = Laboratory(known, SOURCE)
    bench = Bench(laboratory, known.stacks["stack-a"])
    outcome = bench.swap({slot: bundle(known, slot, name) for slot, name in names.items()})
    return outcome.label, Disarmed(bench, Worlds(laboratory)).types(outcome)


def bundle(known: Catalogue, slot: str, name: str) -> Bundle:
    return (known.parts[slot][name],)


def test_shallow_kernels_are_performance_lock_in(tmp_path: Path) -> None:
    shallow = kernels([offer("calls-a")], [offer("ops-a"), offer("isa-a", 1, 2)], depth="reference")
    label, types = found(tmp_path, {**PARTS, "shallow": shallow}, kernels="shallow")
    assert (label, types) == ("slower", ("performance",))


def test_a_dialect_that_no_compiler_for_the_chip_takes_is_design_lock_in(tmp_path: Path) -> None:
    tables = changed(PARTS, "compiler-b", exports=[offer("isa-a", 1, 2)])
    label, types = found(tmp_path, tables, front_end="whole-b")
    assert (label, types) == ("co+1", ("design",))


def test_kernels_that_need_another_driver_are_structural_lock_in(tmp_path: Path) -> None:
    stranger = kernels([offer("calls-b")], [offer("ops-a"), offer("isa-a", 1, 2)])
    label, types = found(tmp_path, {**PARTS, "stranger": stranger}, kernels="stranger")
    assert (label, types) == ("blocked", ("structural",))


def test_what_is_free_shows_no_lock_in(tmp_path: Path) -> None:
    label, types = found(tmp_path, {**PARTS, "twin": PARTS["kernels-a"]}, kernels="twin")
    assert (label, types) == ("free", ())


def test_each_world_is_made_once_and_armed_types_stay(tmp_path: Path) -> None:
    known = load_catalogue(write(tmp_path))
    worlds = Worlds(Laboratory(known, SOURCE))
    disarmed = worlds.without(frozenset({"structural"}))
    assert worlds.without(frozenset({"structural"})) is disarmed
    edited = disarmed.catalogue
    assert edited.parts["driver"]["driver-b"].exported("calls-a") is not None
    assert known.parts["driver"]["driver-b"].exported("calls-a") is None
    assert edited.parts["front_end"] == known.parts["front_end"]
    assert set(TYPES) == {"performance", "design", "structural"}


def test_an_outcome_is_better_by_class_then_by_time_then_by_layers() -> None:
    free, slow = Outcome("free", {}, 1.0), Outcome("slower", {}, 3.0)
    assert better(free, slow)
    assert better(Outcome("slower", {}, 2.0), slow)
    assert not better(Outcome("slower", {}, 2.99), slow)
    two = Outcome("co", {}, cofactors=(("driver", ()), ("device", ())))
    assert better(Outcome("co", {}, cofactors=(("driver", ()),)), two)
