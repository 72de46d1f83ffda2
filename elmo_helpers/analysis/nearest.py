"""Which rows of a matrix are nearest to a vector, by the cosine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.checks import numbers
from elmo_helpers.errors import ElmoHelpersError


@np.errstate(all="ignore")  # what leaves the range of a float is seen to here, whatever the caller has set
def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Each row divided by its length, so that a product of two rows is their cosine; a row of zeros stays.

    Args:
        vectors: (N, dim) float, or one (dim,).

    Returns:
        Float32, of the same shape.

    Raises:
        ElmoHelpersError: They are no such numbers, or one is not finite.
    """
    rows: NDArray[np.float32] = numbers("vectors", vectors, "(N, dim) numbers").astype(np.float32, copy=False)
    if rows.ndim == 0:
        raise ElmoHelpersError(f"vectors: expected (N, dim) numbers, and got {vectors}.")
    # In double precision, or the squares of large and of small numbers would leave the range.
    lengths = np.sqrt(np.einsum("...i,...i->...", rows, rows, dtype=np.float64)).astype(np.float32)[..., None]
    if not (finite := np.isfinite(lengths[..., 0])).all():
        raise ElmoHelpersError(f"vectors: row {finite.argmin()} holds a number that is not finite: leave it out.")
    lengths[lengths == 0] = 1
    units: NDArray[np.float32] = np.divide(rows, lengths, dtype=np.float32)
    return units


@np.errstate(all="ignore")
def nearest_rows(
    units: NDArray[np.float32], vector: NDArray[np.floating], n: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The n rows with the highest cosine to a vector, the nearest first; of equal ones the first row.

    One product of a matrix and a vector, and no sorting of what is not among the n.

    Args:
        units: (N, dim) float32, from `unit_rows`, made once for many questions.
        vector: (dim,) float, of any length.
        n: How many; all, where there are fewer.

    Returns:
        - The rows, (min(n, N),) int64.
        - The cosine of each, (min(n, N),) float32.

    Raises:
        ElmoHelpersError: The vector is of another width, or holds something that is no number.
    """
    vector = numbers("vector", vector, f"{units.shape[1:]} numbers, as the rows have")
    if units.ndim != 2 or np.shape(vector) != units.shape[1:]:
        raise ElmoHelpersError(f"vector: expected {units.shape[1:]} numbers, as the rows have, got {np.shape(vector)}.")
    return highest(units @ unit_rows(vector), n)


def highest(cosines: NDArray[np.float32], n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The n rows with the highest of the cosines, (N,) float32, and these, as `nearest_rows` gives them."""
    n = min(n, len(cosines))
    if n < 1:
        return np.empty(0, dtype=np.int64), cosines[:0]
    lowest = np.partition(cosines, len(cosines) - n)[len(cosines) - n]
    candidates = np.flatnonzero(cosines >= lowest)
    rows = candidates[np.argsort(-cosines[candidates], kind="stable")[:n]]
    return rows, cosines[rows]
