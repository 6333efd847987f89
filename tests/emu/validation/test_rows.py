"""Rows of measurements: read by their columns, and refused with file, line and column."""

from pathlib import Path

import pytest

from emu.devices.datasheet import device_names
from emu.ir.errors import BadValues, UnknownName
from emu.validation.cases import cases_of
from emu.validation.rows import package_rows, read_rows
from emu.validation.workloads import Workload, op_graph

HEAD = "op,dtype,shape,device,time_us,method,source\n"
GEMM = "device,dtype,M,N,K,library,time_us_derived,source\n"
OP = "op,dtype,shape,device,time_us,method,source,stack\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    return path


def test_the_rows_of_the_package_are_of_five_sets_and_each_has_a_source() -> None:
    rows = package_rows()
    counts = {name: sum(row.set == name for row in rows) for name in {row.set for row in rows}}
    assert counts == {"gemm": 33, "op": 231, "model": 200, "tpu_v1": 3, "cycles": 54}
    assert all(len(row["source"]) > 10 for row in rows)


def test_what_is_no_measurement_is_not_priced_and_says_why() -> None:
    cases = cases_of(package_rows(), device_names())
    why = {case.never for case in cases if case.status == "not_priced"}
    assert {
        "a constant that was fitted, no measurement",
        "a sum of other rows",
        "a collective over several chips",
        "a second measurement of the same thing",
        "its throughput and its latency contradict each other",
    } <= why
    assert all(case.open for case in cases if case.status == "unconditioned")


def test_a_row_of_an_unnamed_card_does_not_count() -> None:
    (case,) = cases_of([row for row in package_rows() if row.set == "gemm"][:1], device_names())
    assert case.status == "unconditioned"
    assert case.open == "the page does not name the card"


def test_other_rows_name_a_chip_and_a_stack_of_the_table(tmp_path: Path) -> None:
    line = "softmax,fp16,M=64 N=128,h100_sxm,5.0,mine,my own bench,profiled\n"
    (case,) = cases_of(read_rows(written(tmp_path, OP + line)), device_names())
    assert (case.chip, case.status, case.workload) == (
        "h100_sxm",
        "conditioned",
        ("softmax", (64, 128)),
    )


@pytest.mark.parametrize(
    ("op", "shape", "workload"),
    [
        ("conv", "B=1 C=3 O=64 H=224 K=7 S=2", ("conv", (1, 3, 64, 224, 7, 2))),
        ("attention", "B=8 H=16 S=384 D=64", ("attention", (8, 16, 384, 64))),
        ("batched matmul", "B=96 M=2048 N=128 K=64", ("batched_matmul", (96, 2048, 128, 64))),
        ("relu", "N=1024", ("relu", (1024,))),
    ],
)
def test_a_kernel_in_a_graph_is_priced_by_the_sizes_of_its_row(
    op: str, shape: str, workload: Workload, tmp_path: Path
) -> None:
    methods = ('"graph of kernels, operands in turn"', '"graph of kernels, same operands"')
    lines = [f"{op},fp16,{shape},h100_sxm,5.0,{method},my own bench\n" for method in methods]
    cold, warm = cases_of(read_rows(written(tmp_path, HEAD + "".join(lines))), device_names())
    assert (cold.status, cold.workload) == ("conditioned", workload)
    assert "every launch of emu finds empty" in warm.never


def test_a_convolution_of_a_row_runs_on_the_matrix_unit_and_makes_what_torch_makes() -> None:
    """32 images of 28 x 28: 7.4 GFLOP, which the lanes of an H100 take 55 us for."""
    graph = op_graph(("conv", (32, 128, 128, 28, 3, 1)), "fp16")
    assert {t.layout for t in graph.types.values()} == {"nhwc"}
    assert graph.types[graph.outputs[0]].dims == (32, 128, 28, 28)
    assert op_graph(("conv", (1, 3, 64, 224, 7, 2)), "fp32").types["y"].dims == (1, 64, 112, 112)


def test_rows_of_a_device_without_a_datasheet_are_not_priced(tmp_path: Path) -> None:
    rows = read_rows(written(tmp_path, f"{GEMM}my card,fp16,64,64,64,cuBLAS,5,bench\n"))
    (case,) = cases_of(rows, device_names())
    assert case.never == "the device has no datasheet"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "without column"),
        (f"{GEMM}A100,fp16,64,64\n", "mine.csv:2: has not as many cells"),
        (f"{GEMM}A100,fp16,x,64,64,cuBLAS,5,bench\n", "mine.csv:2: M: must be a number over 0"),
        (f"{GEMM}A100,fp16,1.5,64,64,cuBLAS,5,bench\n", "M: must be a whole number"),
        (f"{GEMM}A100,fp16,64,64,64,cuBLAS,-5,bench\n", "time_us_derived: must be a number over 0"),
        (f"{OP}frobnicate,fp16,M=2,A100,1,vidur profiler,b,\n", "'frobnicate' with shape 'M=2'"),
        (f"{OP}foo,fp16,Llama-2-7B T=1,A100,1,vidur profiler,b,\n", "no op of a layer of Llama"),
        (f"{OP}foo,fp16,GPT-3 prefill b=8 s=16,A100,1,vidur,b,profiled\n", "of a layer of GPT-3"),
        (f"{OP}foo,fp16,GPT-3 layer,A100,1,vidur,b,profiled\n", "has no prefill or decode"),
    ],
)
def test_a_cell_that_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(BadValues) as refused:
        cases_of(read_rows(written(tmp_path, text)), device_names())
    assert said in str(refused.value)


def test_a_file_that_is_not_there_and_a_stack_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadValues, match="cannot be read as CSV"):
        read_rows(tmp_path / "none.csv")
    line = f"{OP}softmax,fp16,M=64 N=128,A100,5,mine,bench,profild\n"
    with pytest.raises(UnknownName, match="did you mean 'profiled'"):
        cases_of(read_rows(written(tmp_path, line)), device_names())
