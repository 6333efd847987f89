"""Scores by hand: medians, percentiles, pairs in order, ranks."""

import pytest

from emu.validation.cases import Case
from emu.validation.price import Prediction
from emu.validation.score import Scored, pairs_right, percentile, rank_correlation, summaries

US = 10**6


def scored(measured: float, predicted: float, source: str = "a", never: str = "") -> Scored:
    case = Case("op", "chip", "", source, measured_ps=measured * US, step_ps=US, never=never)
    return Scored(case, Prediction(predicted * US))


def test_pairs_of_one_source_that_are_far_enough_apart_count() -> None:
    rows = [scored(10, 12), scored(20, 18), scored(100, 18)]
    assert pairs_right(rows) == pytest.approx(2 / 3)  # the last two are predicted to be equal
    assert pairs_right([scored(10, 12), scored(10.4, 5)]) is None  # within 5 %
    assert pairs_right([scored(2, 5), scored(2.9, 3)]) is None  # within a step of the timer
    assert pairs_right([scored(10, 5), scored(20, 3, "b")]) is None  # two sources


def test_ranks_share_the_middle_of_equal_places() -> None:
    assert rank_correlation([scored(1, 1), scored(2, 5), scored(3, 9)]) == pytest.approx(1.0)
    assert rank_correlation([scored(1, 9), scored(2, 5), scored(3, 1)]) == pytest.approx(-1.0)
    assert rank_correlation([scored(1, 5), scored(2, 5)]) is None
    assert rank_correlation([scored(1, 5)]) is None


def test_the_percentile_is_the_smallest_figure_that_is_enough() -> None:
    assert percentile([0.1, 0.2], 0.9) == 0.2
    assert percentile([k / 10 for k in range(1, 11)], 0.9) == 0.9


def test_a_summary_counts_only_conditioned_rows() -> None:
    rows = [scored(10, 11), scored(10, 8, never="no measurement")]
    device, everything = summaries(rows)
    assert (device.n, device.n_not_priced, device.n_unconditioned) == (1, 1, 0)
    assert device.median_abs_error == pytest.approx(0.1)
    assert everything.device == "all"
