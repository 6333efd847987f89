"""Every blocked cell of two matrices says what forbids it, and which type of lock-in holds it."""

from emu.lockin.asked import bench_of, opened_in
from emu.lockin.catalogue import FOLDER, load_catalogue
from emu.lockin.commands import alternatives
from emu.lockin.disarm import Disarmed, Worlds
from emu.lockin.flags import TryFlags

FLAGS = TryFlags("mlp", [], [])
STACKS = ("oneapi-like", "rocm-like")  # the quick ones


def test_every_blocked_cell_of_mlp_shows_a_blocking_set_and_a_type() -> None:
    catalogue = load_catalogue(FOLDER)
    laboratory = opened_in(catalogue, FLAGS)[1]
    worlds = Worlds(laboratory)
    blocked, bare = 0, list[str]()
    for name in STACKS:
        bench = bench_of(laboratory, name, FLAGS)
        for slot, bundle in alternatives(bench):
            outcome = bench.swap({slot: bundle})
            if outcome.kind != "blocked":
                continue
            blocked += 1
            if not outcome.blocking or not Disarmed(bench, worlds).types(outcome):
                bare.append(f"{name} with {slot} = {bundle[0].name}: {outcome.blocking}")
    assert blocked > 100
    assert bare == []
