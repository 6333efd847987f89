"""K4, layouts: kernels and chip must have a common way for values to lie in memory."""

from emu.ir.errors import LayoutUnrepresentable
from emu.lockin.parts import Catalogue, Choice
from emu.lockin.source import Source


def negotiate(choice: Choice, source: Source, catalogue: Catalogue) -> dict[str, str]:
    """The layout of each library: its first one that the chip can hold.

    Raises LayoutUnrepresentable.
    """
    del source, catalogue
    device = choice["device"][0]
    held: list[str] = device.fact("layouts")
    agreed: dict[str, str] = {}
    for library in choice["kernels"]:
        taken: list[str] = library.fact("layouts")
        common = [layout for layout in taken if layout in held]
        if not common:
            raise LayoutUnrepresentable(
                "kernels and chip agree on a layout", ", ".join(held), ", ".join(taken)
            )
        agreed[library.name] = common[0]
    return agreed
