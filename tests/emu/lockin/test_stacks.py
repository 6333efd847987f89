"""The shipped catalogue: what comes out when its stacks are mixed, by executing their contracts."""

from dataclasses import replace
from functools import lru_cache

import pytest

from emu.ir.graph import Graph
from emu.ir.schedule import Binding
from emu.lockin.bundles import library_of
from emu.lockin.catalogue import load_catalogue
from emu.lockin.contracts.kernels import dispatch
from emu.lockin.disarm import Disarmed, Worlds
from emu.lockin.outcome import Bench
from emu.lockin.parts import Bundle, Choice, Fact, Part
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build

KNOWN = load_catalogue()
DYNAMIC = {"ascend-like", "cuda-like", "gaudi-like", "kunlun-like", "oneapi-like", "rocm-like"}


@lru_cache(maxsize=2)
def graph(model: str) -> Graph:
    small = {"conv_block": {"image": 8, "channels": 4}, "bert_layer": {"seq": 8}}
    return to_graph(build(model, small[model]), {})


@lru_cache(maxsize=8)
def laboratory(
    model: str = "conv_block", symbols: tuple[str, ...] = (), cut: int = 0
) -> Laboratory:
    whole = graph(model)
    reads = (whole.nodes[cut].outputs[0],) if cut else ()
    return Laboratory(KNOWN, Source(whole, reads, symbols))


def parts(slot: str, *names: str) -> Bundle:
    return tuple(KNOWN.parts[slot][name] for name in names)


def broken(stack: str, tried: Laboratory | None = None, **swapped: Bundle) -> str:
    """Contract and error of a stack with other bundles in some slots, "" if all contracts hold."""
    failed = (tried or laboratory()).refusal({**KNOWN.stacks[stack], **swapped})
    return "" if failed is None else f"{failed.contract} {failed.name}"


def bench(stack: str, keep: tuple[str, ...] = ("device",)) -> Bench:
    return Bench(laboratory(), KNOWN.stacks[stack], 10, keep)


@pytest.mark.parametrize("model", ["conv_block", "bert_layer"])
@pytest.mark.parametrize("stack", KNOWN.stacks)
def test_every_stack_completes_natively(stack: str, model: str) -> None:
    trial = laboratory(model).try_(KNOWN.stacks[stack])
    assert (trial.failure, trial.ps > 0) == (None, True)


def test_a_closed_user_mode_driver_cannot_be_swapped_while_the_hardware_stays() -> None:
    other = parts("driver", "hip-runtime-like", "amdgpu-like")
    outcome = bench("cuda-like").swap({"driver": other})
    assert (outcome.kind, outcome.blocking) == ("blocked", (("K7",), ("K6",)))
    assert Disarmed(bench("cuda-like"), Worlds(laboratory())).types(outcome) == ("structural",)


def test_kernels_that_claim_a_dtype_which_the_chip_lacks_fail_by_running() -> None:
    base = KNOWN.stacks["furiosa-like"]
    lie = {"dtypes": Fact(["fp16"], "a lie")}
    liars = tuple(replace(part, facts={**part.facts, **lie}) for part in base["kernels"])
    trial = laboratory().try_({**base, "kernels": liars})
    assert trial.failure is not None
    assert (trial.failure.stage, trial.failure.name) == ("run", "Unsupported")


def test_whoever_takes_another_chip_can_take_the_whole_stack_that_is_native_to_it() -> None:
    """Unless that is below the floor; what fits with fewer changes may be, and is no answer."""
    tried = bench("cuda-like")
    for native in KNOWN.stacks.values():
        if native["device"] != tried.base["device"]:
            found = tried.swap({"device": native["device"]})
            assert found.kind == ("co" if tried.above_floor(native) else "blocked")


def test_the_kernel_library_follows_the_driver() -> None:
    outcome = bench("cuda-like", keep=()).swap({"kernels": parts("kernels", "miopen-like")})
    assert outcome.failure is not None
    assert (outcome.kind, outcome.failure.name) == ("co", "AbiMismatch")
    assert "driver" in [slot for slot, _ in outcome.cofactors]
    assert len(outcome.cofactors) >= 1


def test_a_front_end_that_emits_one_dialect_fixes_the_compiler() -> None:
    base, known = KNOWN.stacks["jax-tpu-like"], KNOWN.parts["compiler"]
    tried = {name: broken("jax-tpu-like", compiler=(part,)) for name, part in known.items()}
    assert [name for name, said in tried.items() if not said] == [base["compiler"][0].name]
    refused = {said for name, said in tried.items() if not name.startswith("xla-")}
    assert refused == {"K2 NoCommonIR"}


