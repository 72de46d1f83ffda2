from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_corpora import DAYS, EMOJI, TITLES, corpus_of, frame_of

from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus import Corpus


@pytest.fixture
def corpus():
    return corpus_of(TITLES, DAYS)


def padded_by_loop(corpus, length=None):
    """Lexicon ids with boundaries, made title by title; a word that reads "<pad>" is not padding."""
    titles = [[corpus.lexicon.index(word, 1) for word in corpus.words(i)] for i in range(len(corpus))]
    length = length or max(len(title) for title in titles) + 2
    padded = []
    for title in titles:
        ids = [1, *title[: length - 2], 2]
        padded.append(ids + [0] * (length - len(ids)))
    return padded


# What a corpus holds


def test_lexicon_is_by_falling_count_then_code_point(corpus):
    assert " ".join(corpus.lexicon) == "<pad> <S> </S> the a dog cat mat sat and end on ran"
    assert corpus.lexicon_counts.tolist() == [0, 6, 6, 4, 3, 3, 2, 2, 2, 1, 1, 1, 1]
    assert corpus.lexicon_counts.dtype == np.int64
    assert corpus_of([["b", "B", "ä", "a", "😀"]], scheme="utf8").lexicon[3:] == ["B", "a", "b", "ä", "😀"]


def test_titles_words_dates_and_lengths(corpus):
    assert len(corpus) == 6
    assert corpus.titles == TITLES
    assert [" ".join(corpus.words(i)) for i in range(6)] == TITLES
    assert corpus.tokens(3).tolist() == [3, 10]
    assert corpus.lengths.tolist() == [6, 3, 3, 2, 5, 1]
    assert corpus.lengths.dtype == np.int64
    assert corpus.n_tokens == 20
    assert corpus.dates.tolist() == [np.datetime64(day).item() for day in DAYS]
    assert corpus.dates.dtype == "datetime64[D]"
    assert corpus.text == TextConfig()


def test_tokens_share_the_memory_of_the_corpus(corpus):
    assert np.shares_memory(corpus.tokens(0), corpus.select([0]).tokens(0))
    with pytest.raises(ValueError, match="read-only"):
        corpus.tokens(0)[0] = 5


@pytest.mark.parametrize("scheme", ["tutorial", "utf8"])
def test_every_word_has_its_row_of_characters(scheme):
    corpus = corpus_of(TITLES, scheme=scheme)
    characters = corpus.character_vocabulary
    assert characters == CharacterVocabulary(scheme, 10)
    assert corpus.characters.dtype == characters.dtype
    assert corpus.characters[:3].tolist() == characters.boundary_rows.tolist()
    for word, row in zip(corpus.lexicon[3:], corpus.characters[3:], strict=True):
        assert row.tolist() == characters.encode([word])[0].tolist()
        assert row.any()


def test_vocabulary_is_counted_on_training_rows_alone():
    corpus = corpus_of(TITLES, DAYS, split="date", valid=0.15, test=0.3)
    assert corpus.split("train").titles == TITLES[:3]
    assert corpus.split("valid").titles == TITLES[3:4]
    counts = Counter(word for title in TITLES[:3] for word in title.split())
    assert dict(zip(corpus.vocabulary.words[4:], corpus.vocabulary.counts[4:].tolist(), strict=True)) == counts
    assert corpus.vocabulary.words[4:7] == ["the", "dog", "sat"]
    assert corpus.vocabulary.counts[:4].tolist() == [0, 3, 3, 0]  # three titles begin and end
    assert "end" not in corpus.vocabulary
    assert "end" in corpus.lexicon
    names = {word: corpus.vocabulary[corpus.lexicon_to_vocabulary[i]] for i, word in enumerate(corpus.lexicon)}
    assert names["end"] == names["and"] == "<UNK>"
    assert all(names[word] == word for word in ["<pad>", "<S>", "</S>", *counts])


def test_bounds_of_the_vocabulary_and_its_coverage_by_hand():
    corpus = corpus_of(TITLES, min_count=2)
    assert corpus.vocabulary.words[4:] == ["the", "a", "dog", "cat", "mat", "sat"]
    assert corpus.vocabulary.coverage == 16 / 20  # all but and, end, on, ran
    assert corpus_of(TITLES, max_size=1).vocabulary.coverage == 4 / 20
    assert len(corpus.lexicon) == 13  # the input side keeps every word


def test_tokens_that_read_like_specials():
    corpus = corpus_of(["<S> one </S> <UNK> <pad>", "<pad>"], scheme="utf8")
    assert corpus.tokens(0)[[0, 2]].tolist() == [1, 2]
    assert corpus.lexicon_counts[:3].tolist() == [0, 3, 3]
    assert corpus.padded_tokens()[0].tolist() == [1, 1, 4, 2, 3, 3, 2]
    assert corpus.vocabulary.words[4:] == ["one"]
    assert corpus.vocabulary.counts.tolist() == [0, 3, 3, 3, 1]
    # Padding is never inside a title: a word that reads "<pad>" is a word.
    assert corpus.words(1) == ["<pad>"]
    assert corpus.tokens(1).min() > 2
    assert corpus.characters[corpus.tokens(1)].any()


