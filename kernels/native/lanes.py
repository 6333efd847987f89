"""Elementwise arithmetic on vectors of f32, and folds of them: what an instruction of a row does.

Results are those of IEEE arithmetic but for exp, tanh and erf, which are within 4e-7 of the true
value, relative to it. NaN goes through everything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emu.kernels.native.tiles import INDEX, LANES, VECTOR, cgutils, ir

Terms = tuple[float, ...]
NUMBERS = ir.VectorType(INDEX, LANES)
# erf(x) = x * top(x^2) / bottom(x^2) on [-4, 4], beyond which erf is 1 in f32; powers of x^2 from
# the highest. A rational least-squares fit of erf(x)/x at 4000 Chebyshev points, reweighted until
# the relative error was level, at 7e-8.
ERF_LIMIT = 4.0
ERF_TOP = (
    1.91103364e-08,
    -1.9422564e-06,
    1.47281564e-04,
    3.99044994e-03,
    5.15245721e-02,
    2.07123056e-01,
    1.12837911,
)
ERF_BOTTOM = (1.02107599e-03, 1.49578545e-02, 1.17969818e-01, 5.16889274e-01, 1.0)
# tanh(x) = x * top(x^2) / bottom(x^2), the same way; Eigen, generic_fast_tanh_float.
TANH_LIMIT = 7.90531110763549805
TANH_TOP = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
TANH_BOTTOM = (
    1.19825839466702e-06,
    1.18534705686654e-04,
    2.26843463243900e-03,
    4.89352518554385e-03,
)
# exp(r) on [-ln(2)/2, ln(2)/2], and ln(2) in two parts; S. Moshier, Cephes, expf.
EXP_TERMS = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
    1.0,
    1.0,
)
LOG2_E, LN2_HIGH, LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
EXP_LEAST, EXP_MOST = -104.0, 89.0  # beyond, exp is 0 and infinite in f32
BIAS, FRACTION_BITS = 127, 23


@dataclass(frozen=True)
class Lanes:
    """What is being written: arithmetic on vectors by a builder."""

    b: Any

    def number(self, value: float) -> Any:
        """A vector of one number."""
        return ir.Constant(VECTOR, [value] * LANES)

    def call(self, name: str, result: Any, *arguments: Any) -> Any:
        """Call an intrinsic of LLVM."""
        type = ir.FunctionType(result, [a.type for a in arguments])
        return self.b.call(cgutils.get_or_insert_function(self.b.module, type, name), arguments)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """``a * b + c``, rounded once."""
        return self.call(f"llvm.fma.v{LANES}f32", VECTOR, a, b, c)

    def larger(self, a: Any, b: Any) -> Any:
        """The larger, NaN if either is."""
        kept = self.b.or_(self.b.fcmp_ordered(">", a, b), self.b.fcmp_unordered("uno", a, a))
        return self.b.select(kept, a, b)

    def smaller(self, a: Any, b: Any) -> Any:
        """The smaller, NaN if either is."""
        kept = self.b.or_(self.b.fcmp_ordered("<", a, b), self.b.fcmp_unordered("uno", a, a))
        return self.b.select(kept, a, b)

    def within(self, x: Any, least: float, most: float) -> Any:
        """``x`` bounded on both sides."""
        return self.smaller(self.larger(x, self.number(least)), self.number(most))

    def polynomial(self, terms: Terms, x: Any) -> Any:
        """A polynomial by its coefficients, from the highest power."""
        total = self.number(terms[0])
        for term in terms[1:]:
            total = self.fma(total, x, self.number(term))
        return total

    def rational(
        self, x: Any, limit: float, top: tuple[float, ...], bottom: tuple[float, ...]
    ) -> Any:
        """``x * top(x^2) / bottom(x^2)`` for x within a limit on both sides, and within 1."""
        x = self.within(x, -limit, limit)
        square = self.b.fmul(x, x)
        above = self.b.fmul(x, self.polynomial(top, square))
        return self.within(self.b.fdiv(above, self.polynomial(bottom, square)), -1.0, 1.0)

    def erf(self, x: Any) -> Any:
        """The error function."""
        return self.rational(x, ERF_LIMIT, ERF_TOP, ERF_BOTTOM)

    def tanh(self, x: Any) -> Any:
        """The hyperbolic tangent."""
        return self.rational(x, TANH_LIMIT, TANH_TOP, TANH_BOTTOM)

    def exp(self, x: Any) -> Any:
        """``2^n * exp(r)`` for ``x = n * ln(2) + r``; the power of two in two factors."""
        x = self.within(x, EXP_LEAST, EXP_MOST)
        n = self.call(f"llvm.rint.v{LANES}f32", VECTOR, self.b.fmul(x, self.number(LOG2_E)))
        less = self.b.fneg(n)
        r = self.fma(less, self.number(LN2_HIGH), x)
        r = self.fma(less, self.number(LN2_LOW), r)
        whole = self.call(f"llvm.fptosi.sat.v{LANES}i32.v{LANES}f32", NUMBERS, n)
        half = self.b.ashr(whole, ir.Constant(NUMBERS, [1] * LANES))
        found = self.b.fmul(self.polynomial(EXP_TERMS, r), self.power(half))
        return self.b.fmul(found, self.power(self.b.sub(whole, half)))

    def power(self, n: Any) -> Any:
        """``2^n`` for whole numbers."""
        biased = self.b.add(n, ir.Constant(NUMBERS, [BIAS] * LANES))
        return self.b.bitcast(
            self.b.shl(biased, ir.Constant(NUMBERS, [FRACTION_BITS] * LANES)), VECTOR
        )

    def sum(self, x: Any) -> Any:
        """The sum of all lanes, in a fixed order, as a scalar."""
        parts = [self.b.extract_element(x, INDEX(i)) for i in range(LANES)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [self.b.fadd(a, b) for a, b in zip(parts[:half], parts[half:], strict=True)]
        return parts[0]

    def largest(self, x: Any) -> Any:
        """The largest of all lanes, NaN if one is, as a scalar."""
        found = self.b.extract_element(x, INDEX(0))
        for i in range(1, LANES):
            lane = self.b.extract_element(x, INDEX(i))
            kept = self.b.or_(
                self.b.fcmp_ordered(">", found, lane), self.b.fcmp_unordered("uno", found, found)
            )
            found = self.b.select(kept, found, lane)
        return found


Binary = Callable[[Lanes, Any, Any], Any]
# In the order of their numbers in a program of rows.
STEPS: dict[str, Binary] = {
    "add": lambda c, a, b: c.b.fadd(a, b),
    "sub": lambda c, a, b: c.b.fsub(a, b),
    "mul": lambda c, a, b: c.b.fmul(a, b),
    "div": lambda c, a, b: c.b.fdiv(a, b),
    "max": lambda c, a, b: c.larger(a, b),
    "min": lambda c, a, b: c.smaller(a, b),
    "neg": lambda c, a, b: c.b.fneg(a),
    "abs": lambda c, a, b: c.call(f"llvm.fabs.v{LANES}f32", VECTOR, a),
    "sqrt": lambda c, a, b: c.call(f"llvm.sqrt.v{LANES}f32", VECTOR, a),
    "exp": lambda c, a, b: c.exp(a),
    "tanh": lambda c, a, b: c.tanh(a),
    "erf": lambda c, a, b: c.erf(a),
    "copy": lambda c, a, b: a,
}


@dataclass(frozen=True)
class Fold:
    """How a row becomes one number: what it begins with, a step, and the lanes at the end."""

    start: float
    step: Binary
    end: Callable[[Lanes, Any], Any]


FOLDS: dict[str, Fold] = {
    "sum": Fold(0.0, lambda c, a, b: c.b.fadd(a, b), lambda c, x: c.sum(x)),
    "largest": Fold(float("-inf"), lambda c, a, b: c.larger(a, b), lambda c, x: c.largest(x)),
}
NAMES = (*STEPS, *FOLDS)
