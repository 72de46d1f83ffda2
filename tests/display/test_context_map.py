"""The map of a word's occurrences: mix, projection, clusters, and what stays from map to map."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from elmo_helpers import ElmoHelpersError, ScalarMix
from elmo_helpers.display.context_map import map_contexts, mix_layers, name_clusters


@pytest.fixture
def three_groups(rng) -> tuple[np.ndarray, np.ndarray]:
    """(60, 8) vectors in three groups far apart, and the group of each."""
    groups = rng.integers(3, size=60)
    centres = 10 * rng.normal(size=(3, 8))
    return (centres[groups] + rng.normal(size=(60, 8))).astype(np.float32), groups


def same_partition(a, b) -> bool:
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a.tolist())) == len(set(b.tolist()))


def test_the_mix_is_scalar_mix(rng):
    layers = rng.normal(size=(3, 5, 4)).astype(np.float32)
    shares = np.array([0.2, 0.5, 0.9])  # divided by their sum
    mix = ScalarMix(3, np.log(shares))
    with torch.no_grad():
        mix.gamma.fill_(1.7)
        expected = mix(torch.from_numpy(layers)).numpy()
    np.testing.assert_allclose(mix_layers(layers, shares, 1.7), expected, atol=1e-6)
    np.testing.assert_array_equal(mix_layers(layers, [0, 3, 0]), layers[1])


@pytest.mark.parametrize("shares", [[0, 0], [1, -1], [1], [np.nan, 1]])
def test_shares_that_are_none(shares):
    with pytest.raises(ElmoHelpersError, match="shares: "):
        mix_layers(np.zeros((2, 1, 3), np.float32), shares)


def test_points_are_principal_components(three_groups):
    vectors, _ = three_groups
    made = map_contexts(vectors, 3)
    pca = PCA(2, svd_solver="full").fit(vectors)
    expected = pca.transform(vectors)
    signs = np.sign((expected * made.points).sum(0))
    np.testing.assert_allclose(made.points, expected * signs, atol=1e-3)
    assert made.explained == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-5)


def test_clusters_are_the_groups(three_groups):
    vectors, groups = three_groups
    assert same_partition(map_contexts(vectors, 3).clusters, groups)


def test_gamma_scales_the_map_and_nothing_else(three_groups):
    vectors, _ = three_groups
    first = map_contexts(vectors, 4)
    second = map_contexts(0.3 * vectors, 4, first)
    np.testing.assert_allclose(second.points, 0.3 * first.points, atol=1e-3)
    np.testing.assert_array_equal(second.clusters, first.clusters)
    assert second.explained == pytest.approx(first.explained, abs=1e-5)


def test_axes_and_colours_stay_when_the_vectors_turn_over(three_groups, rng):
    """The mirror image has the same map, whichever way its own components point."""
    vectors, groups = three_groups
    first = map_contexts(vectors, 3)
    for seed in range(3):
        moved = map_contexts(vectors + 0.01 * rng.normal(size=vectors.shape).astype(np.float32), 3, first, seed=seed)
        assert ((moved.points * first.points).sum(0) > 0).all()
        np.testing.assert_array_equal(moved.clusters, first.clusters)
    # From few clusters to more and back: the numbers of those that stay are kept as far as they can be.
    more = map_contexts(vectors, 5, first)
    assert (more.clusters == first.clusters).mean() > 0.5
    back = map_contexts(vectors, 3, more)
    assert same_partition(back.clusters, groups)
    assert (back.clusters == more.clusters).mean() > 0.5


def test_clusters_that_no_longer_fit_are_given_up(three_groups, rng):
    vectors, groups = three_groups
    former = map_contexts(vectors[rng.permutation(60)], 3)
    assert same_partition(map_contexts(vectors, 3, former).clusters, groups)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_occurrences_than_clusters(rng, n):
    vectors = rng.normal(size=(n, 6)).astype(np.float32)
    made = map_contexts(vectors, 6)
    assert made.points.shape == (n, 2)
    assert np.isfinite(made.points).all()
    assert sorted(made.clusters.tolist()) == list(range(n))
    np.testing.assert_array_equal(map_contexts(vectors, 6, made).clusters, made.clusters)


def test_vectors_that_are_the_same_but_for_rounding_are_one_point(rng):
    vectors = np.ones((9, 6), np.float32) + 1e-6 * rng.normal(size=(9, 6)).astype(np.float32)
    made = map_contexts(vectors, 4)
    assert not made.points.any()
    assert not made.clusters.any()
    assert made.explained == 1


def test_repeated_vectors_are_no_clusters_of_their_own(rng):
    vectors = np.repeat(rng.normal(size=(2, 6)).astype(np.float32), 5, axis=0)
    assert len(set(map_contexts(vectors, 6).clusters.tolist())) == 2


def test_zeros_and_a_single_number_a_vector():
    assert not map_contexts(np.zeros((3, 4), np.float32), 2).points.any()
    assert map_contexts(np.array([[1.0], [2.0]], np.float32), 2).points.shape == (2, 2)


@pytest.mark.parametrize("n", [0, 7, 1.5])
def test_number_of_clusters_is_checked(n):
    with pytest.raises(ElmoHelpersError, match="n_clusters="):
        map_contexts(np.zeros((1, 2), np.float32), n)


def test_names_are_the_phrases_that_set_a_cluster_apart():
    clusters = np.array([0, 0, 0, 1, 1])
    beside = (["the", "the", "a", "a", "a"], ["of", "of", "of", "of", "</S>"])
    assert name_clusters(clusters, *beside, "state", 1) == ["1 (3): “the state” 67%", "2 (2): “a state” 100%"]
    # “the state of” holds “the state”, and so is not named beside it; “state of” is another.
    assert name_clusters(clusters, *beside, "state") == [
        "1 (3): “the state” 67% · “state of” 100%",
        "2 (2): “a state” 100% · “state </S>” 50%",
    ]
    assert name_clusters(np.zeros(2, int), ["the", "the"], ["of", "is"], "state", 1) == ["1 (2): “the state” 100%"]
    (long,) = name_clusters(np.zeros(1, int), ["x" * 50], ["y"], "z" * 50, 1)
    assert len(long) < 60
    assert name_clusters(np.array([0, 1]), ["a", "a"], ["b", "b"], "c") == [f"{i} (1): nothing typical" for i in (1, 2)]


@pytest.mark.parametrize("vectors", [np.full((3, 4), np.nan), np.full((3, 4), 1e30), np.zeros((0, 4)), np.zeros(4)])
def test_vectors_that_cannot_be_drawn_are_refused(vectors):
    with pytest.raises(ElmoHelpersError, match="vectors: expected"):
        map_contexts(vectors, 2)
