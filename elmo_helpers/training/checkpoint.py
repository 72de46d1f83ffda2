"""Checkpoints: all that a run needs to go on as if it had never stopped, whole or not at all, and checked when read.

checkpoints/step-000001200/
    checkpoint.json     settings, position, history, what the run was started with
    state.safetensors   weights, the optimisers' state, LSTM and random states
    SHA256SUMS          of both, as `sha256sum -c` checks them
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from elmo_helpers.config import BiLMConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import check_ordinary, read_bytes, read_json, whole_directory, write_json, writing
from elmo_helpers.model.sizes import parameters_of
from elmo_helpers.model.storage import check_shapes, load_tensors, write_tensors

FORMAT = "elmo_helpers checkpoint 1"
RESUME = "mend that, and resume the run"  # where a file of a run cannot be written
_HEADER, _STATE, _SUMS = "checkpoint.json", "state.safetensors", "SHA256SUMS"
_KEPT = 2  # the newest, and the one before it should the newest be damaged


def write_checkpoint(folder: Path, step: int, data: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write a checkpoint of `step` into `folder`, and remove all but the newest ones.

    Raises:
        ElmoHelpersError: The disk is full or cannot be written to; then the checkpoints before this one stay.
    """
    with whole_directory(_path(folder, step), header=_HEADER, format_name=FORMAT, remedy=RESUME) as path:
        write_json(path / _HEADER, {"format": FORMAT, **data})
        write_tensors(path / _STATE, tensors)
        sums = "".join(f"{_sha256(path / name)}  {name}\n" for name in (_HEADER, _STATE))
        (path / _SUMS).write_text(sums, encoding="ascii")
    with writing(folder, RESUME):
        for old in _all(folder)[:-_KEPT]:
            shutil.rmtree(old)


def read_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The newest checkpoint in `folder`: its data and its tensors.

    Raises:
        ElmoHelpersError: There is none, or it is damaged; then the one before it is named.
    """
    there = _all(folder)
    if not there:
        raise ElmoHelpersError(f"{folder} holds no checkpoint: train without resume to begin a run there.")
    newest, before = there[-1], there[-2:-1]
    tensors: dict[str, Tensor] = {}
    try:
        tensors = load_tensors(newest / _STATE)  # by its own header, before all of it is read
        reason = _damage(newest)
    except (SafetensorError, OSError) as error:
        reason = f"{_STATE}: {error}"
    if reason:
        offer = f"remove it to go on from {before[0].name}, the one before it" if before else "begin the run again"
        raise ElmoHelpersError(f"{newest} is not as it was written ({reason}): {offer}.")
    data = read_json(newest / _HEADER)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ElmoHelpersError(f"{newest / _HEADER} is not of the format {FORMAT!r}: begin the run again.")
    return data, tensors


def check_sizes(tensors: dict[str, Tensor], config: BiLMConfig, folder: Path) -> None:
    """Check that the tensors of a checkpoint in `folder` are of a model of these sizes, whatever its vocabulary is.

    Raises:
        ElmoHelpersError: They are of another one.
    """
    names = {name: name.removeprefix("model/") for name in tensors if name.startswith("model/")}
    weights = {short: tensors[name] for name, short in names.items() if not short.startswith("softmax.")}
    check_shapes(weights, parameters_of(config, None), folder, "run.json asks")


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process has left half written in `folder`, which no other process writes to."""
    for left in folder.glob(".step-*"):
        shutil.rmtree(left)


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint in `folder`."""
    return bool(_all(folder))


def random_state(device: torch.device) -> Tensor:
    """PyTorch's random states on the CPU and on `device`, (n,) uint8."""
    states = [torch.get_rng_state()] + ([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])
    return torch.cat(states)


def seed_random_state(seed: int, device: torch.device) -> None:
    """Begin anew what `random_state` gives; `torch.manual_seed` would do so on all GPUs, another's among them."""
    seed %= 2**64  # the highest seed and a process's number may be beyond what PyTorch takes
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Set what `random_state` gave."""
    n = len(torch.get_rng_state())
    torch.set_rng_state(state[:n].clone())  # of a view it would take the storage from its start
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[n:], device)


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:09d}"


def _all(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def _damage(path: Path) -> str:
    """What is wrong with the files of a checkpoint; empty where nothing is."""
    for name in (_HEADER, _STATE, _SUMS):
        check_ordinary(path / name)
    try:
        lines = read_bytes(path / _SUMS).decode("ascii").splitlines()
        sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    except ValueError:
        return f"{_SUMS} is missing or broken"
    for name in (_HEADER, _STATE):
        if not os.path.isfile(path / name):
            return f"{name} is missing"
        if sums.get(name) != _sha256(path / name):
            return f"{name} has another checksum"
    return ""


def _sha256(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
