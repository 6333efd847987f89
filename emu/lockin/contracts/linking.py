"""K5, link: libraries open drivers by the functions that these export, and runtimes by the same."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from emu.devices.driver.handles import Request
from emu.devices.driver.linker import Export, Import, link
from emu.devices.driver.runtime import Caller
from emu.ir.errors import AbiMismatch, ContextClosed
from emu.lockin.cycles import cycle, told
from emu.lockin.parts import Bundle, Catalogue, Choice, Offer, Part
from emu.lockin.source import Source

Submit = Callable[..., None]


def linked(choice: Choice, source: Source, catalogue: Catalogue) -> Mapping[Part, Caller]:
    """K5: each library and runtime resolves the functions that it calls, in the drivers' tables.

    Raises AbiMismatch. No chip is open yet, so nothing can be called through what comes out.
    """
    del source
    return opened(choice, catalogue, _closed)


def _closed(*requests: Request) -> None:
    raise ContextClosed(f"driver: {requests[0].role} before any chip was opened")


def opened(choice: Choice, catalogue: Catalogue, submit: Submit) -> Mapping[Part, Caller]:
    """The handle of each library and runtime; drivers that call no other one call ``submit``.

    A runtime is a driver that calls functions of the others in its bundle: what is asked of it goes
    on through its own handle. Raises AbiMismatch, for drivers that only open each other too.
    """
    drivers, kinds = choice["driver"], catalogue.of_kind("functions")
    _check_ground(drivers, kinds)
    callers: dict[Part, Caller] = {}
    for part in (*drivers, *choice["kernels"]):
        if _imports(part, kinds):
            tables = tuple(
                _tables((d for d in drivers if d is not part), catalogue, callers, submit)
            )
            callers[part] = _open(part, tables, catalogue)
    return callers


def compiled_code(
    choice: Choice, catalogue: Catalogue, callers: Mapping[Part, Caller], submit: Submit
) -> Caller:
    """Who launches what compilers made: all functions of the first driver that has any are there.

    Raises AbiMismatch if no driver has.
    """
    tables = _tables(choice["driver"], catalogue, dict(callers), submit)
    table = next(tables, None)
    if table is None:
        raise AbiMismatch("compiled code opens the driver", "no table", "a table of functions")
    wanted = Import(table.interface, table.oldest, table.version, tuple(table.functions))
    return Caller(link(wanted, (table,)), _roles(table.interface, table.functions, catalogue))


def roles_of(choice: Choice, catalogue: Catalogue) -> frozenset[str]:
    """What the functions do that compiled code can call; raises AbiMismatch if there are none."""
    return _roles_of(choice["kernels"], choice["driver"], catalogue)


@lru_cache(maxsize=8192)
def _roles_of(kernels: Bundle, drivers: Bundle, catalogue: Catalogue) -> frozenset[str]:
    choice = {"kernels": kernels, "driver": drivers}
    callers = opened(choice, catalogue, _closed)
    return frozenset(compiled_code(choice, catalogue, callers, _closed).roles)


def _check_ground(drivers: tuple[Part, ...], kinds: frozenset[str]) -> None:
    """Raise AbiMismatch if a driver is reached from itself, so that none of them opens the chip."""
    way = cycle(drivers, kinds)
    if way:
        raise AbiMismatch("drivers open each other", told(way), "one that opens the chip itself")


def _imports(part: Part, kinds: frozenset[str]) -> bool:
    return any(offer.interface in kinds for offer in part.imports)


def _open(library: Part, tables: tuple[Export, ...], catalogue: Catalogue) -> Caller:
    """The handle of the first interface that links; the last refusal if none does."""
    wanted = [o for o in library.imports if o.interface in catalogue.of_kind("functions")]
    for offer in wanted[:-1]:
        try:
            return _link(offer, tables, catalogue)
        except AbiMismatch:
            continue  # a library may be built for several drivers
    return _link(wanted[-1], tables, catalogue)


def _link(offer: Offer, tables: tuple[Export, ...], catalogue: Catalogue) -> Caller:
    functions = tuple(catalogue.interfaces[offer.interface].upto(offer.least))
    handle = link(Import(offer.interface, offer.least, offer.most, functions), tables)
    return Caller(handle, _roles(offer.interface, functions, catalogue))


def _roles(interface: str, functions: Iterable[str], catalogue: Catalogue) -> dict[str, str]:
    """The function of each role; the first of several."""
    table = catalogue.interfaces[interface].table
    return {table[name]: name for name in reversed(tuple(functions))}


def _tables(
    drivers: Iterable[Part],
    catalogue: Catalogue,
    callers: Mapping[Part, Caller],
    submit: Submit,
) -> Iterator[Export]:
    """What drivers export: a closed function has no entry at all."""
    kinds = catalogue.of_kind("functions")
    for driver in drivers:
        closed = set(driver.fact("closed"))
        for offer in driver.exports:
            if offer.interface in kinds:
                names = catalogue.interfaces[offer.interface].upto(offer.most)
                does = _does(driver, callers, submit)
                functions = {name: does for name in names if name not in closed}
                yield Export(offer.interface, offer.least, offer.most, functions, driver.name)


def _does(driver: Part, callers: Mapping[Part, Caller], submit: Submit) -> Submit:
    """What every function of a driver does with requests: it opens the chip, or passes them on."""

    def does(*requests: Request) -> None:
        passes_on = callers[driver].pass_on if driver in callers else submit
        passes_on(*requests)

    return does
