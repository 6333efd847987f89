"""ONNX's tests of a backend on all three devices: how many pass, and why the others do not.

``python -m benches.onnx_tests [DEVICE...]`` from the checkout, on as many processes as there are
CPUs; exits with 1 unless the tests that do not pass are those of
``tests/emu/data/onnx_failures.toml``.
"""

import gc
import sys
from collections import Counter
from time import monotonic

from emu.pool import finished
from tests.emu.onnx_tests import BACKENDS, Outcome, outcomes, surprises

PARTS = 6  # of the tests of a device; a process takes one after the other


def part(task: tuple[str, int]) -> list[Outcome]:
    """Run one part of the tests of a device."""
    device, first = task
    gc.enable()  # the runner keeps models in cycles, and each has a folder until it is collected
    found = list(outcomes(device, first, PARTS))
    gc.collect()
    return found


def main(*devices: str) -> int:
    """Print a line for each test that does not pass, then the counts; return the exit code."""
    start = monotonic()
    tasks = [(device, first) for device in devices or BACKENDS for first in range(PARTS)]
    counts = {device: Counter[str]() for device, _ in tasks}
    strange: list[str] = []
    for place, found in finished(part, tasks):
        device = tasks[place][0]
        counts[device].update(outcome.kind for outcome in found)
        for outcome in found:
            if outcome.kind != "passed":
                print(f"{device}: {outcome}", flush=True)
        strange += [f"{device}: {line}" for line in surprises(found)]
    for device, kinds in counts.items():
        print(f"{device}: {kinds['passed']} of {kinds.total()} pass; {dict(kinds)}")
    print(f"{monotonic() - start:.0f} s")
    for line in strange:
        print(f"not as the list of failures says: {line}")
    return 1 if strange else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
