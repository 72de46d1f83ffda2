"""What a corpus is made of, and how it lies on disk: one Arrow table and, beside it, readable JSON and one .npy."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import read_json, whole_directory, write_json
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.splitting import SPLITS
from elmo_helpers.text.vocabulary import PAD, SPECIALS, UNK, WordVocabulary

LEXICON_SPECIALS = SPECIALS[:3]  # the lexicon knows every word, so it has no <UNK>

# "Large" types count in 64 bits: a billion words is more text than 32 bits can address.
SCHEMA = pa.schema(
    [
        pa.field("date", pa.date32()),
        pa.field("title", pa.large_string(), nullable=False),
        pa.field("split", pa.int8(), nullable=False),
        pa.field("tokens", pa.large_list(pa.field("item", pa.int32(), nullable=False)), nullable=False),
    ]
)

_HEADER = "corpus.json"  # format, settings and sizes; also the mark by which a directory is known as a corpus
_TABLE = "titles.arrow"  # SCHEMA, one record batch, not compressed, so that it can be memory-mapped
_LEXICON = "lexicon.json"  # words and counts by lexicon id
_CHARACTERS = "characters.npy"  # a row of character ids for every lexicon id
_VOCABULARY = "vocabulary.json"  # words and counts by vocabulary id
_FORMAT = {"format": "elmo_helpers corpus", "version": 1}


@dataclass(frozen=True)
class CorpusData:
    """The arrays of a corpus, shared by all of its views."""

    batch: pa.RecordBatch  # one row a title, of SCHEMA
    lexicon: list[str]  # LEXICON_SPECIALS, then the distinct words
    lexicon_counts: NDArray[np.int64]  # (n_lexicon,)
    characters: NDArray[np.integer]  # (n_lexicon, C)
    vocabulary: WordVocabulary
    character_vocabulary: CharacterVocabulary
    text: TextConfig

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each title's ids begin in `ids`, and where the last one's end, (n_titles + 1,)."""
        return self.batch.column("tokens").offsets.to_numpy()

    @cached_property
    def ids(self) -> NDArray[np.int32]:
        """The lexicon ids of all titles, one after another, (n_tokens,)."""
        return self.batch.column("tokens").values.to_numpy()

    @cached_property
    def lexicon_to_vocabulary(self) -> NDArray[np.int64]:
        """The vocabulary id of every lexicon id, (n_lexicon,)."""
        ids = self.vocabulary.ids(self.lexicon)
        # A word of the text that happens to read "<pad>" is a word: no title has padding inside.
        words = ids[len(LEXICON_SPECIALS) :]
        words[words == PAD] = UNK
        return ids

    @property
    def sizes(self) -> dict[str, int]:
        """What the files are checked against when they are read."""
        return {
            "titles": self.batch.num_rows,
            "tokens": len(self.ids),
            "lexicon": len(self.lexicon),
            "vocabulary": len(self.vocabulary),
        }


