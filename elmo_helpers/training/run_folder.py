"""The directory of a run: the best model so far, and beside it all that the run needs to go on.

directory/
    config.json, vocabulary.json, model.safetensors     the best model, as `BiLM.save` writes it
    training/
        run.json            what the run was started with, or gone on with last
        steps.csv           loss, learning rate, gradient norm, tokens a second
        history.csv         exact perplexities
        tensorboard/        the same as curves, if asked for
        checkpoints/        see `elmo_helpers.training.checkpoint`
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from elmo_helpers.config import BiLMConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import holds_format, path_of, read_bytes, read_json, whole_file, write_json, writing
from elmo_helpers.locks import only_one
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.storage import FILES, is_model, write_model
from elmo_helpers.training.checkpoint import (
    RESUME,
    check_sizes,
    has_checkpoint,
    read_checkpoint,
    remove_unfinished,
    write_checkpoint,
)
from elmo_helpers.training.config import TrainingConfig, free_settings
from elmo_helpers.training.progress import Progress

FORMAT = "elmo_helpers run 1"
_LOCK = ".lock"  # there as long as a process trains
_ASIDE = "best"  # a new best model, until it takes its place


class RunFolder:
    """The directory of one run; see above."""

    path: Path
    training: Path

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.realpath(path_of("directory", directory)))
        self.training = self.path / "training"
        self._header = self.training / "run.json"
        self._checkpoints = self.training / "checkpoints"
        self._identity: dict[str, Any] = {}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from writing to this directory while the block runs.

        Raises:
            ElmoHelpersError: Another process is writing to it; there is a file, or something that is neither a model
                nor a run; or it cannot be written to.
        """
        with writing(self.path):
            if self.path.exists() and not self.path.is_dir():
                raise ElmoHelpersError(
                    f"{self.path} is a file, and a directory is to be written there: name another path."
                )
            ours = is_model(self.path) or holds_format(self._header, FORMAT)
            if self.path.is_dir() and any(self.path.iterdir()) and not ours:
                raise ElmoHelpersError(
                    f"{self.path} holds other files and no model or run, so it is left as it is: name an empty or a "
                    "new directory."
                )
            self.training.mkdir(parents=True, exist_ok=True)
        with only_one(self.training / _LOCK, self.path):
            with writing(self.path):
                remove_unfinished(self._checkpoints)
                for left in self.training.glob(f".{_ASIDE}-*"):
                    shutil.rmtree(left)
            yield

    def begin(self, identity: dict[str, Any], overwrite: bool) -> None:
        """Make room for a new run; only where this process is `alone`.

        Args:
            identity: What the run is started with, as plain data; a resumed run must be started with the same.
            overwrite: Let the new run take the place of one that has not finished; a finished one is replaced
                without it.

        Raises:
            ElmoHelpersError: There is an unfinished run, or the directory cannot be written to.
        """
        if has_checkpoint(self._checkpoints) and not overwrite and not self._is_finished():
            raise ElmoHelpersError(
                f"{self.path} holds a run that has not finished: go on with it by resume, let the new one take its "
                "place by overwrite, or name another directory."
            )
        with writing(self.path):
            for old in self.training.iterdir():
                if old.is_dir() and not old.is_symlink():
                    shutil.rmtree(old)
                elif old.name != _LOCK:
                    old.unlink()
            self._checkpoints.mkdir()
        self._identity = _plain(identity)
        self.write_identity()

    def go_on(self, identity: dict[str, Any]) -> bool:
        """Take up the run that is here; `write_identity` makes what is new of its settings last.

        Returns:
            Whether `free_settings` are others than at the run's start, or where it was gone on with last.

        Raises:
            ElmoHelpersError: Something else differs.
        """
        stored, identity = self.identity, _plain(identity)
        was, now = _fixed(stored), _fixed(identity)
        differs = sorted(
            f"{name} ({_shown(was.get(name))} then, {_shown(now.get(name))} now)"
            for name in was.keys() | now.keys()
            if was.get(name) != now.get(name)
        )
        if differs:
            raise ElmoHelpersError(
                f"{self.path}: the run cannot go on, since this differs from its start: {'; '.join(differs)}. Start it "
                f"with the same, or begin another run in another directory; only {', '.join(free_settings())} may "
                "change."
            )
        self._identity = identity
        return identity != stored

    def write_identity(self) -> None:
        """Write what the run is started with, or gone on with."""
        with whole_file(self._header, remedy=RESUME) as temporary:
            write_json(temporary, {"format": FORMAT, **self._identity})

    @property
    def identity(self) -> dict[str, Any]:
        """What the run that is here was started with.

        Raises:
            ElmoHelpersError: There is no run, or its file is damaged.
        """
        if not os.path.exists(self._header):
            raise ElmoHelpersError(f"{self.path} holds no run to go on with: train without resume to begin one.")
        data = read_json(self._header)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ElmoHelpersError(f"{self._header} is not of the format {FORMAT!r}: begin the run again.")
        return {name: value for name, value in data.items() if name != "format"}

    @property
    def settings(self) -> tuple[BiLMConfig, TrainingConfig]:
        """The model's and the run's own settings, of the run that is here and of its newest checkpoint.

        Raises:
            ElmoHelpersError: There is no run or no checkpoint, a file is damaged, or they do not belong together.
        """
        identity = self.identity
        _, tensors = read_checkpoint(self._checkpoints)
        try:
            model, config = BiLMConfig.from_dict(identity["model"]), TrainingConfig.from_dict(identity["config"])
        except KeyError as error:
            raise ElmoHelpersError(f"{self._header} has no {error}: restore it, or begin the run again.") from None
        except ElmoHelpersError as error:
            raise ElmoHelpersError(f"{self._header}: {error}") from None
        check_sizes(tensors, model, self._checkpoints)
        return model, config

    def write_checkpoint(self, progress: Progress, draws: Mapping[str, Any] | None, tensors: dict[str, Tensor]) -> None:
        """Write a checkpoint at `progress`, with the state of the sampler's draws."""
        data = {"identity": self._identity, "progress": progress.to_dict(), "draws": draws}
        write_checkpoint(self._checkpoints, progress.step, data, tensors)

    def read_checkpoint(self) -> tuple[Progress, dict[str, Any] | None, dict[str, Tensor]]:
        """What `write_checkpoint` wrote last.

        Raises:
            ElmoHelpersError: There is none, it is damaged, or of another run.
        """
        data, tensors = read_checkpoint(self._checkpoints)
        if _fixed(data.get("identity", {})) != _fixed(self._identity):
            raise ElmoHelpersError(f"{self._checkpoints}: the newest checkpoint is of another run: remove it.")
        try:
            return Progress.from_dict(data["progress"]), data["draws"], tensors
        except KeyError as error:
            raise ElmoHelpersError(f"{self._checkpoints}: the newest checkpoint has no {error}: remove it.") from None

    def save_model(self, model: BiLM) -> None:
        """Put `model` in the place of the model that is here.

        The files are written aside first, and then take their places one by one. In the same run only the weights
        differ, so the directory holds a whole model at every moment; in the place of another model it holds none for a
        moment, rather than parts of two.
        """
        aside = self.training / _ASIDE
        write_model(aside, model.config, model.text, model.vocabulary, model.state_dict(), remedy=RESUME)
        header, *others = FILES
        with writing(self.path, RESUME):
            if is_model(self.path) and read_bytes(self.path / header) != read_bytes(aside / header):
                (self.path / header).unlink()
            for name in (*others, header):
                os.replace(aside / name, self.path / name)
            aside.rmdir()

    def load_model(self) -> BiLM:
        """The best model."""
        return BiLM.load(self.path)

    def last_good(self, has_saved: bool) -> str:
        """What is left where a run has failed, for a message; `has_saved` says whether the run has saved a model."""
        there = is_model(self.path)
        left = [f"the best model so far is in {self.path}"] if has_saved and there else []
        if has_checkpoint(self._checkpoints):
            left.append(f"the last good checkpoint is in {self._checkpoints}")
        kept = f" Kept: {' and '.join(left)}." if left else ""
        if there and not has_saved:
            kept += f" The model in {self.path} is an earlier run's."
        return kept

    def _is_finished(self) -> bool:
        """Whether the run has come to its end, and was not gone on with since."""
        try:
            data, _ = read_checkpoint(self._checkpoints)
            return bool(data["progress"]["finished"]) and data["identity"] == self.identity
        except (ElmoHelpersError, KeyError):
            return False


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """`data` as it comes back from JSON: lists for tuples."""
    plain: dict[str, Any] = json.loads(json.dumps(data))
    return plain


def _fixed(identity: dict[str, Any]) -> dict[str, Any]:
    """All of it, under names with dots, that must be the same where the run is gone on with."""
    free = {f"config.{name}" for name in free_settings()}
    return {name: value for name, value in _flat(identity).items() if name not in free}


def _flat(data: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings under names with dots."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return flat


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
