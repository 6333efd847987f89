"""The network between the cores of a chip: how many bytes it delivers in a time, and how late.

Bounds on uniform traffic are those of Dally and Towles, Principles and Practices of Interconnection
Networks (2004), chapter 3: the ports at both ends, and the links across the middle.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from emu.devices.fields import At

TOPOLOGIES = ("mesh", "ring", "crossbar")


@dataclass(frozen=True, slots=True)
class Network:
    """Links between the scratchpads of cores, one in each direction between neighbours.

    A "mesh" is a grid of rows and columns as near to a square as the number of cores allows, a
    "ring" joins each core with two others, a "crossbar" each with all. ``hop_ns`` is what one
    router and link add; a core has one port into the network and one out of it, as wide as a link.
    """

    topology: str
    hop_ns: float
    link_bytes_per_cycle: float
    source: str


def check_network(network: Network, kind: str, at: At) -> None:
    """Raise DatasheetError for a network that a chip of a kind cannot have."""
    if kind == "gpu":
        raise at.error("the cores of a gpu meet in memory.l2")
    if network.topology not in TOPOLOGIES:
        raise at.to("topology").error(f"'{network.topology}' is none of {', '.join(TOPOLOGIES)}")


@dataclass(frozen=True, slots=True)
class Transfer:
    """Slices of ``mine`` bytes that each of ``readers`` loads from the scratchpads of ``holders``.

    Groups of ``alike`` readers load the same slice, which is sent once and branches on its way.
    """

    mine: int
    readers: int
    holders: int
    alike: int


def hops(topology: str, cores: int) -> int:
    """Links between the two cores that are farthest from each other."""
    if cores == 1:
        return 0
    if topology == "crossbar":
        return 1
    if topology == "ring":
        return cores // 2
    rows, columns = grid(cores)
    return rows + columns - 2


def grid(cores: int) -> tuple[int, int]:
    """The rows and columns of a mesh: the divisors of ``cores`` that are nearest to each other."""
    rows = max(n for n in range(1, int(cores**0.5) + 1) if cores % n == 0)
    return rows, cores // rows


def loads(topology: str, cores: int, transfer: Transfer) -> Iterator[tuple[Fraction, int]]:
    """Yield, for each bound, bytes and the number of links that carry them side by side."""
    delivered = Fraction(transfer.mine * transfer.readers)
    sent = delivered / transfer.alike
    yield Fraction(transfer.mine), 1  # into one reader
    yield sent, transfer.holders  # out of all that hold a part
    if across := middle(topology, cores):
        # Half of uniform traffic crosses the middle, a branching slice once: half of it each way.
        yield min(delivered / 2, sent) / 2, across


def middle(topology: str, cores: int) -> int:
    """Links, in one direction, between the two halves of the cores; 0 if they bind nothing."""
    if topology == "crossbar" or cores == 1:
        return 0
    return 2 if topology == "ring" else grid(cores)[0]