def save_corpus(data: CorpusData, directory: str | os.PathLike) -> None:
    """Write `data` as a directory, whole or not at all; an earlier corpus there is replaced.

    Raises:
        ElmoHelpersError: `directory` is a file, or holds other things than a corpus.
    """
    header = {
        **_FORMAT,
        "text": dataclasses.asdict(data.text),
        "characters": data.character_vocabulary.to_dict(),
        "sizes": data.sizes,
    }
    with whole_directory(directory, header=_HEADER, format_name=_FORMAT["format"]) as temporary:
        with pa.OSFile(str(temporary / _TABLE), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            writer.write_batch(data.batch)
        write_json(temporary / _LEXICON, {"words": data.lexicon, "counts": data.lexicon_counts.tolist()})
        np.save(temporary / _CHARACTERS, data.characters, allow_pickle=False)
        data.vocabulary.save(temporary / _VOCABULARY)
        write_json(temporary / _HEADER, header)


def load_corpus(directory: str | os.PathLike) -> CorpusData:
    """Read what `save_corpus` wrote; the table and the characters stay on disk, memory-mapped.

    Raises:
        ElmoHelpersError: A file is missing, damaged or not of the same corpus as the others.
    """
    directory = Path(directory)
    if not (directory / _HEADER).is_file():
        raise ElmoHelpersError(f"{directory} is not a corpus: expected a directory with the file {_HEADER}.")
    text, character_vocabulary, sizes = _read_header(directory / _HEADER)
    lexicon, lexicon_counts = _read_lexicon(directory / _LEXICON)
    data = CorpusData(
        batch=_read_table(directory / _TABLE, len(lexicon)),
        lexicon=lexicon,
        lexicon_counts=lexicon_counts,
        characters=_read_characters(directory / _CHARACTERS, len(lexicon), character_vocabulary),
        vocabulary=WordVocabulary.load(directory / _VOCABULARY),
        character_vocabulary=character_vocabulary,
        text=text,
    )
    if data.sizes != sizes:
        raise ElmoHelpersError(
            f"{directory}: the files hold {data.sizes} and {_HEADER} says {sizes}, so they are not of one corpus: "
            "restore them, or build the corpus again."
        )
    return data


def _damaged(path: Path, why: object) -> ElmoHelpersError:
    return ElmoHelpersError(f"{path} is not as it was written ({why}): restore it, or build the corpus again.")


def _read_header(path: Path) -> tuple[TextConfig, CharacterVocabulary, dict[str, Any]]:
    header = read_json(path)
    if not isinstance(header, dict) or header.get("format") != _FORMAT["format"]:
        raise ElmoHelpersError(f"{path} does not belong to a corpus: name a directory that Corpus.save wrote.")
    if header.get("version") != _FORMAT["version"]:
        raise ElmoHelpersError(
            f"{path} is of version {header.get('version')!r} and this library reads version {_FORMAT['version']}: "
            "build the corpus again."
        )
    try:
        text = TextConfig(**header["text"])
        return text, CharacterVocabulary.from_dict(header["characters"]), header["sizes"]
    except (KeyError, TypeError, ElmoHelpersError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from None


def _read_lexicon(path: Path) -> tuple[list[str], NDArray[np.int64]]:
    lexicon = read_json(path)
    words, counts = (lexicon.get("words"), lexicon.get("counts")) if isinstance(lexicon, dict) else (None, None)
    if not isinstance(words, list) or not isinstance(counts, list) or len(words) != len(counts):
        raise _damaged(path, "expected lists named words and counts, of one length")
    if tuple(words[:3]) != LEXICON_SPECIALS or not all(isinstance(word, str) for word in words):
        raise _damaged(path, f"expected words, {', '.join(LEXICON_SPECIALS)} first")
    distinct = words[len(LEXICON_SPECIALS) :]  # a word that reads "<pad>" may be among them
    if len(set(distinct)) < len(distinct):
        raise _damaged(path, "a word stands there twice")
    if not all(type(count) is int and 0 <= count < 2**63 for count in counts):
        raise _damaged(path, "expected whole numbers of at least 0 as counts")
    return words, np.array(counts, dtype=np.int64)


def _read_characters(path: Path, n_lexicon: int, vocabulary: CharacterVocabulary) -> NDArray[np.integer]:
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ElmoHelpersError(f"{path} is missing: restore it, or build the corpus again.") from None
    except Exception as error:  # a damaged header ends in more ways than NumPy documents
        raise _damaged(path, error) from None
    expected = (n_lexicon, vocabulary.max_characters)
    if rows.shape != expected or rows.dtype != vocabulary.dtype:
        raise _damaged(path, f"shape {rows.shape} {rows.dtype}, expected {expected} {np.dtype(vocabulary.dtype)}")
    if rows.min() < 0 or rows.max() >= vocabulary.size:
        raise _damaged(path, f"character ids {rows.min()} to {rows.max()}, expected 0 to {vocabulary.size - 1}")
    return rows


def _read_table(path: Path, n_lexicon: int) -> pa.RecordBatch:
    if not path.is_file():
        raise ElmoHelpersError(f"{path} is missing: restore it, or build the corpus again.")
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        if reader.num_record_batches != 1 or not reader.schema.equals(SCHEMA):
            raise _damaged(path, "it is another table")
        batch = reader.get_batch(0)
        batch.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    _check_range(path, "split", batch.column("split"), 0, len(SPLITS))
    _check_range(path, "lexicon ids", batch.column("tokens").values, 1, n_lexicon)
    return batch


def _check_range(path: Path, name: str, column: pa.Array, low: int, high: int) -> None:
    values = column.to_numpy()
    if len(values) and not (values.min() >= low and values.max() < high):
        raise _damaged(path, f"{name} {values.min()} to {values.max()}, expected {low} to {high - 1}")
