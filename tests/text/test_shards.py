import gc
import shutil
import weakref

import numpy as np
import pyarrow as pa
import pytest

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.preparation import prepare_corpus
from elmo_helpers.text.shards import CorpusShards
from elmo_helpers.text.splitting import SPLITS

SHARED = ["vocabulary", "lexicon", "lexicon_counts", "characters", "lexicon_to_vocabulary", "character_vocabulary"]
SHARED += ["text", "made_from"]


@pytest.fixture
def directory(tmp_path):
    """Five shards, of which the last is small; the newest days, and so the last shards, are valid and test."""
    rows = [f"the old dog{n % 7} saw {'a bird and ' * (n % 3)}{n},2001-01-{n // 4 + 1:02}" for n in range(90)]
    (tmp_path / "titles.csv").write_text("title,date\n" + "\n".join(rows))
    prepare_corpus(
        tmp_path / "titles.csv", tmp_path / "corpus", shard_size=20, split="date", valid=0.1, test=0.2, min_count=1
    )
    return tmp_path / "corpus"


@pytest.fixture
def shards(directory):
    return CorpusShards.load(directory)


def views(shards, corpus):
    """Each view of the shards beside the same view of the whole corpus."""
    return [(shards, corpus), *((shards.split(name), corpus.split(name)) for name in SPLITS)]


def test_shards_together_are_the_corpus(directory, shards):
    whole = Corpus.load(directory)
    assert [len(shard) for shard in shards] == [20, 20, 20, 20, 10]
    for pieces, corpus in views(shards, whole):
        assert len(corpus)
        parts = list(pieces)
        assert [title for part in parts for title in part.titles] == corpus.titles
        for name in ("dates", "lengths"):
            np.testing.assert_array_equal(
                np.concatenate([getattr(part, name) for part in parts]), getattr(corpus, name)
            )
        ids = [part.tokens(i).tolist() for part in parts for i in range(len(part))]
        assert ids == [corpus.tokens(i).tolist() for i in range(len(corpus))]
        assert pieces.n_titles == len(corpus)
        assert pieces.n_tokens == corpus.n_tokens
        assert pieces.sizes == [(len(part), part.n_tokens) for part in parts]
        assert all(type(size) is int for sizes in pieces.sizes for size in sizes)


def test_shards_without_a_title_of_a_split_are_left_out(shards):
    assert {name: len(shards.split(name)) for name in SPLITS} == {"train": 4, "valid": 1, "test": 2}
    assert len(shards.split("train").split("train")) == 4
    nothing = shards.split("train").split("test")
    assert (len(nothing), nothing.sizes, nothing.n_titles, nothing.n_tokens, list(nothing)) == (0, [], 0, 0, [])


def test_ids_mean_the_same_in_each(directory, shards):
    whole = Corpus.load(directory)
    for name in SHARED:
        value = getattr(shards, name)
        for shard in (*shards, shards.split("test")[0]):
            assert getattr(shard, name) is value
        same = getattr(whole, name)
        assert np.array_equal(value, same) if isinstance(value, np.ndarray) else value == same
    assert isinstance(shards.characters, np.memmap)


def test_a_sequence(shards):
    assert shards[-1].titles == shards[4].titles == shards[np.int64(4)].titles
    part = shards.split("train")[1:3]
    assert isinstance(part, CorpusShards)
    assert part.sizes == shards.split("train").sizes[1:3]
    assert part[0].titles == shards.split("train")[1].titles
    assert repr(part) == f"CorpusShards(2 shards, {part.n_titles} titles, {part.n_tokens} tokens)"
    for wrong in (5, -6):
        with pytest.raises(IndexError):
            shards[wrong]
    with pytest.raises(ElmoHelpersError, match="split='dev'"):
        shards.split("dev")


def test_a_shard_is_freed_when_it_is_dropped(shards):
    """Memory-mapped titles are freed with their batch; what a shard takes from the table is freed with the shard."""
    gc.collect()  # what other tests have dropped is not to be counted here
    before, most, kept = pa.total_allocated_bytes(), 0, []
    training = shards.split("train")
    for shard in training:
        batch = weakref.ref(shard._data.batch)
        shard.titles, shard.words(0)
        most = max(most, pa.total_allocated_bytes() - before)
        kept.append(batch)
    assert kept[-1]() is not None
    del shard
    gc.collect()
    assert [batch() for batch in kept] == [None] * 4
    assert pa.total_allocated_bytes() == before
    assert len(training) == 4
    assert most < 10_000


def test_nothing_is_read_until_it_is_asked_for(directory, shards, monkeypatch):
    for file in directory.glob("*.arrow"):
        file.write_bytes(b"damaged")
    again = CorpusShards.load(directory)
    assert again.sizes == shards.sizes
    assert again.split("test").n_titles == shards.split("test").n_titles
    with pytest.raises(ElmoHelpersError, match=r"titles-00002\.arrow is not as it was written"):
        again[2]
    monkeypatch.chdir("/")
    with pytest.raises(ElmoHelpersError, match=r"titles-00004\.arrow is not as it was written"):
        again.split("test")[-1]


def test_a_relative_directory_is_found_from_anywhere(directory, monkeypatch):
    monkeypatch.chdir(directory.parent)
    shards = CorpusShards.load("corpus")
    monkeypatch.chdir("/")
    assert len(shards[0]) == 20


def test_a_shard_that_is_missing_or_of_another_place_is_named(directory, shards):
    shutil.copy(directory / "titles-00000.arrow", directory / "titles-00001.arrow")
    with pytest.raises(ElmoHelpersError, match=r"titles-00001\.arrow"):
        shards[1]
    (directory / "titles-00003.arrow").unlink()
    for load in (CorpusShards.load, Corpus.load):
        with pytest.raises(ElmoHelpersError, match=r"titles-0000[13]\.arrow"):
            load(directory)
    with pytest.raises(ElmoHelpersError, match=r"titles-00003\.arrow is missing"):
        CorpusShards.load(directory)
    with pytest.raises(ElmoHelpersError, match="is not a corpus"):
        CorpusShards.load(directory / "nowhere")


def test_one_shard_of_one_title_and_none(directory, tmp_path):
    whole = Corpus.load(directory)
    whole.select([7]).save(tmp_path / "one")
    shards = CorpusShards.load(tmp_path / "one")
    assert [shard.titles for shard in shards] == [[whole.titles[7]]]
    assert shards.sizes == [(1, int(whole.lengths[7]))]
    whole.select([]).save(tmp_path / "none")
    assert list(CorpusShards.load(tmp_path / "none")) == []
    assert len(Corpus.load(tmp_path / "none")) == 0


def test_a_corpus_of_several_shards_saved_is_one(directory, tmp_path):
    whole = Corpus.load(directory)
    whole.save(tmp_path / "again")
    assert len(CorpusShards.load(tmp_path / "again")) == 1
    assert Corpus.load(tmp_path / "again").titles == whole.titles
    whole.save(directory)  # over the five shards
    assert [path.name for path in directory.glob("*.arrow")] == ["titles-00000.arrow"]
    assert CorpusShards.load(directory)[0].titles == whole.titles
