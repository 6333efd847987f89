"""Lies planted in the shipped catalogue: what is claimed and cannot be done fails by running.

An instruction set and a dialect are tables, so that whoever claims another's is found by decoding
and parsing; whoever claims another's functions, by linking.
"""

from dataclasses import replace
from functools import lru_cache
from itertools import permutations

import pytest

from emu.devices.driver import Isa, Loader, encode, load
from emu.ir.errors import ContainerError, NoCommonIR, Unsupported
from emu.ir.graph import Graph
from emu.lockin.catalogue import load_catalogue
from emu.lockin.contracts.capture import capture, emit, parse
from emu.lockin.contracts.images import isa_of
from emu.lockin.parts import Bundle, Fact, Interface, Offer, Part
from emu.lockin.probe import PROBE
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build

KNOWN = load_catalogue()
ISAS = [isa_of(i, i.newest) for i in KNOWN.interfaces.values() if i.kind == "isa"]
DIALECTS = [i for i in KNOWN.interfaces.values() if i.kind == "dialect"]


@lru_cache(maxsize=1)
def graph() -> Graph:
    return to_graph(build("mlp", {}), {})


@lru_cache(maxsize=1)
def laboratory() -> Laboratory:
    return Laboratory(KNOWN, Source(graph()))


def said(stack: str, **swapped: Bundle) -> str:
    """Contract, stage and error of a stack with other parts, "" if it runs."""
    failure = laboratory().try_({**KNOWN.stacks[stack], **swapped}).failure
    return "" if failure is None else f"{failure.contract} {failure.stage} {failure.name}".strip()


def lying(part: Part, **facts: object) -> Part:
    return replace(part, facts={**part.facts, **{k: Fact(v, "a lie") for k, v in facts.items()}})


def claiming(part: Part, kind: str, offer: Offer) -> Part:
    """The part with what it exports of a kind exchanged for something else."""
    kept = tuple(o for o in part.exports if o.interface not in KNOWN.of_kind(kind))
    return replace(part, exports=(*kept, offer))


def forged(maker: Isa, claimed: Isa) -> bytes:
    """An image in the words and opcodes of one instruction set, whose header says another."""
    return encode(PROBE, replace(claimed, word_bytes=maker.word_bytes, opcodes=maker.opcodes))


def test_a_forged_header_fails_at_decode_for_every_pair_of_instruction_sets() -> None:
    pairs = [(a, b) for a, b in permutations(ISAS, 2) if not same_code(a, b)]
    assert len(pairs) > len(ISAS)
    taken = [(a.name, b.name) for a, b in pairs if loads(forged(a, b), b)]
    assert taken == []


def same_code(one: Isa, other: Isa) -> bool:
    return (one.numbers, one.word_bytes) == (other.numbers, other.word_bytes)


def loads(data: bytes, chip: Isa) -> bool:
    try:
        program = load(data, Loader(chip))
    except ContainerError:
        return False
    return program == PROBE


def test_no_two_instruction_sets_are_the_same_code() -> None:
    assert [(a.name, b.name) for a, b in permutations(ISAS, 2) if same_code(a, b)] == []


def test_a_library_that_claims_the_chips_instructions_still_cannot_open_its_driver() -> None:
    foreign = KNOWN.parts["kernels"]["miopen-like"]
    assert said("cuda-like", kernels=(foreign,)) == "K5 link AbiMismatch"
    claimed = isa_offer(KNOWN.stacks["cuda-like"]["device"][0])
    liar = claiming(foreign, "isa", claimed)
    assert said("cuda-like", kernels=(liar,)) == "K5 link AbiMismatch"


def test_a_library_that_claims_a_foreign_instruction_set_has_no_binary_for_the_chip() -> None:
    foreign = isa_offer(KNOWN.stacks["rocm-like"]["device"][0])
    kernels = tuple(claiming(p, "isa", foreign) for p in KNOWN.stacks["cuda-like"]["kernels"])
    assert said("cuda-like", kernels=kernels) == "K6 load NoBinaryForDevice"


def isa_offer(part: Part) -> Offer:
    return next(o for o in part.exports if o.interface in KNOWN.of_kind("isa"))