def test_unknown_words_of_the_text_are_unknown_to_the_softmax():
    corpus = corpus_of(["the <unk> and the <UNK>", "<unk>"], scheme="utf8")
    assert corpus.lexicon[3:] == ["<unk>", "the", "<UNK>", "and"]  # as they are spelled
    assert corpus.words(0) == ["the", "<unk>", "and", "the", "<UNK>"]
    assert corpus.vocabulary.words[4:] == ["the", "and"]
    assert corpus.vocabulary.counts.tolist() == [0, 2, 2, 3, 2, 1]
    assert corpus.padded_tokens()[0].tolist() == [1, 4, 3, 5, 4, 3, 2]
    assert corpus.vocabulary.coverage == 3 / 6


# Batches


@pytest.mark.parametrize("length", [None, 2, 3, 5, 8, 20])
def test_padded_arrays_equal_a_loop(corpus, length):
    expected = padded_by_loop(corpus, length)
    tokens = corpus.padded_tokens(length=length)
    characters = corpus.padded_characters(length=length)
    assert tokens.dtype == np.int64
    assert tokens.tolist() == [[corpus.vocabulary.id(corpus.lexicon[i]) for i in title] for title in expected]
    assert characters.dtype == corpus.character_vocabulary.dtype
    assert characters.tolist() == [[corpus.characters[i].tolist() for i in title] for title in expected]
    assert ((tokens > 0) == characters.any(axis=2)).all()  # aligned position by position


def test_cut_titles_keep_their_end(corpus):
    tokens = corpus.padded_tokens([0], length=4)[0]
    assert [corpus.vocabulary[i] for i in tokens] == ["<S>", "the", "cat", "</S>"]


@pytest.mark.parametrize("length", [1, 0, -3])
def test_a_length_without_room_for_boundaries_is_refused(corpus, length):
    with pytest.raises(ElmoHelpersError, match=f"length={length}"):
        corpus.padded_tokens(length=length)


@pytest.mark.parametrize("indices", [[4, 0, 0, -1], np.array([5]), slice(1, 4), range(2), [], np.arange(6) % 2 == 0])
def test_token_batch_equals_a_loop(corpus, indices):
    ids, lengths = corpus.token_batch(indices)
    chosen = corpus.select(indices)
    expected = padded_by_loop(chosen) if len(chosen) else np.zeros((0, 2))
    assert np.array_equal(ids, expected)
    assert ids.shape == (len(chosen), chosen.lengths.max(initial=0) + 2)
    assert lengths.tolist() == [len(chosen.words(i)) + 2 for i in range(len(chosen))]
    assert (ids.dtype, lengths.dtype) == (np.int32, np.int64)


def test_a_title_out_of_range_is_an_index_error(corpus):
    for ask in (corpus.tokens, corpus.words, lambda i: corpus.token_batch([i]), lambda i: corpus.select([i])):
        with pytest.raises(IndexError):
            ask(6)


# Views


def test_views_keep_row_numbers_and_share_everything():
    corpus = corpus_of(TITLES, DAYS, split="date", valid=0.3, test=0.3)
    test = corpus.split("test")
    assert test.rows.tolist() == [4, 5]
    assert test.dates.tolist() == corpus.dates[4:].tolist()
    assert test.lengths.tolist() == [5, 1]
    assert test.n_tokens == 6
    assert test.words(1) == ["mat"]
    assert test.token_batch([1])[0].tolist() == [[1, corpus.lexicon.index("mat"), 2]]
    assert test.select([1, 0]).titles == [TITLES[5], TITLES[4]]
    assert test.select([1]).rows.tolist() == [5]
    assert test.split("train").rows.tolist() == []
    assert test.lexicon is corpus.lexicon
    assert test.characters is corpus.characters


def test_an_unknown_split_is_refused(corpus):
    with pytest.raises(ElmoHelpersError, match="split='dev': expected one of train, valid, test"):
        corpus.split("dev")


# Odd titles


def test_one_title_of_one_word():
    corpus = corpus_of(["home"])
    assert corpus.padded_tokens().tolist() == [[1, 4, 2]]
    assert corpus.split("train").titles == ["home"]
    assert len(corpus.split("test")) == 0
    assert corpus.split("test").padded_characters().shape == (0, 2, 10)


def test_a_long_title_beside_short_and_empty_ones():
    long = [f"w{i}" for i in range(400)]
    corpus = corpus_of([["a"], long, [], ["a", "b"]])
    ids, lengths = corpus.token_batch([0, 1, 2, 3])
    assert ids.shape == (4, 402)
    assert lengths.tolist() == [3, 402, 2, 4]
    assert ids[2, :3].tolist() == [1, 2, 0]
    assert corpus.words(1) == long
    assert corpus.words(2) == []


