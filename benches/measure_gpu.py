"""Measure a real GPU with PyTorch: rows and facts to hold emu's cost model to.

Needs torch, cupy and nvidia-ml-py on a machine with a GPU; none is a dependency of emu.

    python benches/measure_gpu.py OUT_FOLDER

writes ``facts.csv`` (power, energy and rates of single resources), ``op.csv`` and ``model.csv`` (in
the columns of emu/validation/rows). Kernel time is that of CUDA events around calls that follow
each other; wall clock is that of one call with synchronisation, the median of many.
"""

import csv
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cupy
import pynvml
import torch
from torch.nn import functional

DEVICE = torch.cuda.get_device_name(0)
HALF = torch.float16
SECONDS = 1.5  # of each measurement of power
FACTS: list[tuple[str, float, str]] = []
OPS: list[dict[str, object]] = []
MODELS: list[dict[str, object]] = []

SPIN = """
extern "C" __global__ void spin(long long cycles) {
  long long end = clock64() + cycles;
  while (clock64() < end) {}
}
extern "C" __global__ void multiply_add(float* out, int n) {
  float a[8]; float x = threadIdx.x * 1e-3f + 0.5f, y = 0.25f;
  for (int i = 0; i < 8; ++i) a[i] = i + x;
  for (int k = 0; k < n; ++k)
    for (int i = 0; i < 8; ++i) a[i] = fmaf(a[i], x, y);
  float s = 0; for (int i = 0; i < 8; ++i) s += a[i];
  if (s == 12345.678f) out[0] = s;
}
extern "C" __global__ void ex2(float* out, int n) {
  float a[8]; float x = threadIdx.x * 1e-4f;
  for (int i = 0; i < 8; ++i) a[i] = -x - i * 0.01f;
  for (int k = 0; k < n; ++k)
    for (int i = 0; i < 8; ++i) a[i] = __expf(-a[i]);
  float s = 0; for (int i = 0; i < 8; ++i) s += a[i];
  if (s == 12345.678f) out[0] = s;
}
extern "C" __global__ void from_shared(float* out, int n) {
  __shared__ float4 bank[1024];
  float4 s = make_float4(0, 0, 0, 0);
  for (int i = threadIdx.x; i < 1024; i += blockDim.x)
    bank[i] = make_float4(i * .7f, i * .3f, i, 1.f);
  __syncthreads();
  for (int k = 0; k < n; ++k) {
    float4 v = bank[(threadIdx.x + k * 32) & 1023];
    s.x += v.x; s.y += v.y; s.z += v.z; s.w += v.w;
  }
  if (s.x + s.y + s.z + s.w == 12345.678f) out[0] = s.x;
}
"""


def energy_j() -> float:
    """Joules that the board has drawn so far."""
    return pynvml.nvmlDeviceGetTotalEnergyConsumption(HANDLE) / 1e3


def under_load(work: Callable[[], Any], seconds: float = SECONDS) -> tuple[float, float, float]:
    """Seconds a call, mean watts and MHz of the multiprocessors while ``work`` is repeated."""
    work()
    torch.cuda.synchronize()
    until = time.perf_counter() + 0.5  # let clock and temperature settle
    while time.perf_counter() < until:
        work()
        torch.cuda.synchronize()
    calls, clocks, began, start = 0, [], energy_j(), time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(4):
            work()
        calls += 4
        clocks.append(pynvml.nvmlDeviceGetClockInfo(HANDLE, pynvml.NVML_CLOCK_SM))
        torch.cuda.synchronize()
    spent = time.perf_counter() - start
    return spent / calls, (energy_j() - began) / spent, statistics.mean(clocks)


def fact(what: str, value: float, unit: str) -> None:
    """Keep and print a fact."""
    FACTS.append((what, value, unit))
    print(f"{what}: {value:.6g} {unit}", flush=True)


def power(what: str, work: Callable[[], Any], amount: float, unit: str) -> None:
    """Keep the rate, the watts and the clock of a load that does ``amount`` a call."""
    seconds, watts, mhz = under_load(work)
    fact(f"{what} rate", amount / seconds, f"{unit}/s")
    fact(f"{what} power", watts, "W")
    fact(f"{what} clock", mhz, "MHz")


