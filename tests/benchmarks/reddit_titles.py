"""The corpus that training is measured on: dated titles, the newest held out, with the original's vocabulary size."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

from elmo_helpers import CharacterVocabulary, CorpusShards, prepare_corpus

N_HELD_OUT = 10_000  # the newest titles are test, as many before them valid
N_WORDS = 94_297  # the original's vocabulary; a smaller corpus has fewer


def prepare(titles: Path, directory: Path, scheme: str = "tutorial") -> CorpusShards:
    """The corpus of a CSV of titles, made in `directory` where it is not there yet.

    All but the newest 20,000 titles are for training. All words are in lower case.
    """
    parts = {name: directory / f"{name}.csv" for name in ("train", "valid", "test")}
    if not all(path.is_file() for path in parts.values()):
        directory.mkdir(parents=True, exist_ok=True)
        open_text = gzip.open if titles.suffix == ".gz" else open
        with open_text(titles, "rt", encoding="utf-8", newline="") as stream:
            rows = sorted(((row["date"], row["title"]) for row in csv.DictReader(stream)), key=lambda row: row[0])
        n = min(N_HELD_OUT, len(rows) // 10)
        for name, some in (("train", rows[: -2 * n]), ("valid", rows[-2 * n : -n]), ("test", rows[-n:])):
            with parts[name].open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream).writerows([("date", "title"), *some])
    return prepare_corpus(
        parts["train"],
        directory / scheme,
        valid_titles=parts["valid"],
        test_titles=parts["test"],
        characters=CharacterVocabulary(scheme, 30 if scheme == "tutorial" else 50),
        min_count=1,
        max_size=N_WORDS - 4,
        shards=True,
    )
