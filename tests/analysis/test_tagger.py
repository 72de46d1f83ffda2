"""A linear tagger finds the words that a layer marks, and the layer that marks them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from elmo_helpers import ElmoHelpersError
from elmo_helpers.analysis.tagger import LinearTagger, best_threshold, f1


def task(rng, informative: int, n: int = 3000):
    labels = (rng.random(n) < 0.2).astype(np.int64)
    layers = rng.normal(size=(n, 3, 6)).astype(np.float32) * [[[5], [0.1], [30]]] + 7
    layers[:, informative, 2] += labels * layers[:, informative].std() * 4
    return layers.astype(np.float32), labels


@pytest.mark.parametrize("informative", [0, 2])
def test_finds_the_words_and_the_layer(rng, informative):
    layers, labels = task(rng, informative)
    tagger = LinearTagger.fit(layers[:2000], labels[:2000])
    assert int(np.argmax(tagger.shares)) == informative
    assert sum(tagger.shares) == pytest.approx(1)
    assert f1(tagger.predict(layers[2000:]), labels[2000:]) > 0.85


def test_one_layer_and_the_fixed_mean(rng):
    layers, labels = task(rng, 1)
    quality = {}
    for name, some in (("own", layers[:, [1]]), ("other", layers[:, [0]]), ("mean", layers)):
        tagger = LinearTagger.fit(some[:2000], labels[:2000], learn_shares=False)
        assert tagger.shares == pytest.approx([1 / some.shape[1]] * some.shape[1])
        quality[name] = f1(tagger.predict(some[2000:]), labels[2000:])
    assert quality["own"] > 0.85
    assert quality["other"] < 0.5
    assert quality["other"] < quality["mean"] <= quality["own"]


def test_scores_by_the_formula(rng):
    layers, labels = task(rng, 1)
    tagger = LinearTagger.fit(layers, labels, epochs=3)
    standardized = (layers - layers.mean(0)) / (layers.std(0) + 1e-6)
    mixed = np.einsum("l,nld->nd", tagger.shares, standardized)
    weight, bias = (x.detach().numpy() for x in tagger.classifier.linear.parameters())
    assert tagger.classifier.mix.gamma.item() == 1
    np.testing.assert_allclose(tagger.scores(layers), mixed @ weight[0] + bias[0], atol=1e-4)
    assert (tagger.predict(layers) == (tagger.scores(layers) > tagger.threshold)).all()
    assert tagger.threshold == best_threshold(tagger.scores(layers), labels)


def test_same_seed_same_scores_and_the_random_state_is_left(rng):
    layers, labels = task(rng, 1)
    state = torch.get_rng_state()
    one, two, other = (LinearTagger.fit(layers, labels, epochs=1, seed=seed).scores(layers) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert (one == two).all()
    assert (one != other).any()


def test_f1_by_hand():
    found = np.array([True, True, False, False, True])
    assert f1(found, np.array([1, 0, 1, 0, 1])) == pytest.approx(2 * 2 / (3 + 3))
    assert f1(~found, np.array([1, 1, 0, 0, 1])) == 0
    assert f1(np.zeros(2, dtype=bool), np.zeros(2, dtype=int)) == 0
    assert f1(found, found) == 1


def test_threshold_is_the_best_quantile():
    scores = np.arange(1000.0)
    labels = (scores >= 900).astype(int)
    threshold = best_threshold(scores, labels)
    assert 885 < threshold < 915
    cuts = np.quantile(scores, np.linspace(0.5, 0.995, 60))
    assert f1(scores > threshold, labels) == max(f1(scores > cut, labels) for cut in cuts)


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(2, 80))
def test_threshold_of_few_labels_is_one_of_60_quantiles(seed, n_positive, n):
    """Where up to half of the labels are 1, it is the first of them with the best F1; figures were made so."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) < min(n_positive, n // 2)).astype(int)
    scores = rng.normal(size=n).round(1).astype(np.float32)
    cuts = np.quantile(scores, np.linspace(0.5, 0.995, 60))
    assert best_threshold(scores, labels) == cuts[np.argmax([f1(scores > cut, labels) for cut in cuts])]


@pytest.mark.parametrize("share", [0.55, 0.7, 0.82, 0.95, 0.999, 1])
def test_threshold_of_many_labels_lets_as_many_be_tagged(rng, share):
    scores = rng.permutation(1000).astype(np.float32)
    labels = (scores >= 1000 * (1 - share)).astype(int)
    threshold = best_threshold(scores, labels)
    assert np.mean(scores > threshold) == pytest.approx(share, abs=0.005)
    assert f1(scores > threshold, labels) > 0.99
    noise = rng.normal(size=1000)  # scores that say nothing: all are tagged
    assert f1(noise > best_threshold(noise, labels), labels) >= f1(labels >= 0, labels)


def test_many_words_to_be_tagged(rng):
    layers, labels = task(rng, 1)
    tagger = LinearTagger.fit(layers[:2000], 1 - labels[:2000])
    assert f1(tagger.predict(layers[2000:]), 1 - labels[2000:]) > 0.95


