"""Titles in, vectors out."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from elmo_helpers.checks import in_order, shown, whole_number
from elmo_helpers.encoding.selection import POOLINGS, Selection, check_mix
from elmo_helpers.encoding.windows import WINDOW, BatchSize, EncodedTitle, encode_windows
from elmo_helpers.encoding.word_vectors import MAX_WORDS, WordVectors
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM, model_of
from elmo_helpers.model.compiling import methods_left_out_of_graphs
from elmo_helpers.model.precision import check_precision, products_in
from elmo_helpers.model.scalar_mix import ScalarMix
from elmo_helpers.text.characters import is_text
from elmo_helpers.text.titles import normalize_title
from elmo_helpers.text.tokenization import Tokenizer

__all__ = ["POOLINGS", "EncodedTitle", "Encoder", "TokenVectors"]

_BLOCK = 2 * WINDOW  # titles that become tokens at a time


@dataclass(frozen=True, eq=False)  # `==` of arrays is no truth value
class TokenVectors:
    """One title's tokens, and every layer's vector of each.

    Attributes:
        tokens: The n words, without boundaries.
        layers: (L + 1, n, 2P) float32.
    """

    tokens: list[str]
    layers: NDArray[np.float32]


@methods_left_out_of_graphs("encode", "encode_layers", "encode_tokens", "tokenize")
class Encoder:
    """Vectors of titles and of their words from a trained biLM.

    A title's vector depends on that title alone: titles are computed together only with others of the same number of
    tokens, so no padding is ever read, and dropout is off. A word's spelling is computed once in a call.
    """

    batch_size: int
    batch_tokens: int | None
    model: BiLM
    precision: str
    mix: ScalarMix | None

    def __init__(
        self,
        model: BiLM | str | os.PathLike[str],
        mix: ScalarMix | None = None,
        batch_size: int = 64,
        *,
        batch_tokens: int | None = None,
        precision: str = "fp32",
    ) -> None:
        """An encoder.

        Args:
            model: A model, or the directory or name of one. Encoding puts it into evaluation mode.
            mix: How `encode` weighs the layers, over as many as the pooling has (see `encode_layers`); None: all
                alike, γ = 1.
            batch_size: Titles computed together.
            batch_tokens: Tokens computed together, boundaries included, in the place of a number of titles, so that
                long titles take no more memory than short ones; None: `batch_size` titles.
            precision: "fp32", or "bf16" for matrix products in bfloat16 (automatic mixed precision), whatever autocast
                is around a call. Vectors are float32 in any case. On a GPU an LSTM without projection is cuDNN's, whose
                fp32 rounds factors to TF32 (about three digits) unless `torch.backends.cudnn.allow_tf32 = False`; and
                `torch.set_float32_matmul_precision` lets PyTorch round them for the whole process.

        Raises:
            ElmoHelpersError: The directory holds no model, an argument is of the wrong kind, or the model's device has
                no instructions for the precision.
        """
        check_mix(mix)
        self.batch_size = whole_number("batch_size", batch_size, 1)
        self.batch_tokens = None if batch_tokens is None else whole_number("batch_tokens", batch_tokens, 1)
        self.model = model_of(model)
        self.precision = check_precision(precision, self.model.device)
        self.mix = mix

    def encode(
        self, titles: Sequence[str] | Sequence[Sequence[str]], pooling: str = "states", *, progress: bool = False
    ) -> NDArray[np.float32]:
        """One vector a title: γ Σ_l s_l h^l over the layers of `encode_layers`.

        Args:
            titles: Raw titles, or titles that are lists of tokens already.
            pooling: "states", "mean" or "max"; see `encode_layers`.
            progress: Show a progress bar.

        Returns:
            (N, 2P + 2H) float32 for "states", which is (N, 4·64) at the original's sizes; (N, 2P) for the others.
        """
        layers = torch.from_numpy(self.encode_layers(titles, pooling, progress=progress)).transpose(0, 1)
        mix = copy.deepcopy(self.mix) or ScalarMix(len(layers))
        with torch.no_grad(), products_in("fp32", layers.device):
            mixed: Tensor = mix.to(layers)(layers)
        return mixed.numpy()

    def encode_layers(
        self, titles: Sequence[str] | Sequence[Sequence[str]], pooling: str = "states", *, progress: bool = False
    ) -> NDArray[np.float32]:
        """One vector a title and layer, before any mixing.

        Args:
            titles: Raw titles, or titles that are lists of tokens already.
            pooling: "states": h^l = [h_n^l ; c_n^l], hidden and cell state of both directions of LSTM layer l at
                their end of reading, the original's definition; "mean", "max": over the words of the title, without
                boundaries; a title without a word is a vector of zeros.
            progress: Show a progress bar.

        Returns:
            "states": (N, L, 2P + 2H) float32. "mean", "max": (N, L + 1, 2P) float32, layer 0 first.

        Raises:
            ElmoHelpersError: The pooling is unknown.
        """
        selection = Selection("titles", "all", pooling)
        tokens = self.tokenize(titles)
        vectors = np.empty((len(tokens), *selection.vector_shape(self.model.config)), dtype=np.float32)
        for row, title in enumerate(self._encoded(tokens, selection, progress)):
            vectors[row] = title.vectors
        return vectors

    def encode_tokens(
        self, titles: Sequence[str] | Sequence[Sequence[str]], *, progress: bool = False
    ) -> list[TokenVectors]:
        """Every layer's vector of every word of each title."""
        encoded = self._encoded(self.tokenize(titles), Selection("tokens", "all"), progress)
        return [TokenVectors(title.tokens, title.vectors) for title in encoded]

    def encode_iter(
        self,
        titles: Iterable[str] | Iterable[Sequence[str]],
        level: str = "titles",
        layers: str = "mix",
        pooling: str = "states",
        *,
        window: int = WINDOW,
        max_words: int = MAX_WORDS,
        progress: bool = False,
    ) -> Iterator[EncodedTitle]:
        """The vectors of any number of titles, as a stream, in order: memory does not grow with their number.

        Args:
            titles: Raw titles, or titles that are lists of tokens already; a generator is fine, and is read a window
                ahead (raw titles some twenty thousand, since they become tokens on all cores).
            level: "titles": one vector a title; "tokens": one a word.
            layers: "mix", by the encoder's own mix; "average"; "top"; or "all", each by itself.
            pooling: Of titles; see `encode_layers`.
            window: Titles that are sorted by length together; fewer where their vectors would take more than 256 MB.
            max_words: Distinct words whose token vectors are kept.
            progress: Show a progress bar.

        Yields:
            An `EncodedTitle` for each title, blank and repeated ones too.

        Raises:
            ElmoHelpersError: An argument is of the wrong kind, at once; a title is, when its turn comes.
        """
        selection = Selection(level, layers, pooling, self.mix)
        selection.check(self.model.config)
        window, max_words = whole_number("window", window, 1), whole_number("max_words", max_words, 1)
        return self._encoded(self._tokens(titles), selection, progress, window, max_words)

    def tokenize(self, titles: Sequence[str] | Sequence[Sequence[str]]) -> list[list[str]]:
        """The tokens of each title, made as those of the model's training text were; lists of tokens stay as given.

        Raises:
            ElmoHelpersError: `titles` is one string, or holds something that is neither text nor a list of it.
        """
        return list(self._tokens(titles))

    def tokenize_iter(self, titles: Iterable[str], processes: int | None = None) -> Iterator[list[str]]:
        """The tokens of raw titles as a stream.

        Args:
            titles: Any number of raw titles.
            processes: How many processes share the work; None: one a core.

        Raises:
            ElmoHelpersError: `titles` is one string or holds something that is no text (raised when its turn comes).
        """
        text = self.model.text
        tokenizer = Tokenizer(text.tokenizer, processes)
        checked = _checked(in_order("titles", titles, "a list of titles"), raw=True)
        normalized = (normalize_title(title, lowercase=text.lowercase) for title in checked)
        if self.model.device.type != "cpu":
            return tokenizer(normalized)  # made ahead, while the GPU is at work
        # While a CPU computes vectors, no tokens are made: both would want the same cores, and PyTorch's threads wait
        # for each other at every step.
        blocks = iter(lambda: list(islice(normalized, _BLOCK)), [])
        return chain.from_iterable(list(tokenizer(block)) for block in blocks)

    def word_vectors(self, max_words: int = MAX_WORDS) -> WordVectors:
        """An empty table of token vectors of the encoder's model."""
        self.model.eval()
        return WordVectors(self.model, max_words, self.precision)

    def encode_windows(
        self, tokens: Iterable[list[str]], selection: Selection, words: WordVectors, window: int = WINDOW
    ) -> Iterator[EncodedTitle]:
        """What `encode_iter` gives, from tokens, with a table of words that outlives the call."""
        return encode_windows(tokens, words, selection, BatchSize(self.batch_size, self.batch_tokens), window)

    def _encoded(
        self,
        tokens: Iterable[list[str]],
        selection: Selection,
        progress: bool,
        window: int = WINDOW,
        max_words: int = MAX_WORDS,
    ) -> Iterator[EncodedTitle]:
        total = len(tokens) if isinstance(tokens, Sized) else None
        # A table of its own for each call: the model may be trained further between two of them.
        encoded = self.encode_windows(tokens, selection, self.word_vectors(max_words), window)
        yield from tqdm(encoded, total=total, desc="encoding", unit="title", disable=not progress)

    def _tokens(self, titles: Iterable[str] | Iterable[Sequence[str]]) -> Iterator[list[str]]:
        if isinstance(titles, str):
            raise ElmoHelpersError(f"titles: expected a list of titles, and got one string; pass [{titles[:40]!r}].")
        if hasattr(titles, "columns"):
            raise ElmoHelpersError("titles: expected a list of titles, and got a table; pass its column of titles.")
        return self._token_stream(in_order("titles", titles, "a list of titles"))

    def _token_stream(self, titles: Iterator[Any]) -> Iterator[list[str]]:
        for first in titles:
            again = chain([first], titles)
            yield from self.tokenize_iter(again) if isinstance(first, str) else map(list, _checked(again, raw=False))


def _checked(titles: Iterable[Any], raw: bool) -> Iterator[Any]:
    for i, title in enumerate(titles):
        if not (isinstance(title, str) if raw else _is_tokens(title)):
            text = "a string, as number 0 is" if i else "a string"
            expected = text if raw else "a string or a list of tokens, and all of one kind"
            raise ElmoHelpersError(f"titles: number {i} is {shown(title)}: expected {expected}.")
        if raw and not is_text(title):  # here, where its number is known
            raise ElmoHelpersError(f"titles: number {i} is {title!r:.60}, which holds half a character: mend it.")
        yield title


def _is_tokens(title: object) -> bool:
    return (
        isinstance(title, Sequence | np.ndarray)
        and not isinstance(title, str)
        and all(isinstance(t, str) for t in title)
    )
