"""What was made from weights, kept as long as those stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from torch import Tensor

T = TypeVar("T")


class KeptFromWeights(Generic[T]):
    """The last thing that was made from some weights.

    A weight that has changed since, in place or by another tensor, has it made anew. The weights are kept with it, so
    that no other tensor can come to lie at the same place in memory.
    """

    def __init__(self) -> None:
        self._kept: tuple[Hashable, T, list[Tensor]] | None = None

    def get(self, weights: Sequence[Tensor], settings: Hashable, make: Callable[[], T]) -> T:
        """What `make` made of these weights with these settings, the last time or now.

        Args:
            weights: None of them made in inference mode, see `can_keep`.
            settings: All else that it depends on.
            make: Makes it.
        """
        key = (settings, *((w.data_ptr(), w._version) for w in weights))
        if self._kept is None or self._kept[0] != key:
            self._kept = key, make(), [w.detach() for w in weights]
        return self._kept[1]

    def forget(self) -> None:
        """Make it anew at the next call."""
        self._kept = None


def can_keep(weights: Sequence[Tensor]) -> bool:
    """Whether it can be known if these weights have changed: not of tensors that were made in inference mode."""
    return not any(w.is_inference() for w in weights)
