"""Titles that a biLM writes: word by word from the left, from the right, or into a gap."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from elmo_helpers.checks import choice, positive, seed_number, whole_number, word_list
from elmo_helpers.encoding.encoder import Encoder
from elmo_helpers.encoding.word_vectors import WordVectors
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.bilm_outputs import LSTMState
from elmo_helpers.model.compiling import methods_left_out_of_graphs
from elmo_helpers.model.full_softmax import log_frequencies
from elmo_helpers.model.precision import products_in
from elmo_helpers.text.vocabulary import BOS, EOS, PAD, SPECIALS, UNK

DIRECTIONS = ("forward", "backward")
_BLOCK = 256  # titles computed together: each needs a number for every word of the vocabulary


class _Draw:
    """Draws words by their log-probabilities, again and again."""

    def __init__(self, temperature: float, top_k: int | None, seed: int) -> None:
        # Below float32's smallest normal number, quotients could overflow; there it is the likeliest word anyway.
        self.temperature = max(positive("temperature", temperature), torch.finfo(torch.float32).tiny)
        self.top_k = None if top_k is None else whole_number("top_k", top_k, 1)
        # On the CPU, where a seed draws the same numbers whatever computes.
        self.generator = torch.Generator("cpu").manual_seed(seed_number("seed", seed))

    def __call__(self, log_p: Tensor) -> list[int]:
        """A word for each row of (n, V), never one of -inf."""
        scores = log_p.double().cpu() / self.temperature
        if self.top_k is not None and self.top_k < scores.shape[1]:
            least = scores.topk(self.top_k).values[:, -1:]
            scores = scores.where(scores >= least, -torch.inf)
        drawn: list[int] = torch.multinomial(scores.softmax(-1), 1, generator=self.generator)[:, 0].tolist()
        return drawn


@methods_left_out_of_graphs("generate", "fill_between")
class Generator:
    """Titles drawn from a trained biLM that has a softmax.

    Each direction of a biLM is a language model of its own: the forward one draws w_k from p(w_k | w_1, …, w_{k−1})
    until it draws `</S>`, the backward one w_k from p(w_k | w_{k+1}, …, w_N) until it draws `<S>` (Peters et al. 2018,
    section 3.1). `<UNK>` is never drawn. The same seed gives the same titles.
    """

    model: BiLM

    def __init__(self, model: BiLM | str | os.PathLike[str]) -> None:
        """A generator.

        Args:
            model: A model, or the directory or name of one.

        Raises:
            ElmoHelpersError: The model has no softmax, or the directory holds no model.
        """
        self._encoder = Encoder(model)
        self.model = self._encoder.model
        if self.model.softmax is None:
            raise ElmoHelpersError("model: it has no softmax, and so no probabilities of words; load one that has.")

    def generate(
        self,
        n: int = 1,
        *,
        beginning: str | Sequence[str] = "",
        end: str | Sequence[str] = "",
        direction: str | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        max_words: int = 40,
        seed: int = 0,
    ) -> list[list[str]]:
        """Draw titles: the words of each.

        Args:
            n: How many.
            beginning: The first words of all, from which the forward direction goes on; a raw text, or a list of
                tokens.
            end: The last words of all, before which the backward direction finds others.
            direction: "forward" or "backward"; None: backward where there is an end, else forward.
            temperature: Words are drawn in proportion to p^(1 / temperature): below 1 the likely ones come more often.
            top_k: Only the so many likeliest words are drawn; None: any.
            max_words: A title that has so many words ends there.
            seed: Of what is drawn.

        Raises:
            ElmoHelpersError: Both a beginning and an end are given, which is for `fill_between`; the direction cannot
                go on from what is given; or an argument is of the wrong kind.
        """
        first, last = self._tokens(beginning, end)
        if first and last:
            raise ElmoHelpersError("beginning and end: give one of them; fill_between draws what is between both.")
        direction = choice("direction", direction or ("backward" if last else "forward"), DIRECTIONS)
        if (first and direction == "backward") or (last and direction == "forward"):
            raise ElmoHelpersError(
                f"direction={direction!r}: forward goes on from a beginning, and backward from an end."
            )
        n, max_words = whole_number("n", n, 0), whole_number("max_words", max_words, 1)
        draw, vectors = _Draw(temperature, top_k, seed), WordVectors(self.model.eval())
        titles: list[list[str]] = []
        for size in _blocks(n):
            titles += self._go_on([*first, *last], size, direction == "backward", max_words, draw, vectors)
        return titles

    def _go_on(
        self, given: list[str], n: int, backward: bool, max_words: int, draw: _Draw, vectors: WordVectors
    ) -> list[list[str]]:
        """So many titles of one block, which go on from the words that are given."""
        start, stop = (EOS, BOS) if backward else (BOS, EOS)
        titles = [[*given] for _ in range(n)]
        going, state, new = list(range(n)), None, [[*given] for _ in range(n)]
        with torch.no_grad(), products_in("fp32", self.model.device):
            while going and len(titles[going[0]]) < max_words:
                boundaries = (state is None and not backward, state is None and backward)
                top, state = self._read(new, vectors, boundaries, state)
                log_p = self.model.predictor.log_probabilities(_of(top[:, 0 if backward else -1], backward))
                log_p[:, [PAD, UNK, start]] = -torch.inf
                drawn = draw(log_p)
                stay = [k for k, word in enumerate(drawn) if word != stop]
                going, state = [going[k] for k in stay], LSTMState(*(s[:, :, stay] for s in state))
                new = [[self.model.vocabulary.words[drawn[k]]] for k in stay]
                for i, word in zip(going, new, strict=True):
                    titles[i] = word + titles[i] if backward else titles[i] + word
        return titles

    def fill_between(
        self,
        beginning: str | Sequence[str],
        end: str | Sequence[str],
        n_words: int,
        n: int = 1,
        *,
        rounds: int = 20,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
    ) -> list[list[str]]:
        """Draw titles that begin and end as given, with `n_words` words between: both directions together.

        The words between are drawn by the forward direction, and then each is drawn anew, round after round, from
        p(w | words before) p(w | words after) / p(w), in which p(w) is the word's frequency: what both directions say
        of it if words before and after are independent of each other, given the word (Gibbs sampling).

        Args:
            beginning, end, temperature, top_k, seed: As in `generate`; both ends may be empty.
            n_words: Words to be drawn in each title.
            n: How many titles.
            rounds: How often each of them is drawn anew.

        Returns:
            The words of each title, beginning and end included.

        Raises:
            ElmoHelpersError: An argument is of the wrong kind.
        """
        first, last = self._tokens(beginning, end)
        n, n_words = whole_number("n", n, 0), whole_number("n_words", n_words, 1)
        rounds, draw = whole_number("rounds", rounds, 0), _Draw(temperature, top_k, seed)
        vectors, titles = WordVectors(self.model.eval()), []
        for size in _blocks(n):
            titles += self._fill(first, last, n_words, size, rounds, draw, vectors)
        return titles

    def _fill(
        self,
        first: list[str],
        last: list[str],
        n_words: int,
        n: int,
        rounds: int,
        draw: _Draw,
        vectors: WordVectors,
    ) -> list[list[str]]:
        """So many titles of one block, with words drawn between the first and the last."""
        model = self.model
        counts = torch.from_numpy(model.vocabulary.counts)
        log_f = log_frequencies(counts).to(model.device) if counts.any() else 0.0
        titles = [list(first) for _ in range(n)]
        places = range(len(first), len(first) + n_words)
        with torch.no_grad(), products_in("fp32", model.device):
            for i in range(rounds + 1):
                for place in places:
                    # In the first round there is nothing yet behind the place.
                    around = [[*title[:place], model.vocabulary.words[UNK], *title[place + 1 :]] for title in titles]
                    top, _ = self._read(around, vectors, (True, True))
                    log_p = model.predictor.log_probabilities(_of(top[:, place], backward=False))
                    if i:
                        after = model.predictor.log_probabilities(_of(top[:, place + 2], backward=True))
                        log_p = log_p + after - log_f
                    log_p[:, : len(SPECIALS)] = -torch.inf
                    for title, word in zip(titles, draw(log_p), strict=True):
                        title[place : place + 1] = [model.vocabulary.words[word]]
                if i == 0:
                    titles = [[*title, *last] for title in titles]
        return titles

    def _tokens(self, beginning: str | Sequence[str], end: str | Sequence[str]) -> tuple[list[str], list[str]]:
        """The words of both ends."""
        ends = {"beginning": beginning, "end": end}
        parts = [part if isinstance(part, str) else word_list(name, part) for name, part in ends.items()]
        first, last = (self._encoder.tokenize([part])[0] for part in parts)
        return first, last

    def _read(
        self,
        titles: list[list[str]],
        vectors: WordVectors,
        boundaries: tuple[bool, bool],
        state: LSTMState | None = None,
    ) -> tuple[Tensor, LSTMState]:
        """Read titles, or parts of them, of one number of words.

        Args:
            titles: n of them.
            vectors: Of their words.
            boundaries: Whether `<S>` goes before each, and `</S>` behind.
            state: Where the LSTMs begin; None: at zero.

        Returns:
            The top layer, (n, T, 2P), and what the LSTMs remember at the ends of their reading.
        """
        known = vectors.lookup([word for title in titles for word in title])
        rows = torch.from_numpy(known.rows).view(len(titles), -1)
        rows = F.pad(rows, (int(boundaries[0]), 0), value=BOS)
        rows = F.pad(rows, (0, int(boundaries[1])), value=EOS).to(self.model.device)
        lengths = torch.full((len(titles),), rows.shape[1], device="cpu")
        output = self.model.contextualize(known.vectors, rows, lengths, state=state, return_states=True)
        h, c = (s.unflatten(-1, (2, -1)).movedim(-2, 0) for s in output.states)
        return output.layers[-1], LSTMState(h, c)


def _blocks(n: int) -> Iterator[int]:
    """The sizes of the blocks that n titles are computed in."""
    return (min(_BLOCK, n - begin) for begin in range(0, n, _BLOCK))


def _of(top: Tensor, backward: bool) -> Tensor:
    """The half of a top layer (n, 2P) that is of one direction."""
    return top.chunk(2, -1)[backward]
