"""`Elmo` gives what the published forward pass and mix give, and is a layer that a task can train."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from comparing import assert_close, refused
from reference import Reference, mix, spell, write_random_model
from torch import nn

from conftest import assert_same_numbers, needs_bf16
from elmo_helpers import BiLM, ElmoHelpersError
from elmo_helpers.interchange.elmo import Elmo, batch_to_ids
from elmo_helpers.interchange.official import load_official

SENTENCES = [
    ["the", "cat", "sat", "on", "the", "mat", "."],
    ["home"],
    ["日" * 20, "naïve", "🦜", "<S>"],
    ["a", "dog", "ran", "home", "."],
]
WIDTH = 12  # 2P
WEIGHTS, GAMMA = [[0.3, -1.0, 0.7], [-0.5, 0.1, 2.0]], [1.7, -0.4]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp("official"), np.random.default_rng(0))


@pytest.fixture(scope="module")
def reference(paths):
    return Reference(*paths)


def elmo_of(paths, n: int = 2, **settings) -> Elmo:
    """A layer with `n` mixes, each with weights of its own, in evaluation mode."""
    elmo = Elmo(*paths, n, **settings).eval()
    if "scalar_mix_parameters" not in settings:
        with torch.no_grad():
            for scalar_mix, weights, gamma in zip(elmo.scalar_mixes, WEIGHTS, GAMMA, strict=False):
                scalar_mix.weights.copy_(torch.tensor(weights))
                scalar_mix.gamma.fill_(gamma)
    return elmo


def rows_of(representation: torch.Tensor, mask: torch.Tensor) -> list[np.ndarray]:
    """The vectors of the real positions of each row."""
    return [x[m].detach().numpy() for x, m in zip(representation, mask, strict=True)]


def expected_rows(layers: list[np.ndarray], k: int, *, keep: bool = False, layer_norm: bool = False):
    """The k-th mix of each sentence, with or without boundaries."""
    mixed = mix(layers, WEIGHTS[k], GAMMA[k], layer_norm=layer_norm)
    return mixed if keep else [x[1:-1] for x in mixed]


# Ids


def test_ids_are_the_published_ones():
    ids = batch_to_ids([*SENTENCES, [], ["</S>", "", "<UNK>"]])
    assert ids.shape == (6, 7, 50)
    assert ids.dtype == torch.int64
    for row, words in zip(ids.tolist(), [*SENTENCES, [], ["</S>", "", "<UNK>"]], strict=True):
        assert row[: len(words)] == [spell(word, 50) for word in words]
        assert all(i == 0 for word in row[len(words) :] for i in word)


def test_ids_of_nothing():
    assert batch_to_ids([]).shape == (0, 0, 50)
    assert batch_to_ids([[], []]).shape == (2, 0, 50)


@pytest.mark.parametrize("batch", [["a sentence"], [["a"], "b"]])
def test_a_string_is_no_sentence(batch):
    with refused("list of words"):
        batch_to_ids(batch)


# Vectors


@pytest.mark.parametrize("layer_norm", [False, True], ids=["", "layer norm"])
@pytest.mark.parametrize("keep", [False, True], ids=["", "boundaries"])
def test_vectors_are_those_of_the_reference(paths, reference, keep, layer_norm):
    elmo = elmo_of(paths, keep_sentence_boundaries=keep, do_layer_norm=layer_norm)
    layers = [reference.layers(words) for words in SENTENCES]
    output = elmo(batch_to_ids(SENTENCES))
    assert len(output["elmo_representations"]) == 2
    extra = 2 if keep else 0
    assert output["mask"].dtype == torch.bool
    assert output["mask"].tolist() == [[i < len(words) + extra for i in range(7 + extra)] for words in SENTENCES]
    for k, representation in enumerate(output["elmo_representations"]):
        assert representation.shape == (4, 7 + extra, WIDTH)
        found = rows_of(representation, output["mask"])
        assert_close(found, expected_rows(layers, k, keep=keep, layer_norm=layer_norm))
        if not layer_norm:
            assert (representation[~output["mask"]] == 0).all()


def test_the_first_mix_is_the_mean(paths, reference):
    output = Elmo(*paths, 1).eval()(batch_to_ids(SENTENCES))
    assert_close(
        rows_of(output["elmo_representations"][0], output["mask"]),
        [reference.layers(words).mean(0)[1:-1] for words in SENTENCES],
    )


@pytest.mark.parametrize("options", [{"skip": False, "n_layers": 1}, {"n_characters": 261, "n_highway": 3}])
def test_other_models(tmp_path, rng, options):
    paths = write_random_model(tmp_path, rng, **options)
    layers = [Reference(*paths).layers(words) for words in SENTENCES]
    output = Elmo(*paths, 1).eval()(batch_to_ids(SENTENCES))
    assert_close(rows_of(output["elmo_representations"][0], output["mask"]), [x.mean(0)[1:-1] for x in layers])


def test_from_a_directory_or_a_model(paths):
    ids = batch_to_ids(SENTENCES)
    expected = elmo_of(paths)(ids)["elmo_representations"]
    model = load_official(*paths)
    for source in ({"module": model}, {"options_file": paths[0].parent, "weight_file": None}):
        arguments = {"options_file": None, "weight_file": None, "num_output_representations": 2} | source
        elmo = Elmo(**arguments).eval()
        elmo.scalar_mixes.load_state_dict(elmo_of(paths).scalar_mixes.state_dict())
        assert isinstance(elmo.bilm, BiLM)
        for found, wanted in zip(elmo(ids)["elmo_representations"], expected, strict=True):
            assert torch.equal(found, wanted)
    assert elmo.get_output_dim() == WIDTH


@pytest.mark.parametrize("keep", [False, True], ids=["", "boundaries"])
@pytest.mark.parametrize("outer", [(2, 2), (4, 1), (1, 2, 2)], ids=str)
def test_more_axes_in_front(paths, outer, keep):
    elmo = elmo_of(paths, keep_sentence_boundaries=keep)
    ids = batch_to_ids(SENTENCES)
    flat, shaped = elmo(ids), elmo(ids.reshape(*outer, 7, 50))
    n = 9 if keep else 7
    assert torch.equal(shaped["mask"], flat["mask"].reshape(*outer, n))
    for found, wanted in zip(shaped["elmo_representations"], flat["elmo_representations"], strict=True):
        assert torch.equal(found, wanted.reshape(*outer, n, WIDTH))


@pytest.mark.parametrize("keep", [False, True], ids=["", "boundaries"])
@pytest.mark.parametrize("layer_norm", [False, True], ids=["", "layer norm"])
def test_rows_of_padding_alone(paths, reference, keep, layer_norm):
    """A row without a word is a sentence without words: its two boundaries are there, and no other row moves."""
    sentences = [[], SENTENCES[0], [], SENTENCES[1]]
    elmo = elmo_of(paths, keep_sentence_boundaries=keep, do_layer_norm=layer_norm)
    output = elmo(batch_to_ids(sentences))
    layers = [reference.layers(words) for words in sentences]
    for k, representation in enumerate(output["elmo_representations"]):
        assert representation.isfinite().all()
        assert_close_or_empty(
            rows_of(representation, output["mask"]), expected_rows(layers, k, keep=keep, layer_norm=layer_norm)
        )
    if not keep:
        assert output["mask"].sum(1).tolist() == [0, 7, 0, 1]


def assert_close_or_empty(found, expected):
    assert [len(x) for x in found] == [len(x) for x in expected]
    assert_close([x for x in found if len(x)], [x for x in expected if len(x)])


def test_nothing_but_padding(paths):
    elmo = elmo_of(paths)
    for ids in (torch.zeros(3, 5, 50, dtype=torch.int64), torch.zeros(2, 0, 50, dtype=torch.int64)):
        output = elmo(ids)
        assert output["mask"].shape == ids.shape[:2]
        assert not output["mask"].any()
        for representation in output["elmo_representations"]:
            assert representation.shape == (*ids.shape[:2], WIDTH)
            assert (representation == 0).all()


def test_more_padding_changes_nothing(paths):
    elmo = elmo_of(paths)
    ids = batch_to_ids(SENTENCES)
    wide = torch.cat([ids, torch.zeros(4, 9, 50, dtype=torch.int64)], 1)
    for found, wanted in zip(elmo(wide)["elmo_representations"], elmo(ids)["elmo_representations"], strict=True):
        assert (found[:, 7:] == 0).all()
        assert (found[:, :7] - wanted).abs().max() <= 1e-6


def test_the_same_sentence_has_the_same_vector(paths):
    """Stateless: whatever was read before, and whatever stands beside it."""
    elmo = elmo_of(paths)
    first = elmo(batch_to_ids(SENTENCES))["elmo_representations"][0]
    elmo(batch_to_ids([["something", "else"]] * 4))
    assert torch.equal(elmo(batch_to_ids(SENTENCES))["elmo_representations"][0], first)
    for i, words in enumerate(SENTENCES):
        alone = elmo(batch_to_ids([words]))["elmo_representations"][0][0]
        assert (alone - first[i, : len(words)]).abs().max() <= 1e-6


def test_a_model_in_training_mode_drops_nothing_here(paths, reference):
    """The biLM is in evaluation mode from the first call on, whatever mode it came in."""
    model = load_official(*paths).train()
    assert model.dropout.p > 0
    output = Elmo(None, None, 1, module=model, dropout=0.0)(batch_to_ids(SENTENCES))
    assert_close(
        rows_of(output["elmo_representations"][0], output["mask"]),
        [reference.layers(words).mean(0)[1:-1] for words in SENTENCES],
    )


class Layers(nn.Module):
    """Somebody's own module: fixed layers of two sentences of two words and one."""

    num_layers = 2

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.values, self.mask = torch.randn(2, 2, 4, 6), mask

    def forward(self, inputs: torch.Tensor, word_inputs: torch.Tensor | None = None) -> dict:
        return {"activations": list(self.values), "mask": self.mask}

    def get_output_dim(self) -> int:
        return 6


