"""The device binary: what goes in comes out, and damage is named, never misread."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emu.devices.driver import Image, Isa, Loader, load
from emu.devices.driver import encode as encode_for
from emu.devices.driver.container import (
    DIGEST_AT,
    ENTRIES,
    HEADER,
    HOST_CALLS,
    KEPT,
    decode,
    named,
    open_binary,
)
from emu.devices.driver.layout import CLASSES, PLAIN, fingerprint, form
from emu.devices.driver.stream import Damage
from emu.ir.body import Body, BodyNode
from emu.ir.errors import ContainerError, ContractError
from emu.ir.program import Alloc, Copy, Drop, Free, HostCall, Keep, Launch, Program, Replay, Wait
from emu.ir.tile import (
    WHOLE,
    Axis,
    Buffer,
    Compute,
    Fill,
    Gather,
    Load,
    Loop,
    Nest,
    Operand,
    Store,
    TileProgram,
    View,
)
from emu.ir.types import TensorType

F32 = TensorType("f32", (64, 64))
BODY = Body(
    nodes=(
        BodyNode("MatMul", (0, 1), (2,)),
        BodyNode("Clip", (2, -1), (3,), (("max", 6.0), ("min", -0.0), ("pads", (0, -1)))),
    ),
    types=(F32, F32, F32, F32),
    inputs=2,
    weights=frozenset({1}),
    outputs=(3,),
)
TILE = TileProgram(
    name="matmul",
    views=(View(F32, "input", 0), View(F32, "weight", 1), View(F32, "output", 3)),
    loops=(Loop(64, 16, parallel=True), Loop(64, 32), Loop(16, 4, parent=0)),
    buffers=(
        Buffer(0, (Axis(0), Axis(1, 2, -1, 3)), depth=2),
        Buffer(1, (Axis(1), WHOLE), depth=2),
        Buffer(2, (Axis(0), WHOLE)),
    ),
    steps=(
        Fill(2, -0.0),
        Nest(
            0,
            (
                Nest(1, (Load(0, 0), Load(1, 0), Gather(1, 0, 0, 0))),
                Compute(
                    op="MatMul",
                    attrs=(("alpha", 1), ("beta", 1.0), ("mode", "x")),
                    ins=(Operand(0, (WHOLE,)), None, Operand(1, (WHOLE,), float("-inf"))),
                    out=2,
                    kind="matrix",
                    node=0,
                    accumulate=True,
                ),
                Store(2, 2, 1),
            ),
        ),
    ),
)
COMMANDS = (
    *(Alloc("x", 0, 512), Alloc("w", 512, 512), Alloc("t", 1024, 512)),
    Launch(0, "deep.matmul", ("x", "w"), ("t",), BODY, TILE),
    *(Copy("t", "host", 400), HostCall(1, "host", ("t", "w"), ("y",), BODY), Free("t")),
    *(Alloc("y", 1024, 512), Copy("y", "device", 400), Wait()),
)
PROGRAM = Program("net", "chip", ("x",), ("y",), COMMANDS, 1536)
CHIP = Isa("chip", minor=2, word_bytes=4, opcodes={"Load": 40, "Store": 16, "Gather": 17})


def encode(program: Program) -> bytes:
    return encode_for(program, CHIP)


def read(data: bytes) -> Program:
    """The program, whether or not it makes sense."""
    try:
        return decode(open_binary(data), CHIP)
    except Damage as damage:
        raise named(damage) from None


DATA = encode(PROGRAM)


def resealed(data: bytes) -> bytes:
    """The same bytes with the digest that they should have."""
    rest = data[HEADER.size :]
    return data[:DIGEST_AT] + sha256(data[:DIGEST_AT] + rest).digest() + rest


def test_a_name_with_a_line_break_is_quoted_in_one_line() -> None:
    program = with_commands(Free("a\nb"))
    with pytest.raises(ContainerError) as caught:
        load(encode(program), Loader(CHIP))
    assert "a\\nb" in str(caught.value)
    assert "\n" not in str(caught.value)


def with_commands(*commands: Any) -> Program:
    return replace(PROGRAM, commands=commands, peak_bytes=0)


def with_tile(**changes: Any) -> Program:
    return with_commands(Launch(0, "k", ("x", "w"), ("t",), BODY, replace(TILE, **changes)))


def with_body(**changes: Any) -> Program:
    return with_commands(HostCall(0, "k", ("x", "w"), ("t",), replace(BODY, **changes)))


def test_a_decoded_program_is_the_encoded_one() -> None:
    assert read(DATA) == PROGRAM
    assert repr(read(DATA)) == repr(PROGRAM)
    assert encode(read(DATA)) == DATA


def test_loading_accepts_what_the_planner_may_make() -> None:
    loaded = load(DATA, Loader(CHIP))
    assert loaded == PROGRAM
    names = [c.program.name for c in loaded.commands if isinstance(c, Launch)]
    assert names == [TILE.name]  # equality does not see it


@pytest.fixture(scope="module")
def small_numbers() -> Iterator[None]:
    """Numbers of 64 bits and floats that equal themselves, while this module runs."""
    st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
    st.register_type_strategy(float, st.floats(allow_nan=False))
    yield
    st.register_type_strategy(int, st.integers())
    st.register_type_strategy(float, st.floats())


@pytest.mark.usefixtures("small_numbers")
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_program_comes_back_equal(data: st.DataObject) -> None:
    program = data.draw(st.from_type(Program))
    assert read(encode(program)) == program


def test_equal_bodies_and_tile_programs_are_stored_once() -> None:
    launch = COMMANDS[3]
    again = [replace(launch, index=i, program=replace(TILE), body=replace(BODY)) for i in range(50)]
    assert len(encode(with_commands(*again))) < len(DATA) + 50 * 16


def test_numbers_that_only_compare_equal_stay_apart() -> None:
    tiles = [replace(TILE, steps=(Fill(0, number),)) for number in (0.0, -0.0)]
    program = with_commands(*(Launch(0, "k", (), (), BODY, tile) for tile in tiles))
    assert repr(read(encode(program))) == repr(program)


def test_what_the_format_cannot_hold_is_refused_by_field() -> None:
    with pytest.raises(
        ContainerError, match=r"Program\.peak_bytes cannot hold 1844674407370955161"
    ):
        encode(replace(PROGRAM, peak_bytes=2**64))
    with pytest.raises(ContainerError, match=r"Program\.inputs cannot hold \('x', 1\)"):
        encode(replace(PROGRAM, inputs=("x", 1)))
    with pytest.raises(ContainerError, match="no bytes are defined for a field of type"):
        form(dict[str, int])


def test_tags_of_classes_and_of_other_alternatives_are_distinct() -> None:
    assert len(CLASSES) == len(set(CLASSES)) <= PLAIN
    assert fingerprint() == fingerprint()


def at(offset: int, *new: int) -> Callable[[bytes], bytes]:
    return lambda data: resealed(data[:offset] + bytes(new) + data[offset + len(new) :])


TABLE = HEADER.size + len("chip")
ENTRY = ENTRIES[2].size
SECTIONS = TABLE + 2 * ENTRY
DAMAGES: list[tuple[Callable[[bytes], bytes], str]] = [
    (lambda data: b"", "magic at byte 0: this is no device binary"),
    (lambda data: data[:40], "magic at byte 0: this is no device binary"),
    (at(0, 7), "magic at byte 0: this is no device binary"),
    (at(8, 3), "format at byte 8: 3, but there are 1 and 2"),
    (at(10, 1, 2, 3, 4), "ABI at byte 10: 0x04030201, but this driver has"),
    (at(14, 9), "features at byte 14: 0x9 on and 0x0 off are not to be had"),
    (at(18, 1), "features at byte 14: 0x1 on and 0x1 off are not to be had"),
    (at(14, 0), "features at byte 14: 0x0 is not what it uses"),
    (lambda data: data[:-1], "digest at byte 32: the contents were changed"),
    (at(30, 4), "section table at byte 68: 4 sections, not 1 to 3"),
    (at(30, 0), "section table at byte 68: 0 sections, not 1 to 3"),
    (at(TABLE, 9), "section kind at byte 68: 9 is unknown or out of order"),
    (at(TABLE, 2), "section kind at byte 85: 2 is unknown or out of order"),
    (at(TABLE + 1, 0), "section offset at byte 68: 0 + "),
    (at(TABLE + ENTRY + 7, 0, 4), "is not where a section may lie"),
    (lambda data: resealed(data + b"x"), "1 bytes are left over"),
    (at(SECTIONS, 0), "portable section at byte 103: 236 bytes are left over"),
    (at(SECTIONS, 127, 255), "portable section at byte"),
    (at(SECTIONS + 2, 100), "native section at byte 339: 1 tile programs, not 100"),
    (at(SECTIONS, 1), "portable section at byte"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damage_is_named_with_field_and_offset(
    damage: Callable[[bytes], bytes], message: str
) -> None:
    with pytest.raises(ContainerError) as caught:
        read(damage(DATA))
    assert str(caught.value).startswith("container: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def mutated(data: bytes, random: Random) -> bytes:
    """The bytes with one to three places overwritten, cut out or doubled."""
    for _ in range(random.randint(1, 3)):
        place, size = random.randrange(len(data)), random.randint(1, 4)
        new = random.choice([random.randbytes(size), b"", data[place : place + 2 * size]])
        data = data[:place] + new + data[place + size :]
    return data


def overwritten(data: bytes, random: Random) -> bytes:
    """The bytes with one to four of their sections' bytes changed and a digest that fits."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(SECTIONS, len(data))
        changed[place] = random.choice([random.randrange(256), changed[place] ^ 2, 0, 1])
    return resealed(bytes(changed))


