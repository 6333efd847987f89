"""What a real GPU draws, for each kind of work."""

import statistics
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import cupy
import pynvml
import torch

from benches.gpu.timers import HALF, fact

SECONDS = 1.5  # of each measurement

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


@cache
def handle() -> Any:
    """The board."""
    pynvml.nvmlInit()
    return pynvml.nvmlDeviceGetHandleByIndex(0)


def energy_j() -> float:
    """Joules that the board has drawn so far."""
    return pynvml.nvmlDeviceGetTotalEnergyConsumption(handle()) / 1e3


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
        clocks.append(pynvml.nvmlDeviceGetClockInfo(handle(), pynvml.NVML_CLOCK_SM))
        torch.cuda.synchronize()
    spent = time.perf_counter() - start
    return spent / calls, (energy_j() - began) / spent, statistics.mean(clocks)


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
