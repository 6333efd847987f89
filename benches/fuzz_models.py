"""Damage models field by field and byte by byte, and see that emu survives every one.

``python -m benches.fuzz_models --seconds 600`` prints how many files were refused and how many ran.
What escapes is kept in the folder ``--keep`` and makes the exit code 1: an error that is none of
emu's, a crash, C code that does not come back. Hypothesis chooses the damage and makes what escapes
as small as it can. The work is done in processes under the default limits; what takes too long or
too much memory is counted as over a limit, as the guard of ``emu run FILE`` would end it.
"""

import argparse
import resource
import signal
import subprocess
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from time import monotonic
from types import FrameType

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, FlakyStrategyDefinition

import emu
from emu.ir.errors import EmuError
from emu.models.limits import LIMITS
from tests.hostile.damage import damaged

MOST_SECONDS = 10  # for one file
WORKER_SECONDS = 90  # of one worker: what emu remembers of models that it met adds up
BATCH = 100  # files that one call of Hypothesis makes
DEVICES = ("gpu", "systolic", "npu")
SCOPES = ("none", "vertical", "global")
CURRENT = "current.onnx"
ESCAPED = 3  # exit code of a worker; any other but 0 is that of one that died


class Escape(AssertionError):
    """A file that was neither refused nor run as it should have been."""


def attempt(path: Path, device: str, scope: str) -> str:
    """Compile and run a file; return the name of the error that refuses it, or that it ran."""
    signal.alarm(MOST_SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check = emu.compile(path, device=device, fusion=scope).run().check
        return "ran" if check is None or check.ok else "ran with other values than onnxruntime"
    except (MemoryError, TimeoutError):
        return "OverLimit"
    except EmuError as error:
        if error.exit_code not in (2, 3, 4):
            raise Escape(f"{type(error).__name__}: {error}") from error
        return type(error).__name__
    except Exception as error:
        raise Escape(_place(error)) from error
    finally:
        signal.alarm(0)


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {error}"


def too_slow(number: int, frame: FrameType | None) -> None:
    """What the alarm raises in the middle of the work."""
    del number, frame
    raise TimeoutError(f"took over {MOST_SECONDS} s")


def work(number: int, deadline: float, keep: Path) -> Counter[str]:
    """Try files until the deadline; one escape ends a batch, which is then made small."""
    signal.signal(signal.SIGALRM, too_slow)
    resource.setrlimit(resource.RLIMIT_DATA, (LIMITS.memory_bytes, LIMITS.memory_bytes))
    found: Counter[str] = Counter()
    while monotonic() < deadline:
        number += 1
        try:
            _batch(number, keep, found)
        except (Escape, FlakyStrategyDefinition, Flaky) as error:
            found["escaped"] += 1
            kept = keep / f"escape-{number}.onnx"
            (keep / CURRENT).replace(kept)
            print(f"{kept}: {error}", flush=True)
    return found


def _batch(number: int, keep: Path, found: Counter[str]) -> None:
    @seed(number)
    @settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=tuple(HealthCheck.__members__.values()),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(st.randoms(use_true_random=False), st.sampled_from(DEVICES), st.sampled_from(SCOPES))
    def tried(random: Random, device: str, scope: str) -> None:
        path = keep / CURRENT
        path.write_bytes(damaged(random))
        found[attempt(path, device, scope)] += 1

    tried()


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a worker, and another one where one dies, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    asked.keep.mkdir(parents=True, exist_ok=True)
    deadline = monotonic() + asked.seconds
    if asked.worker:
        found = work(asked.seed, deadline, asked.keep)
        print(", ".join(f"{count} {what}" for what, count in found.most_common()))
        return ESCAPED if found["escaped"] else 0
    escaped = False
    for number in range(asked.seed, asked.seed + 10**9, 10**6):
        left = int(min(deadline - monotonic(), WORKER_SECONDS))
        if left < 1:
            break
        escaped |= _worker(number, left, asked.keep)
    return int(escaped)


def _worker(number: int, seconds: int, keep: Path) -> bool:
    options = ("--worker", "--seed", number, "--seconds", seconds, "--keep", keep)
    command = [sys.executable, "-m", "benches.fuzz_models", *map(str, options)]
    # onnxruntime prints why it refuses a model, in colour.
    code = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode
    if code not in (0, ESCAPED):
        kept = keep / f"crash-{number}.onnx"
        (keep / CURRENT).replace(kept)
        print(f"{kept}: a worker ended with {code}", flush=True)
    return code != 0


if __name__ == "__main__":
    raise SystemExit(main())