def test_a_module_of_ones_own():
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    module = Layers(mask)
    output = Elmo(None, None, 1, module=module, dropout=0.0)(torch.ones(2, 2, 7, dtype=torch.int64))
    assert output["mask"].tolist() == [[True, True], [True, False]]
    expected = module.values.mean(0)[:, 1:-1]
    assert (output["elmo_representations"][0] - expected)[output["mask"]].abs().max() <= 1e-6
    assert (output["elmo_representations"][0][1, 1] == 0).all()


# State from call to call


def batches(sizes, rng) -> list[list[list[str]]]:
    """A batch of each size, its sentences of 1 to 8 words."""
    words = ["the", "cat", "sat", "on", "a", "mat", "naïve", "🦜", "ran", "home"]
    return [[[words[i] for i in rng.integers(0, 10, rng.integers(1, 9))] for _ in range(n)] for n in sizes]


def test_stateful_over_many_calls(paths, rng):
    elmo, reference = elmo_of(paths, stateful=True), Reference(*paths)
    calls = batches([3, 1, 4, 2, 4, 1, 5, 3, 5, 2], rng)
    for _ in range(2):
        differs = 0.0
        for sentences in calls:
            layers = reference.stateful_layers(sentences)
            output = elmo(batch_to_ids(sentences))
            for k in (0, 1):
                found = rows_of(output["elmo_representations"][k], output["mask"])
                assert_close(found, expected_rows(layers, k))
            stateless = [reference.layers(words) for words in sentences]
            differs = max(differs, *(np.abs(a - b).max() for a, b in zip(layers, stateless, strict=True)))
        assert differs > 0.01  # the state is felt
        elmo.reset_states()
        reference.reset_states()


