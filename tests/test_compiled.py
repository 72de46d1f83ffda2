"""torch.compile: the same numbers and gradients, and what cannot be compiled is left out of the graphs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conftest import TOY_TITLES, vocabulary_of
from elmo_helpers import BiLM, BiLMConfig, Elmo, Encoder, Scorer, batch_to_ids, encode_file, fine_tune
from elmo_helpers.training.batching import Batch
from elmo_helpers.training.config import TrainingConfig
from small_models import CLIPPED, PUBLISHED, TINY, WORDS

# PyTorch's own, of any model of two parts between which its graph ends.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    yield
    torch.compiler.reset()


def compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, backend="eager")  # the graphs are what is asked about, not what is made of them


class Tagger(nn.Module):
    """A caller's own model."""

    def __init__(self, requires_grad: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        model = BiLM(PUBLISHED, vocabulary_of(20))
        self.elmo = Elmo(None, None, 1, module=model, requires_grad=requires_grad, dropout=0.0, do_layer_norm=True)
        self.linear = nn.Linear(16, 3)

    def forward(self, ids: Tensor) -> Tensor:
        output = self.elmo(ids)
        return self.linear(output["elmo_representations"][0].relu() * output["mask"][..., None])


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("part", [None, "elmo"])
def test_a_model_with_an_elmo_layer(part: str | None, requires_grad: bool):
    plain, other = Tagger(requires_grad), Tagger(requires_grad)
    tagger = other
    if part is None:
        tagger = compiled(other)
    else:
        other.elmo = compiled(other.elmo)
    for sentences in (WORDS[:4], WORDS[4:9], WORDS[:4]):
        ids = batch_to_ids(sentences)
        wanted, found = plain(ids), tagger(ids)
        assert torch.equal(found, wanted)
        for logits in (wanted, found):
            logits.square().sum().backward()
    ours, theirs = ([p.grad for p in module.parameters()] for module in (plain, other))
    assert [grad is None for grad in ours] == [grad is None for grad in theirs]
    for one, two in zip(ours, theirs, strict=True):
        assert one is None or torch.equal(one, two)
    with torch.inference_mode():
        assert torch.equal(tagger(ids), plain(ids))


def test_ids_made_inside_of_a_compiled_model():
    elmo = Tagger(False).elmo.eval()

    def vectors(sentences: list[list[str]]) -> Tensor:
        return elmo(batch_to_ids(sentences))["elmo_representations"][0] * 2

    assert torch.equal(torch.compile(vectors, backend="eager")(WORDS), vectors(WORDS))


@pytest.mark.parametrize("config", [TINY, CLIPPED], ids=["plain", "projected"])
def test_a_bilm(toy_corpus, config: BiLMConfig):
    torch.manual_seed(0)
    models = [BiLM(config, toy_corpus.vocabulary) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    model, loss = compiled(models[1]), torch.compile(models[1].loss, backend="eager")
    for rows in (np.arange(4), np.arange(4, 9)):
        batch = Batch.of(toy_corpus, rows)
        read = batch.characters, batch.tokens, batch.lengths
        wanted, found = (m(*read, return_states=True) for m in (models[0], model))
        assert torch.equal(found.layers, wanted.layers)
        assert torch.equal(found.hidden_states, wanted.hidden_states)
        for of_loss in (models[0].loss, loss):
            of_loss(*read, batch.targets).mean.backward()
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_a_compiled_bilm_is_taken_for_what_it_is(toy_model, toy_corpus, tmp_path: Path):
    wanted = Encoder(toy_model).encode(TOY_TITLES)
    model = compiled(toy_model)
    np.testing.assert_array_equal(Encoder(model).encode(TOY_TITLES), wanted)
    np.testing.assert_array_equal(torch.compile(Encoder(model).encode, backend="eager")(TOY_TITLES), wanted)
    scores = torch.compile(Scorer(model).score, backend="eager")(TOY_TITLES)
    np.testing.assert_array_equal(scores[0].forward, Scorer(toy_model).score(TOY_TITLES)[0].forward)
    assert fine_tune(model, toy_corpus, TrainingConfig(epochs=1), progress=False).finished
    (tmp_path / "titles.txt").write_text("a title")
    assert encode_file(model, tmp_path / "titles.txt", tmp_path / "vectors.h5", progress=False).rows == 1


def test_who_does_not_compile_does_not_load_the_compiler(toy_model, tmp_path: Path):
    """It takes some two seconds."""
    toy_model.save(tmp_path / "model")
    program = """
import sys
from elmo_helpers import BiLM, BiLMConfig, Elmo, Encoder, Scorer, evaluate
model = BiLM.load(sys.argv[1])
Encoder(model).encode(["the cat", "a dog"])
Scorer(model).score(["the cat"])
elmo = Elmo(None, None, 1, module=model, requires_grad=True)
elmo(elmo.batch_to_ids([["the", "cat"]]))["elmo_representations"][0].sum().backward()
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, tmp_path / "model"], check=True, cwd=Path(__file__).parent.parent)
