"""What spaCy's `vector`, `has_vector` and `similarity` come to where a document has contextual vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.lexeme import Lexeme
from spacy.tokens import Doc, Span, Token

from elmo_helpers.errors import ElmoHelpersError


def set_vector_hooks(doc: Doc) -> None:
    """Let docs, spans and tokens of `doc` take their vectors from `doc.tensor`, whatever vectors its vocabulary has.

    The vector of a document or span is the mean over its tokens that are not white space alone; similarity is the
    cosine, and 0 where a side has no vector. spaCy does not write hooks with a document (`to_bytes`, several
    processes), and warns of it (W109): set them anew by this function where they are needed.
    """
    doc.user_hooks.update(_OF_DOC)
    doc.user_span_hooks.update(_OF_SPAN)
    doc.user_token_hooks.update(_OF_TOKEN)


def _rows(doc: Doc) -> NDArray[np.floating]:
    if doc.tensor.ndim != 2 or len(doc.tensor) != len(doc):
        raise ElmoHelpersError("doc.tensor has no row for each token: let the component 'elmo' set it first.")
    return doc.tensor


@np.errstate(all="ignore")  # small numbers may become 0, whatever the caller has set
def _vector(what: Doc | Span) -> NDArray[np.floating]:
    """(2P,) float32: zeros without a word."""
    vectors = _rows(what.doc)[what.start : what.end] if isinstance(what, Span) else _rows(what)
    words = [i for i, token in enumerate(what) if not token.is_space]
    if len(words) < len(vectors):
        vectors = vectors[words]
    if not len(vectors):
        return np.zeros(vectors.shape[1], dtype=np.float32)
    mean: NDArray[np.floating] = vectors.mean(0)
    return mean


def _numbers(of: Doc | Span | Token) -> NDArray[np.floating]:
    """Its vector, as its own hook or spaCy gives it."""
    vector: Any = of.vector  # a type of thinc's, which says nothing to NumPy
    return np.asarray(vector)


@np.errstate(all="ignore")
def _norm(what: Doc | Token) -> float:
    return float(np.linalg.norm(_numbers(what)))


def _has_vector(what: Doc | Span) -> bool:
    return any(not token.is_space for token in what)


def _token_vector(token: Token) -> NDArray[np.floating]:
    row: NDArray[np.floating] = _rows(token.doc)[token.i]
    return row


def _token_has_vector(token: Token) -> bool:
    return not token.is_space


@np.errstate(all="ignore")
def _similarity(one: Doc | Span | Token, other: Doc | Span | Token) -> float:
    if isinstance(other, Lexeme):
        raise ElmoHelpersError(
            "similarity: a lexeme stands in no context and has no vector here: compare tokens, spans and documents."
        )
    a, b = _numbers(one), _numbers(other)
    if a.shape != b.shape and b.size:
        raise ElmoHelpersError(
            f"similarity: one side has {a.size} numbers and the other {b.size}: expected both from one pipeline."
        )
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms else 0.0


# Without "vector_norm" of spans, for which spaCy would give the vector itself; it computes the norm from the vector.
_OF_SPAN: dict[str, Callable[..., Any]] = {"vector": _vector, "has_vector": _has_vector, "similarity": _similarity}
_OF_DOC: dict[str, Callable[..., Any]] = {**_OF_SPAN, "vector_norm": _norm}
_OF_TOKEN: dict[str, Callable[..., Any]] = {
    "vector": _token_vector,
    "vector_norm": _norm,
    "has_vector": _token_has_vector,
    "similarity": _similarity,
}
