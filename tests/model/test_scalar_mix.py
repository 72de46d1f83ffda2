"""The scalar mix against its formula."""

import numpy as np
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
