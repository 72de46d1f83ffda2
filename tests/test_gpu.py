"""On a GPU the same numbers as on the CPU, where there is one; without one these tests are skipped."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import TOY_TITLES
from elmo_helpers import BiLM, BiLMConfig, Encoder, Scorer, TrainingConfig, evaluate, train
from elmo_helpers.interchange.elmo import Elmo, batch_to_ids
from elmo_helpers.training.batching import Batch

DEVICE = "cuda"

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

TINY = BiLMConfig.preset("tiny")
CONFIGS = {
    "projected and clipped": replace(TINY, projection_dim=8, cell_clip=3.0, projection_clip=3.0),
    "clipped": replace(TINY, cell_clip=0.2),
    "plain": TINY,
}
TITLES = [*(title.split() for title in TOY_TITLES), ["one"] * 70, []]


@pytest.fixture(autouse=True)
def whole_float32(monkeypatch):
    """Left alone, PyTorch lets cuDNN, which runs an LSTM without projection, round what it multiplies to TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture(params=CONFIGS)
def sides(request, toy_corpus) -> tuple[BiLM, BiLM]:
    """The same model on the CPU and on the GPU; weights so large that its gates move, and clips bind."""
    torch.manual_seed(0)
    ours = [BiLM(CONFIGS[request.param], toy_corpus.vocabulary, toy_corpus.text).eval() for _ in range(2)]
    with torch.no_grad():
        for parameter in ours[0].parameters():
            parameter.normal_(std=0.5)
    ours[1].load_state_dict(ours[0].state_dict())
    return ours[0], ours[1].to(DEVICE)


def batch_for(model: BiLM) -> Batch:
    return Batch.of_words([title for title in TITLES if title], model.character_vocabulary, model.vocabulary)


def on(device: torch.device, batch: Batch) -> tuple[torch.Tensor, ...]:
    return batch.characters.to(device), batch.tokens.to(device), batch.lengths, batch.targets.to(device)


def test_layers_and_states(sides):
    results = []
    for model in sides:
        characters, tokens, lengths, _ = on(model.device, batch_for(model))
        with torch.no_grad():
            output = model(characters, tokens, lengths, return_states=True)
        results.append([x.cpu() for x in (output.layers, output.hidden_states, output.cell_states)])
    for cpu, gpu in zip(*results, strict=True):
        torch.testing.assert_close(gpu, cpu, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("softmax", ["full", "adaptive"])
def test_loss_and_gradients(toy_corpus, sides, softmax):
    config = replace(sides[0].config, softmax=softmax, dropout=0.0)
    models = [BiLM(config, toy_corpus.vocabulary, toy_corpus.text) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    models[1].to(DEVICE)
    for model in models:
        characters, tokens, lengths, targets = on(model.device, batch_for(model))
        model.loss(characters, tokens, lengths, targets).mean.backward()
    for (name, cpu), gpu in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(gpu.grad.cpu(), cpu.grad, rtol=1e-3, atol=1e-5, msg=lambda m, name=name: name + m)


@pytest.mark.parametrize("softmax", ["full", "adaptive", "sampled"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_learns_as_on_the_cpu(toy_corpus, softmax, precision):
    config = replace(TINY, softmax=softmax, n_negatives=16, dropout=0.0)
    settings = TrainingConfig(epochs=20, batch_size=4, learning_rate=0.02, precision=precision)
    perplexities = [
        evaluate(train(toy_corpus, config, settings, device=device, progress=False).model, toy_corpus).perplexity
        for device in ("cpu", DEVICE)
    ]
    assert perplexities[1] == pytest.approx(perplexities[0], rel=0.1)
    assert perplexities[1] < 0.7 * len(toy_corpus.vocabulary)


def test_a_run_that_was_stopped_goes_on(toy_corpus, tmp_path):
    settings = TrainingConfig(epochs=4, batch_size=4, log_every=1)
    config = replace(TINY, dropout=0.2)
    whole = train(toy_corpus, config, settings, device=DEVICE, progress=False)

    def stop(loop):
        if loop.progress.step == 5:
            loop.stop()

    train(toy_corpus, config, settings, device=DEVICE, directory=tmp_path / "m", callback=stop, progress=False)
    resumed = train(toy_corpus, config, settings, device=DEVICE, directory=tmp_path / "m", resume=True, progress=False)
    # Sums on a GPU are added up in an order of their own each time.
    np.testing.assert_allclose(resumed.steps.loss, whole.steps.loss, rtol=1e-4)


def test_encoder_and_scorer(sides):
    cpu, gpu = sides
    for pooling in ("states", "mean", "max"):
        a, b = (Encoder(model).encode(TITLES, pooling) for model in (cpu, gpu))
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)
    a, b = (Scorer(model).score([title for title in TITLES if title]) for model in (cpu, gpu))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(other.forward, one.forward, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stateful", [False, True])
def test_elmo_layer(toy_corpus, stateful):
    config = BiLMConfig.preset("small")
    narrow = replace(config.char_cnn, filters=((1, 8), (2, 8), (3, 16)), projection_dim=8)
    config = replace(config, hidden_dim=32, projection_dim=8, char_cnn=narrow)
    torch.manual_seed(0)
    models = [BiLM(config, toy_corpus.vocabulary, toy_corpus.text) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    layers = [Elmo(None, None, 1, module=m, stateful=stateful).eval() for m in (models[0], models[1].to(DEVICE))]
    layers[1].to(DEVICE)
    for part in (TITLES[:5], TITLES[5:9], TITLES[9:13]):
        a, b = (
            layer(batch_to_ids(part).to(device))["elmo_representations"][0]
            for layer, device in zip(layers, ("cpu", DEVICE), strict=True)
        )
        torch.testing.assert_close(b.detach().cpu(), a.detach(), rtol=1e-4, atol=1e-5)
