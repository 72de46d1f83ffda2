"""A bar that shows how much of a file is encoded, words a second and the time left."""

from __future__ import annotations

import time
from pathlib import Path

from tqdm.auto import tqdm


class FileProgress:
    """Counts bytes of the file, since the number of its lines is known only at its end.

    Of several processes the main one shows its own: shards are dealt in turn, so all are at about the same place.
    """

    def __init__(self, source: Path, processes: int, shown: bool) -> None:
        self._words, self._processes = 0, processes
        self._begun, self._started = False, time.monotonic()
        self._bar = tqdm(
            total=source.stat().st_size,
            desc="encoding",
            smoothing=0,  # rows come a window at a time, so the pace of a moment says nothing
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            disable=not shown,
        )

    def begin(self, first: int, position: int) -> None:
        """The first row to be encoded: what was done before it is not counted in the pace."""
        if not self._begun:
            self._begun, self._started = True, time.monotonic()
            if first and not self._bar.disable:
                self._bar.initial = self._bar.n = position

    def update(self, position: int, n_words: int) -> None:
        """A row of so many words is encoded."""
        self._words += n_words
        if self._bar.disable:
            return
        pace = self._processes * self._words / max(time.monotonic() - self._started, 1e-9)
        self._bar.set_postfix_str(f"{pace:,.0f} words/s", refresh=False)
        self._bar.update(position - self._bar.n)

    def close(self) -> None:
        """The end of the bar."""
        self._bar.close()
