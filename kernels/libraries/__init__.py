"""The kernel libraries, by depth, and the kernels that the compiler generates itself.

Depth decides which groups a library claims, how many tilings it tries and how wide its lanes load.
"""

from collections.abc import Mapping
from types import MappingProxyType

from emu.kernels.libraries.basic import BASIC
from emu.kernels.libraries.deep import DEEP
from emu.kernels.libraries.epilogue import EPILOGUE
from emu.kernels.libraries.generated import GENERATED, GENERATOR
from emu.kernels.libraries.plain import PLAIN
from emu.kernels.libraries.reference import REFERENCE
from emu.kernels.libraries.vendor import VENDOR, WORK_CENTRIC
from emu.kernels.library import Library

__all__ = ["DEPTHS", "GENERATOR", "LIBRARIES"]

DEPTHS = (REFERENCE, BASIC, EPILOGUE, DEEP, VENDOR)  # each claims all that those before it claim
LIBRARIES: Mapping[str, Library] = MappingProxyType(
    {library.name: library for library in (*DEPTHS, WORK_CENTRIC, GENERATED, PLAIN)}
)
