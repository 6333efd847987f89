"""``deep``: whole subgraphs that networks are made of, and menus of tiles for every shape."""

from emu.kernels import claims
from emu.kernels.attention import build_attention
from emu.kernels.build import build
from emu.kernels.libraries.epilogue import PRODUCT_EPILOGUE
from emu.kernels.libraries.reference import MOVE, POINTWISE
from emu.kernels.library import Kernel, Library
from emu.kernels.menus import attention_menu, chain_menu, pointwise_menu
from emu.kernels.siblings import build_siblings, sibling_menu

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
SIBLINGS = Kernel(
    "siblings",
    "independent groups of equal shape, what they share loaded once",
    claims.siblings,
    build_siblings,
    sibling_menu,
)

DEEP = Library(
    "deep",
    "epilogues, norms, attention, depth-first chains, siblings, the whole menu of tiles",
    (MOVE, PRODUCT_EPILOGUE, POINTWISE, NORM, ACTIVATION, ATTENTION, SIBLINGS, CHAIN),
    menu_length=16,
    load_width_bytes=16,
)
