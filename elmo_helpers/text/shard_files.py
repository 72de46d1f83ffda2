"""The titles of a corpus as Arrow files: one record batch in each, memory-mapped, and known by its checksum."""

from __future__ import annotations

import dataclasses
import io
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import check_ordinary
from elmo_helpers.text.splitting import SPLITS

# "Large" types count in 64 bits: a billion words is more text than 32 bits can address.
SCHEMA = pa.schema(
    [
        pa.field("date", pa.date32()),
        pa.field("title", pa.large_string(), nullable=False),
        pa.field("split", pa.int8(), nullable=False),
        pa.field("tokens", pa.large_list(pa.field("item", pa.int32(), nullable=False)), nullable=False),
    ]
)

_END = b"ARROW1"  # of every Arrow file


@dataclass(frozen=True)
class Shard:
    """What the header of a corpus says about one Arrow file.

    `titles` and `tokens` are numbers by "total", "train", "valid" and "test"; tokens are counted without boundaries.
    """

    file: str
    crc32: int
    titles: dict[str, int]
    tokens: dict[str, int]

    @classmethod
    def from_dict(cls, data: Any, number: int) -> Shard:
        """Entry `number` of the header's list.

        Raises:
            ValueError: It is not what `dataclasses.asdict` made of a shard of that number.
        """
        if not isinstance(data, dict) or set(data) != {field.name for field in dataclasses.fields(cls)}:
            raise ValueError(f"shard {number}: expected file, crc32, titles and tokens")
        # The name is not free, so that a header cannot point at files elsewhere.
        if data["file"] != shard_name(number) or type(data["crc32"]) is not int:
            raise ValueError(f"shard {number}: expected the file {shard_name(number)} and its checksum")
        for sizes in (data["titles"], data["tokens"]):
            whole = isinstance(sizes, dict) and all(type(size) is int and size >= 0 for size in sizes.values())
            if not whole or set(sizes) != {"total", *SPLITS} or sizes["total"] != sum(map(sizes.get, SPLITS)):
                raise ValueError(f"shard {number}: expected whole numbers by split, and their total")
        return cls(**data)


def shard_name(number: int) -> str:
    """The name of the Arrow file of shard `number`, counted from 0."""
    return f"titles-{number:05}.arrow"


def write_shard(batch: pa.RecordBatch, directory: Path, number: int) -> Shard:
    """Write a record batch of SCHEMA as shard `number` of a corpus, and say what its header is to say."""
    crc32 = write_batch(batch, directory / shard_name(number))
    return Shard(shard_name(number), crc32, *_sizes(batch))


def read_shard(directory: Path, shard: Shard, n_lexicon: int) -> pa.RecordBatch:
    """The record batch of a shard, which stays on disk, memory-mapped, and is freed with the last use of it.

    Raises:
        ElmoHelpersError: The file is missing, or has other bytes than were written, or others than fit this corpus.
    """
    path = directory / shard.file
    check_shard(path)
    try:
        source = pa.memory_map(os.fsencode(path))
        if source.read_at(len(_END), max(0, source.size() - len(_END))) != _END:  # it may be endless, and all zeros
            raise damaged(path, "it does not end as a table does")
        if zlib.crc32(source.read_buffer()) != shard.crc32:
            raise damaged(path, "its checksum is another")
        reader = pa.ipc.open_file(source)
        if reader.num_record_batches != 1 or not reader.schema.equals(SCHEMA):
            raise damaged(path, "it is another table")
        batch = reader.get_batch(0)
        batch.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from None
    _check_range(path, "split", batch.column("split"), 0, len(SPLITS))
    _check_range(path, "lexicon ids", batch.column("tokens").values, 1, n_lexicon)
    if _sizes(batch) != (shard.titles, shard.tokens):
        raise damaged(path, f"{batch.num_rows} titles, or their splits and tokens, are not those of its corpus.json")
    return batch


def check_shard(path: Path) -> None:
    """Check that there is a file at `path`, without reading it.

    Raises:
        ElmoHelpersError: There is none, or it is no ordinary file.
    """
    check_ordinary(path)
    if not os.path.isfile(path):
        raise ElmoHelpersError(f"{path} is missing: restore it, or build the corpus again.")


def write_batch(batch: pa.RecordBatch, path: Path) -> int:
    """Write one record batch, not compressed, so that it can be memory-mapped; returns the CRC-32 of the file."""
    with _SummedFile(io.FileIO(path, "w")) as sink:
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return sink.crc32


def read_batch(path: Path) -> pa.RecordBatch:
    """Read into memory what `write_batch` wrote a moment ago."""
    return pa.ipc.open_file(path.read_bytes()).get_batch(0)


def damaged(path: Path, why: object) -> ElmoHelpersError:
    """The error that says that a file of a corpus has changed since it was written."""
    return ElmoHelpersError(f"{path} is not as it was written ({why}): restore it, or build the corpus again.")


class _SummedFile(io.BufferedWriter):
    """A file that knows the CRC-32 of all that has been written to it."""

    crc32 = 0

    def write(self, data: Any) -> int:
        self.crc32 = zlib.crc32(data, self.crc32)
        return super().write(data)


def _sizes(batch: pa.RecordBatch) -> tuple[dict[str, int], dict[str, int]]:
    """Titles and tokens of a batch, in total and by split."""
    splits = batch.column("split").to_numpy()
    lengths = np.diff(batch.column("tokens").offsets.to_numpy())
    sizes = []
    for amounts in (np.ones_like(lengths), lengths):
        by_split = {name: int(amounts[splits == i].sum()) for i, name in enumerate(SPLITS)}
        sizes.append({"total": int(amounts.sum()), **by_split})
    return sizes[0], sizes[1]


def _check_range(path: Path, name: str, column: pa.Array, low: int, high: int) -> None:
    values = column.to_numpy()
    if len(values) and not (values.min() >= low and values.max() < high):
        raise damaged(path, f"{name} {values.min()} to {values.max()}, expected {low} to {high - 1}")
