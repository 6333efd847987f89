"""The grammar of MLIR's generic form: strings, numbers, attributes, names and operations.

Source: the MLIR Language Reference, sections "Identifiers and keywords" and "Operations". The text
is pure ASCII, as MLIR's own printer makes it, so that any terminal and any file can hold it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from emu.ir.graph import Attr, Attrs
from emu.ir.types import Array, is_narrow

Rendered: TypeAlias = Mapping[str, str]
NOTHING: Rendered = MappingProxyType({})
INDENT = "  "

_PLAIN = re.compile(r"[ !#-\[\]-~]*")
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_$.]*")
_FOREIGN = re.compile(r"[^A-Za-z0-9_$.]")


def quoted(text: str) -> str:
    r"""Return a string literal: a byte that is not printable ASCII becomes ``\XX``, in UTF-8."""
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    return f'"{"".join(map(_escaped, text.encode("utf-8", "surrogatepass")))}"'


def _escaped(byte: int) -> str:
    if byte == ord("\\"):
        return "\\\\"
    printable = 0x20 <= byte < 0x7F and byte != ord('"')
    return chr(byte) if printable else f"\\{byte:02X}"


def symbol(name: str) -> str:
    """Return the reference to a function, ``@name`` or, if it has other characters, ``@"name"``."""
    return f"@{name}" if _BARE.fullmatch(name) else f"@{quoted(name)}"


def comment(text: str) -> str:
    """Return one comment line, whatever characters the text has."""
    return f"// {text if _PLAIN.fullmatch(text) else ascii(text)[1:-1]}"


def integer(number: int) -> str:
    """Return a 64-bit integer attribute."""
    return f"{int(number)} : i64"


def real(number: float) -> str:
    """Return a 64-bit float attribute."""
    return f"{digits(np.float64(number))} : f64"


def digits(number: "np.floating[Any]") -> str:
    """Return a float literal: the shortest digits, or the bits of an infinity or a NaN."""
    if not np.isfinite(number):
        size = number.dtype.itemsize
        return f"0x{int(number.view(f'u{size}')):0{2 * size}X}"
    mantissa, mark, exponent = str(number).partition("e")
    return (mantissa if "." in mantissa else f"{mantissa}.0") + mark + exponent


def array(items: Iterable[str]) -> str:
    """Return an array attribute of attributes that are already text."""
    return f"[{', '.join(items)}]"


def strings(items: Iterable[str]) -> str:
    """Return an array attribute of string literals."""
    return array(map(quoted, items))


def attribute(value: Attr) -> str:
    """Return the attribute of a node: ``1 : i64``, ``1.0 : f64``, ``"a"`` or ``array<i64: 1>``."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        return _dense_array(value)
    return real(value) if isinstance(value, float) else integer(value)


def _dense_array(values: Sequence[float]) -> str:
    whole = all(isinstance(v, int) for v in values)
    kind = "i64" if whole else "f64"
    items = ", ".join(str(int(v)) if whole else digits(np.float64(v)) for v in values)
    return f"array<{kind}: {items}>" if values else f"array<{kind}>"


def booleans(flags: Iterable[bool]) -> str:
    """Return a non-empty ``array<i1: ...>``."""
    return f"array<i1: {', '.join('true' if flag else 'false' for flag in flags)}>"


def attributes(attrs: Attrs) -> dict[str, str]:
    """Return the attributes of a node as text, sorted by name."""
    return {name: attribute(attrs[name]) for name in sorted(attrs)}


def dense(values: Array) -> str:
    """Return the contents of an array, ``dense<[[1, 2]]>``, without its type."""
    return f"dense<{_nested(values) if values.size else ''}>"


def _nested(values: Array) -> str:
    if values.ndim:
        return array(_nested(np.asarray(row)) for row in values)
    number = values[()]
    if isinstance(number, np.floating):
        return digits(number)
    return few_bits(values) if is_narrow(values) else str(number).lower()


def few_bits(number: Array) -> str:
    """Return the literal of one bf16 or f8: that of its f32, or the bits of what is no number."""
    wide, size = np.float32(number), number.dtype.itemsize
    if np.isfinite(wide):
        return digits(wide)
    return f"0x{int(number.view(f'u{size}')):0{2 * size}X}"


def dictionary(attrs: Rendered) -> str:
    """Return ``{name = attribute, ...}``."""
    keys = ((name if _BARE.fullmatch(name) else quoted(name)) for name in attrs)
    pairs = zip(keys, attrs.values(), strict=True)
    return f"{{{', '.join(f'{key} = {value}' for key, value in pairs)}}}"


