"""Where the time of a run goes, by its parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pandas as pd
import torch
from torch import nn

from elmo_helpers.model.bilm import BiLM

REST = "everything else"


class PartTimes:
    """Seconds of each part of a run; of parts within one another, each counts without those inside of it.

    On a GPU the device is waited for at the edges of each part, without which its work would count where it is waited
    for next; so the run as a whole is a little slower there.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._device = device
        self._open = [REST]
        self._since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what runs inside for the part `name`."""
        self._enter(name)
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def of_modules(self, model: BiLM) -> Iterator[None]:
        """Inside, count the forward passes of the model's character CNN, LSTMs and softmax as parts of their own.

        Those of training: what an evaluation runs belongs to the evaluation.
        """
        parts: dict[nn.Module, str] = {
            model.char_cnn: "character CNN",
            model.side_by_side: "LSTMs",
            model.predictor: "softmax: loss and its gradients",
        }
        with ExitStack() as hooks:
            for module, name in parts.items():
                hooks.callback(self._hook(module, name))
            yield

    def table(self) -> pd.DataFrame:
        """A row a part, the longest first: part, seconds, share of all; and what is in no part."""
        self._charge()
        table = pd.DataFrame(self.seconds.items(), columns=["part", "seconds"])
        table["share"] = table["seconds"] / table["seconds"].sum()
        return table.sort_values("seconds", ascending=False, ignore_index=True)

    def _hook(self, module: nn.Module, name: str) -> Callable[[], None]:
        def enter(module: nn.Module, _: object) -> None:
            if module.training:
                self._enter(name)

        def leave(module: nn.Module, *_: object) -> None:
            if module.training:
                self._leave()

        hooks = module.register_forward_pre_hook(enter), module.register_forward_hook(leave)

        def remove() -> None:
            for hook in hooks:
                hook.remove()

        return remove

    def _enter(self, name: str) -> None:
        self._charge()
        self._open.append(name)

    def _leave(self) -> None:
        self._charge()
        self._open.pop()

    def _charge(self) -> None:
        """Give the time since the last call to the part that is open."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        name = self._open[-1]
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now