def outcome(data: bytes) -> Program | str:
    """What the driver makes of the bytes: a program, or the message of a refusal."""
    try:
        return load(data, Loader(CHIP))
    except (ContainerError, ContractError) as error:
        return str(error)


def test_no_mutation_is_read_as_another_program() -> None:
    random = Random(1)
    found = [outcome(mutated(DATA, random)) for _ in range(2000)]
    assert {program for program in found if not isinstance(program, str)} <= {PROGRAM}


@pytest.mark.parametrize("damage", [mutated, overwritten])
def test_mutations_with_a_right_digest_are_refused_or_make_a_sound_program(
    damage: Callable[[bytes, Random], bytes],
) -> None:
    random = Random(2)
    found = [outcome(resealed(damage(DATA, random))) for _ in range(2000)]
    refused = [message for message in found if isinstance(message, str)]
    assert len(refused) > 1000
    assert not any("\n" in message for message in refused)
    sound = [program for program in found if not isinstance(program, str)]
    assert all(load(encode(program), Loader(CHIP)) for program in sound)


def test_values_on_chip_pass_to_drivers_that_have_the_feature() -> None:
    kept = with_commands(Keep("t", 1, 16384), KEEPING, Drop("t"))
    assert load(encode(kept), Loader(CHIP)) == kept
    with pytest.raises(ContractError, match="wants features on: have features 0x1, need 0x2"):
        load(encode(kept), Loader(CHIP, features=HOST_CALLS))
    portable = encode_for(kept, CHIP, Image(native=False, portable=1))
    with pytest.raises(ContractError, match="its own kernels do not keep on chip"):
        load(portable, Loader(CHIP, portable=1, compile=lambda _: TILE))


