"""Handlers of widgets take turns, since a kernel calls them from several threads.

JupyterLab sends what is done to a widget to a thread of its own (a subshell), and ipykernel answers the first message
of each widget in the main thread. So the handler of a slider can run while that of a button beside it still draws: the
older drawing may then come last, and pyplot, which both use, is not made for two threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")
_turn = threading.RLock()  # again from the same thread: a handler sets values that have handlers


def in_turn(handler: Callable[_P, _R]) -> Callable[_P, _R]:
    """A handler that waits until no other one runs; what it reads of its widgets is then as the last one left it."""

    @wraps(handler)
    def waiting(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with _turn:
            return handler(*args, **kwargs)

    return waiting
