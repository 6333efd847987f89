"""``vendor``: all of ``deep``, super-kernels around any product, and the full menu of tiles."""

from emu.kernels.libraries.deep import DEEP
from emu.kernels.libraries.generated import LOOPS, PRODUCT_LOOPS
from emu.kernels.library import Kernel, Library

SUPER: tuple[Kernel, ...] = (PRODUCT_LOOPS, LOOPS)

VENDOR = Library(
    "vendor",
    "all of deep, any group around one product, the full menu of tiles, deeper pipelines",
    (*DEEP.kernels, *SUPER),
    menu_length=32,
    load_width_bytes=16,
)
