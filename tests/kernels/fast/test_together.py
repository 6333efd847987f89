"""Small steps of machine code as one call: the same values, in the same order."""

import numpy as np
import pytest

from emu.ir.types import Array
from emu.kernels.fast import places, together
from emu.kernels.fast.chain import alone
from emu.kernels.fast.tiled import Ending, product
from emu.kernels.fast.together import joined
from emu.kernels.fast.turning import copy_step
from emu.kernels.fast.writer import Call, Held
from emu.kernels.native.ready import make_ready


def steps_into(log: Array) -> list[Call]:
    """Steps of each kind, each of which reads what the one before it made."""
    rng = np.random.default_rng(3)
    x, w = (rng.standard_normal(shape, dtype=np.float32) for shape in ((9, 8), (8, 20)))
    made, turned, root = (np.empty(s, np.float32) for s in ((9, 20), (20, 9), (20, 9)))
    return [
        product(x, w, made, Ending()),
        copy_step(turned, made.T),
        alone("Exp", (turned,), {}, root),
        copy_step(log, root),
    ]


def test_steps_are_one_call_that_does_the_same() -> None:
    apart, whole = np.empty((20, 9), np.float32), np.zeros((20, 9), np.float32)
    for step in steps_into(apart):
        step()
    ((count, call),) = joined(steps_into(whole))
    assert count == 4
    assert isinstance(call, Held)
    call()
    assert whole.tobytes() == apart.tobytes()


def test_what_is_large_or_no_machine_code_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, other = steps_into(np.empty((20, 9), np.float32)), lambda: None
    mixed = joined([*steps[:2], other, *steps[2:]])
    assert [count for count, _ in mixed] == [2, 1, 2]
    assert mixed[1][1] is other
    monkeypatch.setattr(together, "MOST_WORK", 0)
    assert joined(steps) == [(1, step) for step in steps]


def test_one_call_has_so_many_steps_at_most() -> None:
    step = steps_into(np.empty((20, 9), np.float32))[-1]
    counts = [count for count, _ in joined([step] * (together.MOST_STEPS + 3))]
    assert counts == [together.MOST_STEPS, 3]


def test_all_machine_code_is_made_ready_by_work_on_nothing() -> None:
    make_ready()
    assert together.native().run_all.signatures
    assert places.native().run_places.signatures
