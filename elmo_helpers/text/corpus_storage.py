"""How a corpus lies on disk: its titles as Arrow files and, beside them, readable JSON and one .npy."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import check_ordinary, path_of, read_json, whole_directory, write_json, writing
from elmo_helpers.locks import only_one
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.shard_files import Shard, damaged, read_shard
from elmo_helpers.text.vocabulary import PAD, SPECIALS, UNK, WordVocabulary

LEXICON_SPECIALS = SPECIALS[:3]  # the lexicon knows every word, so it has no <UNK>
HEADER = "corpus.json"  # format, settings, sizes and shards; also the mark by which a directory is known as a corpus

_LEXICON = "lexicon.json"  # words and counts by lexicon id
_CHARACTERS = "characters.npy"  # a row of character ids for every lexicon id
_VOCABULARY = "vocabulary.json"  # words and counts by vocabulary id
_FORMAT, _VERSION = "elmo_helpers corpus", 2
_is_titles_file = re.compile(r"titles(-\d{5,})?\.arrow").fullmatch  # without a number: version 1


@dataclass(frozen=True)
class CorpusTables:
    """What the ids of a corpus stand for, and how it was made: shared by all of its views and shards."""

    lexicon: list[str]  # LEXICON_SPECIALS, then the distinct words
    lexicon_counts: NDArray[np.int64]  # (n_lexicon,)
    characters: NDArray[np.integer]  # (n_lexicon, C)
    vocabulary: WordVocabulary
    character_vocabulary: CharacterVocabulary
    text: TextConfig
    made_from: dict[str, Any]  # settings, and the names of the files of titles where they are known

    @cached_property
    def lexicon_to_vocabulary(self) -> NDArray[np.int64]:
        """The vocabulary id of every lexicon id, (n_lexicon,)."""
        ids = self.vocabulary.ids(self.lexicon)
        # A word of the text that happens to read "<pad>" is a word: no title has padding inside.
        words = ids[len(LEXICON_SPECIALS) :]
        words[words == PAD] = UNK
        return ids


@dataclass(frozen=True)
class CorpusData:
    """The titles of a corpus or of one shard, with the tables that their ids refer to."""

    batch: pa.RecordBatch  # one row a title, of SCHEMA
    tables: CorpusTables

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each title's ids begin in `ids`, and where the last one's end, (n_titles + 1,)."""
        offsets: NDArray[np.int64] = self.batch.column("tokens").offsets.to_numpy()
        return offsets

    @cached_property
    def ids(self) -> NDArray[np.int32]:
        """The lexicon ids of all titles, one after another, (n_tokens,)."""
        ids: NDArray[np.int32] = self.batch.column("tokens").values.to_numpy()
        return ids