def function_type(ins: Iterable[str], outs: Sequence[str]) -> str:
    """Return ``(types) -> type``, with brackets unless there is exactly one result."""
    right = outs[0] if len(outs) == 1 else f"({', '.join(outs)})"
    return f"({', '.join(ins)}) -> {right}"


@dataclass(frozen=True, slots=True)
class Values:
    """SSA names, with their ``%``, and types as text; both in the same order."""

    names: Sequence[str] = ()
    types: Sequence[str] = ()


NO_VALUES = Values()


def operation(
    name: str,
    operands: Values = NO_VALUES,
    results: Values = NO_VALUES,
    attrs: Rendered = NOTHING,
    properties: Rendered = NOTHING,
) -> str:
    """Return an operation without regions on one line."""
    left = f"{', '.join(results.names)} = " if results.names else ""
    inherent = f" <{dictionary(properties)}>" if properties else ""
    extra = f" {dictionary(attrs)}" if attrs else ""
    signature = function_type(operands.types, results.types)
    return f"{left}{quoted(name)}({', '.join(operands.names)}){inherent}{extra} : {signature}"


def region(
    name: str,
    properties: Rendered,
    body: Iterable[str],
    attrs: Rendered = NOTHING,
    label: Iterable[str] = (),
) -> list[str]:
    """Return the lines of an operation with one region, no operands and no results."""
    inherent = f" <{dictionary(properties)}>" if properties else ""
    extra = f" {dictionary(attrs)}" if attrs else ""
    inside = (INDENT + line for line in body)
    return [f"{quoted(name)}(){inherent} ({{", *label, *inside, f"}}){extra} : () -> ()"]


@dataclass(frozen=True)
class Function:
    """A ``func.func``: its arguments, what it returns, the lines between, and who may call it.

    ``attrs`` are facts about the function, with the prefix of a dialect, ``meant`` the names that
    the arguments have in the model.
    """

    name: str
    args: Values
    returned: Values
    body: Sequence[str]
    private: bool = False
    attrs: Rendered = field(default_factory=lambda: NOTHING)
    meant: Sequence[str] = ()

    def lines(self) -> list[str]:
        """The function as text."""
        body = [*self.body, operation("func.return", self.returned)]
        return region("func.func", self._properties(), body, self.attrs, self._label())

    def _label(self) -> list[str]:
        if not self.args.names:
            return []
        pairs = zip(self.args.names, self.args.types, strict=True)
        return [f"^bb0({', '.join(f'{name}: {kind}' for name, kind in pairs)}):"]

    def _properties(self) -> dict[str, str]:
        found: dict[str, str] = {}
        if renamed(self.meant, self.args.names):
            found["arg_attrs"] = array(f"{{emu.name = {quoted(name)}}}" for name in self.meant)
        found["function_type"] = function_type(self.args.types, self.returned.types)
        found["sym_name"] = quoted(self.name)
        return found | ({"sym_visibility": quoted("private")} if self.private else {})


def module(
    name: str, functions: Iterable[Function], attrs: Rendered = NOTHING, notes: Iterable[str] = ()
) -> str:
    """Return a whole module: comment lines, then its functions."""
    body = [line for function in functions for line in function.lines()]
    lines = region("builtin.module", {"sym_name": quoted(name)}, body, attrs)
    return "\n".join([*map(comment, notes), *lines])


def ssa_names(values: Iterable[str]) -> dict[str, str]:
    """Give each value a name that MLIR can spell, with its ``%``; equal spellings are numbered."""
    names: dict[str, str] = {}
    taken: dict[str, int] = {}
    for value in values:
        if value not in names:
            names[value] = f"%{_claimed(_bare(value), taken)}"
    return names


def _bare(value: str) -> str:
    if value.isascii() and value.isdigit():
        return value  # a name of its own kind, which no other value's name can become
    name = _FOREIGN.sub("_", value).lstrip("_") or "value"
    return f"v{name}" if name[0].isdigit() else name


def _claimed(name: str, taken: dict[str, int]) -> str:
    unique = name
    while unique in taken:
        taken[name] += 1
        unique = f"{name}_{taken[name]}"
    taken[unique] = 0
    return unique


def renamed(values: Iterable[str], names: Iterable[str]) -> bool:
    """Whether some value could not keep its own name."""
    return any(name != f"%{value}" for value, name in zip(values, names, strict=True))
