"""Each level of one small graph, as text."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from emu.ir.graph import Graph, Node
from emu.ir.group import Fused
from emu.ir.program import Drop, Keep, Program, Replay
from emu.ir.schedule import Schedule
from emu.ir.text import (
    print_fused,
    print_graph,
    print_program,
    print_schedule,
    print_schedule_tiles,
    print_tile,
)
from emu.ir.text.tile import axis_text
from emu.ir.tile import WHOLE, Axis, Fill, Gather, TileProgram
from emu.ir.types import TensorType

Golden = Callable[[str], None]


def test_a_graph_is_one_function_with_a_line_per_node(graph: Graph, golden: Golden) -> None:
    text = print_graph(graph)
    golden(text)
    assert text.count("source = ") == len(graph.nodes)


def test_groups_are_private_functions_that_main_calls(fused: Fused, golden: Golden) -> None:
    text = print_fused(fused)
    golden(text)
    assert text.count('"private"') == text.count('"func.call"') == len(fused.groups)


def test_a_schedule_says_which_kernel_claimed_each_group(
    schedule: Schedule, golden: Golden
) -> None:
    text = print_schedule(schedule)
    golden(text)
    assert [f'emu.kernel = "{b.kernel}"' in text for b in schedule.bindings] == [True, True]


def test_a_tile_program_prints_its_buffers_and_loops(tiles: TileProgram, golden: Golden) -> None:
    text = print_tile(tiles, "conv_clip")
    golden(text)
    assert text.count('"tile.loop"') == len(tiles.loops)


def test_a_program_prints_a_command_per_line(program: Program, golden: Golden) -> None:
    text = print_program(program)
    golden(text)
    assert text.count('"dev.') == len(program.commands)


def test_values_on_chip_print_their_cores_and_their_room(
    program: Program, tiles: TileProgram
) -> None:
    text = print_program(replace(program, commands=(Keep("z", 16, 64), Drop("z"))))
    assert '"dev.keep"() {value = "z", cores = 16 : i64, size = 64 : i64}' in text
    assert '"dev.drop"() {value = "z"}' in text
    text = print_program(replace(program, commands=(Replay(3, 2),)))
    assert '"dev.replay"() {index = 3 : i64, launches = 2 : i64}' in text
    views = tuple(replace(v, kept_cores=4, own=v.role == "output") for v in tiles.views)
    text = print_tile(replace(tiles, views=views), "conv")
    assert 'role = "input", value = 0 : i64, kept = "any", kept_cores = 4 : i64' in text
    assert 'role = "output", value = 3 : i64, kept = "own", kept_cores = 4 : i64' in text


def test_groups_with_equal_tile_programs_share_one_text(schedule: Schedule) -> None:
    conv = schedule.bindings[0]
    twin = replace(conv, group=replace(conv.group, name="twin"))
    text = print_schedule_tiles(replace(schedule, bindings=(*schedule.bindings, twin)))
    assert text.count('"tile.compute"') == 1
    assert 'tile.groups = ["conv_clip", "twin"]' in text


def test_equal_tile_programs_of_two_kernels_are_printed_under_both_names(
    schedule: Schedule, tiles: TileProgram
) -> None:
    other = replace(tiles, name="vendor.conv")
    assert (other, hash(other)) == (tiles, hash(tiles))
    twin = replace(schedule.bindings[0], program=other)
    text = print_schedule_tiles(replace(schedule, bindings=(*schedule.bindings, twin)))
    assert text.count('tile.kernel = "conv"') == text.count('tile.kernel = "vendor.conv"') == 1


def test_a_gather_reads_a_table_by_an_index_buffer(tiles: TileProgram) -> None:
    steps = (Gather(table=1, index=0, buffer=2, node=3), Fill(2, float("-inf")))
    text = print_tile(replace(tiles, steps=steps), "take")
    assert '"tile.gather"(%v1, %b0, %b2) {node = 3 : i64}' in text
    assert "number = 0xFFF0000000000000 : f64" in text


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        (WHOLE, ":"),
        (Axis(0), "l0"),
        (Axis(1, stride=2, offset=-1, window=3), "l1*2-1 wide 3"),
        (Axis(2, offset=1, divide=4), "(l2+1)/4"),
    ],
)
def test_an_axis_reads_as_the_image_of_its_loop(axis: Axis, text: str) -> None:
    assert axis_text(axis, "l") == text


def test_a_value_with_a_foreign_name_keeps_it_as_an_attribute() -> None:
    node = Node("n", "Relu", ("in/0",), ('o"1',), source=("n",))
    vector = TensorType("f32", (2,))
    types = {"in/0": vector, 'o"1': vector}
    text = print_graph(Graph("g", ("in/0",), ('o"1',), (node,), types, {}).verify())
    assert 'arg_attrs = [{emu.name = "in/0"}]' in text
    assert 'values = ["o\\221"]' in text


def test_a_graph_of_two_hundred_nodes_prints_each_of_them() -> None:
    names = [f"v{i}" for i in range(201)]
    pairs = pairwise(names)
    attrs = {"pads": (1, 1, 1, 1), "strides": (1, 1), "group": 1}
    nodes = tuple(Node(b, "Conv", (a, "v0"), (b,), attrs, (b,)) for a, b in pairs)
    types = dict.fromkeys(names, TensorType("f32", (1, 64, 56, 56)))
    graph = Graph("long", ("v0",), ("v200",), nodes, types, {})
    text = print_graph(graph)
    assert text.count('"emu.Conv"') == 200
