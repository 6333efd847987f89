"""ONNX's tests of a backend on one device: how many pass, and why the others do not.

``python -m benches.onnx_tests [DEVICE]`` from the checkout; exits with 1 if a value is wrong.
"""

import sys
from collections import Counter

from tests.emu.onnx_tests import outcomes


def main(device: str = "gpu") -> int:
    """Print a line for each test that does not pass, then the counts; return the exit code."""
    counts: Counter[str] = Counter()
    for outcome in outcomes(device):
        counts[outcome.kind] += 1
        if outcome.kind != "passed":
            print(outcome, flush=True)
    print(f"{device}: {counts['passed']} of {counts.total()} pass; {dict(counts)}")
    return 1 if counts["wrong"] or counts["crashed"] else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
