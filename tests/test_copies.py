"""Copies, wrappers and outlines of models, and models made where no gradients are formed."""

import copy
import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from conftest import TOY_TITLES, vocabulary_of
from elmo_helpers import (
    BiLM,
    Corpus,
    Elmo,
    ElmoHelpersError,
    Encoder,
    Scorer,
    batch_to_ids,
    encode_file,
    evaluate,
    fine_tune,
    save_official,
)
from elmo_helpers.integrations.sklearn_vectorizer import ElmoVectorizer
from small_models import CONFIGS, PUBLISHED, WORDS, elmo_of, vectors_of, write_models


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize(
    "of",
    [
        copy.deepcopy,
        lambda elmo: pickle.loads(pickle.dumps(elmo)),
        lambda elmo: nn.DataParallel(copy.deepcopy(elmo)),
        lambda elmo: lambda ids: checkpoint(elmo, ids, use_reentrant=False),
        lambda elmo: lambda ids: torch.func.functional_call(elmo, dict(elmo.named_parameters()), (ids,)),
    ],
    ids=["deepcopy", "pickle", "DataParallel", "checkpoint", "functional_call"],
)
def test_copies_and_wrappers_of_elmo(files: Path, of: Callable[[Elmo], Any], requires_grad: bool):
    def gradients(layer: Any, owner: nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
        vectors = vectors_of(layer, WORDS)
        vectors.square().sum().backward()
        return vectors, [p.grad.clone() for p in owner.parameters() if p.grad is not None]

    elmo = elmo_of(files, requires_grad=requires_grad)
    vectors_of(elmo, WORDS[:3])
    wanted, wanted_gradients = gradients(elmo, elmo)
    elmo.zero_grad()
    layer = of(elmo)
    found, found_gradients = gradients(layer, layer if isinstance(layer, nn.Module) else elmo)
    assert torch.equal(found, wanted)
    for one, other in zip(wanted_gradients, found_gradients, strict=True):
        assert torch.equal(one, other)


def test_what_is_made_in_inference_mode_can_be_learned_from(files: Path):
    def gradients(before: AbstractContextManager[Any]) -> list[torch.Tensor]:
        with before:
            model = BiLM.load(files / "published")
        elmo = Elmo(None, None, 1, module=model, requires_grad=True, stateful=True, dropout=0.0)
        with before:
            vectors_of(elmo, WORDS)  # leaves states, which the next call goes on from
        vectors_of(elmo, WORDS).square().sum().backward()
        return [p.grad for p in elmo.parameters() if p.grad is not None]

    for wanted, found in zip(gradients(torch.no_grad()), gradients(torch.inference_mode()), strict=True):
        assert torch.equal(found, wanted)


def test_a_model_on_the_device_meta_has_shapes_and_is_of_no_other_use(files: Path):
    corpus = Corpus.load(files / "corpus")
    with torch.device("meta"):
        published = BiLM(PUBLISHED, vocabulary_of(20))
        model = BiLM(CONFIGS["plain"], corpus.vocabulary)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    output = files / "outline"
    for use in (
        lambda: Encoder(model),
        lambda: Scorer(model),
        lambda: evaluate(model, corpus),
        lambda: fine_tune(model, corpus),
        lambda: model.save(output),
        lambda: save_official(published, output),
        lambda: encode_file(model, files / "titles.txt", output.with_suffix(".h5")),
        lambda: Elmo(None, None, 1, module=published)(batch_to_ids(WORDS)),
        lambda: Elmo(None, None, 1, module=model, vocab_to_cache=["a"]),
        lambda: ElmoVectorizer(model).fit(TOY_TITLES),
        lambda: published.char_cnn(batch_to_ids([["a"]])[0]),
    ):
        with pytest.raises(ElmoHelpersError, match="on the device 'meta', where there are shapes and no numbers"):
            use()
    assert not output.exists()
