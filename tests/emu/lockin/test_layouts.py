"""K4: layouts are index maps that are executed, edges are negotiated, conversions move bytes."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from emu.ir.errors import CatalogueError, LayoutUnrepresentable
from emu.ir.layout import ROW_MAJOR
from emu.ir.program import Launch
from emu.lockin.bundles import agreed
from emu.lockin.catalogue import load_catalogue
from emu.lockin.compare import compared
from emu.lockin.contracts.layouts import HOST, Negotiated, negotiate
from emu.lockin.layouts import claimed
from emu.lockin.outcome import Bench, Outcome
from emu.lockin.parts import Catalogue, Choice
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.lockin.ways import Way, ways_of
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import INTERFACES, PARTS, Table, changed, compiler, offer, write

SHIPPED = load_catalogue()
PRODUCTS = ("Conv", "Gemm", "MatMul")
WEIGHTS = ("oihw", "goihw", "hwio")  # how names of layouts begin that weights alone have


@lru_cache(maxsize=1)
def model() -> Model:
    return build("conv_block", {"image": 8, "channels": 16})


@lru_cache(maxsize=1)
def source() -> Source:
    return Source(to_graph(model(), {}))


def made(folder: Path, *, maps: Table | None = None, **layouts: list[str]) -> Catalogue:
    """The small catalogue with other layouts of some parts, and other maps of nhwc."""
    parts, interfaces = PARTS, INTERFACES
    for name, named in layouts.items():
        parts = changed(parts, name.replace("_", "-"), layouts=named)
    if maps is not None:
        interfaces = changed(interfaces, "nhwc", versions=[{"images": maps}])
    return load_catalogue(write(folder, interfaces, parts))


def settled(known: Catalogue) -> Negotiated:
    return negotiate(known.stacks["stack-a"], source(), known)


def refusal(known: Catalogue) -> str:
    with pytest.raises(LayoutUnrepresentable) as caught:
        settled(known)
    return str(caught.value)


BOTH = ["nchw", "nhwc"]


def test_nothing_is_converted_where_all_take_row_major(tmp_path: Path) -> None:
    found = settled(made(tmp_path))
    assert found.converted == ()
    assert set(found.domains.values()) == {frozenset((ROW_MAJOR,))}


def test_the_domain_of_an_edge_is_what_its_maker_and_reader_share(tmp_path: Path) -> None:
    found = settled(made(tmp_path, chip_a=BOTH, kernels_a=BOTH))
    graph = source().graph
    first, last = graph.nodes[0], graph.nodes[-1]
    assert found.converted == ()
    assert found.domains[graph.inputs[0], first.id] == {ROW_MAJOR}
    assert found.domains[first.output, graph.nodes[1].id] == {ROW_MAJOR, "nhwc"}
    assert found.domains[last.output, HOST] == {ROW_MAJOR}


def test_an_edge_whose_ends_share_nothing_is_converted(tmp_path: Path) -> None:
    found = settled(made(tmp_path, chip_a=BOTH, kernels_a=["nhwc"]))
    graph = source().graph
    convs = [node.id for node in graph.nodes if node.op == "Conv"]
    assert found.converted[0] == (graph.inputs[0], convs[0])
    assert found.domains[graph.nodes[0].output, graph.nodes[1].id] == {"nhwc"}


def chosen(known: Catalogue) -> tuple[Laboratory, Choice]:
    return Laboratory(known, source()), known.stacks["stack-a"]


def test_what_was_negotiated_is_what_is_compiled(tmp_path: Path) -> None:
    laboratory, choice = chosen(made(tmp_path, chip_a=BOTH, kernels_a=["nhwc"]))
    (whole,) = laboratory.planned(choice, laboratory.chip(choice))
    graph, program = whole.graph, whole.program
    images = {graph.types[n.inputs[0]].layout for n in graph.nodes if n.op == "Conv"}
    assert images == {"nhwc"}
    ops = [[n.op for n in c.body.nodes] for c in program.commands if isinstance(c, Launch)]
    assert ops.count(["Relayout"]) == 2
    laboratory, choice = chosen(made(tmp_path / "rows"))
    (whole,) = laboratory.planned(choice, laboratory.chip(choice))
    assert {type.layout for type in whole.graph.types.values()} == {ROW_MAJOR}


def swapped(folder: Path, layouts: list[str]) -> tuple[Bench, Outcome]:
    """Stack A with kernels that take other layouts, on a chip that holds both."""
    parts = changed(PARTS, "chip-a", layouts=BOTH)
    parts["other"] = changed(PARTS, "kernels-a", layouts=layouts)["kernels-a"]
    known = load_catalogue(write(folder, parts=parts))
    bench = Bench(Laboratory(known, source()), known.stacks["stack-a"])
    return bench, bench.swap({"kernels": (known.parts["kernels"]["other"],)})


def test_conversions_cost_bytes_that_the_ledger_calls_layout(tmp_path: Path) -> None:
    bench, outcome = swapped(tmp_path, ["nhwc"])
    assert outcome.kind == "slower"
    assert outcome.gap["layout"] > 0
    assert outcome.after.by_cause["layout"] > outcome.before.by_cause["layout"] == 0
    check = compared(model(), bench, outcome).check
    assert check is not None
    assert check.ok


def test_kernels_that_also_take_the_layout_of_the_others_cost_nothing_more(tmp_path: Path) -> None:
    _, outcome = swapped(tmp_path, ["nhwc", "nchw"])
    assert (outcome.kind, outcome.ratio) == ("free", 1.0)


def test_what_nobody_can_convert_is_refused_with_both_sides(tmp_path: Path) -> None:
    strict = compiler([offer("dialect-a", 1, 2), offer("ops-a")], [], on_missing="raise")
    parts = changed({**PARTS, "compiler-a": strict}, "chip-a", layouts=BOTH)
    parts = changed(parts, "kernels-a", layouts=["nhwc"])
    said = refusal(load_catalogue(write(tmp_path, parts=parts)))
    assert "for conv" in said or "is converted, and by nobody" in said
    assert "have row-major, need nhwc" in said


def test_a_chip_that_cannot_hold_what_the_host_gives_is_refused(tmp_path: Path) -> None:
    said = refusal(made(tmp_path, chip_a=["nhwc"], kernels_a=["nhwc"]))
    assert "the host hands" in said
    assert "have 1 on the chip (nhwc), need row-major" in said


LIES: list[tuple[dict[str, Any], str]] = [
    ({"data": "nhw", "weight": "ohwi"}, "'nhw' of nhwc and unpacked: have 8 elements, need 16"),
    ({"data": "nhwc", "weight": "ohw16i"}, "'ohw16i' of nhwc and unpacked: have 128 elements"),
]


@pytest.mark.parametrize(("maps", "said"), LIES)
@pytest.mark.parametrize("part", ["chip_a", "kernels_a"])
def test_a_map_that_loses_elements_fails_by_running(
    tmp_path: Path, maps: dict[str, Any], said: str, part: str
) -> None:
    """Whoever claims it, be it the chip or the library."""
    assert said in refusal(made(tmp_path, maps=maps, **{part: BOTH}))


def test_a_map_under_the_name_of_another_is_known_by_what_it_does(tmp_path: Path) -> None:
    known = made(tmp_path, maps={"data": "nchw", "weight": "oihw"}, kernels_a=["nhwc"])
    assert settled(known).converted == ()


def test_a_layout_that_no_kernel_knows_helps_nobody(tmp_path: Path) -> None:
    maps = {"data": "nwhc", "weight": "owhi"}
    known = made(tmp_path, maps=maps, chip_a=BOTH, kernels_a=["nhwc"])
    assert "Conv" in refusal(known)


def test_kernels_that_claim_a_layout_which_their_code_does_not_take_answer_nothing(
    tmp_path: Path,
) -> None:
    parts = changed(PARTS, "kernels-a", layouts=["nhwc"], depth="basic")
    parts = changed(parts, "chip-a", layouts=BOTH)
    assert "Conv" in refusal(load_catalogue(write(tmp_path, parts=parts)))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"pixels": {"data": "nhwc", "weight": "ohwi"}}, "versions.pixels: is none of images"),
        ({"images": "nhwc"}, "versions.images: must be a table of data, weight"),
        ({"images": {"data": "nhwc"}}, "versions.images.weight: is missing"),
        ({"images": {"data": "nhwc", "weight": "ohwi", "bias": "o"}}, "images.bias: is none of"),
        ({"images": {"data": "nhwz", "weight": "ohwi"}}, "'nhwz' spells no index map"),
        ({"images": {"data": 3, "weight": "ohwi"}}, "images.data: '' spells no index map"),
        (
            {"images": {"data": "nchw9999c9999h", "weight": "ohwi"}},
            "images.data: has blocks of more than 1,048,576 elements",
        ),
    ],
)
def test_a_file_of_a_layout_is_read_strictly(tmp_path: Path, entry: Table, said: str) -> None:
    interfaces = changed(INTERFACES, "nhwc", versions=[entry])
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(write(tmp_path, interfaces))
    assert said in str(caught.value)
    assert "nhwc.toml" in str(caught.value)


def test_a_part_names_layouts_that_are_spelled(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"facts.layouts: 'nchw32c' is no layout; known: nchw"):
        made(tmp_path, chip_a=["nchw32c"])


@pytest.mark.parametrize("stack", SHIPPED.stacks)
def test_shipped_kernels_and_chips_agree_on_more_than_nothing(stack: str) -> None:
    choice = SHIPPED.stacks[stack]
    shared = {p.name: agreed(p, choice["device"][0], SHIPPED) for p in choice["kernels"]}
    assert all(ROW_MAJOR in layouts for layouts in shared.values())
    assert negotiate(choice, source(), SHIPPED).converted == ()


def products() -> Iterator[Way]:
    """Every way of a convolution and of a matrix product."""
    for graph in (source().graph, to_graph(build("mlp", {}), {})):
        ways = ways_of(graph)
        yield from (w for n in graph.nodes if n.op in PRODUCTS for w in ways[n.id])


@pytest.mark.parametrize("name", SHIPPED.parts["kernels"])
def test_shipped_kernels_take_every_layout_that_they_claim(name: str) -> None:
    part = SHIPPED.parts["kernels"][name]
    claims = claimed(part, SHIPPED)
    taken = {
        layout
        for way in products()
        if way.lies_in(claims) and way.is_taken(part.fact("depth"))
        for layout in way.sides.ins[:1]
    }
    data = {spelled for spelled in claims if not spelled.startswith(WEIGHTS)}
    assert taken == data