def test_a_dtype_that_no_unit_of_the_chip_has_fails_when_it_runs() -> None:
    older = KNOWN.parts["device"]["a100-like"]
    kernels = tuple(lying(p, dtypes=["fp8"]) for p in KNOWN.stacks["cuda-like"]["kernels"])
    choice = {**KNOWN.stacks["cuda-like"], "kernels": kernels}
    assert not isinstance(laboratory().time(choice), Unsupported)
    failed = laboratory().time({**choice, "device": (older,)})
    assert isinstance(failed, Unsupported)
    assert f"{kernels[0].path}: facts.dtypes: device 'a100" in str(failed)


def test_a_driver_whose_window_claims_only_newer_formats_reads_nothing() -> None:
    drivers = tuple(
        lying(d, format_min=3, format_max=9) for d in KNOWN.stacks["cuda-like"]["driver"]
    )
    assert said("cuda-like", driver=drivers) == "K6 load VersionSkew"


@pytest.mark.parametrize("stack", KNOWN.stacks)
def test_a_device_that_claims_another_instruction_set_runs_nothing(stack: str) -> None:
    (chip,) = KNOWN.stacks[stack]["device"]
    own = isa_offer(chip)
    other = next(i.name for i in ISAS if i.name != own.interface)
    liar = claiming(chip, "isa", Offer(other, 1, KNOWN.interfaces[other].newest))
    assert said(stack, device=(liar,)) == "K6 load NoBinaryForDevice"


@pytest.mark.parametrize("claimed", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_compiler_that_parses_another_dialect_than_it_claims_reads_no_program(
    claimed: Interface,
) -> None:
    tape = emit(graph(), claimed, claimed.newest)
    written = [node.op for node in graph().nodes]
    parsed = {d.name: [node.op for node in parse(tape, d, d.newest)] for d in DIALECTS}
    assert [name for name, ops in parsed.items() if ops == written] == [claimed.name]


@pytest.mark.parametrize("stack", KNOWN.stacks)
def test_a_compiler_without_a_parser_for_what_it_claims_takes_no_program(stack: str) -> None:
    base = KNOWN.stacks[stack]
    claimed = {o.interface for part in base["front_end"] for o in part.exports}
    other = next(d for d in DIALECTS if d.name not in claimed)
    liars = tuple(lying(part, parsers={other.name: other.newest}) for part in base["compiler"])
    assert said(stack, compiler=liars) == "K2 capture NoCommonIR"


def test_ops_that_mean_something_else_to_a_parser_are_named() -> None:
    """A dialect spells two ops as another spells two others."""
    ops = ("MatMul", "Add", "Relu")
    claimed, known = (
        Interface(name, "dialect", (), 1, dict(zip(ops, spelt, strict=True)), dict.fromkeys(ops, 1))
        for name, spelt in (("claimed", ("x", "y", "z")), ("known", ("x", "z", "y")))
    )
    catalogue = replace(KNOWN, interfaces={"claimed": claimed, "known": known})
    offer = (Offer("claimed", 1, 1),)
    base = KNOWN.stacks["cuda-like"]
    front = replace(base["front_end"][0], exports=offer)
    liar = replace(lying(base["compiler"][0], parsers={"known": 1}), imports=offer)
    why = r"facts.parsers: the compiler parses the program: have Relu \((.*)\), need Add \(\1\)"
    with pytest.raises(NoCommonIR, match=why):
        capture({"front_end": (front,), "compiler": (liar,)}, Source(graph()), catalogue)


def test_no_interface_names_a_part_a_stack_or_a_product() -> None:
    """What an interface is, besides its sources, does not say who has it."""
    parts = [part for slot in KNOWN.parts.values() for part in slot.values()]
    names = {p.name for p in parts} | {p.product for p in parts} | set(KNOWN.stacks)
    texts = {i.name: repr((i.table, i.facts)) for i in KNOWN.interfaces.values()}
    assert [(i, n) for i, text in texts.items() for n in names - {"bare"} if n in text] == []


def test_no_part_depends_on_the_product_of_another() -> None:
    parts = [part for slot in KNOWN.parts.values() for part in slot.values()]
    texts = {p: repr((p.imports, p.exports, [f.value for f in p.facts.values()])) for p in parts}
    named = [
        (part.name, other.product)
        for part, text in texts.items()
        for other in parts
        if other.product != part.product and other.product in text
    ]
    assert named == []