def powers() -> None:
    """What the board draws: idle, awake, and per kind of work."""
    time.sleep(2)
    began, start = energy_j(), time.perf_counter()
    time.sleep(2)
    fact("idle power", (energy_j() - began) / (time.perf_counter() - start), "W")
    module = cupy.RawModule(code=SPIN)
    sms = torch.cuda.get_device_properties(0).multi_processor_count
    fact("multiprocessors", sms, "")
    out = cupy.zeros(4, dtype=cupy.float32)
    on = cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream)

    def launch(name: str, grid: int, block: int, *args: Any) -> Callable[[], None]:
        kernel = module.get_function(name)

        def call() -> None:
            with on:
                kernel((grid,), (block,), args)

        return call

    many = cupy.int64(20_000_000)
    power("one thread spinning", launch("spin", 1, 1, many), 1, "call")
    n = cupy.int32(20_000)
    full = 2048 * sms
    power("f32 fma", launch("multiply_add", 8 * sms, 256, out, n), 8 * 2 * 20_000 * full, "flop")
    power("exp", launch("ex2", 8 * sms, 256, out, n), 8 * 20_000 * full, "op")
    power("shared memory", launch("from_shared", 8 * sms, 256, out, n), 16 * 20_000 * full, "byte")
    big = torch.randn(2**28, device="cuda", dtype=torch.float32)
    to = torch.empty_like(big)
    power("dram copy", lambda: to.copy_(big), 8 * big.numel(), "byte")
    power("dram read", lambda: big.sum(), 4 * big.numel(), "byte")
    small, there = big[: 2**21], to[: 2**21]  # 8 MiB each way stay in L2

    def in_l2() -> None:
        for _ in range(50):
            there.copy_(small)

    power("l2 copy", in_l2, 50 * 8 * small.numel(), "byte")
    products()


def products() -> None:
    """Large products of several kinds of data."""
    n = 8192
    flops = 2 * n**3
    kinds: dict[str, Callable[[], torch.Tensor]] = {
        "zeros": lambda: torch.zeros(n, n, device="cuda"),
        "ones": lambda: torch.ones(n, n, device="cuda"),
        "normal": lambda: torch.randn(n, n, device="cuda"),
        "uniform": lambda: torch.rand(n, n, device="cuda"),
        "integers below 4": lambda: torch.randint(0, 4, (n, n), device="cuda").float(),
    }
    for name, make in kinds.items():
        a, b = make().to(HALF), make().to(HALF)
        power(f"f16 product of {name}", lambda a=a, b=b: a @ b, flops, "flop")
    a, b = torch.randn(n, n, device="cuda"), torch.randn(n, n, device="cuda")
    x, y = a.bfloat16(), b.bfloat16()
    power("bf16 product of normal", lambda: x @ y, flops, "flop")
    power("f32 product of normal", lambda: a @ b, flops, "flop")
    torch.backends.cuda.matmul.allow_tf32 = True
    power("tf32 product of normal", lambda: a @ b, flops, "flop")
    torch.backends.cuda.matmul.allow_tf32 = False
    r, t = (torch.randint(-128, 127, (n, n), device="cuda", dtype=torch.int8) for _ in range(2))
    power("i8 product of uniform", lambda: torch._int_mm(r, t.t()), flops, "flop")
    one = torch.tensor(1.0, device="cuda")
    p, q = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn).t()
    power(
        "f8e4m3fn product of normal",
        lambda: torch._scaled_mm(p, q, scale_a=one, scale_b=one, out_dtype=torch.bfloat16),
        flops,
        "flop",
    )


