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
from safetensors.torch import load_file, save_file
from torch import Tensor

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import read_json, whole_directory, write_json

FORMAT = "elmo_helpers checkpoint 1"
_HEADER, _STATE, _SUMS = "checkpoint.json", "state.safetensors", "SHA256SUMS"
_KEPT = 2  # the newest, and the one before it should the newest be damaged


def write_checkpoint(folder: Path, step: int, data: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write a checkpoint of `step` into `folder`, and remove all but the newest ones."""
    with whole_directory(_path(folder, step), header=_HEADER, format_name=FORMAT) as path:
        write_json(path / _HEADER, {"format": FORMAT, **data})
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, path / _STATE)
        sums = "".join(f"{_sha256(path / name)}  {name}\n" for name in (_HEADER, _STATE))
        (path / _SUMS).write_text(sums, encoding="ascii")
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
    if reason := _damage(newest):
        offer = f"remove it to go on from {before[0].name}, the one before it" if before else "begin the run again"
        raise ElmoHelpersError(f"{newest} is not as it was written ({reason}): {offer}.")
    try:
        data, tensors = read_json(newest / _HEADER), load_file(newest / _STATE)
    except (SafetensorError, OSError) as error:  # its sum is right, so it was written so
        raise ElmoHelpersError(f"{newest / _STATE} cannot be read ({error}).") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ElmoHelpersError(f"{newest / _HEADER} is not of the format {FORMAT!r}: begin the run again.")
    return data, tensors


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint in `folder`."""
    return bool(_all(folder))


def random_state(device: torch.device) -> Tensor:
    """PyTorch's random states on the CPU and on `device`, (n,) uint8."""
    states = [torch.get_rng_state()] + ([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])
    return torch.cat(states)


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Set what `random_state` gave."""
    n = len(torch.get_rng_state())
    torch.set_rng_state(state[:n])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[n:], device)


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:09d}"


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _damage(path: Path) -> str:
    """What is wrong with the files of a checkpoint; empty where nothing is."""
    try:
        lines = (path / _SUMS).read_text(encoding="ascii").splitlines()
        sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    except (OSError, ValueError):
        return f"{_SUMS} is missing or broken"
    for name in (_HEADER, _STATE):
        if not (path / name).is_file():
            return f"{name} is missing"
        if sums.get(name) != _sha256(path / name):
            return f"{name} has another checksum"
    return ""


def _sha256(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
