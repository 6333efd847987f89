"""The gap between two runs is an exact sum, whichever way it is split."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.cli import main
from emu.ir.errors import BadOption
from emu.ir.trace import CAUSES, Traffic
from emu.kept import Charges, KeptGroup, KeptModel, KeptRun, keep
from emu.models.model import Model
from emu.pipeline import compile
from emu.stack import Choices, Compiler, Stack
from emu.studies.diff import diff_json
from emu.studies.diff_report import report
from emu.studies.gap import Gap, gap_of
from emu.studies.run_file import write_run
from tests.emu.cases import DEVICES, SCOPES, compiled
from tests.emu.random_models import chains

Call = Callable[..., tuple[int, str, str]]
STACKS = st.fixed_dictionaries(
    {
        "device": st.sampled_from(DEVICES),
        "fusion": st.sampled_from(SCOPES),
        "kernels": st.sampled_from(("reference", "epilogue", "deep")),
    }
)


@pytest.fixture
def emu(capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return call


def group(name: str, charges: Charges, sources: str = "") -> KeptGroup:
    names = tuple(sources or charges)
    return KeptGroup(name, names, names, "k", "native", Traffic(), 0, 0, charges)


def run(*groups: KeptGroup) -> KeptRun:
    sources = tuple(dict.fromkeys(s for g in groups for s in g.sources))
    total = sum(g.ps for g in groups)
    stack = Stack(Compiler((), "none", "first-match"), "deep")
    return KeptRun(KeptModel("m", "m"), stack, total, sources, groups, (), 0, b"", "")


def sums(gap: Gap) -> set[int]:
    """The gap, and every way to add it up."""
    nested = [ps for causes in gap.by_source_and_cause.values() for ps in causes.values()]
    return {
        gap.ps,
        gap.b.latency_ps - gap.a.latency_ps,
        sum(gap.by_cause.values()),
        sum(gap.by_source.values()),
        sum(nested),
        sum(match.ps for match in gap.matches),
        sum(ps for match in gap.matches for ps in match.by_cause.values()),
    }


@settings(max_examples=20, deadline=None)
@given(model=chains(), a=STACKS, b=STACKS)
def test_every_way_to_split_a_gap_sums_to_it(model: Model, a: Choices, b: Choices) -> None:
    gap = gap_of(*(keep(compile(model, **choices).compiled) for choices in (a, b)))

    assert sums(gap) == {gap.ps}
    assert list(gap.by_cause) == list(CAUSES)
    for cause, ps in gap.by_cause.items():
        assert ps == gap.b.ledger[cause] - gap.a.ledger[cause]
        assert ps == sum(gaps.get(cause, 0) for gaps in gap.by_source_and_cause.values())
    for source, ps in gap.by_source.items():
        assert ps == sum(gap.by_source_and_cause[source].values())


@settings(max_examples=20, deadline=None)
@given(model=chains(), a=STACKS, b=STACKS)
def test_every_group_is_in_one_match_and_matches_share_no_node(
    model: Model, a: Choices, b: Choices
) -> None:
    gap = gap_of(*(keep(compile(model, **choices).compiled) for choices in (a, b)))
    sources = [source for match in gap.matches for source in match.sources]

    assert len(sources) == len(set(sources))
    for mine, kept in (([m.a for m in gap.matches], gap.a), ([m.b for m in gap.matches], gap.b)):
        assert sorted(g.name for part in mine for g in part) == sorted(g.name for g in kept.groups)
    for match in gap.matches:
        own = {s for g in (*match.a, *match.b) for s in g.sources}
        assert own == set(match.sources)


def test_the_gap_back_is_the_gap_with_the_other_sign() -> None:
    a, b = (keep(compiled("mlp", device, "vertical").compiled) for device in ("gpu", "npu"))
    there, back = gap_of(a, b), gap_of(b, a)

    assert there.ps == -back.ps
    assert there.by_cause == {cause: -ps for cause, ps in back.by_cause.items()}
    assert gap_of(a, a).ps == 0
    assert not any(gap_of(a, a).by_source_and_cause.values())


def test_groups_that_overlap_through_others_are_matched_together() -> None:
    fused = run(group("f", {"a": {"useful": 5}}, "ab"), group("g", {"c": {"useful": 2}}, "cd"))
    apart = run(
        group("p", {"a": {"useful": 3}}),
        group("q", {"b": {"launch": 4}}, "bc"),
        group("r", {"d": {"useful": 2}}),
        group("s", {"e": {"host": 1}}),
    )
    first, second = gap_of(fused, apart).matches

    assert set(first.sources) == set("abcd")
    assert [g.name for g in first.a] == ["f", "g"]
    assert [g.name for g in first.b] == ["p", "q", "r"]
    assert (first.a_ps, first.b_ps, first.ps) == (7, 9, 2)
    assert (second.sources, second.a, second.ps) == (("e",), (), 1)


def test_a_node_that_only_one_side_has_counts_in_full() -> None:
    gap = gap_of(
        run(group("f", {"a": {"useful": 5}})), run(group("f", {"a": {}, "b": {"host": 3}}))
    )

    assert gap.by_source == {"a": -5, "b": 3}
    assert gap.by_source_and_cause == {"a": {"useful": -5}, "b": {"host": 3}}


def test_models_without_a_common_node_are_refused() -> None:
    with pytest.raises(BadOption, match="share no node by name"):
        gap_of(run(group("f", {"a": {}})), run(group("g", {"b": {}})))


def test_the_json_has_the_keys_of_its_schema_and_exact_sums() -> None:
    a, b = (keep(compiled("bert_layer", "gpu", scope).compiled) for scope in ("none", "vertical"))
    found = json.loads(json.dumps(diff_json(gap_of(a, b))))

    assert found["schema"] == "emu.diff/1"
    assert found["gap_ps"] == found["b_ps"] - found["a_ps"] < 0
    assert sum(found["by_cause"].values()) == found["gap_ps"]
    assert sum(found["by_source"].values()) == found["gap_ps"]
    nested = found["by_source_and_cause"]
    assert sum(sum(causes.values()) for causes in nested.values()) == found["gap_ps"]
    assert sum(match["gap_ps"] for match in found["groups"]) == found["gap_ps"]
    assert {len(match["b"]) for match in found["groups"]} == {1}


def test_the_report_fits_80_columns_and_says_what_changed() -> None:
    a, b = (keep(compiled("bert_layer", "gpu", scope).compiled) for scope in ("none", "vertical"))
    text = report(gap_of(a, b))

    assert max(map(len, text.splitlines())) <= 80
    assert "scope none -> vertical" in " ".join(text.split())
    for word in ("| launch", "| sum", "others", "-> 1", "mostly", "1 x deep.product+epilogue"):
        assert word in text


def test_sides_are_flags_or_files_and_one_may_name_the_model_for_both(
    emu: Call, tmp_path: Path
) -> None:
    path = str(tmp_path / "a.emurun")
    shape = ["mlp", "--set", "batch=3", "-d", "npu"]
    assert emu("run", *shape, "--no-values", "-o", path)[0] == 0

    ways = (
        ["mlp --set batch=3 -d npu", "-d gpu"],
        ["-d npu", "mlp batch=3 --device gpu"],
        ["-d npu --set batch=3", "--device=gpu --set batch=3", "--model", "mlp"],
        [path, "--device gpu"],
        [path, "mlp -d gpu --set batch=3"],
    )
    found = [emu("diff", *way, "--json") for way in ways]

    assert {(code, error) for code, _, error in found} == {(0, "")}
    assert len({json.loads(out)["gap_ps"] for _, out, _ in found}) == 1
    assert emu("diff", *ways[0])[1].startswith("A: mlp on npu")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fusion none", "--fusion vertical"], "neither side names a model"),
        (["mlp", "conv_block"], "share no node by name"),
        (["mlp", "--fusion nune"], "did you mean 'none'"),
        (["mlp", "--fussion none"], "'--fussion none': No such option"),
        (["mlp", "gone.emurun"], "gone.emurun: there is no such file"),
        (["mlp", "'"], "No closing quotation"),
        (["nlp", "mlp"], "did you mean 'mlp'"),
        (["mlp"], "Missing argument"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    words: list[str], message: str, emu: Call
) -> None:
    code, out, error = emu("diff", *words)

    assert (code, out, error.count("\n")) == (2, "", 1)
    assert message in error


def test_a_run_kept_by_another_model_of_the_same_names_can_be_compared(tmp_path: Path) -> None:
    small, large = (compile("mlp", settings={"batch": n}).compiled for n in (1, 64))
    write_run(tmp_path / "a.emurun", keep(small))
    gap = gap_of(keep(small), keep(large))

    assert gap.ps > 0
    assert sums(gap) == {gap.ps}
