"""The error function, which numpy lacks."""

from typing import Any

import numpy as np

from emu.ir.types import Array

# Rational Chebyshev approximations of W. J. Cody, "Rational Chebyshev approximations for the error
# function", Math. Comp. 23 (1969); coefficients as in his routine CALERF, highest power first.
SMALL = 0.46875
LARGE = 6.0  # beyond, erf is 1 in double precision
NEAR_TOP = (
    1.85777706184603153e-1,
    3.16112374387056560e0,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
NEAR_BOTTOM = (
    1.0,
    2.36012909523441209e1,
    2.44024637934444173e2,
    1.28261652607737228e3,
    2.84423683343917062e3,
)
FAR_TOP = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e0,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
FAR_BOTTOM = (
    1.0,
    1.57449261107098347e1,
    1.17693950891312499e2,
    5.37181101862009858e2,
    1.62138957456669019e3,
    3.29079923573345963e3,
    4.36261909014324716e3,
    3.43936767414372164e3,
    1.23033935480374942e3,
)


def erf(x: Array) -> Array:
    """Return the error function of each element, to 1e-15, in the element type of ``x``."""
    wide = np.asarray(x, np.float64)
    size = np.minimum(np.abs(wide), LARGE)
    squared = size * size
    near = wide * _ratio(squared, NEAR_TOP, NEAR_BOTTOM)
    far = np.copysign(1 - np.exp(-squared) * _ratio(size, FAR_TOP, FAR_BOTTOM), wide)
    return np.where(size <= SMALL, near, far).astype(x.dtype)


def _ratio(x: Array, top: tuple[float, ...], bottom: tuple[float, ...]) -> Any:
    return _polynomial(x, top) / _polynomial(x, bottom)


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total *= x
        total += coefficient
    return total
