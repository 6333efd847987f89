"""Run every model of the zoo on every device in every fusion scope and check the values.

Prints, per model and device, the largest error (relative to the largest output) in each scope as a
table, and exits with 1 if one is above the limit or a run fails. ``--layers N`` cuts the deep
transformers to N of their repeated blocks.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

LIMIT = 1e-4
DEEP = ("bert_base", "gpt2", "vit_b16")


@dataclass(frozen=True)
class Case:
    """One run of the matrix."""

    model: str
    device: str
    fusion: str
    layers: int | None

    @property
    def arguments(self) -> list[str]:
        """The command that runs this case, without ``emu``."""
        command = ["run", self.model, "--device", self.device, "--fusion", self.fusion, "--json"]
        cut = self.layers is not None and self.model in DEEP
        return [*command, "--set", f"layers={self.layers}"] if cut else command


@dataclass(frozen=True)
class Result:
    """The largest relative error of a case, or why there is none."""

    case: Case
    error: float | None
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether the values are right."""
        return self.error is not None and self.error <= LIMIT

    def __str__(self) -> str:
        return "failed" if self.error is None else f"{self.error:.1e}"


def emu_json(arguments: Sequence[str]) -> tuple[Any, str]:
    """What ``emu`` prints as JSON (None if it prints nothing) and what it says on stderr."""
    command = [sys.executable, "-m", "emu", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return (json.loads(run.stdout) if run.stdout.strip() else None), run.stderr.strip()


def names(kind: str) -> list[str]:
    """Names of all models, devices or scopes."""
    found, _ = emu_json(["list", kind, "--json"])
    return [item["name"] for item in found["items"]]


def measure(case: Case) -> Result:
    """Run one case in a process of its own."""
    report, complaint = emu_json(case.arguments)
    if report is None or report["values"] is None:
        return Result(case, None, complaint or "no values")
    return Result(case, report["values"]["max_rel_error"])


def measure_all(cases: Iterable[Case], jobs: int) -> list[Result]:
    """Run all cases, ``jobs`` at a time, and show on a terminal how far they are."""
    results: list[Result] = []
    with ThreadPoolExecutor(jobs) as pool:
        for result in pool.map(measure, cases):
            results.append(result)
            if sys.stderr.isatty():
                print(f"\r{len(results)} runs", end="", file=sys.stderr)
    return results


def table(results: Sequence[Result]) -> str:
    """A Markdown table: one row per model and device, one column per scope."""
    scopes = list(dict.fromkeys(result.case.fusion for result in results))
    rows: dict[tuple[str, str], list[str]] = {}
    for result in results:
        rows.setdefault((result.case.model, result.case.device), []).append(str(result))
    head = ["model", "device", *scopes]
    lines = [head, ["---"] * len(head), *([*key, *cells] for key, cells in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, help="blocks of bert_base, gpt2 and vit_b16")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--models", nargs="+", help="only these models")
    return parser.parse_args()


def main() -> int:
    """Print the table and every failure; return the exit code."""
    chosen = options()
    axes = product(chosen.models or names("models"), names("devices"), names("scopes"))
    results = measure_all([Case(*axis, chosen.layers) for axis in axes], chosen.jobs)
    print(table(results))
    wrong = [result for result in results if not result.ok]
    for result in wrong:
        reason = result.why.splitlines()[-1] if result.why else f"error {result}"
        print(f"emu {' '.join(result.case.arguments)}: {reason}", file=sys.stderr)
    print(f"{len(results) - len(wrong)} of {len(results)} runs within {LIMIT:g}")
    return 1 if wrong or not results else 0


if __name__ == "__main__":
    raise SystemExit(main())
