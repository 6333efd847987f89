"""Values at full speed: vectorised implementations of ops and groups, for the default executor."""

from emu.kernels.fast.inside import fast_body
from emu.kernels.fast.run import FAST, WRITERS, fast_op

__all__ = ["FAST", "WRITERS", "fast_body", "fast_op"]
