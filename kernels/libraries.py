"""The kernel libraries, by depth, and the kernels that the compiler generates itself."""

from collections.abc import Mapping
from types import MappingProxyType

from emu.kernels import claims
from emu.kernels.attention import build_attention
from emu.kernels.build import build
from emu.kernels.library import Kernel, Library
from emu.kernels.menus import attention_menu, chain_menu, pointwise_menu, product_menu
from emu.kernels.movement import build_movement

MOVE = Kernel(
    "move", "concat, split, gather, reshape", claims.movement, build_movement, pointwise_menu
)
PRODUCT = Kernel("product", "one matmul or conv", claims.plain_product, build, product_menu)
POINTWISE = Kernel("op", "one op without a product", claims.plain_pointwise, build, pointwise_menu)
EPILOGUE = Kernel(
    "product+epilogue",
    "a product and what follows it element by element",
    claims.product_with_epilogue,
    build,
    product_menu,
)
NORM = Kernel(
    "norm", "spelled-out normalisation of rows", claims.normalisation, build, pointwise_menu
)
ACTIVATION = Kernel("activation", "GELU spelled out", claims.gelu, build, pointwise_menu)
ATTENTION = Kernel(
    "attention",
    "attention with online softmax",
    claims.attention,
    build_attention,
    attention_menu,
    tilewise=True,
)
CHAIN = Kernel(
    "chain",
    "several products or pools, depth first",
    claims.chain,
    build,
    chain_menu,
    tilewise=True,
)
LOOPS = Kernel(
    "loops",
    "loops over any group without a product",
    claims.anything_without_product,
    build,
    pointwise_menu,
)
PRODUCT_LOOPS = Kernel(
    "product-loops",
    "loops over any group around one product",
    claims.anything_with_product,
    build,
    product_menu,
)

LIBRARIES: Mapping[str, Library] = MappingProxyType(
    {
        "reference": Library(
            "reference",
            "one plain kernel an op, one tile, one element per lane",
            (MOVE, PRODUCT, POINTWISE),
            menu_length=1,
            load_width_bytes=4,
        ),
        "basic": Library(
            "basic",
            "products and single ops, a few tiles",
            (MOVE, PRODUCT, POINTWISE),
            menu_length=3,
            load_width_bytes=4,
        ),
        "deep": Library(
            "deep",
            "epilogues, norms, attention, depth-first chains, the whole menu of tiles",
            (MOVE, EPILOGUE, POINTWISE, NORM, ACTIVATION, ATTENTION, CHAIN),
            menu_length=16,
            load_width_bytes=16,
        ),
        "generated": Library(
            "generated",
            "everything by the compiler's own loops",
            (MOVE, PRODUCT_LOOPS, LOOPS, ATTENTION, CHAIN),
            menu_length=6,
            load_width_bytes=16,
        ),
    }
)
# What the compiler can always make for a group that a library does not claim.
GENERATOR = Library(
    "generated",
    "loops over groups without a product",
    (MOVE, LOOPS),
    menu_length=3,
    load_width_bytes=16,
)
