"""Rates follow from the datasheet as exact fractions."""

from fractions import Fraction

import pytest

from emu.devices.datasheet import load_datasheet
from emu.devices.rates import Rates
from emu.ir.errors import NoKernel
from emu.ir.ops import Work


def test_rates_are_figures_of_the_datasheet_per_picosecond() -> None:
    rates = Rates(load_datasheet("systolic"))

    assert rates.clock == Fraction(1, 1000)
    assert rates.dram == Fraction(3, 10)
    assert rates.best_product("f32") == Fraction(32768, 1000)
    assert rates.simple(Work(10, 2)) == 10 + 2 * 16


def test_an_element_type_that_no_unit_computes_in_has_no_kernel() -> None:
    with pytest.raises(NoKernel, match="gpu: no vector unit computes in f8E4M3FN"):
        Rates(load_datasheet("gpu")).vector("f8E4M3FN")


def test_integers_without_a_rate_of_their_own_run_in_the_lanes_of_wider_ones() -> None:
    gpu, npu = Rates(load_datasheet("gpu")), Rates(load_datasheet("npu"))

    assert gpu.vector("i16") == gpu.vector("ui32") == gpu.vector("i32")
    assert npu.vector("ui64") == npu.vector("i64") == npu.vector("i32") / 2
    assert gpu.vector("f64") == gpu.vector("f32") / 2


def test_terms_of_vector_work_sum_to_what_the_lanes_take() -> None:
    rates = Rates(load_datasheet("npu"))
    terms = rates.vector_terms(Work(6400), Fraction(1, 4), 0, "f32", 8, Fraction(1, 2))

    # 6400 lone operations take half of each multiply-add slot, on half of the lanes of half the
    # cores: four times two times two as long as at the peak of 16 cores.
    peak_ps = Fraction(6400) / (rates.vector("f32") * 16)
    assert sum(term.ps for term in terms) == 8 * peak_ps
    shares = {term.cause: term.ps / peak_ps for term in terms}
    assert shares["useful"] == Fraction(3, 4)
    assert shares["recompute"] == Fraction(1, 4)
    assert shares["slower_path"] == 1
    assert shares["padding"] == 2
    assert shares["idle"] == 4
