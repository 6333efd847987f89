"""A million damaged binaries: what CI tries a part of, at length."""

from tests.devices.test_fuzz_container import damaged, loaded

INPUTS = 1_000_000


def test_a_million_damaged_binaries_are_refused_in_one_line() -> None:
    said = {loaded(damaged(seed)) for seed in range(INPUTS)}
    assert len(said) > INPUTS // 1000
