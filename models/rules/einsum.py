"""Einsum as transposes, sums and one matrix product for each further operand."""

from collections import Counter
from collections.abc import Mapping
from math import prod
from types import MappingProxyType

from emu.ir.errors import ModelError
from emu.models.rules.expanding import Sketch
from emu.models.rules.site import Calls, Rule, Site

# Letters that no equation has, Greek ones, stand for the dimensions of an ellipsis.
HIDDEN = tuple(chr(0x3B1 + i) for i in range(24))


def einsum(site: Site) -> Calls:
    """Operands are joined from left to right; letters that nothing needs any more are summed."""
    terms, output = _terms(site)
    sizes = _sizes(site, terms)
    write = Sketch(site)
    parts = [_diagonal(write, v, term, sizes) for v, term in zip(site.inputs, terms, strict=True)]
    value, letters = parts[0]
    for i, part in enumerate(parts[1:], start=1):
        wanted = {*output, *(letter for later in terms[i + 1 :] for letter in later)}
        value, letters = _joined(write, (value, letters), part, wanted, sizes)
    value, letters = _summed(write, value, letters, set(output))
    perm = tuple(letters.index(letter) for letter in output)
    return write.done(write("Transpose", value, perm=perm))


def _terms(site: Site) -> tuple[list[str], str]:
    """The letters of each operand, and of the result."""
    equation = site.text("equation", "").replace(" ", "")
    left, arrow, output = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(site.inputs):
        raise ModelError(f"{site.where}: '{equation}' does not have {len(site.inputs)} operands")
    named = [len(term.replace("...", "")) for term in terms]
    ranks = [len(site.type(i).shape) for i in range(len(terms))]
    if any("..." in t and r - n > len(HIDDEN) for t, r, n in zip(terms, ranks, named, strict=True)):
        raise site.refuse("an ellipsis of so many dimensions is not supported")
    full = [
        term.replace("...", "".join(HIDDEN[len(HIDDEN) - max(rank - n, 0) :]))
        for term, rank, n in zip(terms, ranks, named, strict=True)
    ]
    most = max(
        (r - n for t, r, n in zip(terms, ranks, named, strict=True) if "..." in t), default=0
    )
    hidden = "".join(HIDDEN[len(HIDDEN) - most :])
    if arrow:
        return full, output.replace("...", hidden)
    counts = Counter(letter for term in full for letter in term if letter not in hidden)
    return full, hidden + "".join(sorted(c for c, n in counts.items() if n == 1))


def _sizes(site: Site, terms: list[str]) -> Mapping[str, int]:
    sizes: dict[str, int] = {}
    for i, term in enumerate(terms):
        dims = site.type(i).dims
        if len(term) != len(dims):
            raise ModelError(f"{site.where}: '{term}' does not fit {site.type(i)}")
        for letter, dim in zip(term, dims, strict=True):
            if sizes.setdefault(letter, dim) != dim:
                raise site.refuse(f"letter '{letter}' is {sizes[letter]} and {dim}")
    return sizes


def _diagonal(write: Sketch, value: str, letters: str, sizes: Mapping[str, int]) -> tuple[str, str]:
    """Take the diagonal where a letter stands twice: every (n+1)-th element of [..., n * n]."""
    while letter := next((c for c in letters if letters.count(c) > 1), None):
        size, first = sizes[letter], letters.index(letter)
        second = letters.index(letter, first + 1)
        rest = [i for i in range(len(letters)) if i not in (first, second)]
        turned = write("Transpose", value, perm=(*rest, first, second))
        shape = tuple(sizes[letters[i]] for i in rest)
        flat = write("Reshape", turned, shape=(*shape, size * size))
        ends = {"starts": (0,), "ends": (size * size,), "steps": (size + 1,)}
        value = write("Slice", flat, axes=(len(rest),), **ends)
        letters = "".join(letters[i] for i in rest) + letter
    return value, letters


def _summed(write: Sketch, value: str, letters: str, wanted: set[str]) -> tuple[str, str]:
    """Sum over the letters that nobody wants."""
    axes = tuple(i for i, letter in enumerate(letters) if letter not in wanted)
    if not axes:
        return value, letters
    kept = "".join(letter for letter in letters if letter in wanted)
    return write("ReduceSum", value, axes=axes, keepdims=0), kept


def _joined(
    write: Sketch,
    a: tuple[str, str],
    b: tuple[str, str],
    wanted: set[str],
    sizes: Mapping[str, int],
) -> tuple[str, str]:
    """Two operands as one [batch, M, K] @ [batch, K, N]; K are shared letters nobody wants."""
    left, a_letters = _summed(write, *a, {*wanted, *b[1]})
    right, b_letters = _summed(write, *b, {*wanted, *a[1]})
    batch = "".join(c for c in a_letters if c in b_letters and c in wanted)
    depth = "".join(c for c in a_letters if c in b_letters and c not in wanted)
    rows = "".join(c for c in a_letters if c not in b_letters)
    columns = "".join(c for c in b_letters if c not in a_letters)

    def matrix(value: str, letters: str, order: tuple[str, str, str]) -> str:
        perm = tuple(letters.index(c) for c in "".join(order))
        shape = tuple(prod(sizes[c] for c in part) for part in order)
        return write("Reshape", write("Transpose", value, perm=perm), shape=shape)

    product = write(
        "MatMul",
        matrix(left, a_letters, (batch, rows, depth)),
        matrix(right, b_letters, (batch, depth, columns)),
    )
    letters = batch + rows + columns
    return write("Reshape", product, shape=tuple(sizes[c] for c in letters)), letters


RULES: Mapping[str, Rule] = MappingProxyType({"Einsum": einsum})
