"""All of preprocessing in one call: files of titles become a corpus on disk."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from elmo_helpers.checks import flag, whole_number
from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import check_ordinary, path_of
from elmo_helpers.locks import BeingMadeError
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.corpus_building import checked_settings
from elmo_helpers.text.corpus_storage import HEADER, corpus_directory
from elmo_helpers.text.corpus_writing import write_corpus
from elmo_helpers.text.shards import CorpusShards
from elmo_helpers.text.title_files import BLOCK, Files, title_files
from elmo_helpers.text.title_rows import table_kind
from elmo_helpers.text.titles import default_titles

_PAUSE = 0.2  # seconds between two looks at what another process is making

_DEFAULTS: dict[str, Any] = {
    "min_count": 3,
    "max_size": None,
    "split": "document",
    "valid": 0.05,
    "test": 0.05,
    "seed": 0,
}


def prepare_corpus(
    titles: Files,
    directory: str | os.PathLike[str],
    *,
    valid_titles: Files | None = None,
    test_titles: Files | None = None,
    characters: CharacterVocabulary | None = None,
    text: TextConfig | None = None,
    min_count: int | None = None,
    max_size: int | None = None,
    split: str | None = None,
    valid: float | None = None,
    test: float | None = None,
    seed: int | None = None,
    shard_size: int = BLOCK,
    shards: bool = False,
    progress: bool = False,
) -> Corpus | CorpusShards:
    """The corpus in `directory`; where there is none, it is made from the files of titles first, and saved there.

    Memory grows with the number of distinct words, and by some bytes a title, never with the text: titles are read,
    cleaned and cut into tokens in blocks, and each block becomes a shard. A corpus that lies there is loaded, unless
    one of the files is newer; it must have been made as asked for. Remove the directory to have it made anew. While
    another process is making it, this one waits.

    Args:
        titles: A file as `read_titles` takes it, a pattern such as "news/*.txt.gz", or a list of such. Where it is one
            `.csv` that is missing, the default corpus is written there.
        directory: Where the corpus lies or is to lie.
        valid_titles, test_titles: Files of your own for validation and test. With either, no split is drawn: all of
            `titles` is for training, and a split for which there are no files is empty.
        characters: How words are spelled in ids. None: the `tutorial` scheme, or what the corpus has.
        text: How titles become tokens. None: the defaults, or what the corpus has.
        min_count: Words that the training rows have less often are `<UNK>` to the softmax. None: 3, or what the corpus
            was made with.
        max_size, split, valid, test, seed: As in `Corpus.build`. None: its defaults, or what the corpus was made with.
        shard_size: Titles of a shard at most. So many are in memory at a time.
        shards: Return the corpus in pieces, for one that is larger than memory.
        progress: Show a progress bar.

    Raises:
        ElmoHelpersError: A file or the directory cannot be used, no title is left, or the corpus that is there was
            made from other files or with other settings than those asked for.
    """
    shard_size = whole_number("shard_size", shard_size, 1)
    load = CorpusShards.load if flag("shards", shards) else Corpus.load
    beside = {"valid_titles": valid_titles, "test_titles": test_titles}
    files = {"titles": title_files("titles", titles)}
    files |= {name: title_files(name, value) for name, value in beside.items() if value is not None}
    names = {name: [path.name for path in files[name]] if name in files else None for name in ("titles", *beside)}
    settings = {"min_count": min_count, "max_size": max_size, "split": split, "valid": valid, "test": test}
    settings["seed"] = seed
    made = path_of("directory", directory) / HEADER

    def there() -> Corpus | CorpusShards | None:
        if not os.path.isfile(made) or _is_newer(files, made):
            return None
        corpus = load(directory)
        made_with = {**corpus.made_from, "characters": corpus.character_vocabulary, "text": corpus.text}
        _refuse_others(directory, made_with, {**names, **settings, "characters": characters, "text": text})
        return corpus

    if (corpus := there()) is not None:
        return corpus
    if isinstance(titles, str | os.PathLike):
        path = Path(titles)
        if files["titles"] == [path] and path.suffix.lower() == ".csv":
            default_titles(path)
    _check_files(files)
    to_make = _with_defaults(settings, own_splits=len(files) > 1) | names
    spelling, cleaning = characters or CharacterVocabulary(), text or TextConfig()
    while (corpus := there()) is None:
        try:
            with corpus_directory(directory) as temporary:
                write_corpus(temporary, files, spelling, cleaning, to_make, shard_size, progress)
        except BeingMadeError:  # by another notebook, say, that has just been started, too
            time.sleep(_PAUSE)
        else:
            return load(directory)  # also where a file is dated later than now
    return corpus


def _is_newer(files: dict[str, list[Path]], made: Path) -> bool:
    """Whether any of the files is newer than the corpus; those that are gone are not."""
    paths = [path for part in files.values() for path in part if os.path.isfile(path)]
    return any(path.stat().st_mtime > made.stat().st_mtime for path in paths)


def _refuse_others(directory: str | os.PathLike[str], there: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse a corpus that is `there` with other settings than those `asked` for; None asks for nothing."""
    for name, wanted in asked.items():
        # A corpus that Corpus.save wrote does not know its files.
        if wanted is not None and name in there and there[name] != wanted:
            raise ElmoHelpersError(
                f"{directory} holds a corpus made with {name}={there[name]!r}, and {wanted!r} is asked for: remove the "
                "directory to have it made anew, or name another one."
            )


def _check_files(files: dict[str, list[Path]]) -> None:
    """Refuse, before hours of work, a file that cannot be read, or one that would be trained and tested on."""
    named: dict[str, str] = {}
    for name, paths in files.items():
        for path in paths:
            check_ordinary(path)
            table_kind(path)
            if not os.path.isfile(path):
                what = "no file" if os.path.exists(path) else "missing"
                raise ElmoHelpersError(f"{name}: {path} is {what}; name files that are there.")
            other = named.setdefault(os.path.realpath(path), name)
            if other != name:
                raise ElmoHelpersError(f"{path} is among {other} and among {name}: name it once.")


def _with_defaults(asked: dict[str, Any], own_splits: bool) -> dict[str, Any]:
    """All settings, checked. With files for validation or test, no share is drawn."""
    settings = checked_settings(**{name: _DEFAULTS[name] if v is None else v for name, v in asked.items()})
    if own_splits:
        for name in ("split", "valid", "test"):
            if asked[name]:
                raise ElmoHelpersError(
                    f"{name}={asked[name]!r}: nothing is drawn from titles where valid_titles or test_titles are "
                    f"given; leave {name} out."
                )
        settings |= {"split": "files", "valid": 0.0, "test": 0.0}
    return settings
