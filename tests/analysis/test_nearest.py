"""The nearest rows, against a sort of all cosines."""

import numpy as np
import pytest

from elmo_helpers import ElmoHelpersError
from elmo_helpers.analysis.nearest import nearest_rows, unit_rows


def test_unit_rows(rng):
    vectors = rng.normal(size=(5, 3)).astype(np.float32)
    vectors[2] = 0
    units = unit_rows(vectors)
    assert units.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), [1, 1, 0, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(units * np.linalg.norm(vectors, axis=1)[:, None], vectors, rtol=1e-5)
    np.testing.assert_allclose(unit_rows(vectors[0]), units[0], rtol=1e-6)


@pytest.mark.parametrize("n", [1, 3, 50, 99])
def test_nearest_is_a_sort_of_all(rng, n):
    vectors, query = rng.normal(size=(50, 8)), rng.normal(size=8)
    rows, cosines = nearest_rows(unit_rows(vectors), 7 * query, n)
    by_hand = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    assert rows.tolist() == np.argsort(-by_hand)[:n].tolist()
    np.testing.assert_allclose(cosines, np.sort(by_hand)[::-1][:n], atol=1e-6)


def test_of_equal_rows_the_first():
    units = unit_rows(np.array([[0, 1], [1, 0], [2, 0], [3, 0], [-1, 0]]))
    assert nearest_rows(units, np.array([1, 0]), 2)[0].tolist() == [1, 2]
    assert nearest_rows(units, np.zeros(2), 3)[0].tolist() == [0, 1, 2]


def test_nothing_to_find_and_a_vector_that_does_not_fit():
    assert len(nearest_rows(np.empty((0, 2), np.float32), np.ones(2), 3)[0]) == 0
    assert len(nearest_rows(np.ones((1, 2), np.float32), np.ones(2), 0)[0]) == 0
    with pytest.raises(ElmoHelpersError, match="vector: expected"):
        nearest_rows(np.ones((1, 2), np.float32), np.ones(3), 1)


@pytest.mark.parametrize("factor", [1e25, 1e-22])
def test_very_long_and_very_short_rows(rng, factor):
    rows = rng.normal(size=(6, 5)).astype(np.float32)
    np.testing.assert_allclose(unit_rows(rows * np.float32(factor)), unit_rows(rows), rtol=1e-5)


@pytest.mark.parametrize("wrong", [None, "cat", 3, [[1], [1, 2]], ["a"], {1}, {"a": 1}], ids=repr)
def test_what_holds_no_rows_of_numbers(wrong):
    with pytest.raises(ElmoHelpersError, match=r"^vectors: expected \(N, dim\) numbers, and got "):
        unit_rows(wrong)
    with pytest.raises(ElmoHelpersError, match=r"^vector: expected"):
        nearest_rows(np.ones((1, 2), np.float32), wrong, 1)


def test_a_number_that_is_not_finite_is_named():
    with pytest.raises(ElmoHelpersError, match="row 1 holds a number that is not finite"):
        unit_rows(np.array([[1.0, 2.0], [np.nan, 0.0]]))
