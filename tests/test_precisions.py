"""Models in other precisions than float32, and under autocast."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from conftest import TOY_TITLES, needs_bf16, vocabulary_of
from elmo_helpers import BiLM, CharacterCNN, Elmo, Encoder, MixClassifier, ScalarMix, Scorer
from elmo_helpers.config import WordEmbeddingConfig
from small_models import CONFIGS, TINY, WORDS, write_models


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_new_modules_are_of_float32(kind: torch.dtype):
    vocabulary = vocabulary_of(200)

    def modules() -> list[nn.Module]:
        torch.manual_seed(0)
        by_words = replace(TINY, char_cnn=WordEmbeddingConfig(200, 8))
        models = [BiLM(config, vocabulary) for config in [*CONFIGS.values(), by_words]]
        return [*models, CharacterCNN(TINY.char_cnn), ScalarMix(3), MixClassifier(3, 4, 2)]

    wanted = modules()
    torch.set_default_dtype(kind)
    try:
        found = modules()
    finally:
        torch.set_default_dtype(torch.float32)
    for module, other in zip(wanted, found, strict=True):
        for parameter, changed in zip(module.parameters(), other.parameters(), strict=True):
            assert changed.dtype == torch.float32
            assert torch.equal(changed, parameter)


@pytest.mark.parametrize("kind", [pytest.param(torch.bfloat16, marks=needs_bf16), torch.float16])
@pytest.mark.parametrize("name", CONFIGS)
def test_elmo_follows_autocast_and_nothing_of_it_stays(files: Path, name: str, kind: torch.dtype):
    """A layer of a caller's model gives what its other layers give: vectors of autocast's dtype, near the others."""
    model = BiLM.load(files / name)
    elmo = Elmo(None, None, 1, module=model, dropout=0.0, do_layer_norm=True, vocab_to_cache=["the"])
    ids = elmo.batch_to_ids(WORDS)
    wanted = elmo(ids)["elmo_representations"][0]
    with torch.autocast("cpu", kind):
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                found = elmo(ids)["elmo_representations"][0]
            assert found.dtype == kind
            torch.testing.assert_close(found.float(), wanted, rtol=0, atol=0.1)
        cached = Elmo(None, None, 1, module=model, vocab_to_cache=["the"]).reader.cached.weight
    assert torch.equal(cached, elmo.reader.cached.weight)
    assert torch.equal(elmo(ids)["elmo_representations"][0], wanted)


@pytest.mark.parametrize("kind", [pytest.param(torch.bfloat16, marks=needs_bf16), torch.float16])
@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_under_autocast(files: Path, name: str, kind: torch.dtype):
    def gradients(*, autocast: bool) -> list[torch.Tensor]:
        elmo = Elmo(None, None, 1, module=BiLM.load(files / name), requires_grad=True, dropout=0.0)
        with torch.autocast("cpu", kind, enabled=autocast):
            loss = elmo(elmo.batch_to_ids(WORDS))["elmo_representations"][0].float().square().sum()
        loss.backward()
        return [p.grad for p in elmo.parameters() if p.grad is not None]

    for wanted, found in zip(gradients(autocast=False), gradients(autocast=True), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, wanted, rtol=0, atol=0.05 * float(wanted.abs().max()))


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, pytest.param(torch.bfloat16, marks=needs_bf16)])
@pytest.mark.parametrize("name", CONFIGS)
def test_models_in_other_precisions(files: Path, name: str, kind: torch.dtype):
    model = BiLM.load(files / name)
    wanted = Encoder(model).encode(TOY_TITLES, "mean"), Scorer(model).score(TOY_TITLES)[0].forward
    best = Scorer(model).fill("the ___ sat", 1)[0].log_probability
    model.to(kind)
    found = Encoder(model, ScalarMix(3)).encode(TOY_TITLES, "mean"), Scorer(model).score(TOY_TITLES)[0].forward
    for array, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other, array, rtol=0, atol=0.05)
    assert Scorer(model).fill("the ___ sat", 1)[0].log_probability == pytest.approx(best, abs=0.05)
    elmo = Elmo(None, None, 1, module=model, dropout=0.0)
    assert elmo(elmo.batch_to_ids(WORDS))["elmo_representations"][0].dtype == kind