def test_stateful_begins_at_zero(paths):
    elmo, stateless = elmo_of(paths, stateful=True), elmo_of(paths)
    ids = batch_to_ids(SENTENCES)
    for _ in range(2):
        first, second = (elmo(ids)["elmo_representations"][0] for _ in range(2))
        assert (first - stateless(ids)["elmo_representations"][0]).abs().max() <= 1e-6
        assert (second - first).abs().max() > 0.01
        elmo.reset_states()


def test_stateful_rows_without_words(paths, rng):
    """A row of padding alone reads its two boundaries, as in a stateless call."""
    elmo, reference = elmo_of(paths, stateful=True, keep_sentence_boundaries=True), Reference(*paths)
    calls = batches([3, 3, 3], rng)
    calls[1][1] = []
    for sentences in calls:
        output = elmo(batch_to_ids(sentences))
        layers = reference.stateful_layers(sentences)
        assert_close(rows_of(output["elmo_representations"][0], output["mask"]), expected_rows(layers, 0, keep=True))


@pytest.mark.parametrize("as_ids", [False, True], ids=["words", "ids"])
def test_warm_up(paths, rng, as_ids):
    elmo, reference = elmo_of(paths, stateful=True), Reference(*paths)
    before = [words for sentences in batches([5], rng) for words in sentences]
    elmo.warm_up(batch_to_ids(before) if as_ids else before, batch_size=2)
    for start in (0, 2, 4):
        reference.stateful_layers(before[start : start + 2])
    output = elmo(batch_to_ids(SENTENCES))
    assert_close(
        rows_of(output["elmo_representations"][0], output["mask"]),
        expected_rows(reference.stateful_layers(SENTENCES), 0),
    )