def test_a_missing_kernel_goes_to_the_host_or_raises_as_the_front_end_says() -> None:
    bert = laboratory("bert_layer")
    soft, strict = (
        parts("front_end", "paddle-xpu-like"),
        parts("front_end", "paddle-xpu-strict-like"),
    )
    assert broken("kunlun-like", bert, front_end=strict) == "K1 KernelNotRegistered"
    assert broken("kunlun-like", bert, front_end=soft) == ""
    choice = {**KNOWN.stacks["kunlun-like"], "front_end": soft}
    on_host = dispatch(choice, bert.source, KNOWN).on_host
    trial = bert.try_(choice)
    assert on_host == sum(node.op == "Erf" for node in bert.source.graph.nodes) > 0
    assert trial.timed.by_cause["host"] > 0


def test_a_static_compiler_or_front_end_refuses_a_symbolic_batch() -> None:
    symbolic = laboratory("conv_block", ("batch",))
    refused = {name for name in KNOWN.stacks if broken(name, symbolic) == "K2 DynamicShape"}
    assert refused == {"furiosa-like", "jax-tpu-like", "poplar-like", "rbln-like"}
    assert {name for name in KNOWN.stacks if not broken(name, symbolic)} >= DYNAMIC


def test_a_host_read_breaks_a_whole_capture_only() -> None:
    reading = laboratory("conv_block", (), 2)
    refused = {name for name in KNOWN.stacks if broken(name, reading) == "K2 GraphBreak"}
    assert refused == {"ascend-like", "jax-tpu-like"}


def test_seven_instances_are_admitted_on_one_stack_only() -> None:
    sevenths = parts("orchestrator", "sevenths-like")
    said = {name: broken(name, orchestrator=sevenths) for name in KNOWN.stacks}
    assert [name for name, failed in said.items() if not failed] == ["cuda-like"]
    assert said["rocm-like"] == said["ascend-like"] == said["gaudi-like"] == "K8 NotSupported"


def test_the_tool_of_one_vendor_finds_no_interface_elsewhere() -> None:
    tool = parts("orchestrator", "k8s-mig-like")
    said = {name: broken(name, orchestrator=tool) for name in KNOWN.stacks}
    assert set(said.values()) == {"", "K8 ApiUnknown"}
    assert [name for name, failed in said.items() if not failed] == ["cuda-like"]


@pytest.mark.parametrize(
    ("stack", "kind", "orchestrator"),
    [
        ("rocm-like", "mode", "k8s-amd-like"),
        ("ascend-like", "template", "mindx-like"),
        ("kunlun-like", "template", "hami-kunlun-like"),
        ("furiosa-like", "template", "furiosa-plugin-like"),
    ],
)
def test_modes_and_templates_serve_other_policies(stack: str, kind: str, orchestrator: str) -> None:
    assert KNOWN.stacks[stack]["device"][0].fact("placement_kind") == kind
    assert broken(stack, orchestrator=parts("orchestrator", orchestrator)) == ""


def test_an_older_chip_refuses_the_image_of_a_newer_minor_version_and_a_newer_one_takes_it() -> (
    None
):
    chip, *_ = parts("device", "a100-like")
    of_86 = [with_code(library, 2) for library in KNOWN.stacks["cuda-like"]["kernels"]]
    newer = (with_code(chip, 3),)
    assert broken("cuda-like", device=(chip,)) == ""
    assert broken("cuda-like", device=(chip,), kernels=tuple(of_86)) == "K6 VersionSkew"
    assert broken("cuda-like", device=newer) == ""
    assert broken("cuda-like", device=newer, kernels=tuple(of_86)) == ""


def with_code(part: Part, minor: int) -> Part:
    """A part whose code, or whose chip, is of another minor version of one major version."""
    exports = [replace(o, most=minor) if o.interface == "sm8" else o for o in part.exports]
    return replace(part, exports=tuple(exports))


