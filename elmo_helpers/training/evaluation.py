"""How well a model predicts text that it was not trained on."""

from dataclasses import dataclass

import numpy as np
import torch

from elmo_helpers.checks import whole_number
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.vocabulary import UNK
from elmo_helpers.training.batching import Batch, length_buckets


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


def evaluate(model: BiLM, corpus: Corpus, batch_size: int = 64) -> Evaluation:
    """Measure the exact perplexity of `model` on `corpus`, without dropout; the model's mode is left as it was.

    Raises:
        ElmoHelpersError: The corpus has no title, or another vocabulary than the model.
    """
    batch_size = whole_number("batch_size", batch_size, 1)
    if not len(corpus):
        raise ElmoHelpersError("evaluate: the corpus has no title; give one that has.")
    check_vocabulary(model, corpus)
    was_training = model.training
    model.eval()
    forward = backward = 0.0
    try:
        with torch.no_grad():
            for indices in length_buckets(corpus.lengths, batch_size):
                batch = Batch.of(corpus, indices, model.device)
                loss = model.loss(batch.characters, batch.tokens, batch.lengths, batch.targets)
                forward += loss.forward.item()
                backward += loss.backward.item()
    finally:
        model.train(was_training)
    n = corpus.n_tokens + len(corpus)
    with np.errstate(over="ignore"):  # a model that has diverged has the perplexity infinity
        perplexities = np.exp(np.array([forward, backward]) / n).tolist()
    return Evaluation(*perplexities, n, out_of_vocabulary_rate(corpus))


def out_of_vocabulary_rate(corpus: Corpus) -> float:
    """The share of the corpus's words that are not in its vocabulary; 0 where there is no word."""
    ids = corpus.lexicon_to_vocabulary
    unknown = sum(int((ids[corpus.tokens(i)] == UNK).sum()) for i in range(len(corpus)))
    return unknown / max(corpus.n_tokens, 1)


def check_vocabulary(model: BiLM, corpus: Corpus) -> None:
    """Check that a corpus's ids mean what the model's ids mean.

    Raises:
        ElmoHelpersError: The vocabularies or the character tables differ.
    """
    if model.vocabulary.words != corpus.vocabulary.words:
        raise ElmoHelpersError(
            f"The model predicts {len(model.vocabulary)} words and the corpus has another vocabulary of "
            f"{len(corpus.vocabulary)}: build the corpus with the model's vocabulary, or train a new model."
        )
    if model.character_vocabulary != corpus.character_vocabulary:
        raise ElmoHelpersError(
            f"The model reads {model.character_vocabulary} and the corpus has {corpus.character_vocabulary}: "
            "build the corpus with the model's characters, or train a new model."
        )
