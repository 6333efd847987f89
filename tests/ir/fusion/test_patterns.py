"""Pattern fusion: each rule finds its own spelling, and no other one."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.fusion import decide
from emu.ir.fusion.patterns import RULES
from emu.ir.group import Fused
from tests.ir.fusion.graph_text import graph_of, groups_of, report

Golden = Callable[[str], None]

SPELLINGS = {
    "conv-batchnorm-relu": "a = Conv i w1\nb = BatchNormalization a w2 w3 w4 w5\nr = Relu b",
    "conv-batchnorm-clip": "a = Conv i w1\nb = BatchNormalization a w2 w3 w4 w5\nr = Clip b",
    "conv-batchnorm": "a = Conv i w1\nr = BatchNormalization a w2 w3 w4 w5",
    "conv-relu": "a = Conv i w1\nr = Relu a",
    "conv-clip": "a = Conv i w1\nr = Clip a",
    "gemm-relu": "a = Gemm i w1\nr = Relu a",
    "layer-norm": """
m = ReduceMean i
c = Sub i m
q = Pow c 2
v = ReduceMean q
e = Add v 1e-5
s = Sqrt e
d = Div c s
k = Mul d w1
r = Add k w2""",
    "erf-gelu": """
a = Div i 1.4142135
b = Erf a
c = Add b 1
d = Mul i c
r = Mul d 0.5""",
    "tanh-gelu": """
a = Pow i 3
b = Mul a 0.044715
c = Add i b
d = Mul c 0.7978845608
e = Tanh d
f = Mul i 0.5
g = Add e 1
r = Mul f g""",
    "matmul-scale": "a = MatMul i w1\nr = Div a 8",
}
# Equal mathematics, or nearly so: a spelling, what is replaced in it, and by what.
BROKEN = (
    ("layer-norm", "q = Pow c 2", "q = Mul c c"),
    ("layer-norm", "e = Add v 1e-5", "e = Add 1e-5 v"),
    ("layer-norm", "e = Add v 1e-5", "e = Add v 0.5"),
    ("layer-norm", "k = Mul d w1", "k = Mul w1 d"),
    ("layer-norm", "d = Div c s", "d = Div i s"),
    ("erf-gelu", "d = Mul i c", "d = Mul c i"),
    ("erf-gelu", "a = Div i 1.4142135", "a = Mul i 0.7071068"),
    ("erf-gelu", "c = Add b 1", "c = Add b 2"),
    ("erf-gelu", "d = Mul i c\nr = Mul d 0.5", "d = Mul i 0.5\nr = Mul d c"),
    ("tanh-gelu", "b = Mul a 0.044715", "b = Mul a 0.0447"),
    ("tanh-gelu", "a = Pow i 3", "h = Mul i i\na = Mul h i"),
    ("matmul-scale", "r = Div a 8", "r = Div a w2"),
    ("matmul-scale", "r = Div a 8", "r = Div 8 a"),
    ("conv-relu", "r = Relu a", "b = Identity a\nr = Relu b"),
    ("conv-relu", "r = Relu a", "b = Relu a\nc = Tanh a\nr = Add b c"),
    ("conv-clip", "r = Clip a", "b = Identity a\nr = Clip b"),
)


def pattern(text: str) -> Fused:
    return decide(graph_of(text), "pattern")


def codes(fused: Fused, ok: bool) -> list[str]:
    return [d.code for d in fused.decisions if d.ok == ok]


def around(name: str, before: str, after: str) -> str:
    """The spelling of a rule between two strangers."""
    return f"i = {before} x\n{SPELLINGS[name]}\nz = {after} r"


def test_every_rule_has_a_spelling_here() -> None:
    assert set(SPELLINGS) == {rule.name for rule in RULES}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(SPELLINGS)),
    st.sampled_from(("Tanh", "Transpose", "Softmax")),
    st.sampled_from(("Tanh", "Transpose", "Softmax")),
)
def test_a_planted_spelling_is_one_group_between_strangers(name: str, one: str, two: str) -> None:
    fused = pattern(around(name, one, two))
    assert codes(fused, ok=True) == [f"pattern:{name}"]
    assert len(fused.groups) == 3


@pytest.mark.parametrize(("name", "old", "new"), BROKEN)
def test_another_spelling_is_not_found(name: str, old: str, new: str) -> None:
    text = around(name, "Tanh", "Tanh")
    assert old in text
    assert f"pattern:{name}" not in codes(pattern(text.replace(old, new)), ok=True)


def test_a_mean_over_another_dimension_is_no_layer_norm() -> None:
    graph = graph_of(SPELLINGS["layer-norm"], axes=(1,))
    assert len(decide(graph, "pattern").groups) == 9


def test_a_near_miss_says_what_it_missed(golden: Golden) -> None:
    text = "a = Conv x w1\nb = Relu a\nc = Tanh a\nd = MatMul b w2\ne = Mul d w3\nf = Add c e"
    golden(report(pattern(text)))


def test_the_longer_of_two_rules_that_begin_alike_wins() -> None:
    assert groups_of(pattern(SPELLINGS["conv-batchnorm-relu"])) == ["a+b+r"]


def test_the_earlier_of_two_overlapping_matches_wins() -> None:
    fused = pattern("a = MatMul x w1\nb = Mul a 1.5\nc = MatMul b w2\nd = Div c 2")
    assert groups_of(fused) == ["a+b", "c+d"]
    assert codes(fused, ok=False) == []


def test_a_value_with_a_second_reader_is_not_fused_away() -> None:
    fused = pattern("a = Conv x w1\nb = Relu a\nc = Tanh a")
    assert groups_of(fused) == ["a", "b", "c"]
    assert codes(fused, ok=False) == ["two-readers"]
