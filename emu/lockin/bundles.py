"""The kernels of a bundle as one library, each for the ops that it may be asked for by name."""

from dataclasses import dataclass, replace

from emu.ir.body import Body
from emu.ir.ops import OPS
from emu.kernels.libraries import LIBRARIES
from emu.kernels.library import Claims, Kernel, Library
from emu.lockin.parts import Bundle, Catalogue, Choice, Part, meetings

EVERY_OP = frozenset(OPS)


@dataclass(frozen=True)
class Registered:
    """The claims of a kernel that answers for some ops only, as tables of kernels list them."""

    claims: Claims
    ops: frozenset[str]

    def __call__(self, body: Body) -> str | None:
        """Why the kernel does not take a body, None if it does."""
        unlisted = sorted({node.op for node in body.nodes} - self.ops)
        return f"{unlisted[0]} is in no table of it" if unlisted else self.claims(body)


def library_of(choice: Choice, catalogue: Catalogue) -> Library:
    """One library with the kernels of all parts, those of the first part first.

    A kernel takes only what the tables have that its part shares with whoever asks: the front end
    that dispatches op by op, or the compiler.
    """
    eager = choice["front_end"][0].fact("mode") == "eager"
    asking = choice["front_end" if eager else "compiler"]
    libraries = [LIBRARIES[part.fact("depth")] for part in choice["kernels"]]
    kernels = [
        _listed(kernel, ops)
        for part in choice["kernels"]
        for ops in (_ops(part, asking, catalogue),)
        for kernel in LIBRARIES[part.fact("depth")].kernels
    ]
    return replace(
        libraries[0],
        kernels=tuple(dict.fromkeys(kernels)),
        menu_length=max(library.menu_length for library in libraries),
        load_width_bytes=max(library.load_width_bytes for library in libraries),
    )


def _ops(part: Part, asking: Bundle, catalogue: Catalogue) -> frozenset[str]:
    """The ops that a library can be asked for."""
    met = meetings((part,), asking, catalogue.of_kind("kernels"))
    return frozenset(op for m in met for op in catalogue.interfaces[m.interface].upto(m.version))


def _listed(kernel: Kernel, ops: frozenset[str]) -> Kernel:
    return kernel if ops >= EVERY_OP else replace(kernel, claims=Registered(kernel.claims, ops))


def owner(kernels: Bundle, name: str) -> Part | None:
    """The first library of a bundle that has a kernel of this name; None for a generated one."""
    library, _, kernel = name.partition(".")
    if library == "generated":
        return None
    have = ((p, LIBRARIES[p.fact("depth")].kernels) for p in kernels)
    return next((part for part, known in have if any(k.name == kernel for k in known)), None)
