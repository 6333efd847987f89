"""Passes: each takes a graph and returns a new one that means the same."""

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from types import MappingProxyType
from typing import TypeAlias

from emu.ir.errors import UnknownName, VerifyError
from emu.ir.graph import Graph
from emu.ir.passes.canonicalise import canonicalise
from emu.ir.passes.fold_batch_norm import fold_batch_norm
from emu.ir.passes.fold_constants import fold_constants
from emu.ir.passes.infer_types import infer_types
from emu.ir.passes.integer_products import integer_products
from emu.ir.passes.merge_equal import merge_common
from emu.ir.passes.remove_dead import remove_dead
from emu.ir.place import at

Pass: TypeAlias = Callable[[Graph], Graph]
Watch: TypeAlias = Callable[[str, Graph, float], None]

PASSES: Mapping[str, Pass] = MappingProxyType(
    {
        "infer-types": infer_types,
        "integer-products": integer_products,
        "fold-constants": fold_constants,
        "remove-dead": remove_dead,
        "merge-common": merge_common,
        "fold-batch-norm": fold_batch_norm,
        "canonicalise": canonicalise,
    }
)

# Types come first, since all else reads them; weights are folded into real numbers unless products
# of integers have taken them; folding uncovers equal and unread nodes.
DEFAULT_PASSES = (
    "infer-types",
    "integer-products",
    "fold-constants",
    "canonicalise",
    "fold-batch-norm",
    "merge-common",
    "remove-dead",
)


def run_passes(
    graph: Graph,
    names: Iterable[str],
    watch: Watch | None = None,
    passes: Mapping[str, Pass] = PASSES,
) -> Graph:
    """Return ``graph`` after the passes ``names``, in order; ``watch`` hears of each with seconds.

    Raises UnknownName before anything runs, and VerifyError that names the pass which broke the
    graph.
    """
    chosen = [(name, find_pass(name, passes)) for name in names]
    for name, run in chosen:
        at("pass", name)
        start = perf_counter()
        graph = _verified(name, run(graph))
        if watch is not None:
            watch(name, graph, perf_counter() - start)
    return graph


def find_pass(name: str, passes: Mapping[str, Pass] = PASSES) -> Pass:
    """Return the pass of this name; raise UnknownName if there is none."""
    if name not in passes:
        raise UnknownName("pass", name, passes)
    return passes[name]


def _verified(name: str, graph: Graph) -> Graph:
    try:
        return graph.verify()
    except VerifyError as error:
        raise VerifyError(f"pass '{name}': {error}") from error
