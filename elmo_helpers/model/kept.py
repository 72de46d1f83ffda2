"""What was made from weights, kept as long as those hold the same numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from elmo_helpers.model.forking import ForkSafeLock

T = TypeVar("T")

_LARGE = 1 << 16  # bytes of a weight; smaller ones are compared as they are
# Sums of so many neighbours stand for a large weight. An odd number, so that its blocks begin elsewhere in each row of
# a matrix, and rows or columns that change places are noticed, too.
_BLOCK = 61


class KeptFromWeights(Generic[T]):
    """The last thing that was made from some weights.

    PyTorch does not count all writes to a tensor: not those through `.data`, NumPy, or a view of the memory. So the
    numbers themselves are looked at, at each call: a few hundred microseconds for tens of megabytes.

    Threads may share it. A copy begins with nothing, and so does a forked process.
    """

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._kept: tuple[Hashable, _Numbers, T] | None = None

    def get(self, weights: Sequence[Tensor], settings: Hashable, make: Callable[[], T]) -> T:
        """What `make` made of these weights with these settings, the last time or now.

        Args:
            weights: Of any kind and device.
            settings: All else that it depends on.
            make: Makes it.
        """
        numbers = _numbers_of(weights)
        settings = os.getpid(), settings  # another thread of the parent may have been at work on it at the fork
        with self._lock:
            if self._kept is None or self._kept[0] != settings or not self._kept[1].same_as(numbers):
                self._kept = settings, numbers, make()
            return self._kept[2]

    def __reduce__(self) -> tuple[type[KeptFromWeights[T]], tuple[()]]:
        return type(self), ()


class _Numbers(NamedTuple):
    """What tells weights from others: their kinds, small ones whole, and sums over blocks of large ones."""

    kinds: list[tuple[torch.dtype, torch.Size]]
    contents: list[Tensor]

    def same_as(self, other: _Numbers) -> bool:
        return self.kinds == other.kinds and all(map(torch.equal, self.contents, other.contents))


@torch.no_grad()
def _numbers_of(weights: Sequence[Tensor]) -> _Numbers:
    contents = []
    for weight in weights:
        octets = weight.detach().contiguous().view(-1).view(torch.uint8)
        if octets.numel() < _LARGE:
            contents.append(octets.clone())
            continue
        if octets.data_ptr() % 8 or octets.storage_offset() % 8:  # part of another tensor
            octets = octets.clone()
        whole = octets.numel() // (8 * _BLOCK) * (8 * _BLOCK)
        # Whole numbers, so that nothing is rounded away, and a NaN is a number like any other.
        contents += [octets[:whole].view(torch.int64).view(-1, _BLOCK).sum(1), octets[whole:].clone()]
    return _Numbers([(weight.dtype, weight.shape) for weight in weights], contents)
