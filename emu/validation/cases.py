"""Rows as cases: what emu prices for a row, what was measured, and why it may not count."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from emu.validation.rows import Row
from emu.validation.stacks import RowStack, card_of, conditions, stack_of
from emu.validation.workloads import OPS, Workload

US = 10**6  # picoseconds
# Two columns of one row that differ by more contradict each other.
MOST_CONTRADICTION = 0.2
# Steps of the timers, in microseconds: events of CUDA, the profiler, the clock of the host.
STEPS = {"gemm": 1.024, "op": 1.0, "model": 10.0}
SHARDS = 4  # of GPT-3's layer in the rows: TP=4
GPT3 = (12288, 96 // SHARDS, 128)  # hidden size, heads of one chip, size of a head
LLAMA = {"attn_pre_proj": (12288, 4096), "attn_post_proj": (4096, 4096)} | {
    "mlp_up_proj": (22016, 4096),
    "mlp_down_proj": (4096, 11008),
}
LLAMA_ROWS = {"input_layernorm": ("rmsnorm", 4096), "attn_rope": ("rope", 4096)} | {
    "mlp_act": ("silu_mul", 11008),
    "emb": ("embedding", 4096),
    "add": ("add", 4096),
}


TPU_V1_SIDE = 256  # rows and columns of the array (Jouppi 2017)
GATES = 4  # of an LSTM cell, a product each: input, forget, output and the new state
# Performance counters of the paper, by the columns that have them, in percent of all cycles.
COUNTER_COLUMNS = {
    "array active": "array_active_pct",
    "weight stall": "weight_stall_pct",
    "weight shift": "weight_shift_pct",
    "non-matrix": "non_matrix_pct",
}
# Sizes of ops in the order of a workload's shape: batch, then rows, columns and depth for most.
SIZES = {"conv": "BCOHKS", "attention": "BHSD"}
PRODUCTS = ("matmul", "batched_matmul")  # rows of these count as GEMM, whatever file has them


@dataclass(frozen=True, slots=True)
class Case:
    """A row to price: ``times`` runs of ``workload`` in ``dtype`` on ``chip`` with ``stack``.

    ``what`` names it, ``measured_ps`` is what the row says, ``step_ps`` the step of its timer.
    ``never`` says why it is not priced, ``open`` which condition of it nothing else states.
    ``counters`` are measured shares of the time by name, in percent.
    """

    set: str
    device: str
    what: str
    source: str
    timed: str = ""
    measured_ps: float = 0.0
    step_ps: float = 0.0
    workload: Workload | None = None
    times: int = 1
    dtype: str = "fp32"
    chip: str = ""
    stack: RowStack | None = None
    never: str = ""
    open: str = ""
    counters: tuple[tuple[str, float], ...] = ()

    @property
    def status(self) -> str:
        """Whether it counts: conditioned, unconditioned or not_priced."""
        if self.never:
            return "not_priced"
        return "unconditioned" if self.open else "conditioned"

    @property
    def called_us(self) -> float:
        """What the call around the kernels takes, in microseconds."""
        return conditions()[self.stack.call].us if self.stack and self.stack.call else 0.0


def cases_of(rows: Iterable[Row], chips: tuple[str, ...]) -> tuple[Case, ...]:
    """The cases of rows; a second measurement of the same thing is not priced."""
    seen: dict[tuple[str, str, str, str], int] = {}
    found: list[Case] = []
    for row in rows:
        case = case_of(row, chips)
        key = (case.set, case.device, case.what, case.source)
        if key in seen and not case.never:
            case = replace(case, never="a second measurement of the same thing")
        seen.setdefault(key, row.line)
        found.append(case)
    return tuple(found)


def case_of(row: Row, chips: tuple[str, ...]) -> Case:
    """The case of one row; raises BadValues for a figure or text that is none."""
    return READERS[row.set](row, chips)


def _gemm(row: Row, chips: tuple[str, ...]) -> Case:
    shape = (row.count("M"), row.count("N"), row.count("K"))
    case = _placed(row, "matmul M={} N={} K={} {}".format(*shape, row["dtype"]), chips)
    return replace(
        case,
        measured_ps=row.number("time_us_derived") * US,
        workload=("matmul", shape),
        dtype=row["dtype"],
    )


def _op(row: Row, chips: tuple[str, ...]) -> Case:
    case = _placed(row, f"{row['op']} {row['shape']} {row['dtype']}".strip(), chips)
    if case.never:
        return case
    times, workload = op_workload(row)
    return replace(
        case,
        set="gemm" if workload[0] in PRODUCTS else "op",
        measured_ps=row.number("time_us") * US,
        workload=workload,
        times=times,
        dtype=row["dtype"],
    )


def _model(row: Row, chips: tuple[str, ...]) -> Case:
    what = f"{row['model']} {row['seq_or_res']} batch {row['batch']}, {row['stack']}"
    case = _placed(row, what, chips)
    name = row["model"].lower().replace("-", "_").replace("resnet_50", "resnet50")
    batch, measured = row.count("batch"), row.number("latency_avg_ms") * 1000 * US
    by_rate = batch / row.number("throughput_per_s") * 1000_000 * US
    if abs(by_rate / measured - 1) > MOST_CONTRADICTION and not case.never:
        case = replace(case, never="its throughput and its latency contradict each other")
    shape = (batch,) if name == "resnet50" else (batch, int(row["seq_or_res"]))
    dtype = case.stack.dtype if case.stack else ""
    return replace(case, measured_ps=measured, workload=(name, shape), dtype=dtype)


def _placed(row: Row, what: str, chips: tuple[str, ...]) -> Case:
    """A case with the chip and the stack of its row, or why it has none."""
    card, stack = card_of(row["device"], chips), stack_of(row)
    case = Case(row.set, row["device"], what, row["source"], step_ps=STEPS[row.set] * US)
    if stack is None:
        return replace(case, never="no stack of the table has such a text")
    case = replace(case, stack=stack, timed=stack.says, never=stack.never, open=stack.open)
    if card is None:
        return replace(case, never=case.never or "the device has no datasheet")
    return replace(case, chip=card.chip, open=case.open or card.open)


def _cycles(row: Row, chips: tuple[str, ...]) -> Case:
    del chips
    what = f"cycles of {row['layer']} M={row['M']} N={row['N']} K={row['K']}"
    never = "a column of another simulator: the array models equal it exactly, in a test"
    return Case(row.set, "128 x 128 array", what, row["source"], never=never)


def _tpu_v1(row: Row, chips: tuple[str, ...]) -> Case:
    """An app as a stand-in: equal layers of the published number, weights and reuse.

    Fully connected layers with layers of vectors between are the gates of LSTM cells. Layers are
    rounded to whole tiles of the array, since the paper's share of useful products is that of the
    active array: no tile is partly used. The rate of the paper gives their time.
    """
    del chips
    weights, reuse = row.number("weights_M") * 10**6, row.number("ops_per_weight_byte")
    rate, columns = row.number("TOPS_measured_of_92"), COUNTER_COLUMNS.items()
    shares = ((name, row.percent(column)) for name, column in columns)
    case = Case(
        *(row.set, "TPU v1", f"{row['app']}, batch {row['batch']}", row["source"]),
        timed="the device's time, from its TOPS",
        dtype="int8",
        chip="tpu_v1",
        stack=RowStack("tpu_v1", "tpu_v1", timed="run", kernels="vendor", residency="on"),
        counters=tuple((name, share) for name, share in shares if share is not None),
    )
    layers = re.match(r"(\d+) (FC|conv)(?: \+ \d+ (vector))?", row["layers"])
    if layers is None:
        return replace(case, never="its layers are neither FC nor conv")
    count, batch = int(layers[1]), row.count("batch")
    if layers[3]:
        return _lstm(case, count, weights, batch, rate)
    if layers[2] == "FC":
        width = _whole_tiles((weights / count) ** 0.5)
        # The operations of the paper are multiply-adds; 10^12 in a second are one in a ps.
        ps = 2 * count * width**2 * batch / rate
        return replace(case, measured_ps=ps, workload=("fc_chain", (count, width, batch)))
    channels, side = _whole_tiles((weights / count / 9) ** 0.5), round((reuse / batch) ** 0.5)
    ps = 2 * count * 9 * channels**2 * side**2 * batch / rate
    return replace(case, measured_ps=ps, workload=("conv_chain", (count, channels, batch, side)))


def _lstm(case: Case, count: int, weights: float, batch: int, rate: float) -> Case:
    """Cells of four gates [2 width, width]: each reads the cell below and its own last output."""
    if count % GATES:
        return replace(case, never=f"its {count} layers are not the {GATES} gates of LSTM cells")
    width = _whole_tiles((weights / count / 2) ** 0.5)
    ps = 2 * count * 2 * width**2 * batch / rate
    return replace(case, measured_ps=ps, workload=("lstm_chain", (count // GATES, width, batch)))


def _whole_tiles(size: float) -> int:
    """The multiple of the array's side that is nearest to a size, one at least."""
    return TPU_V1_SIDE * max(1, round(size / TPU_V1_SIDE))


