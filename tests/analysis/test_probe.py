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


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_classes": 0},
        {"n_classes": 2.5},
        {"n_classes": 2**62},
        {"epochs": 0},
        {"epochs": None},
        {"batch_size": 0},
        {"learning_rate": 0},
        {"learning_rate": np.inf},
        {"learning_rate": "fast"},
        {"weight_decay": -1},
        {"weight_decay": np.nan},
        {"seed": -1},
        {"seed": 2**64},
        {"seed": 0.5},
    ],
    ids=repr,
)
def test_settings_that_are_none(rng, wrong):
    layers, labels = task(rng, 1)
    ((name, value),) = wrong.items()
    with pytest.raises(ElmoHelpersError, match=rf"^{name}={value!r}: ".replace("'", ".")):
        learn_mix(layers, labels, **wrong)


def test_labels_of_any_dtype_up_to_what_fits(rng):
    layers, labels = task(rng, 1)
    wanted = learn_mix(layers, labels, epochs=1).linear.weight
    for dtype in (np.int8, np.uint64):
        assert torch.equal(learn_mix(layers, labels.astype(dtype), epochs=1).linear.weight, wanted)
    huge = labels.astype(np.uint64) + np.uint64(2**63)
    with pytest.raises(ElmoHelpersError, match=r"^n_classes=9223372036854775811: .* more memory"):
        learn_mix(layers, huge)
    with pytest.raises(ElmoHelpersError, match=r"^labels: .*below n_classes=3, and got uint64 from 92"):
        learn_mix(layers, huge, n_classes=3)
    with pytest.raises(ElmoHelpersError, match=r"^labels: .* numbers from 0, and got int64 from -1 to 1\.$"):
        learn_mix(layers, labels - 1)


def test_what_cannot_be_predicted(rng):
    layers, labels = task(rng, 1)
    classifier = learn_mix(layers, labels, epochs=1)
    assert classifier.predict(layers[:0]).shape == (0,)
    assert (classifier.predict(layers.astype(np.float64)) == classifier.predict(layers)).all()
    for wrong in (layers[:, :2], layers[..., :7], np.zeros((2, 3, 9))):
        with pytest.raises(ElmoHelpersError, match=r"^layers: expected .* L and dim \(3, 8\), .* and got \("):
            classifier.predict(wrong)
    for wrong in (layers[0], None, "layers", [["a"]], layers * np.nan, np.full((2, 3, 8), 1e300)):
        with pytest.raises(ElmoHelpersError, match=r"^layers: expected"):
            classifier.predict(wrong)
