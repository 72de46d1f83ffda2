"""Checks of arguments: each returns the plain Python value, or says what was expected."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from numbers import Integral, Real
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from elmo_helpers.errors import ElmoHelpersError

T = TypeVar("T")
_LONGEST = 60  # letters of a value that a message shows


def shown(value: Any) -> str:
    """`value` for a message, on one line of at most 60 letters or so; of an array or a tensor its shape and dtype."""
    kind = type(value).__name__
    if getattr(value, "ndim", 0) and hasattr(value, "dtype"):
        return f"{kind} {tuple(value.shape)} of {value.dtype}"
    text = " ".join(repr(value).split())
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return text if type(value).__module__ == "builtins" else f"{text} ({kind})"


def whole_number(name: str, value: Any, minimum: int) -> int:
    """`value` as an int of at least `minimum`; NumPy's integers are fine, truth values are not."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ElmoHelpersError(f"{name}={shown(value)}: expected a whole number of at least {minimum}.")
    return int(value)


def seed_number(name: str, value: Any) -> int:
    """`value` as an int that PyTorch takes as a seed; NumPy's integers are fine, truth values are not."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) < 2**64:
        raise ElmoHelpersError(f"{name}={shown(value)}: expected a whole number from 0 to 2^64 − 1.")
    return int(value)


def number(name: str, value: Any, expected: str, low: float = 0.0, high: float = math.inf) -> float:
    """`value` as a finite float from `low` to `high`; `expected` says in words what is asked for."""
    found = math.nan
    if isinstance(value, Real) and not isinstance(value, bool | np.bool_):
        try:
            found = float(value)  # NumPy compares its small floats in their own type, which the bounds may not fit
        except OverflowError:  # a whole number beyond all floats
            found = math.inf
    if not math.isfinite(found) or not low <= found <= high:
        raise ElmoHelpersError(f"{name}={shown(value)}: expected {expected}.")
    return found


@overload
def positive(name: str, value: Any, or_none: Literal[False] = False) -> float: ...


@overload
def positive(name: str, value: Any, or_none: bool) -> float | None: ...


def positive(name: str, value: Any, or_none: bool = False) -> float | None:
    """`value` as a float above 0 that float32 holds, or None where that is allowed."""
    if value is None and or_none:
        return None
    expected = "a number above 0 that float32 holds" + (", or None" if or_none else "")
    return number(name, value, expected, math.ulp(0.0), float(np.finfo(np.float32).max))


def flag(name: str, value: Any) -> bool:
    """`value` as a bool; a string such as "no" would count as true, so only truth values are taken."""
    if not isinstance(value, bool | np.bool_):
        raise ElmoHelpersError(f"{name}={shown(value)}: expected True or False.")
    return bool(value)


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """`value`, if it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ElmoHelpersError(f"{name}={shown(value)}: expected one of {', '.join(choices)}.")
    return str(value)


def instance(name: str, value: Any, kind: type[T], expected: str) -> T:
    """`value`, if it is a `kind`; `expected` says in words what is asked for."""
    if not isinstance(value, kind):
        raise ElmoHelpersError(f"{name}={shown(value)}: expected {expected}.")
    return value


def numbers(name: str, value: Any, expected: str, kinds: str = "iuf") -> NDArray[Any]:
    """`value` as an array of any shape whose dtype is of one of the `kinds`: whole and floating-point numbers."""
    try:
        found = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # lists of different lengths; a tensor that NumPy cannot share
        found = np.array(None)
    if found.dtype.kind not in kinds:
        raise ElmoHelpersError(f"{name}: expected {expected}, and got {shown(value)}.")
    return found


def in_order(name: str, value: Any, expected: str) -> Iterator[Any]:
    """What `value` holds, as a stream: of a list, an array, a Series, an iterator, but of nothing without an order.

    Args:
        name: The argument's.
        value: What was handed over.
        expected: In words, such as "a list of words".

    Raises:
        ElmoHelpersError: It is one string, a set, a mapping, a table, or nothing that can be gone through.
    """
    if isinstance(value, str):
        raise ElmoHelpersError(f"{name} is one string, {shown(value)}: expected {expected}.")
    if not isinstance(value, bytes | bytearray | Set | Mapping) and not hasattr(value, "columns"):
        with contextlib.suppress(TypeError):  # which arrays without axes raise, too
            return iter(value)
    raise ElmoHelpersError(f"{name} is {shown(value)}: expected {expected}{_text_of_tokens(value)}.")


def items(name: str, value: Any, expected: str) -> list[Any]:
    """`in_order` as a list; an iterator is read to its end.

    Raises:
        ElmoHelpersError: See `in_order`.
    """
    return list(in_order(name, value, expected))


def word_list(name: str, value: Any) -> list[str]:
    """A sentence as a list of strings, whatever `items` can go through.

    Raises:
        ElmoHelpersError: It is no list of words, or one of them, which the message names, is no string.
    """
    found = items(name, value, "a list of words")
    for i, word in enumerate(found):
        if not isinstance(word, str):
            raise ElmoHelpersError(f"{name}[{i}] is {shown(word)}: expected a string{_text_of_tokens(word)}.")
    return found


def _text_of_tokens(value: Any) -> str:
    """What to do with tokens of spaCy and its like."""
    return "; of tokens, pass the text: [token.text for token in sentence]" if hasattr(value, "text") else ""