def test_without_a_word_to_be_tagged_nothing_is(rng, tmp_path):
    layers, labels = task(rng, 1, 300)
    tagger = LinearTagger.fit(layers, 0 * labels, epochs=1)
    tagger.save(tmp_path / "none.safetensors")
    for some in (tagger, LinearTagger.load(tmp_path / "none.safetensors")):
        assert np.isfinite(some.threshold)
        assert not some.predict(1e6 * layers).any()
        assert not some.predict(-1e6 * layers).any()


def test_a_column_that_never_changes(rng):
    layers, labels = task(rng, 1)
    layers[:, :, 0] = 3
    assert np.isfinite(LinearTagger.fit(layers, labels, epochs=1).scores(layers)).all()


def test_one_word_is_enough():
    tagger = LinearTagger.fit(np.ones((1, 2, 3), dtype=np.float32), np.ones(1, dtype=int), epochs=1)
    assert tagger.scores(np.ones((0, 2, 3))).shape == (0,)


def test_inputs_that_cannot_be_learned(rng):
    layers, labels = task(rng, 1)
    with pytest.raises(ElmoHelpersError, match=r"\(N, L, dim\) and \(N,\).*\(3000, 3, 6\) and \(2999,\)"):
        LinearTagger.fit(layers, labels[1:])
    with pytest.raises(ElmoHelpersError, match="at least 1"):
        LinearTagger.fit(layers[:0], labels[:0])
    with pytest.raises(ElmoHelpersError, match="labels: expected 0 or 1, and got numbers from 0 to 2"):
        LinearTagger.fit(layers, 2 * labels)
    with pytest.raises(ElmoHelpersError, match="finite"):
        LinearTagger.fit(layers * np.nan, labels)
    for wrong in (layers[0], None, layers[:, :0]):
        with pytest.raises(ElmoHelpersError, match=r"^layers: expected"):
            LinearTagger.fit(wrong, labels)
    with pytest.raises(ElmoHelpersError, match=r"^epochs=0"):
        LinearTagger.fit(layers, labels, epochs=0)
    with pytest.raises(ElmoHelpersError, match=r"^learn_shares="):
        LinearTagger.fit(layers, labels, learn_shares="yes")
    with pytest.raises(ElmoHelpersError, match=r"^seed=18446744073709551616"):
        LinearTagger.fit(layers, labels, seed=2**64)


def test_other_layers_than_learned(rng):
    layers, labels = task(rng, 1)
    tagger = LinearTagger.fit(layers, labels, epochs=1)
    with pytest.raises(ElmoHelpersError, match=r"L and dim \(3, 6\).*\(3000, 1, 6\)"):
        tagger.predict(layers[:, [1]])


def test_saved_and_loaded_it_scores_the_same(rng, tmp_path):
    layers, labels = task(rng, 1)
    tagger = LinearTagger.fit(layers, labels, epochs=2)
    tagger.save(tmp_path / "new" / "tagger.safetensors")
    again = LinearTagger.load(tmp_path / "new" / "tagger.safetensors")
    assert (again.scores(layers) == tagger.scores(layers)).all()
    assert (again.predict(layers) == tagger.predict(layers)).all()
    assert (again.threshold, again.shares) == (tagger.threshold, tagger.shares)


def test_a_loaded_tagger_does_not_hang_on_its_file(rng, tmp_path):
    layers, labels = task(rng, 1, 50)
    path = tmp_path / "tagger.safetensors"
    LinearTagger.fit(layers, labels, epochs=1).save(path)
    tagger = LinearTagger.load(path)
    before = tagger.scores(layers)
    with path.open("r+b") as file:  # the same file, written over
        file.write(bytes(path.stat().st_size))
    assert (tagger.scores(layers) == before).all()


def test_files_that_hold_no_tagger(rng, tmp_path):
    path = tmp_path / "tagger.safetensors"
    with pytest.raises(ElmoHelpersError, match=r"tagger\.safetensors: it cannot be read"):
        LinearTagger.load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ElmoHelpersError, match=r"tagger\.safetensors: it cannot be read"):
        LinearTagger.load(path)
    with pytest.raises(ElmoHelpersError, match="it is a directory"):
        LinearTagger.load(tmp_path)
    save_file({"weights": torch.ones(3)}, path)
    with pytest.raises(ElmoHelpersError, match=r"tagger\.safetensors: it holds no tagger"):
        LinearTagger.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": torch.full((3, 6), torch.nan)},
        {"deviation": torch.zeros(3, 6)},
        {"mean": torch.full((3, 6), 1e300, dtype=torch.float64)},  # finite, and beyond float32
        {"deviation": torch.full((3, 6), 1e-60, dtype=torch.float64)},  # above 0, and 0 in float32
        {"threshold": torch.tensor(torch.inf, dtype=torch.float64)},
        {"linear.weight": torch.ones(1, 7)},
        {"threshold": torch.ones(2)},
        {"more": torch.ones(1)},
    ],
)
def test_a_file_that_was_changed(rng, tmp_path, change):
    path = tmp_path / "tagger.safetensors"
    LinearTagger.fit(*task(rng, 1, 50), epochs=1).save(path)
    save_file(load_file(path) | change, path)
    with pytest.raises(ElmoHelpersError, match=r"tagger\.safetensors"):
        LinearTagger.load(path)
