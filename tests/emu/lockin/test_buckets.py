"""``--buckets``: batches run in programs of a few batches that were compiled ahead."""

import json
from functools import partial
from typing import Any

import numpy as np
import pytest

from emu.cli import main
from emu.ir.errors import BadOption
from emu.lockin.buckets import Buckets, as_text
from emu.lockin.catalogue import load_catalogue
from emu.lockin.dimension import BATCH
from emu.lockin.pieces import Rows
from emu.lockin.sizes import run_sizes
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.inputs import random_inputs
from emu.models.reader import to_graph
from emu.models.zoo import build

Capture = pytest.CaptureFixture[str]
KNOWN = load_catalogue()
STATIC = ("run", "mlp", "--stack", "rbln-like")


def graph(batch: int, model: str = "mlp") -> Any:
    return to_graph(build(model, {"batch": batch}), {})


def opened(*sizes: int, stack: str = "rbln-like", model: str = "mlp") -> Buckets:
    bound = partial(graph, model=model)
    laboratory = Laboratory(KNOWN, Source(bound(1), (), ("batch",), bound))
    return Buckets(KNOWN.stacks[stack], laboratory, sizes)


def told(capsys: Capture, *arguments: str) -> list[dict[str, Any]]:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["runs"]


@pytest.mark.parametrize(
    ("batch", "parts", "text"),
    [
        (1, (2,), "2"),
        (2, (2,), "2"),
        (3, (8,), "8"),
        (8, (8,), "8"),
        (9, (8, 2), "8 + 2"),
        (21, (8, 8, 8), "3 x 8"),
        (26, (8, 8, 8, 2), "3 x 8 + 2"),
    ],
)
def test_a_batch_fills_the_largest_and_its_rest_takes_the_smallest_that_holds_it(
    batch: int, parts: tuple[int, ...], text: str
) -> None:
    assert opened(8, 2, 8).parts(batch) == parts
    assert as_text(parts) == text


def test_a_bucket_costs_what_a_run_of_its_batch_costs_however_full_it_is(capsys: Capture) -> None:
    runs = told(capsys, *STATIC, "--batches", "3,8,1,11", "--buckets", "1,8", "--no-values")
    assert [run["buckets"] for run in runs] == [[8], [8], [1], [8, 8]]
    main([*STATIC, "--set", "batch=8", "--no-values", "--json"])
    alone = json.loads(capsys.readouterr().out)["latency_ps"]
    first, full, _, twice = (run["latency_ps"] for run in runs)
    assert (first, full, twice) == (alone, alone, 2 * alone)
    assert all(run["compiles"] == 0 for run in runs)  # compiled ahead


@pytest.mark.parametrize("stack", ["rbln-like", "furiosa-like", "cuda-like", "kunlun-like"])
def test_what_was_padded_or_split_has_the_values_of_the_whole_batch(
    stack: str, capsys: Capture
) -> None:
    run = ("run", "mlp", "--stack", stack, "--batches", "1,5,20", "--buckets", "4,8")
    assert [one["values"] for one in told(capsys, *run)] == [True] * 3


def test_outputs_are_those_of_the_batch_and_of_no_padding() -> None:
    found = opened(4)
    inputs = random_inputs(graph(6), 0)
    ran = found.run(inputs, 6)
    (output,) = ran.outputs.values()
    assert output.shape[0] == 6
    halves = [found.run({n: a[i : i + 3] for n, a in inputs.items()}, 3) for i in (0, 3)]
    for name, whole in ran.outputs.items():
        np.testing.assert_array_equal(whole, np.concatenate([h.outputs[name] for h in halves]))


def test_driver_compiles_portable_code_of_a_bucket_once() -> None:
    found = opened(2, stack="oneapi-like")
    first, again = run_sizes(found, (5, 2))
    assert first.recompiles >= again.recompiles == 0
    assert first.buckets == (2, 2, 2)


def test_calls_and_bytes_of_the_runs_add_up() -> None:
    found = opened(2)
    once, twice = found.run(size=2), found.run(size=4)
    assert once.calls
    assert twice.calls == {p: {f: 2 * n for f, n in c.items()} for p, c in once.calls.items()}
    assert twice.ledger == {cause: 2 * ps for cause, ps in once.ledger.items()}
    assert twice.copied_bytes == {way: 2 * count for way, count in once.copied_bytes.items()}


def test_rows_that_are_several_for_one_of_a_batch_stay_together() -> None:
    rows, fixed = Rows((0, 2)), Rows((0, 0))
    array = np.arange(12).reshape(2, 6)
    padded = rows.padded(rows.cut(array, 1, 0), 1)
    np.testing.assert_array_equal(padded, [[2, 3, 4, 5, 0, 0], [8, 9, 10, 11, 0, 0]])
    np.testing.assert_array_equal(rows.cut(padded, 0, 1), array[:, 2:])
    np.testing.assert_array_equal(rows.joined([array[:, :2], array[:, 2:]]), array)
    for same in (fixed.padded(array, 9), fixed.cut(array, 1, 1), fixed.joined([array, array])):
        np.testing.assert_array_equal(same, array)


def test_a_value_that_does_not_grow_by_whole_rows_is_refused() -> None:
    made = opened(1)
    squared = Source(graph(1), (), ("batch",), lambda batch: graph(batch * batch))
    found = Buckets(made.choice, Laboratory(KNOWN, squared), made.sizes)
    with pytest.raises(BadOption, match="does not grow by whole rows from bucket to bucket"):
        found.run(random_inputs(graph(4), 0), 2)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--batches", "1", "--buckets", "x"), "--buckets x: write whole numbers"),
        (("--batches", "1", "--buckets", ""), "--buckets : write whole numbers"),
        (("--buckets", "1"), "--buckets 1: goes with --batches N,N,... or --lengths N,N,..."),
        (
            ("--batches", "999999999", "--buckets", "1,8"),
            f"a batch of 999,999,999 is over {BATCH.most_parts:,} runs of the largest, 8",
        ),
        (("--batches", "1", "--buckets", "1", "--threads", "2"), "--threads: does not go with"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(
    capsys: Capture, flags: tuple[str, ...], why: str
) -> None:
    assert main([*STATIC, *flags]) == 2
    error = capsys.readouterr().err
    assert (why in error, error.count("\n")) == (True, 1)
