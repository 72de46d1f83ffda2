"""Checks of arguments: each returns the plain Python value, or says what was expected."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from elmo_helpers.errors import ElmoHelpersError


def whole_number(name: str, value: Any, minimum: int) -> int:
    """`value` as an int of at least `minimum`; NumPy's integers are fine, truth values are not."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ElmoHelpersError(f"{name}={value!r}: expected a whole number of at least {minimum}.")
    return int(value)


def number(name: str, value: Any, expected: str, low: float = 0.0, high: float = math.inf) -> float:
    """`value` as a finite float from `low` to `high`; `expected` says in words what is asked for."""
    plain = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    try:
        plain = plain and math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        plain = False
    if not plain or not low <= value <= high:
        raise ElmoHelpersError(f"{name}={value!r}: expected {expected}.")
    return float(value)


def positive(name: str, value: Any, or_none: bool = False) -> float | None:
    """`value` as a finite float above 0, or None where that is allowed."""
    if value is None and or_none:
        return None
    return number(name, value, "a number above 0" + (", or None" if or_none else ""), math.ulp(0.0))


def flag(name: str, value: Any) -> bool:
    """`value` as a bool; a string such as "no" would count as true, so only truth values are taken."""
    if not isinstance(value, bool | np.bool_):
        raise ElmoHelpersError(f"{name}={value!r}: expected True or False.")
    return bool(value)


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """`value`, if it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ElmoHelpersError(f"{name}={value!r}: expected one of {', '.join(choices)}.")
    return str(value)
