"""Processes that are forked from one that has computed: what they must not take over.

OpenMP's threads, which PyTorch computes with, stay behind in the parent, and the child would wait for them for ever; so
a child computes with one thread (as the workers of PyTorch's DataLoader do) until somebody sets another number. Locks
that another thread of the parent held at that moment would never be given back; so a child has them new.
"""

from __future__ import annotations

import os
import threading
import weakref
from types import TracebackType

import torch


class ForkSafeLock:
    """A lock for threads that is free in a forked child, whoever held it in the parent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Begin anew, free."""
        self._lock = threading.Lock()


_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


def _after_fork() -> None:
    torch.set_num_threads(1)
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)
