"""Tasks that processes share: every result comes back, and so does what was raised."""

import pytest

from emu.ir.errors import NoCommonIR
from emu.pool import finished


def double(number: int) -> int:
    return 2 * number


def refuse(number: int) -> int:
    raise NoCommonIR(f"program {number}", "a", "b")


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once_and_its_result_says_where_it_stood(workers: int) -> None:
    assert sorted(finished(double, range(5), workers)) == [(i, 2 * i) for i in range(5)]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_task_raises_arrives_whole(workers: int) -> None:
    with pytest.raises(NoCommonIR, match="K2 at capture: program 3: have a, need b") as caught:
        list(finished(refuse, [3, 3], workers))
    assert (caught.value.have, caught.value.need) == ("a", "b")
