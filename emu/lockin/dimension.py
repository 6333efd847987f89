"""The dimensions that a program may leave open: how many it runs at once, and how long each is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dimension:
    """A dimension that may be left open: what one size of it is, and the flag that says sizes.

    ``calls`` are the names that models have for it, as a setting or a symbol. A size runs in at
    most so many buckets, ``most_parts``; ``leak`` says why it can have other values in them.
    """

    name: str
    flag: str
    calls: tuple[str, ...]
    most_parts: int
    leak: str


BATCH = Dimension(
    "batch",
    "--batches",
    ("batch",),
    1000,
    "what is padded or run apart reaches the outputs",
)
# What stands at one place of a sequence may need all before it, so it is not split.
LENGTH = Dimension(
    "length",
    "--lengths",
    ("seq", "seq_len", "sequence", "sequence_length"),
    1,
    "padded positions reach the outputs, as the model masks none of them",
)
