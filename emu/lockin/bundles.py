"""The kernels of a bundle as one library, each for the ops that it may be asked for by name."""

from dataclasses import dataclass, replace
from functools import lru_cache

from emu.devices.device import Device
from emu.dtype import computes
from emu.ir.body import Body
from emu.ir.errors import Unsupported
from emu.ir.ops import OPS
from emu.ir.ops.own import OWN, standard
from emu.kernels.libraries import LIBRARIES
from emu.kernels.library import Claims, Library
from emu.lockin.layouts import claimed, lies_in
from emu.lockin.parts import Bundle, Catalogue, Choice, Part, meetings

EVERY_OP = frozenset(OPS)
CONVERSIONS = frozenset(("Relayout",))


@dataclass(frozen=True)
class Registered:
    """The claims of a kernel that answers for some ops only, as tables of kernels list them."""

    claims: Claims
    ops: frozenset[str]

    def __call__(self, body: Body) -> str | None:
        """Why the kernel does not take a body, None if it does."""
        unlisted = sorted({node.op for node in body.nodes} - self.ops)
        return f"{unlisted[0]} is in no table of it" if unlisted else self.claims(body)


@dataclass(frozen=True)
class Agreed:
    """The claims of a kernel in the layouts only that its library shares with the chip."""

    claims: Claims
    layouts: frozenset[str]

    def __call__(self, body: Body) -> str | None:
        """Why the kernel does not take a body, None if it does."""
        foreign = dict.fromkeys(t.layout for t in body.types if not lies_in(t, self.layouts))
        if not foreign:
            return self.claims(body)
        agreed = " or ".join(sorted(self.layouts)) or "none"
        return f"shares layout {agreed} with the chip, not {' and '.join(foreign)}"


@dataclass(frozen=True)
class Asked:
    """What a library can be asked for in one run: ops in some layouts, by kernels of its depth."""

    depth: str
    ops: frozenset[str]
    layouts: frozenset[str]


def library_of(choice: Choice, catalogue: Catalogue, dtype: str) -> Library:
    """One library with the kernels of all parts, those of the first part first.

    A kernel takes only what the tables have that its part shares with whoever asks: the front end
    that dispatches op by op, or the compiler; and only in layouts that the chip holds too. Parts
    that do not compute in ``dtype`` have no kernel for a run in it.
    """
    return library(asked_of(choice, catalogue, dtype))


def asked_of(
    choice: Choice, catalogue: Catalogue, dtype: str, ops: frozenset[str] = EVERY_OP
) -> tuple[Asked, ...]:
    """What the libraries of a stack can be asked for by a program of some ``ops``.

    One that it asks nothing is left out where it makes no difference, as others are as deep.
    """
    return _asked_of(
        choice["kernels"], asking_of(choice), choice["device"][0], catalogue, dtype, ops
    )


@lru_cache(maxsize=65536)
def _asked_of(
    kernels: Bundle,
    asking: Bundle,
    device: Part,
    catalogue: Catalogue,
    dtype: str,
    ops: frozenset[str],
) -> tuple[Asked, ...]:
    every = [_asked(part, asking, device, catalogue, dtype, ops) for part in kernels]
    if len({one.depth for one in every}) > 1:
        return tuple(every)
    return tuple(one for one in every if one.ops) or tuple(every[:1])


@lru_cache(maxsize=65536)
def _asked(
    part: Part,
    asking: Bundle,
    device: Part,
    catalogue: Catalogue,
    dtype: str,
    ops: frozenset[str],
) -> Asked:
    layouts, depth = agreed(part, device, catalogue), part.fact("depth")
    found = ops & _ops(part, asking, catalogue)
    found |= CONVERSIONS if len(layouts) > 1 else frozenset()
    if not found or dtype not in part.fact("dtypes"):
        return Asked(depth, frozenset(), frozenset())
    return Asked(depth, found, layouts)


@lru_cache(maxsize=4096)
def library(asked: tuple[Asked, ...]) -> Library:
    """One library of all kernels that take any of what is asked; with two layouts it converts."""
    libraries = [LIBRARIES[one.depth] for one in asked]
    kernels = (
        replace(kernel, claims=Agreed(Registered(kernel.claims, one.ops), one.layouts))
        for one in asked
        if one.ops
        for kernel in LIBRARIES[one.depth].kernels
    )
    return replace(
        libraries[0],
        kernels=tuple(dict.fromkeys(kernels)),
        menu_length=max(library.menu_length for library in libraries),
        load_width_bytes=max(library.load_width_bytes for library in libraries),
        split=max(library.split for library in libraries),
    )


def listed(choice: Choice, catalogue: Catalogue) -> frozenset[str]:
    """The ops that kernels of ``library_of`` can be asked for; none takes a group with others."""
    asking = asking_of(choice)
    ops = (_ops(part, asking, catalogue) for part in choice["kernels"])
    return CONVERSIONS.union(*ops)


def asking_of(choice: Choice) -> Bundle:
    """Who asks libraries for kernels: the front end that dispatches op by op, or the compiler."""
    eager = choice["front_end"][0].fact("mode") == "eager"
    return choice["front_end" if eager else "compiler"]


def agreed(part: Part, device: Part, catalogue: Catalogue) -> frozenset[str]:
    """The layouts that both a library and a chip take."""
    return claimed(part, catalogue) & claimed(device, catalogue)


@lru_cache(maxsize=65536)
def _ops(part: Part, asking: Bundle, catalogue: Catalogue) -> frozenset[str]:
    """The ops that a library can be asked for: own ops if it has all that they stand for."""
    met = meetings((part,), asking, catalogue.of_kind("kernels"))
    listed = {op for m in met for op in catalogue.interfaces[m.interface].upto(m.version)}
    return frozenset(listed.union(op for op in OWN if listed.issuperset(standard(op))))


def owner(kernels: Bundle, name: str) -> Part | None:
    """The first library of a bundle that has a kernel of this name; None for a generated one."""
    library, _, kernel = name.partition(".")
    if library == "generated":
        return None
    have = ((p, LIBRARIES[p.fact("depth")].kernels) for p in kernels)
    return next((part for part, known in have if any(k.name == kernel for k in known)), None)


def wanted_in(kernels: Bundle) -> tuple[str, ...]:
    """The element types of libraries, in the order in which they are preferred."""
    return tuple(dtype for part in kernels for dtype in part.fact("dtypes"))


@lru_cache(maxsize=4096)
def dtype_of(kernels: Bundle, chip: Device) -> str:
    """What a stack computes in: the first element type of its kernels that the chip has.

    Raises Unsupported if there is none.
    """
    wanted = wanted_in(kernels)
    for dtype in wanted:
        if computes(chip, dtype):
            return dtype
    why = f"device '{chip.name}' computes in none of {', '.join(wanted)}"
    raise Unsupported(f"{kernels[0].path}: facts.dtypes: {why}")