def kernel_us(*works: Callable[[], Any], least_ms: float = 30) -> float:
    """Microseconds a call, by events around calls that follow each other; replayed as a graph.

    Several ``works`` take turns, so that what one has read is no longer in L2 at its next turn.
    """
    rounds = -(-10 // len(works))
    graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for work in works:
            work()
    torch.cuda.current_stream().wait_stream(side)
    with torch.cuda.graph(graph):
        for work in works * rounds:
            work()
    times = []
    spent = 0.0
    while spent < least_ms or len(times) < 5:
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        graph.replay()
        last.record()
        torch.cuda.synchronize()
        times.append(first.elapsed_time(last))
        spent += times[-1]
    return statistics.median(times) * 1e3 / (rounds * len(works))


def stream_us(work: Callable[[], Any]) -> float:
    """Microseconds a call when many are launched one after another, without a graph."""
    for _ in range(5):
        work()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(200):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / 200 * 1e6


def wall_us(work: Callable[[], Any], count: int = 30) -> float:
    """Microseconds of one eager call with synchronisation, the median of ``count``."""
    for _ in range(5):
        work()
    times = []
    for _ in range(count):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def op(
    name: str, shape: str, call: Callable[..., Any], *sizes: tuple[int, ...], dtype: str = "fp16"
) -> None:
    """Keep the kernel time, from DRAM and as it comes, and the wall clock of one op."""
    bytes_ = sum(2 * math.prod(size) for size in sizes)
    sets = min(24, max(1, math.ceil(160e6 / bytes_)))
    works = []
    for _ in range(sets):
        tensors = [torch.randn(*size, device="cuda", dtype=HALF) for size in sizes]
        works.append(lambda tensors=tensors: call(*tensors))
    timers = {
        "graph of kernels, operands in turn": lambda: kernel_us(*works),
        "graph of kernels, same operands": lambda: kernel_us(works[0]),
        "wall": lambda: wall_us(works[0]),
    }
    for method, timer in timers.items():
        us = timer()
        OPS.append(
            {
                "op": name,
                "dtype": dtype,
                "shape": shape,
                "device": DEVICE,
                "time_us": us,
                "method": method,
            }
        )
        print(f"{name} {shape} {method[-8:]} {us:.2f}", flush=True)


def shapes() -> Iterator[tuple[int, int, int]]:
    """Products to measure: squares, and tall, wide and thin ones."""
    for n in (256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192):
        yield n, n, n
    for m in (16, 64, 256, 1024, 4096):
        yield m, 12288, 12288
    for n in (64, 256, 1024):
        yield 8192, n, n
    for m in (1, 128, 512, 2048):
        for n, k in ((12288, 4096), (4096, 4096), (22016, 4096), (4096, 11008)):
            yield m, n, k
    yield from ((1024, 10240, 5120), (2048, 5120, 6144), (4096, 1024, 8192), (512, 512, 16384))


CONVOLUTIONS = (  # of ResNet-50: channels, features, size, kernel, stride
    (3, 64, 224, 7, 2),
    (64, 64, 56, 3, 1),
    (256, 64, 56, 1, 1),
    (128, 128, 28, 3, 1),
    (256, 256, 14, 3, 1),
    (1024, 256, 14, 1, 1),
    (512, 512, 7, 3, 1),
    (512, 2048, 7, 1, 1),
)


def convolution(x: torch.Tensor, w: torch.Tensor, stride: int) -> torch.Tensor:
    """Convolve what lies as NHWC, without a copy."""
    pad = w.shape[1] // 2
    return functional.conv2d(x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2), None, stride, pad)


