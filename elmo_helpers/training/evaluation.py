"""How well a model predicts text that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from elmo_helpers.checks import instance, shown, whole_number
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.bilm_outputs import LSTMState
from elmo_helpers.model.precision import products_in
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.shards import CorpusShards
from elmo_helpers.text.vocabulary import UNK
from elmo_helpers.training.batching import TitleBatches
from elmo_helpers.training.streams import StreamBatches


@dataclass(frozen=True)
class Evaluation:
    """Exact perplexities on a corpus.

    Every title of n words is n + 1 predictions in each direction: its words, and where it ends (`</S>` forward, `<S>`
    backward). A word outside the vocabulary is predicted as `<UNK>`, so perplexities compare only between models of
    one vocabulary; `oov_rate` says how many words that concerns.
    """

    forward: float  # perplexity, exp(nats per prediction)
    backward: float
    n_predictions: int  # of each direction
    oov_rate: float  # share of the words that are not in the vocabulary

    @property
    def perplexity(self) -> float:
        """The mean of both directions' perplexities, as published results give it."""
        return (self.forward + self.backward) / 2


def evaluate(
    model: BiLM,
    corpus: Corpus | CorpusShards,
    batch_size: int = 64,
    *,
    streams: bool = False,
    unroll_steps: int = 20,
) -> Evaluation:
    """Measure the exact perplexity of `model` on `corpus`, without dropout; the model's mode is left as it was.

    Args:
        model: The model, which computes where it is.
        corpus: Titles that the model was not trained on.
        batch_size: Titles computed together, which does not matter to the result; with `streams`, in how many
            streams the text is cut: 1 reads all of it as one, so that only its first word is met without a context.
        streams: Read the titles as continuous text in the corpus's own order, each title in the light of those before
            it, as a model was trained with `feed="streams"`.
        unroll_steps: Tokens of each stream computed together, which does not matter to the result.

    Raises:
        ElmoHelpersError: The corpus has no title, or another vocabulary than the model.
    """
    batch_size = whole_number("batch_size", batch_size, 1)
    unroll_steps = whole_number("unroll_steps", unroll_steps, 1)
    instance("model", model, BiLM, "a BiLM")
    shards = corpora(check_corpus("corpus", corpus))
    if not any(titles for titles, _ in sizes(corpus)):
        raise ElmoHelpersError("evaluate: the corpus has no title; give one that has.")
    check_vocabulary(model, corpus)
    sums = evaluation_sums(model, shards, batch_size, unroll_steps if streams else None)
    return evaluation_of(sums)


def check_corpus(name: str, corpus: Corpus | CorpusShards) -> Corpus | CorpusShards:
    """`corpus`, if it is one.

    Raises:
        ElmoHelpersError: It is something else.
    """
    if not isinstance(corpus, Corpus | CorpusShards):
        raise ElmoHelpersError(
            f"{name}={shown(corpus)}: expected a Corpus, as prepare_corpus gives it, or CorpusShards."
        )
    return corpus


def corpora(corpus: Corpus | CorpusShards) -> Sequence[Corpus]:
    """A corpus as the shards that it is read in: a `Corpus` is one."""
    return [corpus] if isinstance(corpus, Corpus) else corpus


def sizes(corpus: Corpus | CorpusShards) -> list[tuple[int, int]]:
    """Titles and words of each shard, known without reading any."""
    return [(len(corpus), corpus.n_tokens)] if isinstance(corpus, Corpus) else corpus.sizes


def evaluation_sums(
    model: BiLM,
    shards: Sequence[Corpus],
    batch_size: int,
    unroll_steps: int | None,
    part: slice = slice(None),
) -> NDArray[np.float64]:
    """The sums that an evaluation is made of, over the share `part` of each batch, so that processes can add theirs.

    Args:
        unroll_steps: Tokens of a stream computed together; None: titles as independent rows.

    Returns:
        (5,): nats forward, nats backward, predictions of one direction, words, words not in the vocabulary.
    """
    sums = np.zeros(5)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), products_in("fp32", model.device):
            for shard in shards:
                if not len(shard):
                    continue
                batches: TitleBatches | StreamBatches
                if unroll_steps is None:
                    batches = TitleBatches(shard, batch_size)
                else:
                    batches = StreamBatches(shard, min(batch_size, len(shard)), unroll_steps)
                state: LSTMState | None = None
                for k in range(len(batches)):
                    if (batch := batches.batch(k, part, model.device)) is not None:
                        loss, state = batch.loss(model, state)
                        sums[:3] += loss.forward.item(), loss.backward.item(), loss.n_predictions
                share = shard.select(part)
                sums[3:] += share.n_tokens, n_unknown_words(share)
    finally:
        model.train(was_training)
    return sums


def evaluation_of(sums: NDArray[np.float64]) -> Evaluation:
    """The evaluation that `evaluation_sums` are the sums of."""
    forward, backward, n_predictions, n_words, n_unknown = sums.tolist()
    with np.errstate(over="ignore"):  # a model that has diverged has the perplexity infinity
        perplexities = np.exp(np.array([forward, backward]) / n_predictions)
    return Evaluation(float(perplexities[0]), float(perplexities[1]), int(n_predictions), n_unknown / max(n_words, 1))


def out_of_vocabulary_rate(corpus: Corpus) -> float:
    """The share of the corpus's words that are not in its vocabulary; 0 where there is no word."""
    return n_unknown_words(corpus) / max(corpus.n_tokens, 1)


def n_unknown_words(corpus: Corpus) -> int:
    """How many words of the corpus are not in its vocabulary."""
    ids = corpus.lexicon_to_vocabulary
    return sum(int((ids[corpus.tokens(i)] == UNK).sum()) for i in range(len(corpus)))


def check_vocabulary(model: BiLM, corpus: Corpus | CorpusShards) -> None:
    """Check that a model predicts words, and that a corpus's ids mean what the model's ids mean.

    Raises:
        ElmoHelpersError: The model has no softmax, or the vocabularies or the character tables differ.
    """
    if model.softmax is None:
        raise ElmoHelpersError(
            "The model has no softmax (softmax='none'), so it predicts no words: it can encode, but be neither trained "
            "as a language model nor evaluated."
        )
    if model.vocabulary.words != corpus.vocabulary.words:
        raise ElmoHelpersError(
            f"The model predicts {len(model.vocabulary)} words and the corpus has another vocabulary of "
            f"{len(corpus.vocabulary)}: pass corpus.with_vocabulary(model.vocabulary), or train a new model."
        )
    if model.character_vocabulary != corpus.character_vocabulary:
        raise ElmoHelpersError(
            f"The model reads {model.character_vocabulary} and the corpus has {corpus.character_vocabulary}: "
            "build the corpus with the model's characters, or train a new model."
        )
