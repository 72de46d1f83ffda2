"""Text as streams: every token in exactly one place, in its reading order, with what follows it as its target."""

from itertools import chain

import numpy as np
import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers.training.batching import Batch
from elmo_helpers.training.streams import StreamBatches, n_stream_batches


def lines(corpus, order, direction):
    """What one direction reads of these titles and what it is to predict, word by word."""
    read, follow = [], []
    for i in order:
        words = ["<S>", *corpus.words(i), "</S>"][:: 1 if direction == 0 else -1]
        read += words[:-1]
        follow += words[1:]
    return read, follow


def stream_words(corpus, batches):
    """The same as the batches hold it, stream by stream: (2, B) lists of words read, and of words to predict."""
    vocabulary = corpus.vocabulary
    spelled = {tuple(row): corpus.lexicon[i] for i, row in enumerate(corpus.characters)}
    n_streams = batches.batch(0).tokens.shape[1]
    read = [[[] for _ in range(n_streams)] for _ in range(2)]
    follow = [[[] for _ in range(n_streams)] for _ in range(2)]
    for k in range(len(batches)):
        batch = batches.batch(k)
        assert batch.tokens.shape == batch.targets.shape
        for direction in range(2):
            for stream in range(n_streams):
                for token, target in zip(
                    batch.tokens[direction, stream].tolist(), batch.targets[direction, stream].tolist(), strict=True
                ):
                    if target:
                        read[direction][stream].append(spelled[tuple(batch.characters[token].tolist())])
                        follow[direction][stream].append(vocabulary.words[target])
    return read, follow


@pytest.mark.parametrize("n_streams", [1, 3, 5])
@pytest.mark.parametrize("unroll_steps", [1, 4, 1000])
def test_own_order(n_streams, unroll_steps):
    corpus = corpus_of(TOY_TITLES)
    batches = StreamBatches(corpus, n_streams, unroll_steps)
    read, follow = stream_words(corpus, batches)
    for direction in range(2):
        expected_read, expected_follow = lines(corpus, range(len(corpus)), direction)
        assert list(chain(*read[direction])) == expected_read
        assert list(chain(*follow[direction])) == expected_follow
        lengths = [len(stream) for stream in read[direction]]
        assert max(lengths) == lengths[0]
        assert len(set(lengths[:-1])) <= 1, "only the last stream is shorter"
    n = corpus.n_tokens + len(corpus)
    assert sum(batches.n_tokens(k) for k in range(len(batches))) == n
    assert len(batches) == n_stream_batches(n, n_streams, unroll_steps)


def test_shuffled_order_holds_every_title_once():
    corpus = corpus_of(TOY_TITLES)
    read, _ = stream_words(corpus, StreamBatches(corpus, 1, 7, np.random.default_rng(0)))
    titles = " ".join(read[0][0]).split("<S>")[1:]
    assert sorted(title.strip() for title in titles) == sorted(TOY_TITLES)
    assert [title.strip() for title in titles] != TOY_TITLES


def test_parts_make_the_whole():
    corpus = corpus_of(TOY_TITLES)
    batches = StreamBatches(corpus, 4, 6)
    whole, parts = batches.batch(0), [batches.batch(0, slice(rank, None, 3)) for rank in range(3)]
    for rank, part in enumerate(parts):
        assert torch.equal(part.characters[part.tokens], whole.characters[whole.tokens][:, rank::3])
        assert torch.equal(part.targets, whole.targets[:, rank::3])
    assert batches.batch(0, slice(4, None, 5)) is None


def test_more_streams_than_tokens():
    corpus = corpus_of(["home"])
    batches = StreamBatches(corpus, 5, 20)
    assert len(batches) == 1
    assert batches.n_predictions(0) == 2
    assert (batches.batch(0).targets != 0).sum() == 4


def test_a_title_of_400_words():
    corpus = corpus_of([" ".join(["the cat"] * 200), "home"])
    read, _ = stream_words(corpus, StreamBatches(corpus, 2, 20))
    assert list(chain(*read[0])).count("cat") == 200


def test_loss_with_carried_state_is_that_of_the_whole_text(toy_model):
    """Piece by piece with the state carried on, and all at once, are the same numbers."""
    corpus = corpus_of(TOY_TITLES)
    with torch.no_grad():
        (loss, _) = StreamBatches(corpus, 2, 1000).batch(0).loss(toy_model)
        state, nats, n = None, torch.zeros(2, dtype=torch.float64), 0
        pieces = StreamBatches(corpus, 2, 5)
        for k in range(len(pieces)):
            piece, state = pieces.batch(k).loss(toy_model, state)
            nats += torch.stack([piece.forward, piece.backward])
            n += piece.n_predictions
    assert n == loss.n_predictions == corpus.n_tokens + len(corpus)
    torch.testing.assert_close(nats, torch.stack([loss.forward, loss.backward]), rtol=1e-6, atol=0)
    without, _ = StreamBatches(corpus, 2, 5).batch(1).loss(toy_model)
    assert abs(without.forward - piece.forward) > 1e-4


def test_a_stream_of_one_title_is_the_title(toy_model):
    """From a zero state, a title in a stream of its own has the loss that it has as a row."""
    corpus = corpus_of(TOY_TITLES[:1])
    with torch.no_grad():
        stream, _ = StreamBatches(corpus, 1, 50).batch(0).loss(toy_model)
        row, _ = Batch.of(corpus, [0]).loss(toy_model)
    assert stream.forward.item() == pytest.approx(row.forward.item(), rel=1e-6)
    assert stream.backward.item() == pytest.approx(row.backward.item(), rel=1e-6)


def test_no_gradient_goes_from_a_piece_to_the_one_before(toy_model):
    pieces = StreamBatches(corpus_of(TOY_TITLES), 2, 5)
    vectors, state = [], None
    hook = toy_model.char_cnn.register_forward_hook(lambda module, inputs, output: vectors.append(output))
    for k in range(2):
        loss, state = pieces.batch(k).loss(toy_model, state)
    hook.remove()
    before, own = torch.autograd.grad(loss.total, vectors, allow_unused=True)
    assert before is None
    assert own.norm() > 0
