"""What is handed to `Elmo` and is nothing that it can read, and batches without a word or a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from comparing import refused
from reference import write_random_model
from torch import nn

from elmo_helpers import Elmo, batch_to_ids, load_official

SENTENCES = [["the", "cat", "sat"], ["home"]]
CACHE = ["@@PADDING@@", "the", "cat", "sat", "home"]
NUMBERS = torch.tensor([[1, 2, 3], [4, 0, 0]])
WIDTH = 12  # 2P


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp("official"), np.random.default_rng(0))


class Layers(nn.Module):
    """Somebody's own module, which is not called here."""

    num_layers = 2


# No words


@pytest.mark.parametrize("stateful", [False, True], ids=["", "stateful"])
@pytest.mark.parametrize("requires_grad", [False, True], ids=["frozen", "trained"])
@pytest.mark.parametrize("layer_norm", [False, True], ids=["", "layer norm"])
@pytest.mark.parametrize("keep", [False, True], ids=["", "boundaries"])
def test_no_sentence_and_sentences_without_words(paths, keep, layer_norm, requires_grad, stateful):
    """Of no sentence there is no vector, and a loss over them moves nothing."""
    elmo = Elmo(
        *paths,
        2,
        requires_grad=requires_grad,
        do_layer_norm=layer_norm,
        keep_sentence_boundaries=keep,
        stateful=stateful,
    )
    elmo(batch_to_ids(SENTENCES))
    state = elmo.reader._state
    extra = 2 if keep else 0
    for ids in (batch_to_ids([]), torch.zeros(0, 5, 50).long(), torch.zeros(2, 0, 3, 50).long()):
        output = elmo(ids)
        shape = (*ids.shape[:-2], ids.shape[-2] + extra)
        assert (output["mask"].shape, output["mask"].dtype) == (shape, torch.bool)
        assert [x.shape for x in output["elmo_representations"]] == [(*shape, WIDTH)] * 2
        sum(x.sum() for x in output["elmo_representations"]).backward()
        assert all(p.grad is None or not p.grad.any() for p in elmo.parameters())
    if stateful:
        assert all(torch.equal(after, before) for after, before in zip(elmo.reader._state, state, strict=True))
    output = elmo(batch_to_ids([[], [], []]))
    assert output["mask"].tolist() == [[True] * extra] * 3
    for x in output["elmo_representations"]:
        assert x.shape == (3, extra, WIDTH)
        assert x.isfinite().all()
    sum(x.sum() for x in output["elmo_representations"]).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in elmo.parameters())


def test_a_loss_over_no_sentence_has_a_gradient_whatever_is_trained(paths):
    elmo = Elmo(*paths, 1, requires_grad=True, scalar_mix_parameters=[0, 1, 2], vocab_to_cache=CACHE)
    for output in (elmo(batch_to_ids([])), elmo(batch_to_ids([]), torch.zeros(0, 0).long())):
        output["elmo_representations"][0].sum().backward()


def test_the_first_call_of_a_stateful_layer_may_have_no_sentence(paths):
    elmo, other = (Elmo(*paths, 1, stateful=True).eval() for _ in range(2))
    elmo(batch_to_ids([]))
    elmo.warm_up([])
    for _ in range(2):
        found, expected = (layer(batch_to_ids(SENTENCES))["elmo_representations"][0] for layer in (elmo, other))
        assert (found - expected).abs().max() <= 1e-6


# No ids


@pytest.mark.parametrize(
    "inputs",
    [None, 3, "the cat", [["the", "cat"]], [[[1, 2]]], np.ones((2, 3, 50), int), {"elmo": 1}, torch.ones(50).long()],
    ids=["None", "number", "string", "words", "lists", "array", "dictionary", "one word"],
)
def test_what_is_no_tensor_of_ids(paths, inputs):
    for elmo in (Elmo(*paths, 1), Elmo(*paths, 1, vocab_to_cache=CACHE), Elmo(None, None, 1, module=Layers())):
        with refused("inputs: expected a tensor"):
            elmo(inputs)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_whole_numbers_of_any_size(paths, dtype):
    ids = batch_to_ids([["\t\n", "\r"], ["\0"]])  # low bytes, and marks that are cut to what the type can hold
    ids = ids.clamp(max=torch.iinfo(dtype).max)
    for arguments in ((ids,), (ids[:, :, :50], torch.tensor([[1, 2], [3, 0]]))):
        elmo = Elmo(*paths, 1, vocab_to_cache=CACHE).eval()
        expected = elmo(*arguments)["elmo_representations"][0]
        assert torch.equal(elmo(*(x.to(dtype) for x in arguments))["elmo_representations"][0], expected)


