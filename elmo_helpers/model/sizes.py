"""What a model of a configuration is made of, known before one is built, and whether there is memory for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from elmo_helpers.config import BiLMConfig, WordEmbeddingConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import memory
from elmo_helpers.model.adaptive_softmax import SHRINK, cutoffs_of
from elmo_helpers.text.characters import CharacterVocabulary

Shape = tuple[int, ...]
_BYTES = 4  # of a number in float32


def parameters_of(config: BiLMConfig, n_words: int | None) -> Iterator[tuple[str, Shape]]:
    """Name and shape of each parameter of a `BiLM`, one at a time, so that a wrong size costs nothing.

    Args:
        config: The model's.
        n_words: V, the words of its vocabulary; None: leave out the softmax.
    """
    h, p = config.hidden_dim, config.output_dim
    yield from _token_parameters(config)
    for stack in ("forward_layers", "backward_layers"):
        for layer in range(config.n_layers):
            yield f"{stack}.{layer}.weight_ih", (4 * h, config.char_cnn.output_dim if layer == 0 else p)
            yield f"{stack}.{layer}.weight_hh", (4 * h, p)
            yield f"{stack}.{layer}.bias", (4 * h,)
            if config.projection_dim is not None:
                yield f"{stack}.{layer}.weight_hr", (p, h)
    if n_words is None or config.softmax == "none":
        return
    if config.softmax == "adaptive":
        for name, shape in _adaptive_parameters(n_words, p):
            yield f"softmax.words.{name}", shape
    else:
        yield "softmax.weight", (n_words, p)
        yield "softmax.bias", (n_words,)


def _token_parameters(config: BiLMConfig) -> Iterator[tuple[str, Shape]]:
    cnn = config.char_cnn
    if isinstance(cnn, WordEmbeddingConfig):
        yield "char_cnn.weight", (cnn.n_words, cnn.dim)
        return
    channels = n_characters = CharacterVocabulary(cnn.scheme, cnn.max_characters).size
    if cnn.embedding_dim is not None:
        yield "char_cnn.embedding.weight", (n_characters, cnn.embedding_dim)
        channels = cnn.embedding_dim
    for i, (width, count) in enumerate(cnn.filters):
        yield f"char_cnn.convolutions.{i}.weight", (count, channels, width)
        yield f"char_cnn.convolutions.{i}.bias", (count,)
    f = cnn.n_filters
    for k in range(cnn.n_highway):
        for part in ("transform", "gate"):
            yield f"char_cnn.highways.{k}.{part}.weight", (f, f)
            yield f"char_cnn.highways.{k}.{part}.bias", (f,)
    if cnn.projection_dim is not None:
        yield "char_cnn.projection.weight", (cnn.projection_dim, f)
        yield "char_cnn.projection.bias", (cnn.projection_dim,)


def _adaptive_parameters(n_words: int, dim: int) -> Iterator[tuple[str, Shape]]:
    edges = [*cutoffs_of(n_words), n_words - 1]
    head = edges[0] + len(edges) - 1  # the frequent words, and the classes of the others
    yield "head.weight", (head, dim)
    yield "head.bias", (head,)
    for i, (first, end) in enumerate(pairwise(edges)):
        narrow = int(dim // SHRINK ** (i + 1))
        yield f"tail.{i}.0.weight", (narrow, dim)
        yield f"tail.{i}.1.weight", (end - first, narrow)
        yield f"tail.{i}.1.bias", (end - first,)


def memory_of(parameters: Iterator[tuple[str, Shape]]) -> int:
    """Bytes of these parameters in float32, counted up to the memory of this machine and no further."""
    n, there_is = 0, memory()
    for _, shape in parameters:
        n += _BYTES * math.prod(shape)
        if n > there_is:
            break
    return n


@contextmanager
def within_memory(what: str, n_bytes: int = 0) -> Iterator[None]:
    """Run a block that allocates, and say it in one sentence where there is not as much memory.

    Args:
        what: What needs the memory, for the message.
        n_bytes: How much it needs at least; more than the machine has is refused before anything is allocated.

    Raises:
        ElmoHelpersError: There is not as much memory.
    """
    refusal = ElmoHelpersError(f"{what} needs more memory than there is: use a smaller model, or a larger machine.")
    if n_bytes > memory():
        raise refusal
    try:
        yield
    except MemoryError:
        raise refusal from None
    except RuntimeError as error:
        if "allocate" not in str(error):  # PyTorch has no error of its own for the memory of the CPU
            raise
        raise refusal from None
