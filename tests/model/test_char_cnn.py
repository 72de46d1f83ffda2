"""The character CNN and highway against NumPy loops, and the properties that a spelling's vector must have."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import elmo_helpers.model.char_cnn as char_cnn_module
from conftest import needs_bf16
from elmo_helpers import BiLMConfig, CharacterCNN, CharacterVocabulary, CharCNNConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.char_cnn import Highway

WORDS = ["a", "cat", "misspeling", "$1,300", "it's", "extraordinarily"]

CONFIGS = {
    "one-hot": CharCNNConfig(max_characters=20, filters=((2, 3), (3, 4), (5, 2))),
    "learned, projected": CharCNNConfig(
        max_characters=20, embedding_dim=5, filters=((1, 3), (4, 4)), n_highway=2, projection_dim=6
    ),
    "tanh, no highway": CharCNNConfig(
        max_characters=20, embedding_dim=3, filters=((2, 5),), n_highway=0, activation="tanh"
    ),
    "utf8": CharCNNConfig(scheme="utf8", max_characters=24, embedding_dim=4, filters=((1, 2), (7, 5)), n_highway=1),
}


def weights_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: p.detach().double().numpy() for name, p in module.named_parameters()}


def highway_by_loops(x: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    y = np.zeros_like(x)
    for out in range(len(x)):
        transform = w["transform.bias"][out] + sum(w["transform.weight"][out, j] * x[j] for j in range(len(x)))
        gate = w["gate.bias"][out] + sum(w["gate.weight"][out, j] * x[j] for j in range(len(x)))
        gate = 1 / (1 + np.exp(-gate))
        y[out] = gate * max(transform, 0) + (1 - gate) * x[out]
    return y


def cnn_by_loops(cnn: CharacterCNN, row: np.ndarray) -> np.ndarray:
    """One word's vector over all C positions, untrimmed, a number at a time."""
    config, w = cnn.config, weights_of(cnn)
    if config.embedding_dim is None:
        table = np.eye(cnn.n_characters)
        table[0, 0] = 0
    else:
        table = w["embedding.weight"]
    pooled = []
    for i, (width, count) in enumerate(config.filters):
        weight, bias = w[f"convolutions.{i}.weight"], w[f"convolutions.{i}.bias"]
        for k in range(count):
            answers = []
            for start in range(len(row) - width + 1):
                answers.append(bias[k] + sum(weight[k, :, j] @ table[row[start + j]] for j in range(width)))
            pooled.append(max(answers))
    x = np.array(pooled)
    x = np.maximum(x, 0) if config.activation == "relu" else np.tanh(x)
    for i in range(config.n_highway):
        prefix = f"highways.{i}."
        x = highway_by_loops(x, {k.removeprefix(prefix): v for k, v in w.items() if k.startswith(prefix)})
    if config.projection_dim is not None:
        x = w["projection.weight"] @ x + w["projection.bias"]
    return x


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_equals_numpy_loops(config):
    torch.manual_seed(1)
    cnn = CharacterCNN(config)
    for p in cnn.parameters():  # fresh biases are zero, which would hide a forgotten one
        torch.nn.init.normal_(p, std=0.5)
    if cnn.embedding is not None:
        torch.nn.init.zeros_(cnn.embedding.weight[0])
    rows = CharacterVocabulary(config.scheme, config.max_characters).encode(WORDS)
    with torch.no_grad():
        vectors = cnn(torch.from_numpy(rows.astype(np.int64)))
    assert vectors.shape == (len(WORDS), config.output_dim)
    for row, vector in zip(rows, vectors.numpy(), strict=True):
        np.testing.assert_allclose(vector, cnn_by_loops(cnn, row), atol=1e-5)


def test_highway_equals_loops():
    torch.manual_seed(2)
    highway = Highway(7)
    torch.nn.init.normal_(highway.transform.bias)
    x = torch.randn(3, 7)
    expected = [highway_by_loops(row, weights_of(highway)) for row in x.double().numpy()]
    np.testing.assert_allclose(highway(x).detach().numpy(), expected, atol=1e-6)