@contextmanager
def corpus_directory(directory: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty directory to write a corpus in; it takes the place of `directory` only if the block succeeds.

    Raises:
        ElmoHelpersError: `directory` is a file, holds other things than a corpus, or is being written by another
            process.
    """
    path = Path(os.path.realpath(path_of("directory", directory)))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with (
        only_one(path.parent / f".{path.name}.lock", path),
        # An earlier corpus may have had more shards.
        whole_directory(path, header=HEADER, format_name=_FORMAT, is_ours=_is_titles_file) as temporary,
    ):
        yield temporary


def write_tables(tables: CorpusTables, shards: list[Shard], directory: Path) -> None:
    """Write all but the shards, which lie in `directory` already."""
    write_json(directory / _LEXICON, {"words": tables.lexicon, "counts": tables.lexicon_counts.tolist()})
    np.save(directory / _CHARACTERS, tables.characters, allow_pickle=False)
    write_json(directory / _VOCABULARY, tables.vocabulary.to_dict())
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "text": dataclasses.asdict(tables.text),
        "characters": tables.character_vocabulary.to_dict(),
        "made_from": tables.made_from,
        "sizes": _sizes(tables, shards),
        "shards": [dataclasses.asdict(shard) for shard in shards],
    }
    write_json(directory / HEADER, header)


def read_tables(directory: str | os.PathLike[str]) -> tuple[CorpusTables, list[Shard]]:
    """Read all but the shards; the characters stay on disk, memory-mapped.

    Raises:
        ElmoHelpersError: A file is missing, damaged or not of the same corpus as the others.
    """
    directory = path_of("directory", directory)
    check_ordinary(directory / HEADER)
    if not os.path.isfile(directory / HEADER):
        raise ElmoHelpersError(f"{directory} is not a corpus: expected a directory with the file {HEADER}.")
    header = _read_header(directory / HEADER)
    lexicon, lexicon_counts = _read_lexicon(directory / _LEXICON)
    tables = CorpusTables(
        lexicon=lexicon,
        lexicon_counts=lexicon_counts,
        characters=_read_characters(directory / _CHARACTERS, len(lexicon), header["characters"]),
        vocabulary=WordVocabulary.load(directory / _VOCABULARY),
        character_vocabulary=header["characters"],
        text=header["text"],
        made_from=header["made_from"],
    )
    if (sizes := _sizes(tables, header["shards"])) != header["sizes"]:
        raise ElmoHelpersError(
            f"{directory}: the files hold {sizes} and {HEADER} says {header['sizes']}, so they are not of one corpus: "
            "restore them, or build the corpus again."
        )
    return tables, header["shards"]


def read_corpus(directory: str | os.PathLike[str]) -> CorpusData:
    """A whole corpus: of one shard memory-mapped, of several put together in memory.

    Raises:
        ElmoHelpersError: A file is missing, damaged or not of the same corpus as the others.
    """
    tables, shards = read_tables(directory)
    batches = [read_shard(Path(directory), shard, len(tables.lexicon)) for shard in shards]
    return CorpusData(batches[0] if len(batches) == 1 else pa.concat_batches(batches), tables)


def _sizes(tables: CorpusTables, shards: list[Shard]) -> dict[str, int]:
    """What the files are checked against when they are read."""
    return {
        "titles": sum(shard.titles["total"] for shard in shards),
        "tokens": sum(shard.tokens["total"] for shard in shards),
        "lexicon": len(tables.lexicon),
        "vocabulary": len(tables.vocabulary),
    }


def _read_header(path: Path) -> dict[str, Any]:
    header = read_json(path)
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise ElmoHelpersError(f"{path} does not belong to a corpus: name a directory that Corpus.save wrote.")
    if header.get("version") != _VERSION:
        raise ElmoHelpersError(
            f"{path} is of version {header.get('version')!r} and this library reads version {_VERSION}: "
            "remove the directory and build the corpus again."
        )
    try:
        shards = [Shard.from_dict(entry, number) for number, entry in enumerate(header["shards"])]
        if not shards or not isinstance(header["made_from"], dict):
            raise ValueError("expected at least one shard, and what the corpus was made from")
        return {
            "text": TextConfig(**header["text"]),
            "characters": CharacterVocabulary.from_dict(header["characters"]),
            "made_from": header["made_from"],
            "sizes": header["sizes"],
            "shards": shards,
        }
    except (KeyError, TypeError, ValueError, ElmoHelpersError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from None


def _read_lexicon(path: Path) -> tuple[list[str], NDArray[np.int64]]:
    lexicon = read_json(path)
    words, counts = (lexicon.get("words"), lexicon.get("counts")) if isinstance(lexicon, dict) else (None, None)
    if not isinstance(words, list) or not isinstance(counts, list) or len(words) != len(counts):
        raise damaged(path, "expected lists named words and counts, of one length")
    if tuple(words[:3]) != LEXICON_SPECIALS or not all(isinstance(word, str) for word in words):
        raise damaged(path, f"expected words, {', '.join(LEXICON_SPECIALS)} first")
    distinct = words[len(LEXICON_SPECIALS) :]  # a word that reads "<pad>" may be among them
    if len(set(distinct)) < len(distinct):
        raise damaged(path, "a word stands there twice")
    if not all(type(count) is int and 0 <= count < 2**63 for count in counts):
        raise damaged(path, "expected whole numbers of at least 0 as counts")
    return words, np.array(counts, dtype=np.int64)


def _read_characters(path: Path, n_lexicon: int, vocabulary: CharacterVocabulary) -> NDArray[np.integer]:
    check_ordinary(path)
    try:
        # Of one array; np.load would take other files, too.
        rows: NDArray[np.integer] = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise ElmoHelpersError(f"{path} is missing: restore it, or build the corpus again.") from None
    except Exception as error:  # a damaged header ends in more ways than NumPy documents
        raise damaged(path, error) from None
    expected = (n_lexicon, vocabulary.max_characters)
    if rows.shape != expected or rows.dtype != vocabulary.dtype:
        raise damaged(path, f"shape {rows.shape} {rows.dtype}, expected {expected} {np.dtype(vocabulary.dtype)}")
    if rows.min() < 0 or rows.max() >= vocabulary.size:
        raise damaged(path, f"character ids {rows.min()} to {rows.max()}, expected 0 to {vocabulary.size - 1}")
    return rows
