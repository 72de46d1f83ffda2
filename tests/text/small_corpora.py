"""Small corpora for the tests of this folder."""

import numpy as np
import pandas as pd

from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.splitting import SPLITS

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


def assert_same(one, two):
    """Two corpora are equal in everything that can be asked of them, dtypes included."""
    assert one.titles == two.titles
    for name in ("rows", "dates", "lengths", "lexicon_counts", "characters", "lexicon_to_vocabulary"):
        first, second = getattr(one, name), getattr(two, name)
        assert first.dtype == second.dtype, name
        np.testing.assert_array_equal(first, second)  # to which NaT equals NaT
    for i in range(len(one)):
        assert one.tokens(i).dtype == two.tokens(i).dtype == np.int32
        assert one.words(i) == two.words(i)
    for name in SPLITS:
        assert one.split(name).rows.tolist() == two.split(name).rows.tolist()
    assert one.lexicon == two.lexicon
    assert one.vocabulary == two.vocabulary
    assert one.character_vocabulary == two.character_vocabulary
    assert one.text == two.text