def ops() -> None:
    """Single ops: products, convolutions, rows, elements."""
    for m, n, k in shapes():
        op("matmul", f"M={m} N={n} K={k}", torch.matmul, (m, k), (k, n))
    for b, m, n, k in ((96, 2048, 2048, 128), (96, 2048, 128, 2048), (768, 1, 3072, 128)):
        op("batched matmul", f"B={b} M={m} N={n} K={k}", torch.bmm, (b, m, k), (b, k, n))
    for batch in (1, 32):
        for channels, features, size, kernel, stride in CONVOLUTIONS:
            op(
                "conv",
                f"B={batch} C={channels} O={features} H={size} K={kernel} S={stride}",
                lambda x, w, stride=stride: convolution(x, w, stride),
                (batch, size, size, channels),
                (features, kernel, kernel, channels),
            )
    for m, n in ((4096, 128), (4096, 1024), (4096, 8192), (4096, 32768), (64, 4096), (16384, 4096)):
        op("softmax", f"M={m} N={n}", lambda x: torch.softmax(x, 1), (m, n))
        op(
            "layernorm",
            f"M={m} N={n}",
            lambda x, g, n=n: functional.layer_norm(x, (n,), g),
            (m, n),
            (n,),
        )
    for e in (10, 14, 18, 22, 26, 28):
        op("gelu", f"N={2**e}", functional.gelu, (2**e,))
        op("add", f"N={2**e}", torch.add, (2**e,), (2**e,))
        op("relu", f"N={2**e}", torch.relu, (2**e,))
    for b, h, t, d in ((1, 16, 384, 64), (8, 16, 384, 64), (4, 32, 2048, 128)):
        q = (b, h, t, d)
        op(
            "attention",
            f"B={b} H={h} S={t} D={d}",
            functional.scaled_dot_product_attention,
            q,
            q,
            q,
        )
        op(
            "attention, one op after another",
            f"B={b} H={h} S={t} D={d}",
            lambda q, k, v: torch.softmax(q @ k.transpose(2, 3) * 0.125, 3) @ v,
            q,
            q,
            q,
        )


def dispatch() -> None:
    """What a call costs the host."""
    x = torch.randn(1024, device="cuda", dtype=HALF)
    w = torch.randn(64, 64, device="cuda", dtype=HALF)
    conv = torch.nn.Conv2d(8, 8, 3, padding=1).cuda().half().eval()
    image = torch.randn(1, 8, 8, 8, device="cuda", dtype=HALF)
    bn = torch.nn.BatchNorm2d(8).cuda().half().eval()
    linear = torch.nn.Linear(64, 64).cuda().half()
    norm = torch.nn.LayerNorm(64).cuda().half()
    with torch.no_grad():
        for name, work in {
            "relu": lambda: torch.relu(x),
            "add": lambda: x + x,
            "matmul": lambda: w @ w,
            "conv module": lambda: conv(image),
            "batch norm module": lambda: bn(image),
            "linear module": lambda: linear(w),
            "layer norm module": lambda: norm(w),
            "view": lambda: x.view(32, 32),
        }.items():
            fact(f"eager stream of {name}", stream_us(work), "us/call")
        fact("graph replay of add", kernel_us(lambda: x + x), "us/kernel")
        compiled = torch.compile(lambda t: t + 1)
        fact("compiled call of add, stream", stream_us(lambda: compiled(x)), "us/call")
        fact("compiled call of add, wall", wall_us(lambda: compiled(x)), "us/call")
        fact("eager call of add, wall", wall_us(lambda: x + x), "us/call")
    host = torch.empty(2**26, dtype=torch.uint8).pin_memory()
    there = torch.empty(2**26, dtype=torch.uint8, device="cuda")
    fact("pinned host to device", 2**26 / wall_us(lambda: there.copy_(host)) * 1e6, "byte/s")
    fact("pinned device to host", 2**26 / wall_us(lambda: host.copy_(there)) * 1e6, "byte/s")
    pageable = torch.empty(2**26, dtype=torch.uint8)
    fact("pageable host to device", 2**26 / wall_us(lambda: there.copy_(pageable)) * 1e6, "byte/s")
    fact("pageable device to host", 2**26 / wall_us(lambda: pageable.copy_(there)) * 1e6, "byte/s")
    tiny_host, tiny = torch.zeros(4), torch.zeros(4, device="cuda")
    fact("16 bytes host to device", wall_us(lambda: tiny.copy_(tiny_host)), "us")
    fact("16 bytes device to host", wall_us(lambda: tiny_host.copy_(tiny)), "us")
    fact("reading one number back", wall_us(lambda: tiny[0].item()), "us")