def test_gradients_do_not_flow_from_call_to_call(paths):
    elmo = elmo_of(paths, stateful=True, requires_grad=True)
    ids = batch_to_ids(SENTENCES)
    for _ in range(3):
        elmo.zero_grad()
        elmo(ids)["elmo_representations"][0].sum().backward()  # would fail if it reached into the call before
    carried = [p.grad.clone() for p in elmo.bilm.forward_layers[0].parameters()]
    assert all(g.abs().max() > 0 for g in carried)
    copy.deepcopy(elmo)  # would fail if the carried states had a history


# A layer of a task's model


@pytest.mark.parametrize("requires_grad", [False, True])
def test_who_gets_gradients(paths, requires_grad):
    elmo = elmo_of(paths, requires_grad=requires_grad, dropout=0.0).train()
    sum(x.square().sum() for x in elmo(batch_to_ids(SENTENCES))["elmo_representations"]).backward()
    of_the_bilm = {id(p) for p in elmo.bilm.parameters()}
    assert len(of_the_bilm) > 10
    for name, parameter in elmo.named_parameters():
        if id(parameter) in of_the_bilm:
            assert parameter.requires_grad == requires_grad, name
            assert (parameter.grad is not None and bool(parameter.grad.abs().max() > 0)) == requires_grad, name
        else:
            assert parameter.grad.abs().max() > 0, name
    assert sum(p.requires_grad for p in elmo.parameters()) == 4 + requires_grad * len(of_the_bilm)


def test_gradients_are_those_of_a_difference(paths):
    """A step along the gradient changes the sum of all vectors by the gradient's own length, to first order."""
    elmo = elmo_of(paths, requires_grad=True).double()
    ids = batch_to_ids(SENTENCES)
    goal = torch.linspace(-1, 1, 4 * 7 * WIDTH, dtype=torch.float64).reshape(4, 7, WIDTH)

    def value() -> torch.Tensor:
        return sum((x * goal).sum() for x in elmo(ids)["elmo_representations"])

    value().backward()
    for parameter in (
        elmo.scalar_mixes[0].weights,
        elmo.bilm.char_cnn.projection.bias,
        elmo.bilm.forward_layers[1].bias,
    ):
        step = 1e-6 * parameter.grad / parameter.grad.norm()
        with torch.no_grad():
            parameter += step
            above = value()
            parameter -= 2 * step
            below = value()
            parameter += step
        assert float((above - below) / 2e-6) == pytest.approx(float(parameter.grad.norm()), rel=1e-3)


