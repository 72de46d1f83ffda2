"""The written-out gradient of the LSTM against autograd over a plain loop of steps."""

from itertools import product

import pytest
import torch

import elmo_helpers.model.lstm_kernel as kernel
from conftest import needs_bf16
from elmo_helpers.model import lstm
from elmo_helpers.model.lstm import LSTMLayer

LENGTHS = torch.tensor([5, 1, 7, 7, 3])
SHAPES = list(product([None, 4], [None, 0.4], [None, 0.2]))  # projection, cell clip, projection clip


def make_layer(projection=4, cell_clip=0.4, projection_clip=0.2) -> LSTMLayer:
    torch.manual_seed(0)
    layer = LSTMLayer(3, 6, projection, cell_clip, projection_clip).double()
    for p in layer.parameters():
        torch.nn.init.normal_(p)
    return layer


def plain_loop(layer: LSTMLayer, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor):
    """One row (T, input_dim) alone, by the formula, under autograd: outputs (T, P), h, c, and how often it clipped."""
    outputs, clipped = [], 0
    for x_t in x:
        z = layer.weight_ih @ x_t + layer.weight_hh @ h + layer.bias
        i, f, g, o = z.split(layer.hidden_dim)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        if layer.cell_clip is not None:
            clipped += int((c.abs() > layer.cell_clip).sum())
            c = c.clamp(-layer.cell_clip, layer.cell_clip)
        h = o.sigmoid() * c.tanh()
        if layer.weight_hr is not None:
            h = layer.weight_hr @ h
            if layer.projection_clip is not None:
                clipped += int((h.abs() > layer.projection_clip).sum())
                h = h.clamp(-layer.projection_clip, layer.projection_clip)
        outputs.append(h)
    return torch.stack(outputs), h, c, clipped


@pytest.mark.parametrize("block", [1, 30 << 20])
@pytest.mark.parametrize(("projection", "cell_clip", "projection_clip"), SHAPES)
def test_outputs_states_and_gradients_equal_a_plain_loop(projection, cell_clip, projection_clip, block, monkeypatch):
    monkeypatch.setattr(kernel, "_BLOCK", block)  # a block for each step, or one for all
    layer = make_layer(projection, cell_clip, projection_clip)
    x = torch.randn(5, 8, 3, dtype=torch.double, requires_grad=True)  # one position more than the longest row
    start = torch.randn(5, layer.output_dim).double() / 4, torch.randn(5, 6).double() / 4
    inputs = [x, *layer.parameters()]

    rows = [plain_loop(layer, x[r, :n], start[0][r], start[1][r]) for r, n in enumerate(LENGTHS)]
    w_output = [torch.randn_like(output) for output, *_ in rows]
    w_h, w_c = torch.randn(5, layer.output_dim).double(), torch.randn(5, 6).double()
    terms = zip(rows, w_output, w_h, w_c, strict=True)
    value = sum((output * w).sum() + h @ wh + c @ wc for (output, h, c, _), w, wh, wc in terms)
    expected = torch.autograd.grad(value, inputs)
    if cell_clip is not None or (projection and projection_clip is not None):
        assert sum(row[3] for row in rows) > 5, "the weights must be large enough that clipping acts"

    (output,), h, c = lstm._stepwise([layer], [x], LENGTHS, *(s[None] for s in start))
    (h,), (c,) = h, c
    assert output.shape == (5, 8, layer.output_dim)
    for r, n in enumerate(LENGTHS):
        torch.testing.assert_close(output[r, :n], rows[r][0])
        torch.testing.assert_close(h[r], rows[r][1])
        torch.testing.assert_close(c[r], rows[r][2])
    value = sum((output[r, :n] * w_output[r]).sum() for r, n in enumerate(LENGTHS)) + (h * w_h).sum() + (c * w_c).sum()
    for a, b in zip(torch.autograd.grad(value, inputs), expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("projection", [None, 4])
def test_two_layers_side_by_side_are_two_layers(projection):
    """Each with weights, inputs and states of its own; one of them without a gradient of its input."""
    layers = [make_layer(projection), make_layer(projection)]
    for p in layers[1].parameters():
        torch.nn.init.normal_(p)
    xs = [torch.randn(5, 7, 3, dtype=torch.double, requires_grad=i == 0) for i in range(2)]
    state = tuple(torch.randn(2, 5, width).double() / 4 for width in (layers[0].output_dim, 6))
    leaves = [xs[0], *layers[0].parameters(), *layers[1].parameters()]

    outputs, states = lstm.run_layers(layers, xs, LENGTHS, state=state, return_states=True)
    alone = [
        layer(x, LENGTHS, state=(h, c), return_states=True) for layer, x, h, c in zip(layers, xs, *state, strict=True)
    ]
    real = torch.arange(7) < LENGTHS[:, None]
    value, expected = 0, 0
    for i, (output, (h, c)) in enumerate(alone):
        torch.testing.assert_close(outputs[i][real], output[real])
        torch.testing.assert_close(states[0][i], h)
        torch.testing.assert_close(states[1][i], c)
        w_output, w_h, w_c = (torch.randn_like(t) for t in (output[real], h, c))
        value = value + (outputs[i][real] * w_output).sum() + (states[0][i] * w_h).sum() + (states[1][i] * w_c).sum()
        expected = expected + (output[real] * w_output).sum() + (h * w_h).sum() + (c * w_c).sum()
    for a, b in zip(torch.autograd.grad(value, leaves), torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(a, b)


def test_gradcheck():
    layer = make_layer(projection=2)
    x = torch.randn(2, 3, 3, dtype=torch.double, requires_grad=True)
    lengths = torch.tensor([3, 2])

    def run(x, *_):
        output, states = layer(x, lengths, return_states=True)
        return output[0], output[1, :2], *states

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()))


