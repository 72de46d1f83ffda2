"""What happens in the kernel's main thread while it is idle: widgets are changed and figures drawn there alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from IPython import get_ipython

from elmo_helpers.display.widgets.turns import in_turn


class Ticker:
    """Calls a function every so often in the thread and event loop that it was made in.

    Without a running loop (a script, a test) nothing calls it, and who waits calls the function himself.
    """

    def __init__(self, call: Callable[[], bool], seconds: float = 0.25) -> None:
        """A ticker that does not tick yet.

        Args:
            call: Says whether it is to be called again.
            seconds: Between two calls.
        """
        self._call, self._seconds = call, seconds
        self._handle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        with suppress(RuntimeError):  # there is none
            self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Tick from now on, until the function has said that it is enough."""
        if self._loop is not None and self._handle is None and not self._loop.is_closed():
            self._handle = self._loop.call_later(self._seconds, self._tick)

    def _tick(self) -> None:
        self._handle = None
        if in_turn(self._call)():
            self.start()


class Cells:
    """Says when a notebook's cells begin and end; outside of a notebook none ever does.

    Attributes:
        running: Whether a cell is being executed.
    """

    running: bool

    def __init__(self, began: Callable[[], None], ended: Callable[[], None]) -> None:
        """Listen from now on.

        Args:
            began: Called before a cell is executed.
            ended: Called when it is done.
        """
        self._began, self._ended = began, ended
        self._shell = get_ipython()
        self.running = self._shell is not None  # who makes this does so in a cell
        if self._shell is not None:
            self._shell.events.register("pre_run_cell", self._on_begin)
            self._shell.events.register("post_run_cell", self._on_end)

    def close(self) -> None:
        """Listen no longer."""
        if self._shell is not None:
            self._shell.events.unregister("pre_run_cell", self._on_begin)
            self._shell.events.unregister("post_run_cell", self._on_end)
            self._shell = None

    def _on_begin(self, *_: object) -> None:
        self.running = True
        self._began()

    def _on_end(self, *_: object) -> None:
        self.running = False
        self._ended()
