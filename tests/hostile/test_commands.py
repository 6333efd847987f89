"""The command line on hostile files: one line, in time, within memory, nothing left behind."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from emu.models.limits import LIMITS
from tests.hostile import run_cases
from tests.hostile.cases import Case
from tests.hostile.test_hostile import CASES

ROOT = Path(__file__).parents[2]
MOST_SECONDS, MOST_KIB = 20, 2 << 20
LONGEST = 300
FEW_SECONDS = 4  # so that the tests are quick; the default is four times as much, and more
CHOSEN = (
    "many-empty-nodes",
    "utf8-location",
    "names-of-60-kB",
    "external-initializer-link-to-zero",
    "external-initializer-of-64-GiB",
    "external-many-of-8-GiB-from-one-hole",
    "arithmetic-Div-int64-by--1",
    "loop-in-a-loop",
    "work-a-large-product",
)


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit code, what it said, seconds and KiB that it took."""

    code: int
    said: str
    seconds: float
    kib: int


# The memory of a process counts from when it was forked, so a small one starts what is measured.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_maxrss)
"""


def emu(folder: Path, *arguments: str) -> Outcome:
    """Run a command; of processes that it starts, the largest counts."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = monotonic()
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "emu", *arguments]
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    code, kib = map(int, ran.stdout.split())
    return Outcome(code, ran.stderr, monotonic() - started, kib)


def chosen(name: str) -> Case:
    return next(case for case in CASES if str(case) == name)


@pytest.mark.checkout
@pytest.mark.parametrize("name", CHOSEN)
def test_a_command_survives_a_hostile_file(name: str, tmp_path: Path) -> None:
    survives(chosen(name), tmp_path / "model")


@pytest.mark.checkout
@pytest.mark.parametrize("case", [*run_cases.running()], ids=str)
def test_a_command_survives_what_a_file_asks_the_host_for(case: Case, tmp_path: Path) -> None:
    survives(case, tmp_path / "model", "--limits", f"seconds={FEW_SECONDS}")


def survives(case: Case, folder: Path, *flags: str) -> None:
    """A command on a file ends as it should, and leaves nothing behind."""
    folder.mkdir()
    path = case.save(folder)
    before = {file: file.lstat().st_mtime_ns for file in folder.iterdir()}
    found = emu(folder, "run", path.name, *flags)
    assert found.code in (0, 2, 4)
    assert found.said.count("\n") == (found.code != 0)
    assert len(found.said.strip()) <= LONGEST
    assert found.said.strip().isprintable()
    assert found.seconds < MOST_SECONDS
    assert found.kib < MOST_KIB
    assert {file: file.lstat().st_mtime_ns for file in folder.iterdir()} == before


def test_the_default_limits_are_those_that_are_promised() -> None:
    assert LIMITS.seconds < MOST_SECONDS
    assert LIMITS.memory_bytes < MOST_KIB << 10
