"""Durations and shares follow from terms, to the picosecond."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from emu.devices.terms import Event, Phase, Term, duration, settle
from emu.ir.trace import CAUSES

TERMS = st.builds(
    Term,
    st.sampled_from(CAUSES),
    st.fractions(0, 1000, max_denominator=7),
    st.fractions(Fraction(1, 9), 50, max_denominator=9),
    st.integers(0, 2),
)
PHASES = st.lists(
    st.builds(
        Phase,
        st.lists(st.lists(TERMS, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple),
        st.integers(1, 5),
    ),
    max_size=3,
).map(tuple)


@given(phases=PHASES)
def test_shares_sum_to_the_duration_and_none_is_negative(phases: tuple[Phase, ...]) -> None:
    settled = settle(phases)

    assert sum(ps for _, ps in settled.shares) == settled.ps
    assert all(ps > 0 for _, ps in settled.shares)


@given(phases=PHASES, free=st.frozensets(st.sampled_from(CAUSES)))
def test_a_duration_without_shares_is_that_of_the_shares(
    phases: tuple[Phase, ...], free: frozenset[str]
) -> None:
    assert duration(phases, free) == Event(phases).ps(free) == settle(phases, free).ps


@given(phases=PHASES, free=st.frozensets(st.sampled_from(CAUSES)))
def test_making_causes_free_never_takes_longer(
    phases: tuple[Phase, ...], free: frozenset[str]
) -> None:
    event = Event(phases)

    assert event.settle(free).ps <= event.settle().ps
    assert not {cause for (_, cause), _ in event.settle(free).shares} & free


def test_the_slowest_alternative_is_charged_and_rounded_up_once() -> None:
    compute = (Term("useful", Fraction(10), Fraction(3)), Term("padding", Fraction(1), Fraction(3)))
    memory = (Term("compulsory", Fraction(7), Fraction(2)),)

    settled = settle((Phase((compute, memory), 2),))

    assert settled.ps == 8  # 2 * 11/3 = 7.33
    assert dict(settled.shares) == {(0, "useful"): 6, (0, "padding"): 2}
