"""Tile rules: what a tile of an output needs of each input."""

from math import inf

import pytest

from emu.ir.body import Body
from emu.ir.graph import Attr
from emu.ir.ops import OPS
from emu.ir.tile import WHOLE, Axes, Axis
from emu.ir.tile_rule import TileRule
from emu.ir.tiling import RULES, broadcast_axes, factors, tile_rule
from tests.tiles import Sketch

Shape = tuple[int, ...]


def rule_of(op: str, *shapes: Shape, **attrs: Attr) -> TileRule:
    s = Sketch()
    s.op(op, *(s.input(*shape) for shape in shapes), **attrs)
    body: Body = s.body()
    return tile_rule(body, body.nodes[0])


A0, A1, A2, A3 = (Axis(d) for d in range(4))


@pytest.mark.parametrize(
    ("rule", "ins"),
    [
        (rule_of("Add", (2, 3), (3,)), ((A0, A1), (A1,))),
        (rule_of("Add", (2, 3), (2, 1)), ((A0, A1), (A0, WHOLE))),
        (rule_of("BiasAdd", (2, 3, 4), (3,)), ((A0, A1, A2), (A1,))),
        (rule_of("MatMul", (2, 4, 5), (5, 6)), ((A0, A1, WHOLE), (WHOLE, A2))),
        (rule_of("MatMul", (1, 4, 5), (2, 5, 6)), ((WHOLE, A1, WHOLE), (A0, WHOLE, A2))),
        (rule_of("Gemm", (5, 4), (6, 5), transA=1, transB=1), ((WHOLE, A0), (A1, WHOLE))),
        (rule_of("Transpose", (2, 3, 4), perm=(2, 0, 1)), ((A1, A2, A0),)),
        (rule_of("ReduceSum", (2, 3, 4), axes=(1,), keepdims=0), ((A0, WHOLE, A1),)),
        (rule_of("ReduceSum", (2, 3), axes=()), ((WHOLE, WHOLE),)),
        (rule_of("GlobalAveragePool", (2, 3, 4, 4)), ((A0, A1, WHOLE, WHOLE),)),
        (rule_of("Expand", (2, 1), shape=(2, 5)), ((A0, WHOLE),)),
        (rule_of("Slice", (9,), starts=(2,), ends=(9,), steps=(3,)), ((Axis(0, 3, 2),),)),
        (rule_of("Pad", (9,), pads=(2, 3)), ((Axis(0, 1, -2),),)),
        (rule_of("Resize", (4, 5), scales=(1.0, 3.0)), ((A0, Axis(1, divide=3)),)),
        (rule_of("Reshape", (2, 12), shape=(2, 3, 4)), ((A0, Axis(1, 4, 0, 4)),)),
        (rule_of("Reshape", (2, 3, 4), shape=(2, 12)), ((A0, Axis(1, divide=4), WHOLE),)),
        (rule_of("Unsqueeze", (2, 3), axes=(0,)), ((A1, A2),)),
    ],
)
def test_an_input_follows_the_output_dimension_that_it_becomes(
    rule: TileRule, ins: tuple[Axes, ...]
) -> None:
    assert rule.ins == ins


def test_a_conv_reads_a_window_around_each_output_and_pads_no_more_itself() -> None:
    rule = rule_of(
        "Conv", (1, 4, 9, 9), (6, 4, 3, 3), strides=(2, 1), pads=(1, 2, 1, 2), dilations=(1, 2)
    )
    assert rule.ins[0] == (A0, WHOLE, Axis(2, 2, -1, 3), Axis(3, 1, -2, 5))
    assert dict(rule.attrs)["pads"] == (0, 0, 0, 0)
    assert rule.reduced == ((0, 1), (1, 1))


def test_a_conv_of_single_elements_takes_only_those_that_its_stride_meets() -> None:
    rule = rule_of("Conv", (1, 4, 9, 9), (6, 4, 1, 1), strides=(2, 2))
    assert rule.ins[0] == (A0, WHOLE, Axis(2, 2), Axis(3, 2))
    assert dict(rule.attrs)["strides"] == (1, 1)


def test_a_depthwise_conv_is_cut_by_channels_and_a_grouped_one_is_not() -> None:
    depthwise = rule_of("Conv", (1, 6, 9, 9), (6, 1, 3, 3), group=6)
    grouped = rule_of("Conv", (1, 6, 9, 9), (8, 3, 3, 3), group=2)
    assert depthwise.ins[0] is not None
    assert depthwise.ins[0][1] == A1
    assert not depthwise.whole
    assert grouped.whole == {1}


def test_padding_never_wins_a_max_pool() -> None:
    assert rule_of("MaxPool", (1, 2, 8, 8), kernel_shape=(3, 3), pads=(1,) * 4).fill == -inf


def test_an_average_whose_divisor_depends_on_the_place_is_cut_by_channels_only() -> None:
    rule = rule_of("AveragePool", (1, 2, 8, 8), kernel_shape=(3, 3), pads=(1,) * 4)
    assert rule.whole == {2, 3}


def test_a_transposed_conv_is_cut_where_its_windows_do_not_overlap() -> None:
    apart = rule_of("ConvTranspose", (1, 3, 4, 4), (3, 2, 2, 2), strides=(2, 2))
    overlapping = rule_of("ConvTranspose", (1, 3, 4, 4), (3, 2, 3, 3), strides=(2, 2))
    assert apart.ins[0] == (A0, WHOLE, Axis(2, divide=2), Axis(3, divide=2))
    assert overlapping.whole == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "rule",
    [
        rule_of("Slice", (9, 2), starts=(8,), ends=(-99,), axes=(0,), steps=(-1,)),
        rule_of("Pad", (9, 2), pads=(1, 0, 1, 0), mode="reflect"),
        rule_of("Pad", (9, 2), pads=(-1, 0, 1, 0)),
        rule_of("Resize", (4, 4), scales=(2.0, 2.0), mode="linear"),
        rule_of("Resize", (4, 4), scales=(1.0, 1.5)),
        rule_of(
            "Resize", (4, 4), scales=(1.0, 2.0), coordinate_transformation_mode="align_corners"
        ),
    ],
)
def test_an_op_without_a_rule_for_its_attributes_is_computed_whole(rule: TileRule) -> None:
    assert rule.whole == {0, 1}


@pytest.mark.parametrize(("op", "axis", "whole"), [("Softmax", 1, {1}), ("Softmax", -1, {2})])
def test_rows_that_are_normalised_stay_whole(op: str, axis: int, whole: set[int]) -> None:
    assert rule_of(op, (2, 3, 4), axis=axis).whole == whole


def test_a_layer_norm_keeps_all_dimensions_from_its_axis_on_whole() -> None:
    assert rule_of("LayerNormalization", (2, 3, 4), (3, 4), axis=1).whole == {1, 2}


def test_shapes_fall_into_the_shortest_runs_of_equal_product() -> None:
    assert factors((2, 12, 5), (2, 3, 4, 5)) == [
        ([(0, 2)], [(0, 2)]),
        ([(1, 12)], [(1, 3), (2, 4)]),
        ([(2, 5)], [(3, 5)]),
    ]


def test_stretched_dimensions_are_read_whole() -> None:
    assert broadcast_axes((1, 4), (2, 3, 4)) == (WHOLE, A2)


def test_every_rule_is_that_of_an_op_of_the_table() -> None:
    assert RULES.keys() <= OPS.keys()
