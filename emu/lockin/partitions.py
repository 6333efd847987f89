"""The partition that a stack's program runs in, as its orchestrator has the chip cut."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from emu.devices.datasheet import Changes, Datasheet, load_datasheet
from emu.devices.driver.partition import Profile
from emu.devices.facts import Fact
from emu.lockin.contracts.binding import placement_of, profiles_of
from emu.lockin.parts import Bundle, Choice, Part
from emu.lockin.schema import PARTITION
from emu.stack import Partition


@dataclass(frozen=True)
class Share:
    """A partition of a chip whose placement has some ``slices``."""

    profile: Profile
    slices: int


def cuts(orchestrators: Bundle) -> bool:
    """Whether a policy has chips cut; no other makes a difference to a program."""
    return any(i.startswith(PARTITION) for part in orchestrators for i in part.fact("intents"))


def worth_trying(orchestrators: Sequence[Bundle], own: Bundle) -> Sequence[Bundle]:
    """The orchestrators among which is the best: none that cuts chips, but for a stack's ``own``.

    A policy without demands is admitted wherever another one is, and leaves all of the chip.
    """
    undemanding = any(not part.fact("intents") for bundle in orchestrators for part in bundle)
    return [o for o in orchestrators if o == own or not (undemanding and cuts(o))]


def partition_of(choice: Choice) -> Share | None:
    """The largest partition of those that are placed; None where the chip stays whole.

    Raises NotSupported for a policy that the chip has no partitions for.
    """
    orchestrators = choice["orchestrator"]
    return _placed(orchestrators[0], choice["device"][0]) if cuts(orchestrators) else None


@lru_cache(maxsize=4096)
def _placed(orchestrator: Part, device: Part) -> Share:
    placement = placement_of(device)
    (name, _), *_ = placement.place(profiles_of(orchestrator.fact("intents"), placement))
    return Share(placement.profiles[name], placement.slices)


def facts_of(partition: Share, whole: Datasheet) -> Changes:
    """The facts of a chip that are others in a partition, which has the same clock and cores.

    Of cores it has whole ones, with their share of the power that the board may draw; of memory its
    slices, with the bandwidth and the cache that go with them.
    """
    profile = partition.profile
    cores = max(1, int(whole.compute.cores * profile.share))
    return (
        ("compute.cores", cores),
        *_shared(Fraction(profile.slices, partition.slices), _figures_of_memory(whole)),
        *_shared(Fraction(cores, whole.compute.cores), _figures_of_power(whole)),
    )


def _figures_of_memory(whole: Datasheet) -> Mapping[str, float]:
    dram, l2 = whole.memory.dram, whole.memory.l2
    device = {"dram.capacity_gib": dram.capacity_gib, "dram.bandwidth_gb_s": dram.bandwidth_gb_s}
    cache = (
        {"l2.capacity_mib": l2.capacity_mib, "l2.bandwidth_gb_s": l2.bandwidth_gb_s} if l2 else {}
    )
    return {f"memory.{key}": figure for key, figure in (device | cache).items()}


def _figures_of_power(whole: Datasheet) -> Mapping[str, float]:
    board, static = whole.board, {"energy.static_w": whole.energy.static_w}
    limit = {} if board is None or board.power_w is None else {"board.power_w": board.power_w}
    return static | limit


def _shared(share: Fraction, figures: Mapping[str, float]) -> Iterator[tuple[str, Fact]]:
    for key, figure in figures.items():
        yield key, float(Fraction(str(figure)) * share)


def spelled_out(share: Share, name: str) -> Partition:
    """A partition of a chip as a stack names it."""
    changes = facts_of(share, load_datasheet(name))
    return Partition(share.profile.name, tuple(f"{key}={fact}" for key, fact in changes))


def runs_on(choice: Choice) -> tuple[str, Share | None]:
    """The datasheet of the chip of a stack, and the partition that programs have of it."""
    return choice["device"][0].fact("datasheet"), partition_of(choice)


def datasheet_of(name: str, partition: Share | None) -> Datasheet:
    """The datasheet of a chip, or of a partition of one."""
    whole = load_datasheet(name)
    return load_datasheet(name, facts_of(partition, whole)) if partition else whole