def test_fresh_highway_mostly_carries():
    x = torch.randn(50, 16)
    gate = torch.sigmoid(Highway(16).gate(x))
    assert gate.mean() < 0.3


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_a_words_vector_does_not_depend_on_the_words_beside_it(config):
    torch.manual_seed(3)
    cnn = CharacterCNN(config)
    rows = CharacterVocabulary(config.scheme, config.max_characters).encode([*WORDS, "x" * 40])
    rows = torch.from_numpy(rows.astype(np.int64))
    with torch.no_grad():
        together = cnn(rows)
        alone = torch.cat([cnn(row[None]) for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("cache", [1, 1 << 20])
def test_gradients_equal_those_of_pytorchs_convolution(config, cache, monkeypatch):
    """All C positions, PyTorch's convolution and maximum, against words in groups of like length."""
    monkeypatch.setattr(char_cnn_module, "_CACHE", cache)  # a group for each word, or one for all
    torch.manual_seed(5)
    cnn = CharacterCNN(config).double()
    rows = CharacterVocabulary(config.scheme, config.max_characters).encode([*WORDS, "x" * 40, "b", "cat"])
    rows = torch.from_numpy(rows.astype(np.int64))
    weights = torch.randn(len(rows), config.output_dim, dtype=torch.double)
    parameters = list(cnn.parameters())

    table = torch.eye(cnn.n_characters).double() if cnn.embedding is None else cnn.embedding.weight
    x = torch.nn.functional.embedding(rows, table).masked_fill(rows[..., None] == 0, 0).transpose(1, 2)
    x = torch.cat([convolution(x).amax(-1) for convolution in cnn.convolutions], dim=1)
    x = x.relu() if config.activation == "relu" else x.tanh()
    for layer in [*cnn.highways, *([cnn.projection] if cnn.projection else [])]:
        x = layer(x)
    expected = torch.autograd.grad((x * weights).sum(), parameters)

    vectors = cnn(rows)
    torch.testing.assert_close(vectors, x)
    assert any(g.abs().max() > 0.1 for g in expected)
    for a, b in zip(torch.autograd.grad((vectors * weights).sum(), parameters), expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_filter_responses_are_those_of_pytorchs_convolution(config):
    torch.manual_seed(6)
    cnn = CharacterCNN(config)
    rows = CharacterVocabulary(config.scheme, config.max_characters).encode(WORDS)
    embedded = cnn.embed(torch.from_numpy(rows.astype(np.int64)))
    for i, convolution in enumerate(cnn.convolutions):
        torch.testing.assert_close(cnn.filter_responses(embedded, i), convolution(embedded), atol=1e-6, rtol=0)


@needs_bf16
def test_bfloat16_products_come_close():
    torch.manual_seed(7)
    cnn = CharacterCNN(CONFIGS["learned, projected"])
    rows = CharacterVocabulary("tutorial", 20).encode(WORDS)
    rows = torch.from_numpy(rows.astype(np.int64))
    expected = cnn(rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        vectors = cnn(rows)
    vectors.float().square().sum().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.abs().max() > 0 for p in cnn.parameters())
    relative = (vectors.float() - expected).norm() / expected.norm()
    assert 0 < relative < 0.02  # bfloat16 keeps 8 bits, a relative error of at most 0.004 a number


def test_distinct_spellings_differ_and_same_spellings_agree():
    torch.manual_seed(4)
    cnn = CharacterCNN(CONFIGS["learned, projected"])
    rows = torch.from_numpy(CharacterVocabulary("tutorial", 20).encode(["form", "from", "form"]).astype(np.int64))
    form, from_, again = cnn(rows)
    assert torch.equal(form, again)
    assert (form - from_).abs().max() > 1e-3


def test_padding_alone_and_no_word_at_all():
    cnn = CharacterCNN(CONFIGS["one-hot"])
    assert torch.isfinite(cnn(torch.zeros(2, 20, dtype=torch.long))).all()
    assert cnn(torch.zeros(0, 20, dtype=torch.long)).shape == (0, 9)


def test_padding_character_stays_zero_while_training():
    cnn = CharacterCNN(CONFIGS["learned, projected"])
    optimizer = torch.optim.Adam(cnn.parameters(), lr=0.1)
    rows = torch.from_numpy(CharacterVocabulary("tutorial", 20).encode(WORDS).astype(np.int64))
    for _ in range(3):
        optimizer.zero_grad()
        cnn(rows).square().sum().backward()
        optimizer.step()
    assert torch.equal(cnn.embedding.weight[0], torch.zeros(5))


def test_wrong_shape_is_refused():
    with pytest.raises(ElmoHelpersError, match=r"\(N, 20\).*\(2, 19\)"):
        CharacterCNN(CONFIGS["one-hot"])(torch.zeros(2, 19, dtype=torch.long))


def test_a_filter_wider_than_the_word_is_refused():
    with pytest.raises(ElmoHelpersError, match="max_characters"):
        replace(CONFIGS["one-hot"], filters=((21, 2),))


@pytest.mark.parametrize("characters", [None, [[1] * 20], np.ones((2, 20), int), torch.zeros(20).long()], ids=type)
def test_what_is_no_rows_of_ids(characters):
    with pytest.raises(ElmoHelpersError, match=r"^characters: expected rows of 20 ids"):
        CharacterCNN(CONFIGS["one-hot"])(characters)


@pytest.mark.parametrize("config", [None, "tutorial", {"scheme": "utf8"}, BiLMConfig()], ids=type)
def test_what_is_no_configuration(config):
    with pytest.raises(ElmoHelpersError, match=r"config=.*: expected a CharCNNConfig"):
        CharacterCNN(config)
    with pytest.raises(ElmoHelpersError, match=r"dim=.*: expected a whole number"):
        Highway(config)
