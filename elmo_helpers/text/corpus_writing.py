"""From files of titles to the shards and tables of a corpus, with one block of titles in memory at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus_building import CorpusBuilder, frame_columns
from elmo_helpers.text.corpus_storage import write_tables
from elmo_helpers.text.shard_files import read_batch, write_batch, write_shard
from elmo_helpers.text.splitting import SPLITS, split_rows
from elmo_helpers.text.title_files import title_blocks
from elmo_helpers.text.titles import clean_titles
from elmo_helpers.text.tokenization import Tokenizer


def write_corpus(
    directory: Path,
    files: dict[str, list[Path]],
    characters: CharacterVocabulary,
    text: TextConfig,
    made_from: dict[str, Any],
    shard_size: int,
    progress: bool,
) -> None:
    """Write a corpus: first all blocks with provisional numbers for words, then, with ids, the shards and the tables.

    Args:
        directory: An empty one.
        files: Those of "titles", and optionally of "valid_titles" and "test_titles".
        characters, text: How words are spelled, and how titles become tokens.
        made_from: What `checked_settings` returned, for the header; `split` may be "files": each row is in the split
            of its file.
        shard_size: Titles of a shard at most.
        progress: Show a progress bar.

    Raises:
        ElmoHelpersError: A file cannot be read, no title is left of one of `files`, or the rows cannot be split.
    """
    tokenizer, builder = Tokenizer(text.tokenizer), CorpusBuilder()
    blocks: list[Path] = []
    splits, dates = [], []  # of each block: with the text on disk, these alone grow with the number of titles
    with tqdm(unit=" titles", desc="corpus", disable=not progress) as bar:
        for frame in _clean_blocks(files, characters.scheme, text.lowercase, shard_size):
            blocks.append(directory / f"block-{len(blocks):05}.arrow")
            write_batch(builder.add(*frame_columns(frame), tokenizer(frame["title"])), blocks[-1])
            splits.append(frame["split"].to_numpy())
            dates.append(frame["date"].to_numpy())
            bar.update(len(frame))

    builder.sort_lexicon()
    if made_from["split"] != "files":
        frame = pd.DataFrame({"date": np.concatenate(dates)})
        drawn = split_rows(frame, made_from["split"], made_from["valid"], made_from["test"], made_from["seed"])
        splits = np.split(drawn, np.cumsum([len(part) for part in splits])[:-1])
    shards = []
    for number, (block, of_rows) in enumerate(zip(blocks, splits, strict=True)):
        shards.append(write_shard(builder.finish(read_batch(block), of_rows), directory, number))
        block.unlink()
    write_tables(builder.tables(characters, text, made_from), shards, directory)


def _clean_blocks(files: dict[str, list[Path]], scheme: str, lowercase: bool, size: int) -> Iterator[pd.DataFrame]:
    """Cleaned titles as frames of at most `size` rows, with the columns title, date and split.

    Small files are put together, so that a thousand of them do not make a thousand shards.
    """
    pieces: list[pd.DataFrame] = []
    n_rows = 0
    for name, split in (("titles", "train"), ("valid_titles", "valid"), ("test_titles", "test")):
        counts: Counter[str] = Counter()
        for path in files.get(name, ()):
            for frame, of_file in title_blocks(path, size):
                frame, report = clean_titles(frame, scheme, lowercase)
                counts.update(dict(zip(report["reason"], report["rows"].tolist(), strict=True)) | of_file)
                if n_rows + len(frame) > size:
                    yield pd.concat(pieces, ignore_index=True)
                    pieces, n_rows = [], 0
                if len(frame):
                    pieces.append(frame.assign(split=np.full(len(frame), SPLITS.index(split), dtype=np.int8)))
                    n_rows += len(frame)
        if name in files and not counts["kept"]:
            raise _nothing_left(files[name], counts)
    yield pd.concat(pieces, ignore_index=True)


def _nothing_left(paths: list[Path], counts: Counter[str]) -> ElmoHelpersError:
    names = ", ".join(map(str, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    dropped = ", ".join(f"{rows} {reason}" for reason, rows in counts.items() if rows and reason != "read")
    cure = "characters of scheme utf8 drop none" if counts["character outside the 69"] else "name another file"
    return ElmoHelpersError(f"{names}: no title is left of {counts['read']} rows ({dropped or 'none'}); {cure}.")
