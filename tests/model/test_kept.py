"""What is kept from weights is made anew whenever they hold other numbers, and only then."""

import copy

import pytest
import torch

from elmo_helpers.model.kept import KeptFromWeights


def times_made(kept: KeptFromWeights[object], weights: list[torch.Tensor], settings: object = None) -> int:
    """1 where it is made, 0 where it was kept."""
    made = []
    kept.get(weights, settings, lambda: made.append(1) or object())
    return len(made)


@pytest.fixture(params=[(3,), (200, 301), (64, 1024)])
def weights(request) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(request.param), torch.randn(5)]


def test_the_same_numbers_are_known_again_wherever_they_lie(weights):
    kept = KeptFromWeights[object]()
    assert times_made(kept, weights) == 1
    assert times_made(kept, weights) == 0
    assert times_made(kept, [weight.clone() for weight in weights]) == 0
    apart = torch.cat([torch.zeros(1), *(weight.flatten() for weight in weights)])[1:]  # as in one long vector
    parts = apart.split([weight.numel() for weight in weights])
    assert times_made(kept, [part.view_as(w) for part, w in zip(parts, weights, strict=True)]) == 0
    with torch.inference_mode():
        assert times_made(kept, [weight.clone() for weight in weights]) == 0
    weights[0].view(-1)[0] = torch.nan
    assert times_made(kept, weights) == 1
    assert times_made(kept, weights) == 0


def test_every_single_number_counts(weights):
    kept = KeptFromWeights[object]()
    times_made(kept, weights)
    flat = weights[0].view(-1)
    for place in [*torch.randint(len(flat), (50,)).tolist(), 0, len(flat) - 1]:
        flat.data[place] = torch.nextafter(flat[place], torch.tensor(9.0))
        assert times_made(kept, weights) == 1
        assert times_made(kept, weights) == 0


def test_numbers_that_change_places_count(weights):
    kept = KeptFromWeights[object]()
    times_made(kept, weights)
    for dim in range(weights[0].ndim):
        for change in (lambda w, d=dim: w.roll(1, d), lambda w, d=dim: w.flip(d)):
            weights[0].copy_(change(weights[0]).clone())
            assert times_made(kept, weights) == 1


def test_kinds_settings_and_number_count(weights):
    kept = KeptFromWeights[object]()
    for settings in ("a", "b"):
        assert times_made(kept, weights, settings) == 1
        assert times_made(kept, weights[:1], settings) == 1
        assert times_made(kept, [weight.flatten()[:, None] for weight in weights], settings) == 1
        assert times_made(kept, [weight.half() for weight in weights], settings) == 1


def test_a_copy_begins_with_nothing(weights):
    kept = KeptFromWeights[object]()
    times_made(kept, weights)
    for other in (copy.copy(kept), copy.deepcopy(kept)):
        assert times_made(other, weights) == 1
    assert times_made(kept, weights) == 0
