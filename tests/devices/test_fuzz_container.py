"""Damaged binaries: every one is refused by a named error or is a sound program."""

import tracemalloc
from hashlib import sha256
from random import Random

import pytest

from emu.devices.driver import Image, Loader, load
from emu.devices.driver.container import DIGEST_AT, ENTRIES, HEADER
from emu.ir.errors import ContainerError
from tests.devices.test_container import CHIP, DATA, overwritten
from tests.mutating import bytes_of, refusal

INPUTS = 94_000
MOST_BYTES = 1 << 21  # what a small binary may take to be read, whatever it says of itself


def sealed(data: bytes) -> bytes:
    """Damaged contents with a right digest, so that all behind it is read."""
    rest = data[HEADER.size :]
    return data[:DIGEST_AT] + sha256(data[:DIGEST_AT] + rest).digest() + rest


def damaged(seed: int) -> bytes:
    """Half with their length kept, so that what is damaged lies deep inside."""
    random = Random(seed)
    if seed % 2:
        return overwritten(DATA, random)
    data = bytes_of(DATA, random)
    return sealed(data) if random.randrange(4) else data


def loaded(data: bytes) -> str:
    return refusal(lambda: load(data, Loader(CHIP)))


@pytest.mark.parametrize("part", range(4))
def test_damaged_binaries_are_refused_in_one_line(part: int) -> None:
    each = INPUTS // 4
    said = {loaded(damaged(seed)) for seed in range(part * each, (part + 1) * each)}
    assert len(said) > each // 20


def test_what_a_binary_says_of_its_size_takes_no_memory() -> None:
    tracemalloc.start()
    for seed in range(400):
        loaded(damaged(seed))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST_BYTES


@pytest.mark.parametrize(("place", "value"), [(2, 0xFFFFFFF0), (1, 1), (1, 0xFFFFFFF0)])
def test_a_section_larger_than_the_file_or_on_another_is_refused(place: int, value: int) -> None:
    start, entry = HEADER.size + len(CHIP.name), ENTRIES[Image().format]
    fields = list(entry.unpack_from(DATA, start))
    fields[place] = value
    data = DATA[:start] + entry.pack(*fields) + DATA[start + entry.size :]
    with pytest.raises(ContainerError, match="section offset at byte"):
        load(sealed(data), Loader(CHIP))
