"""The cost of leaving a stack, its work items, and how types of lock-in interact in it."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from emu.ir.errors import CatalogueError
from emu.lockin.catalogue import load_catalogue
from emu.lockin.cost import ITEMS, Leaving, Mover, leaving, subsets
from emu.lockin.cost_report import cost_json, cost_text
from emu.lockin.disarm import TYPES, Worlds
from emu.lockin.outcome import Bench
from emu.lockin.prices import PRICES, load_prices
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import write

SOURCE = Source(to_graph(build("mlp", {}), {}))
EVERY = frozenset(TYPES)


@pytest.fixture(scope="module")
def mover(tmp_path_factory: pytest.TempPathFactory) -> Mover:
    known = load_catalogue(write(tmp_path_factory.mktemp("small")))
    laboratory = Laboratory(known, SOURCE)
    return Mover(Bench(laboratory, known.stacks["stack-a"]), Worlds(laboratory), load_prices())


@pytest.fixture(scope="module")
def moved(mover: Mover) -> Leaving:
    (found,) = leaving(mover)
    return found


def test_the_chip_of_the_other_stack_is_moved_to(moved: Leaving) -> None:
    assert moved.chip.name == "chip-b"
    assert moved.held.choice["driver"][0].name == "driver-b"


def test_no_type_disarmed_makes_a_move_dearer(moved: Leaving) -> None:
    """With fewer types armed every stack that was there is there still, at no higher price."""
    for armed, more in product(subsets(EVERY), subsets(EVERY)):
        if armed < more:
            assert moved.moves[armed].total <= moved.moves[more].total * 1.0001


def test_interactions_sum_to_what_all_types_add(moved: Leaving) -> None:
    for item in ITEMS:
        terms = [moved.interaction(types, item) for types in subsets(EVERY) if types]
        assert sum(terms) == pytest.approx(moved.added(EVERY, item))


def test_an_interaction_is_what_two_types_add_beyond_each(moved: Leaving) -> None:
    pair = frozenset({"design", "structural"})
    alone = sum(moved.added(frozenset({name}), "port") for name in pair)
    assert moved.interaction(pair, "port") == moved.added(pair, "port") - alone


def test_work_is_counted_in_items(mover: Mover, moved: Leaving) -> None:
    price = mover.prices
    usd = price.engineer_usd_per_day.value
    nodes = len(SOURCE.graph.nodes)
    is_ported = moved.held.choice["front_end"][0].name != "graph-a"
    assert moved.held.usd["port"] == nodes * price.port_days_per_node.value * usd * is_ported
    work = sum(moved.held.usd[item] for item in ("port", "kernels", "adapters", "requalify"))
    days = work / usd / price.engineers.value * 365 / 260
    fleet = price.fleet_chips.value * price.chip_usd_per_day.value
    assert moved.held.usd["dual"] == pytest.approx(fleet * days * max(1.0, moved.held.ratio))


def test_what_was_demanded_is_mapped_whatever_orchestrator_comes(mover: Mover) -> None:
    choice = dict(mover.bench.base)
    demands = len(set(choice["orchestrator"][0].fact("intents")))
    assert demands
    for other in mover.bench.laboratory.catalogue.parts["orchestrator"].values():
        work = mover.work({**choice, "orchestrator": (other,)}, frozenset())
        stays = other is choice["orchestrator"][0]
        one = mover.prices.adapter_days_per_entry.value
        assert work["adapters"] == (0 if stays else demands * one)


@pytest.mark.parametrize("bought", ["performance", "design"])
def test_what_work_was_done_on_is_qualified_again(mover: Mover, bought: str) -> None:
    work = mover.work(mover.bench.base, frozenset({bought}))
    # Libraries meet front end, compiler, driver and chip; compilers all of these but themselves.
    assert work["requalify"] == 4 * mover.prices.requalify_one_side_days.value


def test_a_move_as_fast_as_before_needs_no_more_chips(mover: Mover, moved: Leaving) -> None:
    lost = max(0.0, moved.held.ratio - 1.0)
    price = mover.prices
    fleet = price.fleet_chips.value * price.chip_usd_per_day.value * price.horizon_days.value
    assert moved.held.usd["capacity"] == pytest.approx(fleet * lost)


def test_dearer_work_never_makes_a_move_cheaper(mover: Mover, moved: Leaving) -> None:
    dear = replace(
        mover.prices, engineer_usd_per_day=replace(mover.prices.engineer_usd_per_day, value=5000.0)
    )
    found = replace(mover, prices=dear).cheapest(moved.chip, EVERY)
    assert found is not None
    assert found.total >= moved.held.total


def test_it_prints_every_move_and_where_each_number_is_from(mover: Mover, moved: Leaving) -> None:
    text = list(cost_text("stack-a", "mlp", [moved], mover.prices))
    assert all(len(line) <= 80 for line in text)
    assert any("chip-b" in line for line in text)
    assert any("assumed" in line for line in text)
    found = cost_json("stack-a", "mlp", [moved], mover.prices)
    assert found["schema"] == "emu.cost/1"
    assert len(found["moves"][0]["armed"]) == 8
    assert len(found["moves"][0]["interactions"]) == 7


def test_every_price_has_a_source_or_says_why_it_is_assumed() -> None:
    for name, fact in load_prices().facts.items():
        assert bool(fact.source) != bool(fact.why), name


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[engineers]", "[people]", "people: is no price; known: port_days"),
        ("value = 5.0", "value = 0", "engineers: needs a value: a number above 0"),
        ("value = 5.0\nassumed = true", "value = 5.0", "engineers: needs a source, or assumed"),
        ("value = 5.0", "value = 5.0\nnote = 1", "engineers.note: is none of value"),
        ("value = 5.0", "value = ", "is not TOML"),
    ],
)
def test_a_bad_price_is_refused_with_file_and_key(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "cost.toml"
    path.write_text(PRICES.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(CatalogueError) as caught:
        load_prices(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_price_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cost.toml"
    path.write_text("")
    with pytest.raises(CatalogueError, match="port_days_per_node: is missing"):
        load_prices(path)