def model(name: str, size: int, batch: int, stack: str, work: Callable[[], Any]) -> None:
    """Keep the latency of a batch, with synchronisation."""
    us = wall_us(work, 10)
    MODELS.append(
        {
            "model": name,
            "seq_or_res": size,
            "batch": batch,
            "device": DEVICE,
            "stack": stack,
            "throughput_per_s": batch / us * 1e6,
            "latency_avg_ms": us / 1e3,
        }
    )
    print(f"{name} {size} batch {batch} {stack}: {us / 1e3:.3f} ms", flush=True)


def models() -> None:
    """ResNet-50 and BERT-large, random weights."""
    import torchvision
    from transformers import BertConfig, BertModel

    net = torchvision.models.resnet50().eval().cuda()
    with torch.no_grad():
        for batch in (1, 8, 64, 256):
            x = torch.randn(batch, 3, 224, 224, device="cuda")
            model("ResNet-50", 224, batch, "PyTorch eager FP32", lambda x=x: net(x))
        net = net.half()
        for batch in (1, 8, 64, 256):
            x = torch.randn(batch, 3, 224, 224, device="cuda", dtype=HALF)
            model("ResNet-50", 224, batch, "PyTorch eager FP16", lambda x=x: net(x))
        net = net.to(memory_format=torch.channels_last)
        for batch in (1, 8, 64, 256):
            x = torch.randn(batch, 3, 224, 224, device="cuda", dtype=HALF)
            x = x.to(memory_format=torch.channels_last)
            model("ResNet-50", 224, batch, "PyTorch eager FP16 channels last", lambda x=x: net(x))
            if batch in (1, 64):
                graph = capture(lambda x=x: net(x))
                model("ResNet-50", 224, batch, "PyTorch FP16 channels last, CUDA graph", graph)
        config = BertConfig(
            hidden_size=1024,
            num_hidden_layers=24,
            num_attention_heads=16,
            intermediate_size=4096,
            attn_implementation="eager",
        )
        bert = BertModel(config).eval().cuda().half()
        for batch in (1, 8, 16):
            ids = given(batch)
            model("BERT-large", 384, batch, "PyTorch eager FP16", lambda ids=ids: bert(**ids))
            model(
                "BERT-large",
                384,
                batch,
                "PyTorch FP16, CUDA graph",
                capture(lambda ids=ids: bert(**ids)),
            )
        compiled = torch.compile(bert)
        for batch in (1, 8):
            ids = given(batch)
            model("BERT-large", 384, batch, "torch.compile FP16", lambda ids=ids: compiled(**ids))
            model(
                "BERT-large",
                384,
                batch,
                "torch.compile FP16, CUDA graph",
                capture(lambda ids=ids: compiled(**ids)),
            )


def given(batch: int) -> dict[str, torch.Tensor]:
    """Tokens with a mask of ones, all on the device."""
    ids = torch.randint(0, 30000, (batch, 384), device="cuda")
    return {
        "input_ids": ids,
        "attention_mask": torch.ones(batch, 1, 384, 384, device="cuda", dtype=HALF) * 0,
        "token_type_ids": torch.zeros_like(ids),
        "position_ids": torch.arange(384, device="cuda")[None],
    }


def capture(work: Callable[[], Any]) -> Callable[[], None]:
    """A graph of the device that replays ``work``."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def save(folder: Path) -> None:
    """Write what has been measured so far."""
    with (folder / "facts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("what", "value", "unit"), *FACTS])
    for name, rows in (("op.csv", OPS), ("model.csv", MODELS)):
        if rows:
            with (folder / name).open("w", newline="") as file:
                out = csv.DictWriter(file, list(rows[0]))
                out.writeheader()
                out.writerows(rows)


if __name__ == "__main__":
    pynvml.nvmlInit()
    HANDLE = pynvml.nvmlDeviceGetHandleByIndex(0)
    for part in (powers, ops, dispatch, models):
        began = time.perf_counter()
        try:
            part()
        except Exception as error:  # the other parts are worth having
            print(f"{part.__name__}: {type(error).__name__}: {error}", flush=True)
        save(Path(sys.argv[1]))
        print(f"-- {part.__name__} took {time.perf_counter() - began:.0f} s", flush=True)
