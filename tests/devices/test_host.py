"""A host call and its copies, by hand: 512,000 elements on the host and link of tt_n150.

That host moves 51.2 GB/s, does 768 GFLOP/s and needs 5 us to dispatch; the link moves 24.8 GB/s to
the device and 14.9 GB/s to the host, after 60 us.
"""

from dataclasses import replace
from fractions import Fraction

import pytest

from emu.devices.datasheet import load_datasheet
from emu.devices.host import at_host, calling, crossing, passing
from emu.devices.make import make_device
from emu.devices.rates import Rates
from emu.devices.terms import Phase, settle
from emu.ir.body import Body, BodyNode
from emu.ir.program import Copy, HostCall, Program
from emu.ir.trace import Trace
from emu.ir.types import TensorType

RATES = Rates(load_datasheet("tt_n150"))
US = 10**6


def call_of(dtype: str) -> HostCall:
    """A Relu of 512,000 elements that the host computes."""
    type = TensorType(dtype, (1000, 512))
    body = Body((BodyNode("Relu", (0,), (1,)),), (type, type), 1, frozenset(), (1,))
    return HostCall(0, "host", ("x",), ("y",), body)


def us(phases: tuple[Phase, ...]) -> Fraction:
    return Fraction(settle(phases).ps, US)


def there_and_back(call: HostCall) -> Trace:
    """The call with a copy before and after it."""
    size = call.body.types[0].bytes
    commands = (Copy("x", "host", size), call, Copy("y", "device", size))
    return make_device("tt_n150").simulate(Program("relu", "tt_n150", ("x",), ("y",), commands, 0))


def test_the_host_computes_narrow_floats_in_f32_which_is_what_its_memory_moves() -> None:
    assert us(calling(call_of("bf16").body, RATES)) == 5 + 80
    assert us(calling(call_of("f32").body, RATES)) == 5 + 80


@pytest.mark.parametrize("op", ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"])
def test_a_view_is_dispatched_and_moves_no_bytes(op: str) -> None:
    call = call_of("f32").body
    view = replace(call, nodes=(BodyNode(op, (0,), (1,)),))
    assert us(calling(view, RATES)) == 5
    then_relu = (BodyNode(op, (0,), (1,)), BodyNode("Relu", (1,), (2,)))
    both = Body(then_relu, (*call.types, call.types[0]), 1, frozenset(), (2,))
    assert us(calling(both, RATES)) == 5 + 80


@pytest.mark.parametrize(("dtype", "took"), [("bf16", 40 + 5 + 60), ("f32", 80), ("i8", 20)])
def test_a_copy_is_staged_and_what_the_host_holds_otherwise_is_converted(
    dtype: str, took: int
) -> None:
    call = call_of(dtype)
    size = call.body.types[0].bytes

    assert us(passing(Copy("x", "host", size), call, RATES)) == took
    assert us(passing(Copy("y", "device", size), call, RATES)) == took


@pytest.mark.parametrize("op", ["Transpose", "Slice", "Concat", "Gather", "Split", "Pad", "Cast"])
def test_what_is_only_moved_or_cast_is_taken_as_it_is(op: str) -> None:
    narrow = call_of("bf16")
    moving = replace(narrow, body=replace(narrow.body, nodes=(BodyNode(op, (0,), (1,)),)))
    size = narrow.body.types[0].bytes

    assert us(passing(Copy("x", "host", size), moving, RATES)) == 40
    assert us(passing(Copy("y", "device", size), moving, RATES)) == 40
    assert us(calling(moving.body, RATES)) == 5 + 40


def test_what_is_moved_and_computed_in_one_call_is_computed_in_f32() -> None:
    call = call_of("bf16")
    nodes = (BodyNode("Transpose", (0,), (1,)), BodyNode("Relu", (1,), (2,)))
    body = Body(nodes, (*call.body.types, call.body.types[0]), 1, frozenset(), (2,))
    both = replace(call, body=body)
    assert us(passing(Copy("x", "host", body.types[0].bytes), both, RATES)) == 40 + 5 + 60
    assert us(calling(body, RATES)) == 5 + 80


def test_a_slice_reads_what_it_writes_and_not_the_rest() -> None:
    whole, half = TensorType("f32", (1000, 512)), TensorType("f32", (500, 512))
    cut = Body((BodyNode("Slice", (0,), (1,)),), (whole, half), 1, frozenset(), (1,))
    repeated = Body((BodyNode("Expand", (0,), (1,)),), (half, whole), 1, frozenset(), (1,))
    assert us(calling(cut, RATES)) == 5 + 20 + 20
    assert us(calling(repeated, RATES)) == 5 + 20 + 40


def test_a_copy_that_no_call_reads_is_only_staged() -> None:
    copy = Copy("z", "host", 1_024_000)
    assert us(passing(copy, call_of("bf16"), RATES)) == 40
    assert us(passing(copy, None, RATES)) == 40


def test_padding_crosses_the_link_and_the_host_takes_it_off() -> None:
    type = TensorType("f32", (1000, 500), "t32x32")
    call = call_of("f32")
    body = Body(call.body.nodes, (type, type), 1, frozenset(), (1,))
    padded = 1024 * 512 * 4
    moved = 2 * padded + padded + 1000 * 500 * 4

    assert at_host(type, body) == TensorType("f32", (1000, 500))
    took = us(passing(Copy("x", "host", padded), HostCall(0, "h", ("x",), ("y",), body), RATES))
    assert float(took) == pytest.approx(5 + moved / 51_200)


@pytest.mark.parametrize("dtype", ["bf16", "f32"])
def test_copies_wait_for_the_host_and_the_host_for_what_it_reads(dtype: str) -> None:
    call = call_of(dtype)
    copy = Copy("x", "host", call.body.types[0].bytes)
    passed = us(passing(copy, call, RATES))
    down, up = (us(crossing(replace(copy, to=to), RATES)) for to in ("host", "device"))
    trace = there_and_back(call)

    assert float(down) == pytest.approx(60 + copy.size / 14_900)
    assert float(up) == pytest.approx(60 + copy.size / 24_800)
    assert trace.total_ps == US * (down + up + 2 * passed + us(calling(call.body, RATES)))
    assert trace.ledger["link"] == US * (down + up)
    assert trace.ledger["host"] == trace.total_ps - trace.ledger["link"]


def test_crossings_that_were_measured() -> None:
    # to_torch of a bf16 tensor of 2 x 3 x 640 x 640 takes 787 us (tt-metal, issue 25718), and of
    # 8096 x 8096 in tiles to f32, on one core of the host, 240 ms (tt-metal, pull request 26902).
    copied, converted = crossed_to_host(2, 3, 640, 640)
    assert copied == pytest.approx(787, rel=0.27)
    assert copied + converted == pytest.approx(787, rel=0.15)
    assert sum(crossed_to_host(8096, 8096)) < 240_000


def crossed_to_host(*shape: int) -> tuple[float, float]:
    """Microseconds of a bf16 tensor on its way to the host, and for converting it to f32 there."""
    type = TensorType("bf16", shape)
    body = Body((BodyNode("Relu", (0,), (1,)),), (type, type), 1, frozenset(), (1,))
    copy, call = Copy("x", "host", type.bytes), HostCall(0, "host", ("x",), ("y",), body)
    staged, all = us(passing(copy, None, RATES)), us(passing(copy, call, RATES))
    return float(us(crossing(copy, RATES)) + staged), float(all - staged)
