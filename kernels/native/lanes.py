"""Elementwise arithmetic on vectors of f32, and folds of them: what an instruction of a row does.

Results are those of IEEE arithmetic but for exp, expm1, log, tanh and erf, which are within 4e-7
of the true value, relative to it. NaN goes through everything. A mask has all bits of a lane set,
or none.
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
# log(1 + z) = z - z^2 / 2 + z^3 * terms(z) for 1 + z in [sqrt(1/2), sqrt(2)); Cephes, logf.
LOG_TERMS = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
ROOT_HALF_BITS = 0x3F3504F3  # of sqrt(1/2) in f32
LEAST_NORMAL = 2.0**-126
LOG2_E, LN2_HIGH, LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
EXP_LEAST, EXP_MOST = -104.0, 89.0  # beyond, exp is 0 and infinite in f32
EXPM1_LEAST, EXPM1_MOST = -40.0, 40.0  # beyond, exp(x) - 1 is -1 and exp(x) in f32
ROUNDER = 1.5 * 2.0**23
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
        near = self.clamped(x, -limit, limit)
        square = self.b.fmul(near, near)
        above = self.b.fmul(near, self.polynomial(top, square))
        found = self.b.fdiv(above, self.polynomial(bottom, square))
        return self.unless_nan(x, self.clamped(found, -1.0, 1.0))

    def erf(self, x: Any) -> Any:
        """The error function."""
        return self.rational(x, ERF_LIMIT, ERF_TOP, ERF_BOTTOM)

    def tanh(self, x: Any) -> Any:
        """The hyperbolic tangent."""
        return self.rational(x, TANH_LIMIT, TANH_TOP, TANH_BOTTOM)

    def exp(self, x: Any) -> Any:
        """``2^n * exp(r)`` for ``x = n * ln(2) + r``; the power of two in two factors."""
        b = self.b
        whole, r = self._parts(self.clamped(x, EXP_LEAST, EXP_MOST))
        half = b.ashr(whole, self.bits(1))
        exponent = b.shl(half, self.bits(FRACTION_BITS))
        near = b.bitcast(self.polynomial(EXP_TERMS, r), NUMBERS)  # of 1, so that bits do not carry
        found = b.fmul(b.bitcast(b.add(near, exponent), VECTOR), self.power(b.sub(whole, half)))
        return self.unless_nan(x, found)

    def expm1(self, x: Any) -> Any:
        """``exp(x) - 1``: ``2^n * (exp(r) - 1) + (2^n - 1)``, or exp itself where 1 is nothing."""
        whole, r = self._parts(self.clamped(x, EXPM1_LEAST, EXPM1_MOST))
        less = self.fma(self.b.fmul(r, r), self.polynomial(EXP_TERMS[:-2], r), r)
        power = self.power(whole)
        found = self.fma(power, less, self.b.fsub(power, self.number(1.0)))
        is_large = self.b.fcmp_ordered(">", x, self.number(EXPM1_MOST))
        return self.unless_nan(x, self.b.select(is_large, self.exp(x), found))

    def _parts(self, x: Any) -> tuple[Any, Any]:
        """A whole n, as such, and the rest r of ``x = n * ln(2) + r``.

        Added to ROUNDER, a small number is rounded to a whole one, in its lowest bits.
        """
        rounder = self.number(ROUNDER)
        sum = self.fma(x, self.number(LOG2_E), rounder)
        less = self.b.fsub(rounder, sum)
        r = self.fma(less, self.number(LN2_LOW), self.fma(less, self.number(LN2_HIGH), x))
        return self.b.sub(self.b.bitcast(sum, NUMBERS), self.b.bitcast(rounder, NUMBERS)), r

    def clamped(self, x: Any, least: float, most: float) -> Any:
        """``x`` bounded on both sides; NaN becomes a bound."""
        low, high = self.number(least), self.number(most)
        x = self.b.select(self.b.fcmp_ordered(">", x, low), x, low)
        return self.b.select(self.b.fcmp_ordered("<", x, high), x, high)

    def unless_nan(self, x: Any, found: Any) -> Any:
        """``found``, or NaN where x is."""
        return self.b.select(self.b.fcmp_unordered("uno", x, x), x, found)

    def log(self, x: Any) -> Any:
        """``n * ln(2) + log(m)`` for ``x = m * 2^n``, m next to 1."""
        b, zero = self.b, self.number(0.0)
        is_small = b.fcmp_ordered("<", x, self.number(LEAST_NORMAL))
        scaled = b.select(is_small, b.fmul(x, self.number(2.0**FRACTION_BITS)), x)
        bits = b.sub(b.bitcast(scaled, NUMBERS), self.bits(ROOT_HALF_BITS))
        n = b.sitofp(b.ashr(bits, self.bits(FRACTION_BITS)), VECTOR)
        n = b.fsub(n, b.select(is_small, self.number(FRACTION_BITS), zero))
        fraction = b.and_(bits, self.bits(2**FRACTION_BITS - 1))
        m = b.bitcast(b.add(fraction, self.bits(ROOT_HALF_BITS)), VECTOR)
        z = b.fsub(m, self.number(1.0))
        square = b.fmul(z, z)
        rest = b.fmul(b.fmul(square, z), self.polynomial(LOG_TERMS, z))
        rest = self.fma(n, self.number(LN2_LOW), rest)
        rest = self.fma(square, self.number(-0.5), rest)
        found = self.fma(n, self.number(LN2_HIGH), b.fadd(z, rest))
        found = b.select(b.fcmp_ordered(">", x, zero), found, self.number(float("nan")))
        found = b.select(b.fcmp_ordered("==", x, zero), self.number(float("-inf")), found)
        keeps = b.fcmp_unordered("==", x, self.number(float("inf")))  # that, or NaN
        return b.select(keeps, x, found)

    def bits(self, value: int) -> Any:
        """A vector of one whole number."""
        return ir.Constant(NUMBERS, [value] * LANES)

    def power(self, n: Any) -> Any:
        """``2^n`` for whole numbers."""
        biased = self.b.add(n, self.bits(BIAS))
        return self.b.bitcast(self.b.shl(biased, self.bits(FRACTION_BITS)), VECTOR)

    def rounded(self, how: str, x: Any) -> Any:
        """``x`` as a whole number, by an intrinsic of LLVM."""
        return self.call(f"llvm.{how}.v{LANES}f32", VECTOR, x)

    def holding(self, holds: Any) -> Any:
        """The mask of where a comparison holds."""
        return self.b.bitcast(self.b.sext(holds, NUMBERS), VECTOR)

    def bitwise(self, name: str, a: Any, b: Any) -> Any:
        """All bits of both, by an instruction."""
        both = (self.b.bitcast(v, NUMBERS) for v in (a, b))
        return self.b.bitcast(getattr(self.b, name)(*both), VECTOR)

    def inverted(self, a: Any) -> Any:
        """The bits that are not set."""
        return self.b.bitcast(self.b.not_(self.b.bitcast(a, NUMBERS)), VECTOR)

    def halved(self, x: Any, both: Any) -> Any:
        """All lanes as one scalar: ``both`` of the lower and the upper half, and so on."""
        width = LANES
        while width > 1:
            width //= 2
            lower, upper = (
                ir.Constant(ir.VectorType(INDEX, width), [first + i for i in range(width)])
                for first in (0, width)
            )
            none = ir.Constant(x.type, ir.Undefined)
            x = both(self.b.shuffle_vector(x, none, lower), self.b.shuffle_vector(x, none, upper))
        return self.b.extract_element(x, INDEX(0))


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
    "exp_of_difference": lambda c, a, b: c.exp(c.b.fsub(a, b)),
    "expm1": lambda c, a, b: c.expm1(a),
    "log": lambda c, a, b: c.log(a),
    "floor": lambda c, a, b: c.rounded("floor", a),
    "ceil": lambda c, a, b: c.rounded("ceil", a),
    "rint": lambda c, a, b: c.rounded("rint", a),
    "less": lambda c, a, b: c.holding(c.b.fcmp_ordered("<", a, b)),
    "at_most": lambda c, a, b: c.holding(c.b.fcmp_ordered("<=", a, b)),
    "and": lambda c, a, b: c.bitwise("and_", a, b),
    "or": lambda c, a, b: c.bitwise("or_", a, b),
    "without": lambda c, a, b: c.bitwise("and_", a, c.inverted(b)),
    "copy": lambda c, a, b: a,
}


@dataclass(frozen=True)
class Fold:
    """How a row becomes one number: what it begins with, and what two numbers become."""

    start: float
    step: Binary

    def end(self, c: Lanes, x: Any) -> Any:
        """All lanes as one scalar, in a fixed order."""

        def both(a: Any, b: Any) -> Any:
            return self.step(c, a, b)

        return c.halved(x, both)


FOLDS: dict[str, Fold] = {
    "sum": Fold(0.0, lambda c, a, b: c.b.fadd(a, b)),
    "largest": Fold(float("-inf"), lambda c, a, b: c.larger(a, b)),
    "smallest": Fold(float("inf"), lambda c, a, b: c.smaller(a, b)),
}
NAMES = (*STEPS, *FOLDS)
