"""``vendor``: all of ``deep``, super-kernels around any product, and the full menu of tiles.

Its products split their reductions over idle cores (cuBLAS: split-K, whose sums a second kernel
adds). ``work_centric`` has products that deal them out step by step instead (CUTLASS: Stream-K).
"""

from dataclasses import replace

from emu.kernels.libraries.deep import DEEP
from emu.kernels.libraries.generated import LOOPS, PRODUCT_LOOPS
from emu.kernels.library import Kernel, Library

SUPER: tuple[Kernel, ...] = (PRODUCT_LOOPS, LOOPS)

VENDOR = Library(
    "vendor",
    "all of deep, any group around one product, the full menu of tiles, split-K",
    (*DEEP.kernels, *SUPER),
    menu_length=32,
    load_width_bytes=16,
    split="split_k",
)
WORK_CENTRIC = replace(
    VENDOR,
    name="work_centric",
    about="all of vendor, with Stream-K: steps of reductions are dealt to all cores",
    split="stream_k",
)
