"""Values at full speed: vectorised implementations of ops and groups, for the default executor."""

from emu.kernels.fast.bind import QUIET, bind, fast_body
from emu.kernels.fast.memory import Scratch, aligned, new, shaped
from emu.kernels.fast.run import WRITERS, fast_op

__all__ = [
    "QUIET",
    "WRITERS",
    "Scratch",
    "aligned",
    "bind",
    "fast_body",
    "fast_op",
    "new",
    "shaped",
]
