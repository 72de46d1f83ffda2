"""Layer weights learned on a task find the layer that holds the answer."""

import numpy as np
import pytest
import torch

from elmo_helpers import ElmoHelpersError, learn_mix


def task(rng, informative: int):
    labels = rng.integers(0, 3, 600)
    layers = rng.normal(size=(600, 3, 8)).astype(np.float32)
    layers[np.arange(600), informative, labels] += 3
    return layers, labels


@pytest.mark.parametrize("informative", [0, 2])
def test_finds_the_informative_layer(rng, informative):
    layers, labels = task(rng, informative)
    classifier = learn_mix(layers[:400], labels[:400])
    shares = classifier.mix.shares.detach().numpy()
    assert shares.argmax() == informative
    assert shares.sum() == pytest.approx(1)
    assert (classifier.predict(layers[400:]) == labels[400:]).mean() > 0.85


def test_logits_by_the_formula(rng):
    layers, labels = task(rng, 1)
    classifier = learn_mix(layers, labels, epochs=2)
    w = classifier.mix.weights.detach().numpy()
    s = np.exp(w) / np.exp(w).sum()
    mixed = classifier.mix.gamma.item() * np.einsum("l,nld->nd", s, layers)
    logits = mixed @ classifier.linear.weight.detach().numpy().T + classifier.linear.bias.detach().numpy()
    assert (classifier.predict(layers) == logits.argmax(1)).all()
    np.testing.assert_allclose(classifier(torch.from_numpy(layers)).detach().numpy(), logits, atol=1e-4)


def test_same_seed_same_weights(rng):
    layers, labels = task(rng, 1)
    one, two, other = (learn_mix(layers, labels, epochs=1, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.linear.weight, two.linear.weight)
    assert not torch.equal(one.linear.weight, other.linear.weight)


def test_labels_and_layers_that_cannot_be_learned(rng):
    layers, labels = task(rng, 1)
    for wrong in (labels - 100, labels + 0.7):
        with pytest.raises(ElmoHelpersError, match="labels: expected whole numbers"):
            learn_mix(layers, wrong)
    with pytest.raises(ElmoHelpersError, match="below n_classes=2"):
        learn_mix(layers, labels, n_classes=2)
    with pytest.raises(ElmoHelpersError, match="finite"):
        learn_mix(layers * np.nan, labels)


@pytest.mark.parametrize(
    "wrong",
    [None, "layers", [[1], [1, 2]], ["a"], {1}, pytest.param((i for i in range(3)), id="generator")],
    ids=repr,
)
def test_what_holds_no_numbers(rng, wrong):
    layers, labels = task(rng, 1)
    with pytest.raises(ElmoHelpersError, match=r"^layers: expected"):
        learn_mix(wrong, labels)
    with pytest.raises(ElmoHelpersError, match=r"^labels: expected"):
        learn_mix(layers, wrong)


def test_bad_shapes():
    with pytest.raises(ElmoHelpersError, match=r"\(N, L, dim\) and \(N,\).*\(4, 2\) and \(4,\)"):
        learn_mix(np.zeros((4, 2), dtype=np.float32), np.zeros(4, dtype=int))
    with pytest.raises(ElmoHelpersError, match="at least 1"):
        learn_mix(np.zeros((0, 2, 3), dtype=np.float32), np.zeros(0, dtype=int))
