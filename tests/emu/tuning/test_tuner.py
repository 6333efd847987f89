"""Tuned tiles: never slower than the menu's, found again in a database, and never trusted."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emu.devices.make import make_device
from emu.dump import Tick, Watch
from emu.ir.body import Body
from emu.ir.errors import BadOption
from emu.kernels.libraries import LIBRARIES
from emu.kernels.tiling import Tiling
from emu.pipeline import compile
from emu.run import Compiled
from emu.tiles import Choice, Tiler
from emu.tuning.database import Key, Tuning, TuningDatabase, open_tunings
from emu.tuning.tuner import Tuner
from tests.bodies import BODIES
from tests.tiles import Sketch

DEVICES = ("gpu", "systolic", "npu")
GENERATED = LIBRARIES["generated"]


def product() -> Body:
    """[96, 120] @ [120, 200], then relu."""
    s = Sketch()
    s.op("Relu", s.op("MatMul", s.input(96, 120), s.weight(120, 200)))
    return s.body()


def chosen(
    device: str, trials: int, database: TuningDatabase | None = None, body: Body | None = None
) -> Choice:
    """What is chosen for a body of the compiler's own, after ``trials``."""
    chip = make_device(device)
    body = body or product()
    kernel = next(k for k in GENERATED.kernels if k.claims(body) is None)
    tuner = Tuner(chip, "native", trials, database)
    return Tiler(chip, chip.machine, "exhaustive", tuner).best(GENERATED, kernel, body, None)


@pytest.mark.parametrize("device", DEVICES)
def test_more_trials_are_never_slower_and_none_is_slower_than_the_menu(device: str) -> None:
    found = [chosen(device, trials) for trials in (0, 4, 12, 24)]

    prices = [c.ps for c in found]
    assert prices == sorted(prices, reverse=True)
    assert [c.trials for c in found] == [0, 4, 12, 24]
    assert {c.menu_ps for c in found} == {prices[0]}


@pytest.mark.parametrize("device", ["gpu", "npu"])
def test_tuning_finds_tiles_that_are_on_no_menu(device: str) -> None:
    found = chosen(device, 24)
    kernel = next(k for k in GENERATED.kernels if k.claims(product()) is None)
    menu = GENERATED.programs(kernel, product(), make_device(device).machine)

    assert found.ps < found.menu_ps
    assert found.program not in {program for _, program in menu}


@pytest.mark.parametrize("name", ["matmul", "elementwise_with_broadcasting"])
def test_what_was_tuned_fits_the_chip_and_costs_what_it_says(name: str) -> None:
    chip = make_device("npu")
    choice = chosen("npu", 8, body=BODIES[name]())

    assert choice.program is not None
    assert chip.fits(choice.program)
    assert chip.price(choice.program) == choice.ps


def test_kernels_of_a_library_keep_the_tiles_of_its_menu() -> None:
    chip, deep = make_device("gpu"), LIBRARIES["deep"]
    kernel = next(k for k in deep.kernels if k.claims(product()) is None)
    plain, tuned = (
        Tiler(chip, chip.machine, "exhaustive", tuner).best(deep, kernel, product(), None)
        for tuner in (None, Tuner(chip, "native", 8))
    )

    assert tuned == plain


def test_a_rule_picks_one_tiling_of_the_menu_without_timing_the_others() -> None:
    for device in DEVICES:
        chip = make_device(device)
        kernel = next(k for k in GENERATED.kernels if k.claims(product()) is None)
        by_rule, best = (
            Tiler(chip, chip.machine, how).best(GENERATED, kernel, product(), None)
            for how in ("heuristic", "exhaustive")
        )
        menu = [t for t, _ in GENERATED.programs(kernel, product(), chip.machine)]
        assert by_rule.tiling in menu
        assert by_rule.ps >= best.ps


def compiled(trials: int, tuning_db: Path | None = None, device: str = "npu") -> Compiled:
    """The mlp by the compiler's own kernels, with tuned tiles."""
    return compile(
        "mlp",
        device=device,
        kernels="generated",
        tiling="tuned",
        trials=trials,
        tuning_db=tuning_db,
    ).compiled


@pytest.mark.parametrize("device", DEVICES)
def test_a_tuned_run_is_never_slower_and_says_what_tuning_brought(device: str) -> None:
    menu = compile("mlp", device=device, kernels="generated").compiled.trace.total_ps
    made = compiled(6, device=device)

    assert made.trace.total_ps <= menu
    said = [d for d in made.schedule.decisions if d.code == "select:tuned"]
    assert {n for d in said for n in d.nodes} == {n for g in made.fused.groups for n in g.nodes}
    assert all(d.numbers["ps"] <= d.numbers["menu_ps"] for d in said)
    (whole,) = (d for d in made.schedule.decisions if d.code == "tune:run")
    assert whole.numbers["without_ps"] == menu
    assert min(whole.numbers.values()) == made.trace.total_ps