DAMAGES = {
    "truth values": lambda ids: ids.bool(),
    "floats": lambda ids: ids.float(),
    "not numbers": lambda ids: ids.float() * float("nan"),
    "complex": lambda ids: ids.to(torch.complex64),
    "uint16": lambda ids: ids.to(torch.uint16),
    "elsewhere": lambda ids: ids.to("meta"),
    "sparse": lambda ids: ids.to_sparse(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("requires_grad", [False, True], ids=["frozen", "trained"])
def test_tensors_of_the_wrong_kind(paths, damage, requires_grad):
    elmo = Elmo(*paths, 1, vocab_to_cache=CACHE, requires_grad=requires_grad)
    ids = batch_to_ids(SENTENCES)
    with refused("inputs:"):
        elmo(DAMAGES[damage](ids))
    with refused("word_inputs:"):
        elmo(ids, DAMAGES[damage](NUMBERS))


@pytest.mark.parametrize(
    "numbers", [3, [[1, 2]], NUMBERS.numpy(), NUMBERS[0], NUMBERS[:, :2], NUMBERS[..., None], torch.tensor(1)], ids=str
)
def test_numbers_that_do_not_fit(paths, numbers):
    for elmo in (Elmo(*paths, 1), Elmo(*paths, 1, vocab_to_cache=CACHE)):
        with refused("word_inputs: expected a tensor of the shape (2, 3)"):
            elmo(batch_to_ids(SENTENCES), numbers)


# No settings


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"requires_grad": "no"}, "requires_grad='no'"),
        ({"requires_grad": None}, "requires_grad=None"),
        ({"do_layer_norm": "no"}, "do_layer_norm='no'"),
        ({"keep_sentence_boundaries": 1}, "keep_sentence_boundaries=1"),
        ({"stateful": "no"}, "stateful='no'"),
        ({"num_output_representations": None}, "num_output_representations=None"),
        ({"dropout": "0.5"}, "dropout='0.5'"),
        ({"vocab_to_cache": "the"}, "vocab_to_cache is one string"),
        ({"vocab_to_cache": ["the", None]}, "vocab_to_cache[1] is None"),
        ({"vocab_to_cache": {"the"}}, "vocab_to_cache is {"),
        ({"options_file": {"lstm": {}}}, "options_file={'lstm': {}}"),
        ({"options_file": b"options.json"}, "options_file=b'options.json'"),
        ({"options_file": "https://host/options.json"}, "options_file: https://host/options.json is an address"),
        ({"weight_file": "s3://bucket/weights.hdf5"}, "weight_file: s3://bucket/weights.hdf5 is an address"),
        ({"weight_file": 3}, "weight_file=3"),
        ({"scalar_mix_parameters": [1.0, 2.0]}, "scalar_mix_parameters=[1.0, 2.0]: expected 3"),
        ({"scalar_mix_parameters": "abc"}, "scalar_mix_parameters='abc'"),
        ({"scalar_mix_parameters": 1}, "scalar_mix_parameters=1"),
        ({"scalar_mix_parameters": [None] * 3}, "scalar_mix_parameters=[None"),
        ({"module": "model", "options_file": None, "weight_file": None}, "module"),
        ({"module": nn.Linear(2, 2), "options_file": None, "weight_file": None}, "num_layers"),
        ({"module": Layers(), "options_file": None}, "weight_file"),
    ],
    ids=str,
)
def test_an_argument_of_the_wrong_kind_is_named_as_it_was_given(paths, settings, name):
    arguments = {"options_file": paths[0], "weight_file": paths[1], "num_output_representations": 1} | settings
    with refused(name):
        Elmo(**arguments)


@pytest.mark.parametrize(
    "settings",
    [{"dropout": 2}, {"scalar_mix_parameters": [1.0]}, {"vocab_to_cache": "the"}, {"num_output_representations": 0}],
    ids=str,
)
def test_a_refused_setting_leaves_the_model_as_it_was(paths, settings):
    model = load_official(*paths).train()
    with refused(next(iter(settings))):
        Elmo(**{"options_file": None, "weight_file": None, "num_output_representations": 1, "module": model} | settings)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
