"""Ops of ai.onnx.ml that onnx's reference lacks or has wrong, in its own form, for the host.

ONNX, operators of ai.onnx.ml: ZipMap, CategoryMapper, CastMap, SVMClassifier.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun
from onnx.reference.ops.aionnxml import op_svm_classifier

from emu.ir.types import Array

DOMAIN = "ai.onnx.ml"


class ZipMap(OpRun):
    """A map for each row of [N,C] or [C]: from the label of a column to its number."""

    op_domain = DOMAIN

    def _run(
        self,
        x: Array,
        classlabels_int64s: Sequence[int] | None = None,
        classlabels_strings: Sequence[str] | None = None,
    ) -> tuple[list[dict[Any, Any]]]:
        labels = list(classlabels_strings or classlabels_int64s or ())
        rows = np.atleast_2d(x)
        if rows.shape[1] != len(labels):
            raise ValueError(f"{rows.shape[1]} columns for {len(labels)} labels")
        return ([dict(zip(labels, row, strict=True)) for row in rows],)


class CategoryMapper(OpRun):
    """Strings as integers or back, by two lists side by side, with a default for what is new."""

    op_domain = DOMAIN

    def _run(
        self,
        x: Array,
        cats_int64s: Sequence[int] = (),
        cats_strings: Sequence[str] = (),
        default_int64: int = -1,
        default_string: str = "_Unused",
    ) -> tuple[Array]:
        if x.dtype.kind == "i":
            words = dict(zip(cats_int64s, cats_strings, strict=True))
            found = [words.get(int(v), default_string) for v in x.reshape(-1)]
            return (np.array(found, object).reshape(x.shape),)
        numbers = dict(zip(cats_strings, cats_int64s, strict=True))
        whole = [numbers.get(str(v), default_int64) for v in x.reshape(-1)]
        return (np.array(whole, np.int64).reshape(x.shape),)


class CastMap(OpRun):
    """A map from places to numbers or words as a row [1,C]; it is sparse if places are missing."""

    op_domain = DOMAIN

    def _run(
        self,
        x: Mapping[int, Any],
        cast_to: str = "TO_FLOAT",
        map_form: str = "DENSE",
        max_map: int = 1,
    ) -> tuple[Array]:
        kinds = {"TO_FLOAT": np.float32, "TO_INT64": np.int64, "TO_STRING": object}
        if cast_to not in kinds:
            raise ValueError(f"cast_to is {cast_to}")
        values = [x[key] for key in sorted(x)]
        if map_form == "SPARSE":
            empty = "" if cast_to == "TO_STRING" else 0
            values = [x.get(place, empty) for place in range(max_map)]
        turn = str if cast_to == "TO_STRING" else float
        return (np.array([turn(v) for v in values]).astype(kinds[cast_to])[None],)


class SVMClassifier(op_svm_classifier.SVMClassifier):
    """As the reference has it, but for probabilities of three and more classes.

    There the reference multiplies matrices where libsvm's ``multiclass_probability`` has products
    of elements.
    """

    op_domain = DOMAIN

    def _probabilities(self, scores: Array, class_count_: int) -> Array:
        pairs = np.zeros((class_count_, class_count_), scores.dtype)
        places = zip(*np.triu_indices(class_count_, 1), strict=True)
        said: Any = self._svm.atts  # the reference does not say the types
        numbers = np.stack([scores, said.prob_a, said.prob_b], axis=1)
        for (i, j), (score, a, b) in zip(places, numbers, strict=True):
            likely = (1 - np.tanh((score * a + b) / 2)) / 2  # 1 / (1 + exp)
            pairs[i, j] = min(max(likely, LEAST), 1 - LEAST)
            pairs[j, i] = 1 - pairs[i, j]
        return coupled(pairs)


LEAST = 1e-7  # of a probability


def coupled(pairs: Array) -> Array:
    """One probability for each class from those of pairs, [i, j] of i against j.

    Wu, Lin and Weng, Probability Estimates for Multi-class Classification by Pairwise Coupling,
    JMLR 5 (2004), algorithm 2, with the steps and the end that libsvm has.
    """
    count = len(pairs)
    matrix = -pairs.T * pairs
    np.fill_diagonal(matrix, np.square(pairs).sum(axis=0))
    found = np.full(count, 1 / count, pairs.dtype)
    for _ in range(max(100, count)):
        slopes = matrix @ found
        whole = found @ slopes
        if np.abs(slopes - whole).max() < 0.005 / count:
            break
        for i in range(count):
            step = (whole - slopes[i]) / matrix[i, i]
            found[i] += step
            whole = (whole + step * (step * matrix[i, i] + 2 * slopes[i])) / (1 + step) ** 2
            slopes = (slopes + step * matrix[i]) / (1 + step)
            found /= 1 + step
    return found


OPS_OF_ML = (ZipMap, CategoryMapper, CastMap, SVMClassifier)