def test_a_run_without_trials_uses_what_the_database_has(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    tuned = compiled(6, path)
    kept = path.read_bytes()
    again = compiled(0, path)

    assert again.container == tuned.container
    assert again.trace == tuned.trace
    assert compiled(6, path).container == tuned.container
    assert path.read_bytes() == kept
    assert compiled(6).container == tuned.container


def test_a_watch_sees_every_trial_of_every_distinct_kernel(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    ticks: list[int] = []

    @contextmanager
    def bar(title: str, total: int) -> Generator[Tick, None, None]:
        told.append((title, total))
        yield lambda: ticks.append(1)

    made = compile(
        "mlp",
        device="systolic",
        kernels="generated",
        settings={"hidden": 72},
        tiling="tuned",
        trials=5,
        tuning_db=tmp_path / "t.db",
        watch=Watch(bar=bar),
    )

    kernels = {(b.kernel, b.body) for b in made.compiled.schedule.bindings}
    assert told == [("tuning", 5 * len(kernels))]
    assert len(ticks) == 5 * len(kernels)


def test_values_are_right_with_tuned_tiles() -> None:
    made = compile("mlp", device="npu", kernels="generated", tiling="tuned", trials=6)
    run = made.run(executor="tiles")

    assert run.check is not None
    assert run.check.ok


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_with_tiles_by_rule_is_right_and_rarely_as_fast(device: str) -> None:
    best = compile("mlp", device=device).compiled.trace.total_ps
    made = compile("mlp", device=device, tiling="heuristic")
    run = made.run()

    assert made.compiled.stack.compiler.tiling == "heuristic"
    assert made.compiled.trace.total_ps >= best
    assert run.check is not None
    assert run.check.ok


class Stored(TuningDatabase):
    """A database that says one thing, whatever it is asked for."""

    answer: Tuning

    def find(self, key: Key) -> Tuning:
        """The one answer."""
        del key
        return self.answer

    def keep(self, key: Key, found: Tuning) -> None:
        """Remember nothing."""


def stored(tiling: Tiling, ps: int = 1) -> Stored:
    """A database with one answer, which promises ``ps`` after many trials."""
    database = Stored(Path("nowhere"), writable=True)
    object.__setattr__(database, "answer", Tuning(tiling, ps, 1000))
    return database


def test_a_stored_tiling_is_priced_again() -> None:
    best = chosen("npu", 24)
    assert best.tiling is not None
    found = chosen("npu", 0, stored(best.tiling, ps=best.ps // 2))

    assert (found.tiling, found.ps) == (best.tiling, best.ps)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tile": (96, 200), "k": 0, "depth": 3, "cores": 1},  # may fit, but is slower than the menu
        {"tile": (1, 1)},
        {"tile": (8,)},
        {"tile": (8, 8, 8)},
        {"order": (5, 6)},
        {"cores": 4096},
        {"depth": 0},
    ],
)
def test_a_stored_tiling_that_is_no_use_leaves_the_menu_its_best(wrong: dict[str, Any]) -> None:
    menu = chosen("npu", 0)
    assert menu.tiling is not None

    found = chosen("npu", 0, stored(replace(menu.tiling, **wrong)))
    assert (found.tiling, found.ps) == (menu.tiling, menu.ps)


def test_a_database_knows_devices_cores_and_array_models_apart(tmp_path: Path) -> None:
    database = open_tunings(tmp_path / "t.db", writable=True)
    chosen("npu", 4, database)
    chosen("systolic", 4, database)
    chip = make_device("npu")
    body = product()
    kernel = next(k for k in GENERATED.kernels if k.claims(body) is None)
    fewer = replace(chip.machine, cores=2)
    for model, machine in (("native", fewer), ("scalesim-ws", chip.machine)):
        tuner = Tuner(chip, model, 4, database)
        Tiler(chip, machine, "exhaustive", tuner).best(GENERATED, kernel, body, None)

    with database.session("BEGIN") as opened:
        rows = opened.execute("SELECT count(DISTINCT device), count(*) FROM tunings").fetchone()
    assert rows == (4, 4)


@pytest.mark.parametrize(
    ("choices", "why"),
    [
        ({"tiling": "tuned"}, "--tiling tuned: needs --tune-trials N"),
        ({"tiling": "heuristic", "trials": 4}, "--tune-trials 4: goes with --tiling tuned"),
        ({"tiling": "exhaustive", "tuning_db": Path("x.db")}, "--tuning-db x.db: goes with"),
        ({"trials": -1}, "--tune-trials -1: a number of tilings is 0 or more"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(choices: dict[str, Any], why: str) -> None:
    with pytest.raises(BadOption, match=why):
        compile("mlp", **choices)