def test_dropout_in_training_alone(paths):
    elmo = elmo_of(paths, 1, dropout=0.5)
    ids = batch_to_ids(SENTENCES)
    plain = elmo(ids)["elmo_representations"][0]
    assert torch.equal(elmo(ids)["elmo_representations"][0], plain)
    torch.manual_seed(0)
    dropped = elmo.train()(ids)["elmo_representations"][0]
    # The biLM itself drops nothing: what is left is what was there, doubled.
    left = dropped != 0
    assert 0.3 < left[plain != 0].float().mean() < 0.7
    assert (dropped[left] - 2 * plain[left]).abs().max() <= 1e-6
    assert torch.equal(elmo.eval()(ids)["elmo_representations"][0], plain)
    whole = elmo_of(paths, 1, dropout=0.0).train()(ids)["elmo_representations"][0]
    assert torch.equal(whole, plain)


def test_fixed_mixes(paths, reference):
    parameters = [-9e10, 1.0, 2.0]
    elmo = elmo_of(paths, 2, scalar_mix_parameters=parameters)
    output = elmo(batch_to_ids(SENTENCES))
    expected = [x[1:-1] for x in mix([reference.layers(words) for words in SENTENCES], parameters, 1.0)]
    for representation in output["elmo_representations"]:
        assert_close(rows_of(representation, output["mask"]), expected)
        assert not representation.requires_grad
    assert not any(p.requires_grad for p in elmo.parameters())


def test_state_dict_round_trip(paths, tmp_path):
    elmo = elmo_of(paths, requires_grad=True)
    with torch.no_grad():
        for parameter in elmo.parameters():
            parameter += 0.01
    torch.save(elmo.state_dict(), tmp_path / "state.pt")
    ids = batch_to_ids(SENTENCES)
    wanted = elmo(ids)["elmo_representations"]
    # A frozen one keeps words' vectors between calls, and spells them out beside other words: to float32's precision.
    for requires_grad, bound in ((True, 0.0), (False, 1e-6)):
        other = Elmo(*paths, 2, requires_grad=requires_grad).eval()
        assert (other(ids)["elmo_representations"][0] - wanted[0]).abs().max() > 0.01
        other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        for found, expected in zip(other(ids)["elmo_representations"], wanted, strict=True):
            assert (found - expected).abs().max() <= bound


def test_words_kept_between_calls_follow_the_weights(paths):
    """A frozen layer spells a word out once, and anew when the weights have changed."""
    elmo = elmo_of(paths)
    ids = batch_to_ids(SENTENCES)
    with torch.inference_mode():  # what is kept here is of use outside, too
        first = elmo(ids)["elmo_representations"][0].clone()
        n_words = elmo.reader._word_vectors().n_computed
    assert n_words == len({word for words in SENTENCES for word in words})
    assert torch.equal(elmo(ids)["elmo_representations"][0], first)
    with torch.no_grad():
        assert elmo.reader._word_vectors().n_computed == n_words
    with torch.no_grad():
        elmo.bilm.char_cnn.convolutions[0].weight.mul_(2)
    second = elmo(ids)["elmo_representations"][0]
    assert (second - first).abs().max() > 1e-3
    fresh = elmo_of(paths)
    fresh.load_state_dict(elmo.state_dict())
    assert (fresh(ids)["elmo_representations"][0] - second).abs().max() <= 1e-6


@needs_bf16
def test_words_kept_between_calls_are_of_one_precision(paths):
    elmo = elmo_of(paths)
    ids = batch_to_ids(SENTENCES)
    first = elmo(ids)["elmo_representations"][0].detach()
    with torch.autocast("cpu", torch.bfloat16):
        coarse = elmo(ids)["elmo_representations"][0].detach()
    assert 0 < (coarse - first).abs().max() < 0.1
    assert_close([elmo(ids)["elmo_representations"][0].detach().numpy()], [first.numpy()])


def test_bfloat16_is_refused_where_the_processor_has_none(paths, without_bf16):
    elmo = elmo_of(paths)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ElmoHelpersError, match="bfloat16: this processor"):
        elmo(batch_to_ids(SENTENCES))


