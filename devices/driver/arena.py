"""Device memory as a free list: the smallest hole that fits is used, neighbours grow together."""

from bisect import bisect_left, insort


class Arena:
    """Room of ``capacity`` bytes; every offset and size is a multiple of ``alignment`` bytes.

    Holes are kept sorted by size, then offset, so that taking and giving cost one bisection.
    """

    def __init__(self, capacity: int, alignment: int) -> None:
        """Start with one hole of all the whole granules."""
        self.alignment = alignment
        self.free = capacity - capacity % alignment
        self._by_size: list[tuple[int, int]] = []
        self._size_at: dict[int, int] = {}
        self._start_of_end: dict[int, int] = {}
        if self.free:
            self._add(0, self.free)

    @property
    def largest(self) -> int:
        """Size in bytes of the largest hole."""
        return self._by_size[-1][0] if self._by_size else 0

    def room(self, size: int) -> int:
        """Return ``size`` rounded up to whole granules, at least one, in bytes."""
        return max(1, -(-size // self.alignment)) * self.alignment

    def take(self, room: int) -> int | None:
        """Return the offset of ``room`` bytes that are now taken, or None if no hole fits."""
        place = bisect_left(self._by_size, (room, 0))
        if place == len(self._by_size):
            return None
        size, offset = self._by_size[place]
        self._remove(offset)
        if size > room:
            self._add(offset + room, size - room)
        self.free -= room
        return offset

    def give(self, offset: int, room: int) -> None:
        """Make taken bytes a hole again, joined with the holes on both sides."""
        self.free += room
        start, end = offset, offset + room
        if end in self._size_at:
            end += self._remove(end)
        if start in self._start_of_end:
            start = self._start_of_end[start]
            self._remove(start)
        self._add(start, end - start)

    def _add(self, offset: int, size: int) -> None:
        insort(self._by_size, (size, offset))
        self._size_at[offset] = size
        self._start_of_end[offset + size] = offset

    def _remove(self, offset: int) -> int:
        size = self._size_at.pop(offset)
        del self._start_of_end[offset + size]
        del self._by_size[bisect_left(self._by_size, (size, offset))]
        return size
