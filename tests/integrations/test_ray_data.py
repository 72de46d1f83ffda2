"""RayEncoder by itself, as an actor of Ray calls it; on a cluster it is tried by tests/cluster."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, Encoder, ScalarMix
from elmo_helpers.encoding.encoded_shards import vector_type
from elmo_helpers.integrations.ray_data import RayEncoder

TITLES = [TOY_TITLES[0], "", TOY_TITLES[1], TOY_TITLES[0]]


@pytest.fixture(scope="module")
def model() -> BiLM:
    corpus = corpus_of(TOY_TITLES)
    torch.manual_seed(0)
    return BiLM(BiLMConfig.preset("tiny"), corpus.vocabulary, corpus.text).eval()


@pytest.fixture
def batch() -> pa.Table:
    return pa.table({"key": range(len(TITLES)), "title": TITLES})


def wanted(model: BiLM, **options) -> list[np.ndarray]:
    mix = options.pop("mix", None)
    return [title.vectors for title in Encoder(model, mix).encode_iter(TITLES, **options)]


@pytest.mark.parametrize(
    "options",
    [
        {"level": "titles", "layers": "mix", "pooling": "states"},
        {"level": "titles", "layers": "all", "pooling": "mean"},
        {"level": "tokens", "layers": "top"},
        {"level": "tokens", "layers": "all"},
    ],
)
def test_columns_stay_and_vectors_are_those_of_the_encoder(model, batch, options):
    name = "vector" if options["level"] == "titles" else "vectors"
    table = RayEncoder(model, **options)(batch)
    frame = RayEncoder(model, **options)(batch.to_pandas())
    assert table.column_names == list(frame.columns) == ["key", "title", name]
    assert table.select(["key", "title"]).equals(batch)
    assert frame[["key", "title"]].equals(batch.to_pandas())
    for cell, of_frame, vectors in zip(table[name].to_pylist(), frame[name], wanted(model, **options), strict=True):
        np.testing.assert_allclose(of_frame, vectors, atol=1e-6)
        if vectors.ndim == 3:  # a cell is a list of one a token
            vectors = vectors.transpose(1, 0, 2)
        assert np.allclose(np.array(cell, np.float32).reshape(vectors.shape), vectors, atol=1e-6)


def test_the_column_has_the_type_of_the_file_that_encode_writes(model, batch):
    table = RayEncoder(model, layers="all", pooling="mean", dtype="float16")(batch)
    config = model.config
    shape = (config.n_layers + 1, 2 * config.output_dim)
    assert table.schema.field("vector").type == vector_type("titles", shape, "float16")


def test_a_mix_and_names_of_columns_are_the_users(model):
    mix = ScalarMix(model.config.n_layers + 1, [0.0, 1.0, 2.0][: model.config.n_layers + 1], trainable=False)
    encoder = RayEncoder(model, titles="text", vectors="elmo", pooling="mean", mix=mix)
    found = encoder(pa.table({"text": TITLES}))["elmo"].to_pylist()
    np.testing.assert_allclose(found, wanted(model, mix=mix, pooling="mean"), atol=1e-6)


def test_tokens_are_taken_as_they_are(model):
    tokens = [title.split() for title in TITLES]
    of_lists = RayEncoder(model)(pa.table({"title": tokens}))["vector"]
    of_text = RayEncoder(model, pretokenized=True)(pa.table({"title": TITLES}))["vector"]
    assert of_lists.equals(of_text)


def test_a_batch_without_a_row_has_the_column_too(model, batch):
    full, empty = RayEncoder(model)(batch), RayEncoder(model)(batch.slice(0, 0))
    assert empty.num_rows == 0
    assert empty.schema == full.schema


def test_a_batch_may_be_cut_anywhere(model, batch):
    encoder = RayEncoder(model, pooling="mean")
    whole = np.array(encoder(batch)["vector"].to_pylist())
    parts = [np.array(encoder(batch.slice(start, n))["vector"].to_pylist()) for start, n in ((0, 1), (1, 3))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"level": "words"}, "level"),
        ({"dtype": "float64"}, "dtype"),
        ({"batch_tokens": 0}, "batch_tokens"),
        ({"device": "nowhere"}, "device"),
        ({"mix": ScalarMix(7)}, "mix"),
    ],
)
def test_what_is_wrong_is_named_when_an_actor_begins(model, options, said):
    with pytest.raises(ElmoHelpersError, match=said):
        RayEncoder(model, **options)


def test_a_batch_that_cannot_be_read_is_refused(model, batch):
    encoder = RayEncoder(model)
    with pytest.raises(ElmoHelpersError, match=r"titles='title'.*there are text"):
        encoder(pa.table({"text": TITLES}))
    with pytest.raises(ElmoHelpersError, match="batch_format"):
        encoder({"title": np.array(TITLES)})
    with pytest.raises(ElmoHelpersError, match="number 1 is nan"):
        encoder(pd.DataFrame({"title": ["one", None]}))