@pytest.mark.parametrize(
    ("stack", "other"),
    [("cuda-like", "a100-like"), ("cuda-like", "b200-like"), ("jax-tpu-like", "tpu-v4-like")],
)
def test_a_library_with_code_of_several_major_versions_runs_on_all_of_these_chips(
    stack: str, other: str
) -> None:
    device, kernels = parts("device", other), KNOWN.stacks[stack]["kernels"]
    (own,) = (o.interface for o in device[0].exports)
    assert broken(stack, device=device) == ""
    lacking = (
        replace(k, exports=tuple(o for o in k.exports if o.interface != own)) for k in kernels
    )
    assert broken(stack, device=device, kernels=tuple(lacking)) == "K6 NoBinaryForDevice"


def test_a_driver_that_takes_code_of_the_very_chip_only_refuses_that_of_an_older_one() -> None:
    assert KNOWN.parts["driver"]["amdgpu-like"].fact("exact_isa")
    older = (
        replace(
            k,
            exports=tuple(replace(o, most=2) if o.interface == "cdna" else o for o in k.exports),
        )
        for k in KNOWN.stacks["rocm-like"]["kernels"]
    )
    assert broken("rocm-like") == ""
    assert broken("rocm-like", kernels=tuple(older)) == "K6 VersionSkew"


def test_a_kernel_is_used_only_for_what_the_table_lists() -> None:
    bodies = [b.body for b in planned("kunlun-like") if any(n.op == "Erf" for n in b.body.nodes)]
    library = library_of(KNOWN.stacks["kunlun-like"], KNOWN, "fp16")
    said = {kernel.refusal(body) for body in bodies for kernel in library.kernels}
    assert "Erf is in no table of it" in said
    assert None not in said


def planned(stack: str) -> tuple[Binding, ...]:
    bert, choice = laboratory("bert_layer"), KNOWN.stacks[stack]
    (whole,) = bert.planned(choice, bert.chip(choice))
    return whole.schedule.bindings


def test_a_compiler_without_an_instruction_set_generates_nothing() -> None:
    """A shallow library claims few groups whole: they are composed of what it does claim."""
    base = {**KNOWN.stacks["rocm-like"], "kernels": parts("kernels", "rocblas-like")}
    tried = laboratory("bert_layer")
    liar = replace(base["compiler"][0], exports=())
    made = [coverage(tried, {**base, "compiler": (part,)}) for part in (base["compiler"][0], liar)]
    assert ["generated" in found for found in made] == [True, False]
    assert made[1] >= {"native", "composed"}


def coverage(tried: Laboratory, choice: Choice) -> set[str]:
    (whole,) = tried.planned(choice, tried.chip(choice))
    return {binding.coverage for binding in whole.schedule.bindings}


def test_a_portable_section_that_is_newer_than_the_driver_is_refused() -> None:
    choice = {**KNOWN.stacks["cuda-like"], "compiler": parts("compiler", "tvm-like")}
    runtime, driver = choice["driver"]
    older = tuple(replace(o, most=5) if o.interface == "ptx" else o for o in driver.imports)
    past = {**choice, "driver": (runtime, replace(driver, imports=older))}
    said = [laboratory().refusal(tried) for tried in (choice, past)]
    assert said[0] is None
    assert said[1] is not None
    assert (said[1].contract, said[1].name) == ("K6", "PortableTooNew")


def test_planted_lies_fail_by_running() -> None:
    base = KNOWN.stacks["cuda-like"]
    (chip,), (runtime, driver) = base["device"], base["driver"]
    stranger = KNOWN.parts["device"]["mi300x-like"]
    formats = {**driver.facts, "format_min": Fact(3, "a lie"), "format_max": Fact(3, "a lie")}
    lies: dict[str, dict[str, Bundle]] = {
        "K6 NoBinaryForDevice": {"device": (replace(chip, exports=stranger.exports),)},
        "K6 VersionSkew": {
            "driver": tuple(replace(d, facts={**d.facts, **formats}) for d in (runtime, driver))
        },
        "K7 DeviceNotBound": {"device": (replace(chip, facts=stranger.facts),)},
    }
    for said, lie in lies.items():
        failed = laboratory().refusal({**base, **lie})
        assert failed is not None
        assert f"{failed.contract} {failed.name}" == said


def test_no_part_names_another_part_or_a_stack() -> None:
    names = {name for slot in KNOWN.parts.values() for name in slot} | set(KNOWN.stacks)
    said = {
        part.name: repr((part.imports, part.exports, {k: f.value for k, f in part.facts.items()}))
        for slot in KNOWN.parts.values()
        for part in slot.values()
    }
    assert [(p, n) for p, text in said.items() for n in names - {"bare"} if n in text] == []
