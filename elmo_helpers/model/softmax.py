"""Which softmax over the vocabulary a model has; one serves both directions.

All three have one interface:

- `forward(hidden, targets)`: the loss that training makes small; exact, but for the sampled one in training;
- `exact(hidden, targets)`: the negative log-likelihood, always exact;
- `log_probabilities(hidden)`: log p of every word, exact;
- `start_from_counts(counts)`: the unigram model as a start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.config import BiLMConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.adaptive_softmax import AdaptiveSoftmax
from elmo_helpers.model.full_softmax import FullSoftmax
from elmo_helpers.model.sampled_softmax import SampledSoftmax
from elmo_helpers.text.vocabulary import SPECIALS, WordVocabulary

# With fewer words a negative than this, all of them are scored about as fast as a sample is drawn and scored.
_WORDS_A_NEGATIVE = 3


def softmax_of(config: BiLMConfig, vocabulary: WordVocabulary) -> FullSoftmax | AdaptiveSoftmax | None:
    """The softmax that `config.softmax` names, with fresh weights; None for "none".

    Raises:
        ElmoHelpersError: The vocabulary is too small for it, or not sorted by falling count.
    """
    n_words, dim = len(vocabulary), config.output_dim
    if config.softmax == "none":
        return None
    if config.softmax == "full":
        return FullSoftmax(n_words, dim)
    if not _falling(vocabulary.counts):
        raise ElmoHelpersError(
            f"softmax={config.softmax!r} needs a vocabulary by falling count, and this one is not: make it with "
            "WordVocabulary.from_counts, or choose softmax='full'."
        )
    if config.softmax == "adaptive":
        return AdaptiveSoftmax(n_words, dim)
    return SampledSoftmax(n_words, dim, config.n_negatives)


def resolve_softmax(config: BiLMConfig, vocabulary: WordVocabulary) -> str:
    """What "auto" stands for: the full softmax up to three times as many words as negatives, and then the sampled one.

    The full one, whose weights are the same, also where the words are not sorted.
    """
    if config.softmax != "auto":
        return config.softmax
    many = len(vocabulary) > _WORDS_A_NEGATIVE * config.n_negatives
    return "sampled" if many and _falling(vocabulary.counts) else "full"


def _falling(counts: NDArray[np.int64]) -> bool:
    return bool((np.diff(counts[len(SPECIALS) :]) <= 0).all())