def test_graphs_pass_to_drivers_that_have_the_feature() -> None:
    made = with_commands(Replay(0, 2), LAUNCH, LAUNCH)
    assert load(encode(made), Loader(CHIP)) == made
    with pytest.raises(ContractError, match="wants features on: have features 0x3, need 0x4"):
        load(encode(made), Loader(CHIP, features=HOST_CALLS | KEPT))


def test_nesting_without_end_is_refused() -> None:
    steps: tuple[Any, ...] = ()
    for _ in range(80):
        steps = (Nest(0, steps),)
    with pytest.raises(ContainerError, match="is nested over 64 deep"):
        read(encode(with_tile(steps=steps)))


LAUNCH = Launch(0, "k", ("x", "w"), ("t",), BODY, TILE)
KEEPING = replace(
    LAUNCH,
    program=replace(TILE, views=(*TILE.views[:2], View(F32, "output", 3, kept_cores=1, own=True))),
)
BAD_TYPE = TensorType("f33", (1,))
UNSOUND: list[tuple[Program, str]] = [
    (replace(PROGRAM, peak_bytes=7), "peak is 1,536 bytes, not 7"),
    (with_commands(Alloc("a", 0, 1), Alloc("a", 1, 1)), "command 1: %'a' cannot be allocated"),
    (with_commands(Alloc("a", -1, 1)), "command 0: %'a' cannot be allocated"),
    (with_commands(Free("a")), "command 0: %'a' is not allocated"),
    (with_commands(Copy("a", "moon", 1)), "is no copy"),
    (with_commands(Keep("t", 1, 1), Keep("t", 1, 1)), "command 1: %'t' cannot be kept"),
    (with_commands(Keep("t", 0, 1)), "command 0: %'t' cannot be kept"),
    (with_commands(Drop("t")), "command 0: %'t' is not kept"),
    (with_commands(Keep("t", 1, 1), LAUNCH), "command 1: %'t' is kept on chip by one of launch"),
    (with_commands(KEEPING), "command 0: %'t' is kept on chip by one of launch and commands"),
    (with_commands(Replay(0, 0), LAUNCH), "command 0: a graph of 0 launches, of which 1 follow"),
    (with_commands(Replay(0, 2), LAUNCH, Wait(), LAUNCH), "2 launches, of which 1 follow"),
    (with_commands(Replay(3, 1), LAUNCH), "command 0: graph 3 begins with launch 0"),
    (with_commands(HostCall(0, "k", (), (), BODY)), "values that its body does not have"),
    (with_body(outputs=(4,)), "the body refers to a value that it does not have"),
    (with_body(types=(BAD_TYPE,) * 4), "the body has a value of type"),
    (with_tile(views=(View(BAD_TYPE, "input", 0),)), "a view has an impossible type"),
    (with_tile(views=(View(F32, "input", 4),)), "a view is of a value that the body"),
    (with_tile(loops=(Loop(4, 1, parent=1),)), "a loop follows a loop that does not exist"),
    (with_tile(loops=(Loop(4, 0),)), "a loop never ends"),
    (with_tile(buffers=(Buffer(3, ()),)), "a buffer is of a view that does not exist"),
    (with_tile(buffers=(Buffer(0, (Axis(3),)),)), "an axis of a buffer follows no loop"),
    (with_tile(buffers=(Buffer(0, (Axis(0, divide=0),)),)), "an axis of a buffer follows no loop"),
    (with_tile(steps=(Nest(3, ()),)), "loop 3 does not exist"),
    (with_tile(steps=(Nest(0, (Load(3, 0),)),)), "Load(buffer=3, node=0) names what does not"),
    (with_tile(steps=(Load(0, 2),)), "names what does not exist"),
    (with_tile(steps=(Store(0, 3, 0),)), "names what does not exist"),
    (with_tile(steps=(Fill(3, 0.0),)), "names what does not exist"),
    (with_tile(steps=(Gather(3, 0, 0, 0),)), "names what does not exist"),
    (with_tile(steps=(Compute("Add", (), (Operand(3, ()),), 0, "vector", 0),)), "does not exist"),
]


def test_an_element_type_with_a_line_break_is_quoted_in_one_line() -> None:
    broken = TensorType("f3\n3", (1,))
    with pytest.raises(ContainerError) as caught:
        load(encode(with_body(types=(broken,) * 4)), Loader(CHIP))
    assert "f3\\n3" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("program", "message"), UNSOUND)
def test_references_to_nothing_are_refused(program: Program, message: str) -> None:
    data = encode(program)
    assert read(data) == program
    with pytest.raises(ContainerError) as caught:
        load(data, Loader(CHIP))
    assert message in str(caught.value)