WRITES = {
    "data.copy_": lambda p: p.data.copy_(p.data * 0.5),
    "one number through data": lambda p: p.data.view(-1)[-1:].add_(3.0),
    "data of another": lambda p: setattr(p, "data", p.data * 0.5),
    "set_": lambda p: torch.no_grad()(p.set_)((p.data * 0.5).contiguous()),
    "numpy": lambda p: np.multiply(p.detach().numpy(), 0.5, out=p.detach().numpy()),
    "rows that change places": lambda p: p.data.copy_(p.data.flip(0).clone()),
    "columns that change places": lambda p: p.data.copy_(p.data.roll(1, -1).clone()),
    "no_grad": lambda p: torch.no_grad()(p.mul_)(0.5),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_vectors_follow_every_write_to_the_weights(paths, write):
    """PyTorch counts some of these writes and not others."""
    ids = batch_to_ids(SENTENCES)
    elmo = elmo_of(paths)
    for name, parameter in elmo.bilm.char_cnn.named_parameters():
        before = elmo(ids)["elmo_representations"][0].detach()
        write(parameter)
        with_change = elmo(ids)["elmo_representations"][0].detach()
        fresh = elmo_of(paths)
        fresh.load_state_dict(elmo.state_dict())
        assert_same_numbers(with_change, fresh(ids)["elmo_representations"][0].detach())
        if parameter.ndim == 2:  # of others some of these writes change nothing that is read
            assert not torch.equal(before, with_change), name


def test_vectors_follow_weights_that_take_the_place_of_others(paths):
    ids = batch_to_ids(SENTENCES)
    elmo, other = elmo_of(paths), elmo_of(paths)
    with torch.no_grad():
        for parameter in other.bilm.parameters():
            parameter.mul_(0.5)
    first, wanted = (of(ids)["elmo_representations"][0].detach() for of in (elmo, other))
    halves = torch.nn.utils.parameters_to_vector(other.bilm.parameters())
    for change in (
        lambda elmo: elmo.load_state_dict(other.state_dict(), assign=True),
        lambda elmo: [torch.utils.swap_tensors(p, torch.nn.Parameter(p / 2)) for p in [*elmo.bilm.parameters()]],
        lambda elmo: torch.nn.utils.vector_to_parameters(halves, elmo.bilm.parameters()),
    ):
        elmo = elmo_of(paths)
        assert_same_numbers(elmo(ids)["elmo_representations"][0].detach(), first)
        change(elmo)
        assert_same_numbers(elmo(ids)["elmo_representations"][0].detach(), wanted)


def test_carried_states_are_no_part_of_the_state_dict(paths):
    elmo = elmo_of(paths, stateful=True)
    before = set(elmo.state_dict())
    elmo(batch_to_ids(SENTENCES))
    assert set(elmo.state_dict()) == before
    assert before == set(elmo_of(paths).state_dict())


class Task(nn.Module):
    """Which animal a sentence is of, from the mean of its vectors."""

    def __init__(self, elmo: Elmo) -> None:
        super().__init__()
        self.elmo, self.output = elmo, nn.Linear(elmo.get_output_dim(), 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        output = self.elmo(ids)
        mask = output["mask"][..., None]
        return self.output((output["elmo_representations"][0] * mask).sum(1) / mask.sum(1))


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("layer_norm", [False, True], ids=["", "layer norm"])
def test_a_task_is_learned(paths, requires_grad, layer_norm):
    torch.manual_seed(0)
    task = Task(Elmo(*paths, 1, requires_grad=requires_grad, do_layer_norm=layer_norm, dropout=0.1)).train()
    frames = [["the", "{}", "sat"], ["a", "{}", "ran", "home"], ["{}"], ["on", "the", "{}", "."]]
    sentences = [[w.format(animal) for w in frame] for animal in ("cat", "dog") for frame in frames]
    ids, targets = batch_to_ids(sentences), torch.tensor([0] * 4 + [1] * 4)
    bilm = {name: p.clone() for name, p in task.elmo.bilm.named_parameters()}
    optimizer = torch.optim.Adam([p for p in task.parameters() if p.requires_grad], lr=0.05 if requires_grad else 0.2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(task(ids), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert (task.elmo.scalar_mixes[0].weights != 0).all()
    moved = {name for name, p in task.elmo.bilm.named_parameters() if not torch.equal(p, bilm[name])}
    assert moved == (set(bilm) if requires_grad else set())


# Words that are computed once

CACHE = ["@@PADDING@@", "@@UNKNOWN@@", "the", "cat", "sat", "on", "mat", ".", "home", "日" * 20, "naïve", "🦜", "<S>"]


def numbers_of(sentences) -> torch.Tensor:
    numbers = torch.zeros(len(sentences), max(map(len, sentences)), dtype=torch.int64)
    for row, words in enumerate(sentences):
        numbers[row, : len(words)] = torch.tensor([CACHE.index(word) for word in words])
    return numbers


@pytest.mark.parametrize("stateful", [False, True], ids=["", "stateful"])
def test_cached_words_are_those_spelled_out(paths, stateful):
    cached = elmo_of(paths, vocab_to_cache=CACHE, stateful=stateful)
    spelled = elmo_of(paths, stateful=stateful)
    sentences = SENTENCES[:3]
    for _ in range(2):
        expected = spelled(batch_to_ids(sentences))
        # What is spelled there is not looked at.
        output = cached(torch.ones_like(batch_to_ids(sentences)), numbers_of(sentences))
        assert torch.equal(output["mask"], expected["mask"])
        for found, wanted in zip(output["elmo_representations"], expected["elmo_representations"], strict=True):
            assert (found - wanted).abs().max() <= 1e-6


def test_a_number_outside_the_cache(paths):
    """The batch is spelled out instead."""
    cached = elmo_of(paths, vocab_to_cache=CACHE)
    ids, numbers = batch_to_ids(SENTENCES[:3]), numbers_of(SENTENCES[:3])
    expected = elmo_of(paths)(ids)["elmo_representations"][0]
    for number in (len(CACHE), -1):
        numbers[0, 2] = number
        assert (cached(ids, numbers)["elmo_representations"][0] - expected).abs().max() <= 1e-6
    assert (cached(ids)["elmo_representations"][0] - expected).abs().max() <= 1e-6


def test_numbers_with_more_axes_in_front(paths):
    cached = elmo_of(paths, vocab_to_cache=CACHE)
    sentences = [SENTENCES[0], SENTENCES[1], SENTENCES[2], SENTENCES[0]]
    ids, numbers = batch_to_ids(sentences), numbers_of(sentences)
    flat = cached(ids, numbers)["elmo_representations"][0]
    shaped = cached(ids.reshape(2, 2, 7, 50), numbers.reshape(2, 2, 7))["elmo_representations"][0]
    assert torch.equal(shaped, flat.reshape(2, 2, 7, WIDTH))


# What cannot be


@pytest.mark.parametrize(
    "damage",
    [
        lambda ids: ids[..., :49],
        lambda ids: ids[0, 0],
        lambda ids: ids.flip(1),
        lambda ids: ids.clone().fill_(262),
        lambda ids: ids.clone().fill_(-1),
        lambda ids: ids.double(),
    ],
    ids=["49 characters", "one word", "padding in front", "too high", "negative", "no whole numbers"],
)
def test_inputs_that_are_no_ids(paths, damage):
    with refused("inputs"):
        elmo_of(paths)(damage(batch_to_ids(SENTENCES)))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"num_output_representations": 0}, "num_output_representations"),
        ({"num_output_representations": 1.5}, "num_output_representations"),
        ({"dropout": 1.5}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
        ({"scalar_mix_parameters": [1.0, 2.0]}, "3"),
        ({"scalar_mix_parameters": [1.0, 2.0, float("nan")]}, "finite"),
        ({"options_file": None, "weight_file": None}, "module"),
        ({"weight_file": "nowhere.hdf5"}, "nowhere.hdf5"),
        ({"options_file": "nowhere.json"}, "nowhere.json"),
        ({"module": nn.Linear(2, 2), "options_file": None, "weight_file": None}, "module"),
    ],
    ids=str,
)
def test_wrong_arguments(paths, settings, name):
    arguments = {"options_file": paths[0], "weight_file": paths[1], "num_output_representations": 1} | settings
    with refused(name):
        Elmo(**arguments)


def test_files_and_a_model_together(paths):
    with refused("module"):
        Elmo(*paths, 1, module=load_official(*paths))
