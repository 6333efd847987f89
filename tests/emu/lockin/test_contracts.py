"""Each contract holds within a stack, and fails by its own error where stacks are mixed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emu.ir import errors
from emu.ir.types import TensorType
from emu.lockin.bundles import library_of
from emu.lockin.catalogue import load_catalogue
from emu.lockin.contracts import CONTRACTS
from emu.lockin.contracts.kernels import run_dtype
from emu.lockin.parts import Catalogue, Choice
from emu.lockin.source import Source
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import INTERFACES, PARTS, STACKS, Table, changed, offer, write

SOURCE = Source(to_graph(build("conv_block", {"image": 8, "channels": 4}), {}))
ENCODER = Source(to_graph(build("bert_layer", {"seq": 8}), {}))
BY_NAME = {contract.name: contract for contract in reversed(CONTRACTS)}
LIBRARIES_LOAD = CONTRACTS[-1]


def catalogue(folder: Path, **tables: dict[str, Table]) -> Catalogue:
    return load_catalogue(write(folder, **tables))


def mixed(known: Catalogue, stack: str, **parts: str) -> Choice:
    """A stack with parts of other names in some slots."""
    choice = dict(known.stacks[stack])
    for slot, name in parts.items():
        choice[slot] = (known.parts[slot][name],)
    return choice


def holds(contract: str, choice: Choice, known: Catalogue, source: Source = SOURCE) -> bool:
    try:
        BY_NAME[contract].check(choice, source, known)
    except errors.EmuError:
        return False
    return True


def refusal(contract: str, choice: Choice, known: Catalogue, source: Source = SOURCE) -> Any:
    with pytest.raises(errors.EmuError) as caught:
        BY_NAME[contract].check(choice, source, known)
    return caught.value


@pytest.mark.parametrize("stack", STACKS)
def test_every_contract_holds_within_a_stack(tmp_path: Path, stack: str) -> None:
    known = catalogue(tmp_path)
    assert [c.name for c in CONTRACTS if not holds(c.name, known.stacks[stack], known)] == []


@pytest.mark.parametrize(
    ("contract", "parts", "error", "said"),
    [
        ("K7", {"driver": "driver-b"}, "DeviceNotBound", "have drivers for chip-b, need chip-a"),
        ("K8", {"orchestrator": "watcher"}, "ApiUnknown", "have manage-a, need manage-b 1 to 1"),
        ("K8", {"device": "chip-b"}, "NotSupported", "have a whole chip, need 1/7"),
        ("K2", {"front_end": "whole-b"}, "NoCommonIR", "have dialect-b 1 to 1, need dialect-a 1"),
        ("K1", {"front_end": "eager-a", "kernels": "kernels-b"}, "KernelNotRegistered", "ops-a 1"),
        ("K5", {"kernels": "kernels-b"}, "AbiMismatch", "have calls-a, need calls-b"),
        ("K6", {"device": "chip-b"}, "NoBinaryForDevice", "need isa-"),
        ("K6", {"driver": "driver-b"}, "NoBinaryForDevice", "need isa-"),
    ],
)
def test_parts_of_two_stacks_break_the_contract_between_them(
    tmp_path: Path, contract: str, parts: dict[str, str], error: str, said: str
) -> None:
    known = catalogue(tmp_path)
    found = refusal(contract, mixed(known, "stack-a", **parts), known)
    assert type(found).__name__ == error
    assert said in str(found)
    assert str(found).startswith(f"{contract} at {BY_NAME[contract].stage}: ")


def test_an_eager_front_end_meets_no_compiler(tmp_path: Path) -> None:
    known = catalogue(tmp_path)
    choice = mixed(known, "stack-a", front_end="eager-a", compiler="compiler-b")
    assert all(holds(name, choice, known) for name in ("K2", "K3", "K6"))
    assert BY_NAME["K1"].check(choice, SOURCE, known).on_host == 0


def test_a_missing_kernel_goes_to_the_host_or_raises_by_the_front_ends_flag(tmp_path: Path) -> None:
    parts = changed(PARTS, "eager-a", imports=[offer("ops-b")])
    known = catalogue(tmp_path / "host", parts=parts)
    choice = mixed(known, "stack-b", front_end="eager-a")
    resolved = BY_NAME["K1"].check(choice, ENCODER, known)
    erf = [n.id for n in ENCODER.graph.nodes if n.op == "Erf"]
    assert [node for node, by in resolved.by.items() if by == "host"] == erf
    parts = changed(parts, "eager-a", on_missing="raise")
    known = catalogue(tmp_path / "raise", parts=parts)
    found = refusal("K1", mixed(known, "stack-b", front_end="eager-a"), known, ENCODER)
    assert "have ops-b 1 has no Erf, need ops-b 1 to 1" in str(found)


IN_FP32 = replace(SOURCE, dtype="fp32")


@pytest.mark.parametrize(
    ("contract", "parts", "changes", "need"),
    [
        ("K1", {"front_end": "eager-a"}, ("eager-a", {"on_missing": "raise"}), "ops-a 1 to 1"),
        ("K3", {}, ("compiler-a", {"on_missing": "raise"}), "dialect-a 1 to 2, ops-a 1 to 1"),
    ],
)
def test_a_library_must_have_the_element_type_of_the_run(
    tmp_path: Path, contract: str, parts: dict[str, str], changes: tuple[str, Table], need: str
) -> None:
    part, facts = changes
    tables = changed(changed(PARTS, part, **facts), "kernels-a", dtypes=["fp16", "int8"])
    known = catalogue(tmp_path / "without", parts=tables)
    choice = mixed(known, "stack-a", **parts)
    assert holds(contract, choice, known)
    found = refusal(contract, choice, known, IN_FP32)
    assert f"have kernels-a has fp16, int8, need {need} in fp32" in str(found)
    tables = changed(tables, "kernels-a", dtypes=["fp16", "fp32"])
    known = catalogue(tmp_path / "with", parts=tables)
    assert holds(contract, mixed(known, "stack-a", **parts), known, IN_FP32)


def test_of_two_libraries_the_one_with_the_element_type_of_the_run_answers(tmp_path: Path) -> None:
    tables = changed(PARTS, "kernels-a", dtypes=["fp16"])
    tables = {**tables, "kernels-c": {**PARTS["kernels-a"], "name": "kernels-c"}}
    known = catalogue(tmp_path, parts=tables)
    both = (known.parts["kernels"]["kernels-a"], known.parts["kernels"]["kernels-c"])
    choice = {**known.stacks["stack-a"], "kernels": both}
    for source, name in ((SOURCE, "kernels-a"), (IN_FP32, "kernels-c")):
        assert set(BY_NAME["K3"].check(choice, source, known).by.values()) == {name}
    in_fp32 = library_of(choice, known, "fp32").kernels
    assert in_fp32 == library_of({**choice, "kernels": both[1:]}, known, "fp32").kernels


def test_an_own_op_is_asked_for_by_what_it_stands_for(tmp_path: Path) -> None:
    """A convolution in eight bits is made of two ops, and no table names that of the bias."""
    graph = SOURCE.graph
    relu = next(node for node in graph.nodes if node.op == "Relu")
    biased = replace(relu, op="BiasAdd", inputs=(*relu.inputs, "bias"), attrs={"axis": 1})
    types = {**graph.types, "bias": TensorType("f32", graph.types[relu.output].shape[1:2])}
    nodes = tuple(biased if node is relu else node for node in graph.nodes)
    source = Source(replace(graph, inputs=(*graph.inputs, "bias"), nodes=nodes, types=types))
    known = catalogue(tmp_path / "with")
    choice = known.stacks["stack-a"]
    assert BY_NAME["K3"].check(choice, source, known).by[relu.id] == "kernels-a"
    (ops,) = INTERFACES["ops-a"]["versions"]
    without = {op: name for op, name in ops.items() if op != "Add"}
    tables = {**INTERFACES, "ops-a": {**INTERFACES["ops-a"], "versions": [without]}}
    known = catalogue(tmp_path / "without", interfaces=tables)
    assert BY_NAME["K3"].check(known.stacks["stack-a"], source, known).by[relu.id] != "kernels-a"


def test_a_chip_says_which_of_its_element_types_a_library_is_asked_for(tmp_path: Path) -> None:
    tables = changed(PARTS, "kernels-a", dtypes=["fp16", "bf16"])
    tables = changed(tables, "chip-a", datasheet="tt_n150")  # which has no fp16
    known = catalogue(tmp_path, parts=tables)
    choice = known.stacks["stack-a"]
    assert run_dtype(choice, SOURCE) == "bf16"
    assert run_dtype(choice, IN_FP32) == "fp32"
    assert holds("K3", choice, known)


@pytest.mark.parametrize("on_missing", ["codegen", "host"])
def test_an_unresolved_symbol_is_made_up_for_as_the_compiler_says(
    tmp_path: Path, on_missing: str
) -> None:
    known = catalogue(tmp_path, parts=changed(PARTS, "compiler-b", on_missing=on_missing))
    resolved = BY_NAME["K3"].check(known.stacks["stack-b"], ENCODER, known)
    assert set(resolved.by.values()) == {"kernels-b", on_missing}


def test_a_compiler_without_an_instruction_set_cannot_generate_what_it_promises(
    tmp_path: Path,
) -> None:
    known = catalogue(tmp_path, parts=changed(PARTS, "compiler-b", exports=[]))
    found = refusal("K3", known.stacks["stack-b"], known, ENCODER)
    assert isinstance(found, errors.SymbolNotFound)
    assert "have ops-b 1 has no Erf, need dialect-b 1 to 1, ops-b 1 to 1" in str(found)


def test_a_symbolic_dimension_needs_a_dynamic_front_end_and_compiler(tmp_path: Path) -> None:
    known = catalogue(tmp_path)
    batch = replace(SOURCE, symbols=("N",))
    assert holds("K2", known.stacks["stack-a"], known, batch)
    found = refusal("K2", known.stacks["stack-b"], known, batch)
    assert isinstance(found, errors.DynamicShape)
    assert "the front end traces the program: have shapes as numbers, need dimension N" in str(
        found
    )
    known = catalogue(tmp_path / "2", parts=changed(PARTS, "whole-b", dynamic=True))
    assert "the compiler takes the graph" in str(
        refusal("K2", known.stacks["stack-b"], known, batch)
    )


def test_a_read_in_the_middle_cuts_the_program_or_breaks_the_capture(tmp_path: Path) -> None:
    known = catalogue(tmp_path)
    middle = replace(SOURCE, reads=(SOURCE.graph.nodes[2].output,))
    tapes = BY_NAME["K2"].check(known.stacks["stack-a"], middle, known)
    assert [len(tape.entries) for tape in tapes] == [3, len(SOURCE.graph.nodes) - 3]
    found = refusal("K2", known.stacks["stack-b"], known, middle)
    assert isinstance(found, errors.GraphBreak)
    assert "have a whole capture" in str(found)


def test_an_op_newer_than_the_agreed_version_cannot_be_captured(tmp_path: Path) -> None:
    interfaces = changed(INTERFACES, "dialect-a", versions=[{"Conv": "c"}, {"Relu": "r"}])
    known = catalogue(tmp_path, interfaces=interfaces)
    assert "need BatchNormalization" in str(refusal("K2", known.stacks["stack-a"], known))


def test_layouts_must_have_one_in_common(tmp_path: Path) -> None:
    known = catalogue(tmp_path, parts=changed(PARTS, "chip-a", layouts=["nhwc", "t8x128"]))
    found = refusal("K4", known.stacks["stack-a"], known)
    assert isinstance(found, errors.LayoutUnrepresentable)
    assert "have 2 on the chip (nhwc, t8x128), need 1 of the kernels (nchw)" in str(found)


def test_a_function_that_is_closed_has_no_entry_to_link_with(tmp_path: Path) -> None:
    known = catalogue(tmp_path, parts=changed(PARTS, "driver-a", closed=["a_run"]))
    found = refusal("K5", known.stacks["stack-a"], known)
    assert "have 1 of 2 functions, need a_run" in str(found)


def test_firmware_is_verified_not_believed(tmp_path: Path) -> None:
    known = catalogue(tmp_path, parts=changed(PARTS, "driver-a", firmware_signature="1234"))
    assert isinstance(refusal("K7", known.stacks["stack-a"], known), errors.FirmwareAuth)
    parts = changed(PARTS, "chip-a", firmware_version="2.0")
    known = catalogue(tmp_path / "2", parts=parts)
    assert isinstance(refusal("K7", known.stacks["stack-a"], known), errors.FirmwareVersion)


def test_a_portable_section_newer_than_the_driver_is_refused(tmp_path: Path) -> None:
    parts = changed(PARTS, "compiler-a", exports=[offer("portable-a", 1, 2)])
    old = changed(parts, "driver-a", imports=[offer("isa-a", 1, 2), offer("portable-a")])
    known = catalogue(tmp_path, parts=parts)
    assert holds("K6", known.stacks["stack-a"], known)
    known = catalogue(tmp_path / "old", parts=old)
    found = refusal("K6", known.stacks["stack-a"], known)
    assert isinstance(found, errors.PortableTooNew)
    assert "have version 1, need 2" in str(found)


def test_a_portable_section_older_than_the_drivers_window_is_refused(tmp_path: Path) -> None:
    parts = changed(PARTS, "compiler-a", exports=[offer("portable-a")])
    window = [offer("isa-a", 1, 2), offer("portable-a", 2, 2)]
    known = catalogue(tmp_path, parts=changed(parts, "driver-a", imports=window))
    found = refusal("K6", known.stacks["stack-a"], known)
    assert isinstance(found, errors.VersionSkew)
    assert "have versions 2 to 2, need 1" in str(found)


def test_a_driver_decodes_the_versions_of_an_instruction_set_that_it_says(tmp_path: Path) -> None:
    known = catalogue(tmp_path, parts=changed(PARTS, "driver-a", imports=[offer("isa-a")]))
    found = refusal("K6", known.stacks["stack-a"], known)
    assert isinstance(found, errors.VersionSkew)
    assert "the driver decodes for the chip: have isa-a 1 to 1, need 2" in str(found)


def test_a_native_image_of_a_newer_minor_version_is_refused(tmp_path: Path) -> None:
    known = catalogue(tmp_path, parts=changed(PARTS, "chip-a", exports=[offer("isa-a")]))
    exports = [offer("isa-a", 1, 2)]
    parts = changed(
        changed(PARTS, "chip-a", exports=[offer("isa-a")]), "compiler-a", exports=exports
    )
    known = catalogue(tmp_path / "2", parts=parts)
    assert isinstance(refusal("K6", known.stacks["stack-a"], known), errors.VersionSkew)


def test_images_of_libraries_are_loaded_as_those_of_compilers_are(tmp_path: Path) -> None:
    known = catalogue(tmp_path)
    choice = mixed(known, "stack-a", kernels="kernels-b")
    assert holds("K6", choice, known)  # the compiler's image is still that of A
    with pytest.raises(errors.NoBinaryForDevice, match="have 'isa-b'"):
        LIBRARIES_LOAD.check(choice, SOURCE, known)


def test_telemetry_that_a_driver_does_not_measure_is_missing(tmp_path: Path) -> None:
    known = catalogue(tmp_path, parts=changed(PARTS, "driver-a", figures=["power"]))
    found = refusal("K8", known.stacks["stack-a"], known)
    assert isinstance(found, errors.TelemetryMissing)


def test_a_contract_sees_only_the_slots_that_it_names(tmp_path: Path) -> None:
    known = catalogue(tmp_path)
    for contract in CONTRACTS:
        seen = {slot: known.stacks["stack-a"][slot] for slot in contract.slots}
        contract.run(seen, SOURCE, known)  # a slot that is not there would be a KeyError
        assert contract.sees("driver", (), known) == (() if "driver" in contract.slots else None)
