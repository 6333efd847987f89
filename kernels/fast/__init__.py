"""Values at full speed: vectorised implementations of ops and groups, for the default executor."""

from emu.kernels.fast.bind import QUIET, Bound, bind, fast_body
from emu.kernels.fast.memory import Scratch
from emu.kernels.fast.run import WRITERS, fast_op
from emu.kernels.fast.threads import Threads, one_blas_thread, threads_of
from emu.kernels.fast.together import joined
from emu.kernels.fast.writer import Call, flat

__all__ = [
    "QUIET",
    "WRITERS",
    "Bound",
    "Call",
    "Scratch",
    "Threads",
    "bind",
    "fast_body",
    "fast_op",
    "flat",
    "joined",
    "one_blas_thread",
    "threads_of",
]
