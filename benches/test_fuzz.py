"""A million damaged binaries and TOML files: what CI tries a tenth of, at length.

``python -m pytest -q benches/test_fuzz.py`` tries all of them, which takes some minutes.
"""

from pathlib import Path

import pytest

from tests.devices.test_fuzz_container import damaged, loaded
from tests.emu.lockin.test_fuzz_catalogue import FILES, fuzzed

INPUTS = 1_000_000
TOML = 240_000  # of them; the readers of TOML are slower than that of binaries
BINARIES = INPUTS - TOML


def test_damaged_binaries_are_refused_in_one_line() -> None:
    said = {loaded(damaged(seed)) for seed in range(BINARIES)}
    assert len(said) > BINARIES // 1000


@pytest.mark.parametrize("place", range(len(FILES)))
def test_damaged_files_are_refused_by_file(tmp_path: Path, place: int) -> None:
    make, name = FILES[place]
    each = TOML // len(FILES)
    refused = sum(map(bool, fuzzed(*make(tmp_path, name), INPUTS + place, each)))
    assert refused > each // 3
