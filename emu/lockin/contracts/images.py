"""K6, load: the driver decodes what compilers and libraries bring, by its rules for the chip."""

from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import lru_cache

from emu.devices.driver import Image, Isa, Loader, encode, load
from emu.ir.body import Body
from emu.ir.errors import ContractError, NoBinaryForDevice, VersionSkew
from emu.ir.program import Program
from emu.ir.tile import TileProgram
from emu.lockin.parts import Bundle, Catalogue, Choice, Interface, Offer, Part
from emu.lockin.probe import PROBE, probe_tiles
from emu.lockin.source import Source

Compile = Callable[[Body], TileProgram]


def generated_loads(choice: Choice, source: Source, catalogue: Catalogue) -> tuple[Program, ...]:
    """K6 for compilers: the driver decodes the image that each of them makes of a small program.

    There is nothing to load where a compiler calls kernels only, or is not called itself. Raises
    NoBinaryForDevice, VersionSkew, PortableTooNew or ContainerError.
    """
    del source
    if choice["front_end"][0].fact("mode") == "eager":
        return ()
    images = (_images(compiler, catalogue) for compiler in choice["compiler"])
    return tuple(_load(offers, choice, catalogue) for offers in images if offers)


def library_loads(choice: Choice, source: Source, catalogue: Catalogue) -> tuple[Program, ...]:
    """K6 for libraries: each brings an image, which the driver decodes.

    Raises NoBinaryForDevice, VersionSkew, PortableTooNew or ContainerError.
    """
    del source
    return tuple(
        _load(_images(library, catalogue), choice, catalogue) for library in choice["kernels"]
    )


def images_of(makers: Bundle, catalogue: Catalogue) -> Hashable:
    """What K6 sees of compilers and libraries: the images that they bring."""
    return tuple(_images(maker, catalogue) for maker in makers)


def rules_of(drivers: Bundle, catalogue: Catalogue) -> Hashable:
    """What K6 sees of drivers: what they decode, and by which rules."""
    del catalogue
    facts = ("format_min", "format_max", "exact_isa")
    return tuple((d.imports, *(d.fact(fact) for fact in facts)) for d in drivers)


def codes_of(devices: Bundle, catalogue: Catalogue) -> Hashable:
    """What K6 sees of a chip: the instruction set that it runs."""
    return _chip_offer(devices, catalogue)


def _images(maker: Part, catalogue: Catalogue) -> tuple[Offer, ...]:
    """What a maker of code exports, native images first."""
    isas, portables = catalogue.of_kind("isa"), catalogue.of_kind("portable")
    return (
        *(offer for offer in maker.exports if offer.interface in isas),
        *(offer for offer in maker.exports if offer.interface in portables),
    )


def _load(offers: tuple[Offer, ...], choice: Choice, catalogue: Catalogue) -> Program:
    """The first image that the driver takes; if it takes none, the refusal of that for the chip."""
    chip = _chip(choice, catalogue)
    if not offers:
        raise NoBinaryForDevice("the driver looks for an image", "none", chip.name)
    refusals: list[ContractError] = []
    for offer in sorted(offers, key=lambda o: o.interface != chip.name):
        loader = _loader(choice, catalogue, offer.interface)
        try:
            return _decoded(catalogue.interfaces[offer.interface], offer.most, loader)
        except ContractError as error:
            refusals.append(error)
    raise next((e for e in refusals if not isinstance(e, NoBinaryForDevice)), refusals[0])


@lru_cache(maxsize=65536)
def _decoded(interface: Interface, version: int, loader: Loader) -> Program:
    """The probe, encoded for an interface and loaded again."""
    if interface.kind == "portable":
        return load(_probe(loader.isa, Image(native=False, portable=version)), loader)
    return load(_probe(isa_of(interface, version), Image()), loader)


@lru_cache(maxsize=1024)
def _probe(isa: Isa, image: Image) -> bytes:
    """The binary of the probe, which is the same for all drivers."""
    return encode(PROBE, isa, image)


def image_for(
    program: Program, choice: Choice, catalogue: Catalogue, compile: Compile
) -> tuple[bytes, Loader]:
    """A program as the binary that the chip's driver takes of a stack, and the driver's rules.

    It is native, unless the compiler makes only portable code, which the driver then compiles.
    """
    chip = _chip(choice, catalogue)
    eager = choice["front_end"][0].fact("mode") == "eager"
    offers = [o for c in choice["compiler"] if not eager for o in _images(c, catalogue)]
    if not offers or any(offer.interface == chip.name for offer in offers):
        return encode(program, chip), _loader(choice, catalogue, chip.name)
    for offer in offers:
        loader = _loader(choice, catalogue, offer.interface)
        if 0 < loader.oldest <= offer.most <= loader.portable:
            image = Image(native=False, portable=offer.most)
            return encode(program, chip, image), replace(loader, compile=compile)
    return encode(program, chip), _loader(choice, catalogue, chip.name)


def _loader(choice: Choice, catalogue: Catalogue, interface: str) -> Loader:
    """The driver's rules for the chip; drivers of a bundle share the work."""
    chip = _chip(choice, catalogue)
    drivers = choice["driver"]
    taken = [o for d in drivers for o in d.imports if o.interface == interface]
    compiles = bool(taken) and interface in catalogue.of_kind("portable")
    oldest, portable = (taken[0].least, taken[0].most) if compiles else (0, 0)
    _check_decodes(chip, [o for d in drivers for o in d.imports])
    compile: Compile | None = probe_tiles if compiles else None
    return Loader(
        chip,
        formats=(drivers[0].fact("format_min"), drivers[0].fact("format_max")),
        exact=any(d.fact("exact_isa") for d in drivers),
        portable=portable,
        oldest=oldest,
        compile=compile,
    )


def _check_decodes(chip: Isa, decoded: list[Offer]) -> None:
    """Raise NoBinaryForDevice or VersionSkew unless drivers decode the code of the very chip."""
    own = [offer for offer in decoded if offer.interface == chip.name]
    if not own:
        have = ", ".join(offer.interface for offer in decoded) or "nothing"
        raise NoBinaryForDevice("the driver decodes for the chip", have, chip.name)
    if not any(offer.least <= chip.minor <= offer.most for offer in own):
        have = ", ".join(f"{chip.name} {offer.least} to {offer.most}" for offer in own)
        raise VersionSkew("the driver decodes for the chip", have, chip.minor)


def _chip(choice: Choice, catalogue: Catalogue) -> Isa:
    """The instruction set of the chip, in its own version."""
    offer = _chip_offer(choice["device"], catalogue)
    return isa_of(catalogue.interfaces[offer.interface], offer.most)


def _chip_offer(devices: Bundle, catalogue: Catalogue) -> Offer:
    isas = catalogue.of_kind("isa")
    return next(o for o in devices[0].exports if o.interface in isas)


@lru_cache(maxsize=1024)
def isa_of(interface: Interface, minor: int) -> Isa:
    """The instruction set of an interface in one version."""
    facts = interface.facts
    return Isa(interface.name, facts.get("major", 1), minor, facts["word_bytes"], interface.table)