def op_workload(row: Row) -> tuple[int, Workload]:
    """How often which workload is the op of a row; raises BadValues for none that is known."""
    sizes = {k: int(v) for k, v in re.findall(r"\b([A-Za-z]+)=(\d+)", row["shape"])}
    op = row["op"].replace(" ", "_")
    if "GPT-3" in row["shape"]:
        return _gpt3(row)
    if "Llama" in row["shape"]:
        return 1, _llama(row, sizes.get("T", 0))
    if op not in OPS or not sizes:
        said = f"'{row['op']}' with shape '{row['shape']}'"
        raise row.error("op", f"{said} is none of {', '.join(OPS)}")
    return 1, (op, tuple(sizes[name] for name in SIZES.get(op, "BMNK") if name in sizes))


def _llama(row: Row, tokens: int) -> Workload:
    """An op of a layer of Llama-2-7B on one chip (Touvron et al. 2023) for ``tokens``."""
    if row["op"] in LLAMA:
        return "matmul", (tokens, *LLAMA[row["op"]])
    if row["op"] not in LLAMA_ROWS:
        raise row.error("op", f"'{row['op']}' is no op of a layer of Llama")
    name, columns = LLAMA_ROWS[row["op"]]
    return name, (tokens, columns)


def _gpt3(row: Row) -> tuple[int, Workload]:
    """An op of a layer of GPT-3, a quarter of it on each of four chips (Brown et al. 2020)."""
    found = re.search(r"(prefill|decode) b=(\d+) (?:s=|context )(\d+)", row["shape"])
    if found is None:
        raise row.error("shape", f"'{row['shape']}' has no prefill or decode, batch and length")
    batch, length = int(found[2]), int(found[3])
    fresh = length if found[1] == "prefill" else 1  # tokens of each sequence that are new
    known = gpt3_ops(batch, fresh, length)
    if row["op"] not in known:
        raise row.error("op", f"'{row['op']}' is no op of a layer of GPT-3")
    return known[row["op"]]