def test_padding_gets_no_gradient_and_gives_none():
    layer = make_layer()
    x = torch.randn(5, 8, 3, dtype=torch.double, requires_grad=True)
    output, _ = layer(x, LENGTHS)
    (gradient,) = torch.autograd.grad(output.sum(), x)  # also of what stands behind the lengths
    padding = torch.arange(8) >= LENGTHS[:, None]
    assert (gradient[padding] == 0).all()
    assert (gradient[~padding] != 0).any()
    changed = torch.where(padding[..., None], 1e6, x)
    torch.testing.assert_close(layer(changed, LENGTHS)[0][~padding], output[~padding])


def test_gradient_passes_at_the_bound_as_clamps_does():
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        z = torch.tensor([-4, -3, 0, 3, 3.0157, 4], dtype=dtype, requires_grad=True)
        (expected,) = torch.autograd.grad(z.clamp(-3, 3).sum(), z)
        gradient = torch.ones_like(z, dtype=torch.float64 if dtype == torch.float64 else torch.float32)
        kernel._stop_beyond(3.0, gradient, z.detach())
        assert gradient.tolist() == expected.tolist() == [0, 1, 1, 1, 0, 0]


@pytest.mark.parametrize(("n", "steps"), [(1, 5), (3, 1), (1, 1)])
def test_one_row_and_one_step(n, steps):
    layer = make_layer()
    x = torch.randn(n, steps, 3, dtype=torch.double)
    output, (h, _) = layer(x, torch.full((n,), steps), return_states=True)
    for r in range(n):
        expected = plain_loop(layer, x[r], torch.zeros(4).double(), torch.zeros(6).double())
        torch.testing.assert_close(output[r], expected[0])
        torch.testing.assert_close(h[r], expected[1])
    output.sum().backward()


def test_without_gradient_the_same_and_nothing_is_kept():
    layer = make_layer()
    x = torch.randn(5, 8, 3, dtype=torch.double)
    expected = layer(x, LENGTHS)[0]
    with torch.no_grad():
        output = layer(x, LENGTHS)[0]
    assert torch.equal(output, expected)
    assert expected.grad_fn is not None
    assert output.grad_fn is None
    frozen = make_layer().requires_grad_(False)
    assert not frozen(x, LENGTHS)[0].requires_grad
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(frozen(x, LENGTHS)[0].sum(), x)
    (expected,) = torch.autograd.grad(layer(x, LENGTHS)[0].sum(), x)
    torch.testing.assert_close(gradient, expected)


@needs_bf16
@pytest.mark.parametrize("projection", [None, 16])
def test_bfloat16_products_come_close(projection):
    torch.manual_seed(2)
    layer = LSTMLayer(8, 32, projection, 3.0, 3.0)
    x = torch.randn(5, 7, 8)
    inputs = list(layer.parameters())
    results = []
    for on in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=on):
            output, (h, c) = layer(x, LENGTHS, return_states=True)
        assert output.dtype == h.dtype == c.dtype == torch.float32
        results.append([output, h, c, *torch.autograd.grad(output.square().sum() + c.sum(), inputs)])
    for exact, rounded in zip(*results, strict=True):
        assert rounded.dtype == torch.float32
        # bfloat16 keeps 8 bits, a relative error of at most 0.004 a number; a few of them come together
        assert 0 < (exact - rounded).norm() / exact.norm() < 0.02


@needs_bf16
def test_a_long_memory_is_kept_under_bfloat16():
    """A cell in bfloat16 would stop at 1, where its next number is 0.008 away from it."""
    layer = LSTMLayer(1, 2, 2, 3.0, 3.0)
    with torch.no_grad():
        for p in layer.parameters():
            p.zero_()
        layer.bias.copy_(torch.tensor([-6.0, -6, 20, 20, 20, 20, 0, 0]))  # each step adds σ(-6) = 0.0025
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        start = torch.zeros(1, 2), torch.ones(1, 2)
        _, (_, c) = layer(torch.zeros(1, 100, 1), torch.tensor([100]), state=start, return_states=True)
    torch.testing.assert_close(c, torch.full((1, 2), 1 + 100 * 0.0024726), atol=1e-4, rtol=0)


def test_the_gradient_cannot_be_differentiated_again():
    layer = make_layer()
    x = torch.randn(1, 2, 3, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x, torch.tensor([2]))[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
