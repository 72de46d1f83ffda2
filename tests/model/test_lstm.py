"""The LSTM layer against torch.nn.LSTM and against the formula, step by step."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from conftest import needs_bf16
from elmo_helpers.model import lstm
from elmo_helpers.model.lstm import LSTMLayer, reverse_within_lengths

# Of the reference, not of ours: PyTorch says that its projected LSTM runs on the slow path.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")

LENGTHS = torch.tensor([5, 1, 7, 7, 3])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(layer: LSTMLayer) -> torch.nn.LSTM:
    lstm = torch.nn.LSTM(
        layer.weight_ih.shape[1],
        layer.hidden_dim,
        batch_first=True,
        proj_size=0 if layer.weight_hr is None else layer.output_dim,
    )
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(layer.weight_ih)
        lstm.weight_hh_l0.copy_(layer.weight_hh)
        lstm.bias_ih_l0.copy_(layer.bias)
        lstm.bias_hh_l0.zero_()
        if layer.weight_hr is not None:
            lstm.weight_hr_l0.copy_(layer.weight_hr)
    return lstm


@pytest.mark.parametrize("projection", [None, 4])
@pytest.mark.parametrize("return_states", [False, True])
def test_equals_nn_lstm(projection, return_states):
    torch.manual_seed(0)
    layer = LSTMLayer(3, 6, projection)
    x = torch.randn(5, 7, 3)
    output, states = layer(x, LENGTHS, return_states=return_states)
    lstm = reference(layer)
    assert output.shape == (5, 7, projection or 6)
    for row, n in enumerate(LENGTHS):
        expected, (h, c) = lstm(x[row : row + 1, :n])  # each title alone, without padding
        torch.testing.assert_close(output[row, :n], expected[0], atol=1e-6, rtol=0)
        if return_states:
            torch.testing.assert_close(states[0][row], h[0, 0], atol=1e-6, rtol=0)
            torch.testing.assert_close(states[1][row], c[0, 0], atol=1e-6, rtol=0)
        else:
            assert states is None


@pytest.mark.parametrize("projection", [None, 4])
def test_gradients_equal_nn_lstm(projection):
    torch.manual_seed(0)
    layer = LSTMLayer(3, 6, projection)
    lstm = reference(layer)
    x = torch.randn(2, 7, 3)
    weights = torch.randn(2, 7, projection or 6)
    (layer(x, torch.tensor([7, 7]))[0] * weights).sum().backward()
    (lstm(x)[0] * weights).sum().backward()
    torch.testing.assert_close(layer.weight_ih.grad, lstm.weight_ih_l0.grad, atol=1e-5, rtol=0)
    torch.testing.assert_close(layer.weight_hh.grad, lstm.weight_hh_l0.grad, atol=1e-5, rtol=0)
    torch.testing.assert_close(layer.bias.grad, lstm.bias_ih_l0.grad, atol=1e-5, rtol=0)


def test_clipping_by_the_formula():
    torch.manual_seed(0)
    layer = LSTMLayer(3, 5, 2, cell_clip=0.3, projection_clip=0.1)
    for p in layer.parameters():
        torch.nn.init.normal_(p)
    x = torch.randn(1, 6, 3)
    output, (h_n, c_n) = layer(x, torch.tensor([6]), return_states=True)
    w_ih, w_hh, b, w_hr = (
        p.detach().double().numpy() for p in (layer.weight_ih, layer.weight_hh, layer.bias, layer.weight_hr)
    )
    h, c, clipped = np.zeros(2), np.zeros(5), 0
    for t in range(6):
        i, f, g, o = np.split(w_ih @ x[0, t].double().numpy() + w_hh @ h + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        clipped += int((abs(c) > 0.3).sum())
        c = np.clip(c, -0.3, 0.3)
        h = np.clip(w_hr @ (sigmoid(o) * np.tanh(c)), -0.1, 0.1)
        np.testing.assert_allclose(output[0, t].detach().numpy(), h, atol=1e-6)
    np.testing.assert_allclose(h_n[0].detach().numpy(), h, atol=1e-6)
    np.testing.assert_allclose(c_n[0].detach().numpy(), c, atol=1e-6)
    assert clipped > 0, "the test's weights must be large enough that clipping acts"


def test_both_ways_to_compute_agree():
    torch.manual_seed(0)
    layer = LSTMLayer(3, 6)
    x = torch.randn(4, 9, 3)
    lengths = torch.full((4,), 9)
    state = torch.randn(4, 6), torch.randn(4, 6)
    (output,), h, c = lstm._stepwise([layer], [x], lengths, *(s[None] for s in state))
    for a, b in zip(layer.fused(x, *state), (output, h[0], c[0]), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


@pytest.mark.parametrize("clips", [(None, None), (0.5, 0.2)])
@pytest.mark.parametrize("projection", [None, 4])
@pytest.mark.parametrize("return_states", [False, True])
def test_carried_state_continues_the_text(projection, clips, return_states):
    torch.manual_seed(1)
    layer = LSTMLayer(3, 6, projection, *clips)
    x = torch.randn(5, 7, 3)
    whole, (h, c) = layer(x, torch.full((5,), 7), return_states=True)
    first, state = layer(x[:, :4], torch.full((5,), 4), return_states=True)
    second, states = layer(x[:, 4:], torch.full((5,), 3), state=state, return_states=return_states)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-6, rtol=0)
    if return_states:
        torch.testing.assert_close(states, (h, c), atol=1e-6, rtol=0)
    assert not torch.allclose(layer(x[:, 4:], torch.full((5,), 3))[0], second, atol=1e-3)


@pytest.mark.parametrize("projection", [None, 4])
def test_no_gradient_flows_into_the_carried_state(projection):
    layer = LSTMLayer(3, 6, projection)
    h, c = torch.randn(2, projection or 6, requires_grad=True), torch.randn(2, 6, requires_grad=True)
    layer(torch.randn(2, 5, 3), torch.tensor([5, 5]), state=(h, c))[0].sum().backward()
    assert h.grad is None
    assert c.grad is None


def test_forget_gate_starts_open():
    bias = LSTMLayer(3, 4).bias
    assert bias.tolist() == [0] * 4 + [1] * 4 + [0] * 8


def test_reversal_within_lengths():
    x = torch.tensor([[1, 2, 3, 0], [4, 5, 0, 0], [6, 7, 8, 9]])
    lengths = torch.tensor([3, 2, 4])
    reversed_ = reverse_within_lengths(x, lengths)
    assert reversed_.tolist() == [[3, 2, 1, 0], [5, 4, 0, 0], [9, 8, 7, 6]]
    assert torch.equal(reverse_within_lengths(reversed_, lengths), x)


@needs_bf16
def test_weights_cast_for_bf16_follow_every_change():
    """What is kept between calls is not seen: each way to change a weight gives what a fresh layer gives."""
    torch.manual_seed(0)
    layer = LSTMLayer(6, 8, 5, cell_clip=3.0, projection_clip=3.0)
    x, lengths = torch.randn(3, 4, 6), torch.tensor([4, 2, 1])

    def output(of: LSTMLayer) -> torch.Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return of(x, lengths)[0]

    def fresh() -> torch.Tensor:
        other = LSTMLayer(6, 8, 5, cell_clip=3.0, projection_clip=3.0)
        other.load_state_dict(layer.state_dict())
        return output(other)

    outputs = [output(layer)]
    assert outputs[0].dtype == torch.float32  # cells and outputs keep the layer's precision
    with torch.no_grad():
        layer.weight_hh.mul_(2)
    outputs.append(output(layer))
    layer.load_state_dict({name: -value for name, value in layer.state_dict().items()})
    outputs.append(output(layer))
    layer.weight_ih = torch.nn.Parameter(torch.randn_like(layer.weight_ih))
    outputs.append(output(layer))
    layer.bias.data = torch.randn_like(layer.bias)
    outputs.append(output(layer))
    torch.testing.assert_close(outputs[-1], fresh(), rtol=0, atol=0)
    for before, after in pairwise(outputs):
        assert not torch.equal(before, after)
