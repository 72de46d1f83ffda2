"""The scalar mix against its formula."""

import numpy as np
import pandas as pd
import pytest
import torch

from elmo_helpers import ScalarMix
from elmo_helpers.errors import ElmoHelpersError


def test_formula():
    mix = ScalarMix(3, [0.5, -1.0, 2.0])
    with torch.no_grad():
        mix.gamma.fill_(1.5)
    layers = torch.randn(3, 2, 4)
    w = np.exp([0.5, -1.0, 2.0])
    expected = sum(1.5 * w[i] / w.sum() * layers[i].numpy() for i in range(3))
    np.testing.assert_allclose(mix(layers).detach().numpy(), expected, atol=1e-6)


def test_fresh_mix_is_the_mean():
    layers = torch.randn(4, 5)
    torch.testing.assert_close(ScalarMix(4)(layers), layers.mean(0))


def test_learns_which_layer_holds_the_answer():
    torch.manual_seed(0)
    layers = torch.randn(3, 200, 1)
    mix = ScalarMix(3)
    optimizer = torch.optim.Adam(mix.parameters(), lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        (mix(layers) - 2 * layers[1]).square().mean().backward()
        optimizer.step()
    assert mix.shares[1] > 0.95
    assert mix.shares.sum().item() == pytest.approx(1)
    assert mix.gamma.item() == pytest.approx(2, rel=0.05)


def test_frozen():
    assert not any(p.requires_grad for p in ScalarMix(2, trainable=False).parameters())


def test_wrong_number_of_layers():
    with pytest.raises(ElmoHelpersError, match="expected 3"):
        ScalarMix(3)(torch.randn(2, 4))
    with pytest.raises(ElmoHelpersError, match="expected 3 finite numbers"):
        ScalarMix(3, [1.0, 2.0])


@pytest.mark.parametrize(
    "weights",
    [
        (0, 1, 2),
        range(3),
        np.arange(3),
        np.arange(3, dtype=np.float16),
        pd.Series([0, 1, 2], index=[5, 5, 5]),
        torch.arange(3),
        torch.arange(3.0, requires_grad=True),
        torch.arange(3).bfloat16(),
        list(torch.arange(3)),
    ],
    ids=lambda weights: type(weights).__name__,
)
def test_weights_in_any_container_of_numbers(weights):
    mix = ScalarMix(3, weights)
    assert mix.weights.tolist() == [0, 1, 2]
    assert mix.weights.is_leaf


def test_weights_are_copied():
    given = torch.zeros(3)
    with torch.no_grad():
        ScalarMix(3, given).weights.add_(1)
    assert given.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "weights",
    [
        3,
        "abc",
        ["a", "b", "c"],
        ["1", "2", "3"],
        [1, 2, None],
        [1, 2, float("nan")],
        [1, 2, 1e300],
        [1, 2, 10**400],
        [1, 2, 3j],
        [[1, 2, 3]],
        [[1], [2, 3], 4],
        {1, 2, 3},
        {1: 2},
        pytest.param((float(i) for i in range(3)), id="generator"),
        torch.zeros(3, dtype=torch.complex64),
        torch.zeros(3, device="meta"),
        torch.zeros(4),
        pd.Series([1, 2, None]),
    ],
    ids=repr,
)
def test_what_is_no_weights(weights):
    with pytest.raises(ElmoHelpersError, match=r"^initial_weights=.*: expected 3 finite numbers") as caught:
        ScalarMix(3, weights)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"n_layers": 0}, "n_layers"),
        ({"n_layers": "3"}, "n_layers"),
        ({"n_layers": None}, "n_layers"),
        ({"trainable": "no"}, "trainable"),
        ({"layer_norm": "no"}, "layer_norm"),
    ],
)
def test_settings_of_the_wrong_kind(settings, name):
    with pytest.raises(ElmoHelpersError, match=f"^{name}="):
        ScalarMix(**{"n_layers": 3, **settings})


@pytest.mark.parametrize(
    "layers", [None, 3, [torch.zeros(2)] * 3, np.zeros((3, 2)), torch.zeros(()), torch.zeros(3, 2).long()], ids=repr
)
def test_what_is_no_layers(layers):
    with pytest.raises(ElmoHelpersError, match=r"^layers: expected 3 of them"):
        ScalarMix(3)(layers)


@pytest.mark.parametrize("mask", [True, [[True, False]], np.ones((2, 4), bool), torch.ones(2), torch.ones(2, 4, 5)])
def test_what_is_no_mask(mask):
    with pytest.raises(ElmoHelpersError, match=r"^mask: expected a tensor of the shape \(2, 4\)"):
        ScalarMix(3, layer_norm=True)(torch.randn(3, 2, 4, 5), mask)


def test_a_mask_of_ones_and_zeros_is_one_of_truth_values():
    mix, layers, mask = ScalarMix(3, layer_norm=True), torch.randn(3, 2, 4, 5), torch.tensor([[1, 1, 0, 0], [1] * 4])
    for kind in (torch.int64, torch.uint8, torch.float32):
        assert torch.equal(mix(layers, mask.to(kind)), mix(layers, mask.bool()))


def test_a_copy_for_data_parallelism_mixes_alike():
    """nn.DataParallel puts plain tensors in the place of a module's own parameters, and of nothing else's."""
    mix = ScalarMix(3, [0.5, -1.0, 2.0])
    layers = torch.randn(3, 4, 5)
    assert not list(mix.children())  # such as a ParameterList, which would be empty in the copy
    replica = mix._replicate_for_data_parallel()
    for name, parameter in mix.named_parameters():
        setattr(replica, name, parameter * 1)
    mixed = replica(layers)
    assert torch.equal(mixed, mix(layers))
    mixed.sum().backward()  # reaches the parameters of the original
    assert mix.weights.grad.abs().min() > 0
    assert mix.gamma.grad.abs() > 0
