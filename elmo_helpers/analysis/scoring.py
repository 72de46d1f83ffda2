"""How likely a model finds each word, and which words it would put in a gap."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_helpers.checks import choice, instance, shown, whole_number, word_list
from elmo_helpers.encoding.encoder import Encoder
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.compiling import methods_left_out_of_graphs
from elmo_helpers.model.lstm import within_lengths
from elmo_helpers.model.precision import products_in
from elmo_helpers.text.vocabulary import SPECIALS, UNK
from elmo_helpers.training.batching import Batch
from elmo_helpers.training.evaluation import Evaluation, evaluation_of

GAP = "___"  # stands in a title where a word is to be filled in; with more underscores it is the same
DIRECTIONS = ("both", "forward", "backward")


@dataclass(frozen=True, eq=False)  # `==` of arrays is no truth value
class WordScores:
    """How likely each word of a title is, in nats.

    Attributes:
        tokens: The n words.
        forward: (n,) float32, log p(word | all words before it).
        backward: (n,) float32, log p(word | all words after it).
        forward_end: log p(`</S>` | all words), that the title ends where it does.
        backward_end: log p(`<S>` | all words), that it begins where it does.
        unknown: (n,) bool, True where the word is outside the vocabulary; its scores are those of `<UNK>`.
    """

    tokens: list[str]
    forward: NDArray[np.float32]
    backward: NDArray[np.float32]
    forward_end: float
    backward_end: float
    unknown: NDArray[np.bool_]

    @property
    def log_probability(self) -> float:
        """log p of the whole title, its end or beginning included, in nats: the mean of the two directions.

        Of two titles with different words at one place, or with one word more, the model finds the one with the larger
        log p likelier.
        """
        return sum(self._of_directions()) / 2

    def _of_directions(self) -> tuple[float, float]:
        """log p of the whole title, forward with its end and backward with its beginning."""
        return (
            float(self.forward.sum(dtype=np.float64)) + self.forward_end,
            float(self.backward.sum(dtype=np.float64)) + self.backward_end,
        )


class Fill(NamedTuple):
    """A word for a gap, and the log of its probability in nats."""

    word: str
    log_probability: float


@methods_left_out_of_graphs("score", "fill")
class Scorer:
    """Scores of words from a trained biLM that has a softmax; exact, without dropout, whatever its softmax."""

    model: BiLM
    batch_size: int

    def __init__(self, model: BiLM | str | os.PathLike[str], batch_size: int = 64) -> None:
        """A scorer.

        Args:
            model: A model, or the directory or name of one.
            batch_size: Titles computed together, which does not matter to the scores.

        Raises:
            ElmoHelpersError: The model has no softmax, or the directory holds no model.
        """
        self._encoder = Encoder(model)
        self.model, self.batch_size = self._encoder.model, whole_number("batch_size", batch_size, 1)
        if self.model.softmax is None:
            raise ElmoHelpersError("model: it has no softmax, and so no probabilities of words; load one that has.")

    def score(self, titles: Sequence[str] | Sequence[Sequence[str]]) -> list[WordScores]:
        """log p of each word of each title in both directions.

        Args:
            titles: Raw titles, or titles that are lists of tokens already.
        """
        tokens = self._encoder.tokenize(titles)
        scores: dict[int, WordScores] = {}
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))  # so that little padding is computed
        with self._in_fp32():
            for start in range(0, len(order), self.batch_size):
                rows = order[start : start + self.batch_size]
                scores |= zip(rows, self._score([tokens[row] for row in rows]), strict=True)
        return [scores[row] for row in range(len(tokens))]

    def perplexity(self, titles: Sequence[str] | Sequence[Sequence[str]]) -> Evaluation:
        """The exact perplexities of a text, as `evaluate` measures them on a corpus.

        Raises:
            ElmoHelpersError: There is no title.
        """
        scores = self.score(titles)
        if not scores:
            raise ElmoHelpersError("titles: there is none, and so no perplexity; pass at least one.")
        forward, backward = (-sum(of_titles) for of_titles in zip(*(s._of_directions() for s in scores), strict=True))
        n_words = sum(len(score.tokens) for score in scores)
        n_unknown = sum(int(score.unknown.sum()) for score in scores)
        return evaluation_of(np.array([forward, backward, n_words + len(scores), n_words, n_unknown], np.float64))

    def fill(self, title: str | Sequence[str], n: int = 10, *, direction: str = "both", gap: str = GAP) -> list[Fill]:
        """The likeliest words for a gap, the best first.

        Args:
            title: A raw title, or a list of tokens, with one gap in it.
            n: How many words.
            direction: "forward": p(word | words before the gap); "backward": p(word | words after it); "both":
                their product, brought to sum 1 over the words of the vocabulary, in which a word has to please both.
            gap: What stands at the gap; the default stands for three underscores or more.

        Raises:
            ElmoHelpersError: There is not exactly one gap.
        """
        choice("direction", direction, DIRECTIONS)
        n = whole_number("n", n, 1)
        before, after = self._around(title, gap)
        width = self.model.config.output_dim
        at = len(before) + 1  # after <S>
        with self._in_fp32():
            # What stands at the gap is read by neither: the word before it predicts forward, the one after it backward.
            hidden, _ = self._top([[*before, SPECIALS[UNK], *after]])
            log_p = {
                "forward": self.model.predictor.log_probabilities(hidden[0, at - 1, :width]),
                "backward": self.model.predictor.log_probabilities(hidden[0, at + 1, width:]),
            }
        if direction == "both":
            chosen = (log_p["forward"] + log_p["backward"])[len(SPECIALS) :].log_softmax(0)
        else:
            chosen = log_p[direction][len(SPECIALS) :]
        best = chosen.topk(min(n, len(chosen)))
        words = self.model.vocabulary.words
        return [
            Fill(words[len(SPECIALS) + i], value)
            for i, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def _around(self, title: str | Sequence[str], gap: str) -> tuple[list[str], list[str]]:
        """The tokens before and after the gap."""
        if not instance("gap", gap, str, "the text that stands at the gap"):
            raise ElmoHelpersError("gap='': expected the text that stands at the gap.")
        gaps = re.compile("_{3,}" if gap == GAP else re.escape(gap))
        parts = gaps.split(title) if isinstance(title, str) else _split(word_list("title", title), gaps)
        if len(parts) != 2:
            raise ElmoHelpersError(
                f"title={shown(title)}: expected {gap!r} once in it, and found it {len(parts) - 1} times."
            )
        before, after = self._encoder.tokenize(parts)
        return before, after

    @contextmanager
    def _in_fp32(self) -> Iterator[None]:
        """Compute without gradients and in single precision, whatever the caller's own code has set."""
        with torch.no_grad(), products_in("fp32", self.model.device):
            yield

    def _top(self, titles: list[list[str]]) -> tuple[Tensor, Batch]:
        """What the words are predicted from, (B, T, 2P), and the batch."""
        model = self.model.eval()
        batch = Batch.of_words(titles, model.character_vocabulary, model.vocabulary, errors="skip", device=model.device)
        return model(batch.characters, batch.tokens, batch.lengths).layers[-1], batch

    def _score(self, titles: list[list[str]]) -> list[WordScores]:
        hidden, batch = self._top(titles)
        width = self.model.config.output_dim
        # (B, T - 1), True where a position is no padding and has a next one.
        here = within_lengths(batch.lengths - 1, hidden.shape[1] - 1).to(hidden.device)
        of_both = []
        for read, wanted, known in (
            (hidden[:, :-1, :width], batch.targets[:, 1:], _beginnings(titles)),
            (hidden[:, 1:, width:], batch.targets[:, :-1], _endings(titles)),
        ):
            # What is known at a place says what is read and what is wanted there, so places that agree are asked once.
            _, first, same = np.unique(known, return_index=True, return_inverse=True)
            asked = torch.from_numpy(first).to(hidden.device)
            loss = self.model.predictor.exact(read[here][asked], wanted[here][asked])
            of_places = -loss.rows.float().cpu()[torch.from_numpy(same)]
            of_both.append(of_places.split((batch.lengths - 1).tolist()))
        return [
            WordScores(
                tokens,
                forward[:-1].numpy(),
                backward[1:].numpy(),
                float(forward[-1]),
                float(backward[0]),
                self.model.vocabulary.ids(tokens) == UNK,
            )
            for tokens, forward, backward in zip(titles, *of_both, strict=True)
        ]


def _beginnings(titles: list[list[str]]) -> NDArray[np.int64]:
    """For each word of each title and for its end, one behind the other, a number of the title up to there.

    Titles that begin alike have equal numbers as far as they do, such as those that differ in one word.
    """
    numbers: dict[tuple[int, str | None], int] = {}
    found = []
    for title in titles:
        number = -1
        for word in [*title, None]:
            number = numbers.setdefault((number, word), len(numbers))
            found.append(number)
    return np.array(found, np.int64)


def _endings(titles: list[list[str]]) -> NDArray[np.int64]:
    """For the beginning of each title and for each word, a number of the title from there on, as `_beginnings` has."""
    backward = _beginnings([title[::-1] for title in titles])
    parts = np.split(backward, np.cumsum([len(title) + 1 for title in titles])[:-1])
    return np.concatenate([part[::-1] for part in parts])


def _split(tokens: list[str], gaps: re.Pattern[str]) -> list[list[str]]:
    """The parts between gaps."""
    parts: list[list[str]] = [[]]
    for token in tokens:
        if gaps.fullmatch(token):
            parts.append([])
        else:
            parts[-1].append(token)
    return parts
