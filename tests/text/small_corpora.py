"""Small corpora for the tests of this folder."""

import pandas as pd

from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus import Corpus

TITLES = ["the cat sat on the mat", "a dog ran", "the dog sat", "the end", "a cat and a dog", "mat"]
DAYS = ["2001-01-01", "2001-01-02", "2001-01-03", "2001-01-04", "2001-01-05", "2001-01-06"]
EMOJI = ["👩‍👩‍👧‍👦", "😀", "naïve", "日本語"]


def frame_of(titles, dates=None):
    dates = [None] * len(titles) if dates is None else dates
    return pd.DataFrame({"title": titles, "date": pd.to_datetime(pd.Series(dates, dtype="object"))})


def corpus_of(titles, dates=None, scheme="tutorial", **settings):
    """A corpus of titles (text or lists of words), all of them for training."""
    words = [title.split() if isinstance(title, str) else title for title in titles]
    frame = frame_of([title if isinstance(title, str) else " ".join(title) for title in titles], dates)
    return Corpus.build(frame, words, CharacterVocabulary(scheme, 10), **({"valid": 0, "test": 0} | settings))
