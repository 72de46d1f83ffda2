"""What torch.compile leaves out of its graphs."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

_REASON = "elmo_helpers computes it in NumPy, or in steps of a batch's own sizes"

P = ParamSpec("P")
R = TypeVar("R")
Class = TypeVar("Class", bound=type)


def left_out_of_graphs(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, which runs as it stands where a model that calls it is compiled.

    For what is computed in NumPy, which the compiler misreads, or in steps whose number and sizes are those of a batch.
    """
    disabled: Callable[P, R] | None = None

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal disabled
        # Where nobody compiles, the compiler is not loaded, which takes seconds. What it reads itself ends at the first
        # question: at the second it would take in all of `sys.modules`.
        if not torch.compiler.is_compiling() and "torch._dynamo" not in sys.modules:
            return function(*args, **kwargs)
        if disabled is None:
            disabled = torch.compiler.disable(function, reason=_REASON)
        return disabled(*args, **kwargs)

    return run


def methods_left_out_of_graphs(*names: str) -> Callable[[Class], Class]:
    """`left_out_of_graphs` for methods of a class, by their names."""

    def decorate(cls: Class) -> Class:
        for name in names:
            setattr(cls, name, left_out_of_graphs(getattr(cls, name)))
        return cls

    return decorate
