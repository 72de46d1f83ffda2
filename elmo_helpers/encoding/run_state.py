"""What a run that encodes a file leaves beside its output until it has ended, and with which settings it was begun.

OUTPUT.parts/
    run.json            format, model, input and options; all that decides what the vectors are
    rows-00000000.arrow the first shard, and so on
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from elmo_helpers.encoding.encoded_shards import ShardFiles, is_shard
from elmo_helpers.encoding.output_files import read_header, try_output
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import check_ordinary, holds_format, open_ordinary, read_json, whole_file, write_json
from elmo_helpers.model.bilm import BiLM

FORMAT = "elmo_helpers encoding 1"
HEADER_FILE = "run.json"


def parts_directory(output: Path) -> Path:
    """Where the shards of an output lie until it is made."""
    return output.with_name(output.name + ".parts")


def begin_or_resume(output: Path, header: dict[str, Any], shards: ShardFiles, *, resume: bool, overwrite: bool) -> bool:
    """Make the directory of the parts ready for a run, and say whether the output is there already as asked for.

    Args:
        output: The file to be made.
        header: What it is made with.
        shards: What will be made of it on the way.
        resume: Go on with what is there.
        overwrite: Remove what a run has left.

    Raises:
        ElmoHelpersError: There is something that is neither to be gone on with nor to be replaced.
        OSError: The output could not be written, nor anything on the way to it.
    """
    parts = parts_directory(output)
    if output.exists() and not output.is_file():
        raise ElmoHelpersError(f"{output} is no ordinary file, and a file is to be written there: name another path.")
    is_directory = parts.is_dir() and not parts.is_symlink()
    if is_directory:
        check_ordinary(parts / HEADER_FILE)
    left = os.path.lexists(parts) and not (is_directory and all(file.name.startswith(".") for file in parts.iterdir()))
    if left and not (is_directory and holds_format(parts / HEADER_FILE, FORMAT)):
        raise ElmoHelpersError(f"{parts} holds something else than parts of an output: remove it, or name another one.")
    if overwrite:
        if left:
            shutil.rmtree(parts)
    elif resume:
        if output.exists():
            made_with = read_header(output)
            if made_with == header:
                shutil.rmtree(parts, ignore_errors=True)  # the end of a run that was killed after its last word
                return True
            if not left:
                raise ElmoHelpersError(_others(output, made_with, header))
        if left:
            begun_with = read_json(parts / HEADER_FILE)
            if begun_with != header:
                raise ElmoHelpersError(_others(parts, begun_with, header))
    elif left:
        raise ElmoHelpersError(f"{parts} is of a run that has not ended: go on with --resume, or use --overwrite.")
    elif output.exists():
        raise ElmoHelpersError(f"{output} is there already: name another output, or replace it with --overwrite.")
    parts.mkdir(parents=True, exist_ok=True)
    for file in parts.iterdir():  # what a kill has left half written
        if (file.name != HEADER_FILE and not is_shard(file)) or file.name.startswith("."):
            file.unlink()
    try_output(output, shards, header)
    if not (parts / HEADER_FILE).exists():
        with whole_file(parts / HEADER_FILE) as temporary:
            write_json(temporary, header)
    return False


def fingerprint(model: BiLM) -> str:
    """A number that is another for another model: of its weights, sizes, vocabulary and text settings."""
    digest = hashlib.blake2b(digest_size=16)
    for data in (model.config.to_dict(), model.text.to_dict(), list(model.vocabulary.words)):
        digest.update(json.dumps(data).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """The same of a file's bytes.

    Raises:
        ElmoHelpersError: It is missing, is no ordinary file, or cannot be read.
    """
    with open_ordinary(path) as stream:
        try:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        except OSError as error:
            raise ElmoHelpersError(f"{path} cannot be read ({error.strerror}): name a readable file.") from None


def _others(path: Path, before: Any, now: dict[str, Any]) -> str:
    if not isinstance(before, dict):
        return f"{path} was not made by this command: name another output, or replace it with --overwrite."
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    # Digests say nothing to a person.
    shown = [
        f"another {name}" if name in ("model", "input") else f"{name} {before.get(name)!r} there, {now.get(name)!r} now"
        for name in names
    ]
    return (
        f"{path} was made with other settings ({'; '.join(shown)}): repeat those, name another output, or begin anew "
        f"with --overwrite."
    )