def test_a_corpus_without_any_word():
    corpus = corpus_of([[], []])
    assert corpus.padded_tokens().tolist() == [[1, 2], [1, 2]]
    assert corpus.n_tokens == 0
    assert corpus.lexicon == ["<pad>", "<S>", "</S>"]


def test_emoji_need_the_utf8_characters():
    assert corpus_of([EMOJI], scheme="utf8").words(0) == EMOJI
    with pytest.raises(ElmoHelpersError, match="😀"):
        corpus_of([["😀"]])


def test_undated_titles():
    dates = corpus_of(["a", "b"], ["1790-01-08", None]).dates
    assert dates[0] == np.datetime64("1790-01-08")
    assert np.isnat(dates[1])
    assert dates.dtype == "datetime64[D]"


def test_tokens_are_read_once_as_they_come(capsys):
    corpus = Corpus.build(
        frame_of(TITLES), (title.split() for title in TITLES), CharacterVocabulary(), valid=0, test=0, progress=True
    )
    assert corpus.titles == TITLES
    assert "6/6" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("frame", "tokens", "message"),
    [
        (pd.DataFrame({"title": ["a"]}), [["a"]], "lacks the column date"),
        (pd.DataFrame({"date": [pd.NaT]}), [["a"]], r"lacks the column title; it has \['date'\]"),
        (frame_of([]), [], "no rows"),
        (pd.DataFrame({"title": ["a"], "date": ["2001-01-01"]}), [["a"]], "expected datetime64"),
        (frame_of(["a", None]), [["a"], []], "title in row 1"),
        (frame_of(pd.Series(["a", "b\ud800"], dtype="object")), [["a"], ["b"]], r"title in row 1 is 'b\\ud800'"),
        (frame_of(["a", "b"]), [["a"]], "2 titles and 1 lists of tokens"),
        (frame_of(["a"]), [["a"], ["b"]], "1 titles and 2 lists of tokens"),
        (frame_of(["a", "b"]), ["a", "b"], "row 0 are one string"),
        (frame_of(["a", "b", "c"]), [[], ["b"], ["c", ""]], "token of row 2 is ''"),
        (frame_of(["a", "b"]), [["a"], [3]], "token of row 1 is 3"),
        (frame_of(["a", "b"]), [["a"], ["b", ["c"]]], r"tokens: row 1\[1\] is \['c'\]"),
        (frame_of(["a", "b"]), [["a"], None], "tokens: row 1 is None"),
        (frame_of(["a", "b"]), [["a"], {"b"}], "tokens: row 1 is {'b'}"),
        (frame_of(["a", "b"]), None, "tokens is None"),
        (frame_of(["a", "b"]), "ab", "tokens is one string"),
        (None, [["a"]], "titles=None: expected a table"),
        (["a"], [["a"]], "titles=.*: expected a table"),
        (frame_of(["a", "b"]), [["a"], ["b\ud800"]], r"token of row 1 is 'b\\ud800'"),
    ],
)
def test_unusable_input_is_refused(frame, tokens, message):
    with pytest.raises(ElmoHelpersError, match=message):
        Corpus.build(frame, tokens, CharacterVocabulary(), valid=0, test=0)


@settings(deadline=None)
@given(st.lists(st.lists(st.text(min_size=1, max_size=12), max_size=6), min_size=1, max_size=8))
@example([["<pad>"]])
@example([["<S>", "</S>", "<UNK>", "<pad>", "<pad>"], ["<UNK>"]])
def test_any_words_come_back_as_they_were(titles):
    corpus = corpus_of(titles, scheme="utf8")
    assert [corpus.words(i) for i in range(len(titles))] == titles
    counts = Counter(word for title in titles for word in title)
    assert corpus.n_tokens == counts.total()
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    assert [(word, n) for word, n in ordered if word not in ("<S>", "</S>")] == list(
        zip(corpus.lexicon[3:], corpus.lexicon_counts[3:].tolist(), strict=True)
    )
    assert corpus.token_batch(range(len(titles)))[0].tolist() == padded_by_loop(corpus)
    assert ((corpus.padded_tokens() > 0) == corpus.padded_characters().any(axis=2)).all()


def test_indices_that_are_none(corpus):
    for wrong in (5, [1.0], [[0, 1]], [[0], [1, 2]], "cat", ["cat"], [None], {1}, {1: 2}, iter([1])):
        with pytest.raises(ElmoHelpersError, match="indices: expected"):
            corpus.select(wrong)


@pytest.mark.parametrize("wrong", [None, ["a"], {"a": 1}, "vocabulary.json"])
def test_what_is_no_vocabulary(corpus, wrong):
    with pytest.raises(ElmoHelpersError, match=r"vocabulary=.*: expected a WordVocabulary"):
        corpus.with_vocabulary(wrong)


def test_settings_of_the_wrong_kind():
    for arguments, name in (((None,), "characters=None"), ((CharacterVocabulary(), "en"), "text='en'")):
        with pytest.raises(ElmoHelpersError, match=name):
            Corpus.build(frame_of(["a"]), [["a"]], *arguments)