def gpt3_ops(batch: int, fresh: int, length: int) -> dict[str, tuple[int, Workload]]:
    """Every op of the layer for ``fresh`` new tokens of each of ``batch`` sequences."""
    hidden, heads, size = GPT3
    tokens, pairs, inner = batch * fresh, batch * heads, 4 * hidden // SHARDS
    return {
        "Q_K_V(3 matmuls)": (3, ("matmul", (tokens, heads * size, hidden))),
        "Q_mul_K": (1, ("batched_matmul", (pairs, fresh, length, size))),
        "A_mul_V": (1, ("batched_matmul", (pairs, fresh, size, length))),
        "Wo_proj": (1, ("matmul", (tokens, hidden, heads * size))),
        "W1_proj": (1, ("matmul", (tokens, inner, hidden))),
        "W2_proj": (1, ("matmul", (tokens, hidden, inner))),
        "Softmax": (1, ("softmax", (pairs * fresh, length))),
        "LayerNorm_MHA": (1, ("layernorm", (tokens, hidden))),
        "LayerNorm_FFN": (1, ("layernorm", (tokens, hidden))),
        "GeLU": (1, ("gelu", (tokens * inner,))),
    }


READERS: Mapping[str, Callable[[Row, tuple[str, ...]], Case]] = {
    "gemm": _gemm,
    "op": _op,
    "model": _model,
    "tpu_v1": _tpu_v1,
    "cycles": _cycles,
}
