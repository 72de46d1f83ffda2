import contextlib
import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from small_corpora import DAYS, EMOJI, TITLES, assert_same, corpus_of

from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.corpus_storage import corpus_directory
from elmo_helpers.text.splitting import SPLITS


@pytest.fixture
def corpus():
    return corpus_of(TITLES, DAYS)


TITLES_FILE = "titles-00000.arrow"
FILES = ["characters.npy", "corpus.json", "lexicon.json", TITLES_FILE, "vocabulary.json"]


def contents(directory):
    return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


@pytest.fixture
def saved(tmp_path):
    corpus = corpus_of(TITLES, [*DAYS[:5], None], min_count=2, valid=0.2, test=0.2)
    corpus.save(tmp_path / "corpus")
    return tmp_path / "corpus"


def test_round_trip_bit_for_bit(saved, tmp_path):
    loaded = Corpus.load(saved)
    assert_same(loaded, corpus_of(TITLES, [*DAYS[:5], None], min_count=2, valid=0.2, test=0.2))
    loaded.save(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(saved)
    assert sorted(contents(saved)) == FILES


@pytest.mark.parametrize("titles", [["home"], [[], []], [["w"] * 400, [], ["a"]], [EMOJI, ["</S>", "<pad>", "<UNK>"]]])
def test_odd_titles_come_back(tmp_path, titles):
    corpus = corpus_of(titles, scheme="utf8")
    corpus.save(tmp_path / "corpus")
    assert_same(Corpus.load(tmp_path / "corpus"), corpus)


def test_settings_are_kept(tmp_path):
    text = TextConfig(tokenizer="whitespace", lowercase=False)
    corpus_of(["A b"], scheme="utf8", text=text).save(tmp_path / "corpus")
    loaded = Corpus.load(tmp_path / "corpus")
    assert loaded.text == text
    assert loaded.character_vocabulary == CharacterVocabulary("utf8", 10)


def test_arrays_stay_on_disk(saved):
    before = pa.total_allocated_bytes()
    corpus = Corpus.load(saved)
    corpus.tokens(0)
    assert pa.total_allocated_bytes() == before
    assert isinstance(corpus.characters, np.memmap)


def test_saving_over_itself(saved):
    before = contents(saved)
    corpus = Corpus.load(saved)
    corpus.save(saved)
    assert contents(saved) == before
    assert corpus.titles == Corpus.load(saved).titles


def test_a_view_is_saved_with_the_whole_lexicon(saved, tmp_path):
    corpus = Corpus.load(saved)
    view = corpus.select([5, 0])
    for name, part in (("two", view), ("none", corpus.select([]))):
        part.save(tmp_path / name)
        loaded = Corpus.load(tmp_path / name)
        assert loaded.titles == part.titles
        assert loaded.lexicon == corpus.lexicon
        assert loaded.vocabulary == corpus.vocabulary
        assert np.array_equal(loaded.padded_tokens(), part.padded_tokens())
    assert Corpus.load(tmp_path / "two").rows.tolist() == [0, 1]


def test_foreign_directories_and_files_are_left_as_they_are(corpus, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"jpg")
    (tmp_path / "file").write_text("text")
    for name in ("photos", "file"):
        with pytest.raises(ElmoHelpersError, match=name):
            corpus.save(tmp_path / name)
        with pytest.raises(ElmoHelpersError, match="is not a corpus"):
            Corpus.load(tmp_path / name)
    with pytest.raises(ElmoHelpersError, match="is not a corpus"):
        Corpus.load(tmp_path / "missing")
    assert contents(tmp_path / "photos") == {"one.jpg": b"jpg"}
    assert (tmp_path / "file").read_text() == "text"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    before = contents(saved)
    with pytest.raises(ElmoHelpersError, match=name):
        Corpus.load(saved)
    assert contents(saved) == before


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, -1])
def test_a_cut_off_file_is_named(saved, name, kept):
    whole = (saved / name).read_bytes()
    (saved / name).write_bytes(whole[: int(kept * len(whole))] if kept >= 0 else whole[:-3])
    before = contents(saved)
    with pytest.raises(ElmoHelpersError, match=name):
        Corpus.load(saved)
    assert contents(saved) == before


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_named(saved, name):
    for other in ("corpus.json", "lexicon.json", "characters.npy"):
        if other == name:
            continue
        (saved / name).write_bytes((saved / other).read_bytes())
        with pytest.raises(ElmoHelpersError, match=name):
            Corpus.load(saved)


@pytest.mark.parametrize("name", [name for name in FILES if name != "corpus.json"])
def test_a_file_of_another_corpus_is_noticed(saved, tmp_path, name):
    corpus_of([*TITLES, "seven more words than the other has"], min_count=1).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / name, saved / name)
    with pytest.raises(ElmoHelpersError):
        Corpus.load(saved)


def rewrite(path, change):
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("corpus.json", lambda d: d.update(version=1)),
        ("corpus.json", lambda d: d.update(format="something else")),
        ("corpus.json", lambda d: d.pop("text")),
        ("corpus.json", lambda d: d.update(text={"stemming": True})),
        ("corpus.json", lambda d: d.update(text=[])),
        ("corpus.json", lambda d: d.pop("characters")),
        ("corpus.json", lambda d: d["characters"].update(scheme="runes")),
        ("corpus.json", lambda d: d["sizes"].update(titles=7)),
        ("corpus.json", lambda d: d["sizes"].pop("tokens")),
        ("corpus.json", lambda d: d.update(made_from=None)),
        ("corpus.json", lambda d: d.update(shards=[])),
        ("corpus.json", lambda d: d.pop("shards")),
        ("corpus.json", lambda d: d["shards"].append(d["shards"][0])),
        ("corpus.json", lambda d: d["shards"][0].pop("crc32")),
        ("corpus.json", lambda d: d["shards"][0].update(crc32="0")),
        ("corpus.json", lambda d: d["shards"][0].update(file="../titles-00000.arrow")),
        ("corpus.json", lambda d: d["shards"][0].update(titles=6)),
        ("corpus.json", lambda d: d["shards"][0]["titles"].update(valid=-1)),
        ("corpus.json", lambda d: d["shards"][0]["titles"].update(total=7)),
        ("corpus.json", lambda d: d["shards"][0]["tokens"].pop("test")),
        ("lexicon.json", lambda d: d["words"].pop()),
        ("lexicon.json", lambda d: d["words"].__setitem__(5, None)),
        ("lexicon.json", lambda d: d["words"].__setitem__(0, "the")),
        ("lexicon.json", lambda d: d["counts"].__setitem__(5, -1)),
        ("lexicon.json", lambda d: d["counts"].__setitem__(5, 0.5)),
        ("lexicon.json", lambda d: d["counts"].__setitem__(5, 2**70)),
        ("lexicon.json", lambda d: d.pop("counts")),
        ("vocabulary.json", lambda d: d["words"].append("the")),
    ],
)
def test_json_that_does_not_fit_is_named(saved, name, change):
    rewrite(saved / name, change)
    with pytest.raises(ElmoHelpersError, match=name):
        Corpus.load(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[:-1],
        lambda rows: rows[:, :-1],
        lambda rows: rows.astype(np.int64),
        lambda rows: np.where(rows == 71, 200, rows),
        lambda rows: rows.ravel(),
        lambda rows: np.array([[{}]], dtype=object),
    ],
)
def test_characters_that_do_not_fit_are_noticed(saved, change):
    rows = change(np.load(saved / "characters.npy"))
    np.save(saved / "characters.npy", rows, allow_pickle=True)
    with pytest.raises(ElmoHelpersError, match=r"characters\.npy"):
        Corpus.load(saved)


def test_a_save_that_fails_leaves_the_old_corpus(saved, monkeypatch):
    before = contents(saved)

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ElmoHelpersError, match="no space left"):
        corpus_of(["a b c"]).save(saved)
    assert contents(saved) == before
    assert [path.name for path in saved.parent.iterdir()] == ["corpus"]


@pytest.mark.parametrize("name", [name for name in FILES if name != TITLES_FILE])
def test_a_damaged_byte_ends_in_an_error_or_in_a_corpus(saved, name):
    whole = (saved / name).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        (saved / name).write_bytes(damaged)
        with contextlib.suppress(ElmoHelpersError):
            Corpus.load(saved).padded_characters()


def test_files_of_earlier_corpora_go_and_files_of_yours_stay(saved):
    stale = ["titles.arrow", "titles-00001.arrow", "titles-123456.arrow"]
    yours = ["notes.txt", "titles.csv", "titles-old.arrow", "my-titles-00001.arrow"]
    for name in stale + yours:
        (saved / name).write_text("x")
    corpus_of(["a b c"]).save(saved)
    assert sorted(contents(saved)) == sorted(FILES + yours)
    assert Corpus.load(saved).titles == ["a b c"]


def test_an_archive_of_arrays_is_no_table_of_characters(saved):
    rows = np.load(saved / "characters.npy")
    with (saved / "characters.npy").open("wb") as file:
        np.savez(file, rows=rows)
    with pytest.raises(ElmoHelpersError, match=r"characters\.npy"):
        Corpus.load(saved)


@pytest.mark.parametrize("n", [10**15, 2**63, 10**30, -1, -(2**63)])
def test_a_table_of_characters_that_lies_about_its_size(saved, n):
    rows = np.load(saved / "characters.npy")
    header = {"descr": "|u1", "fortran_order": False, "shape": (n, rows.shape[1])}
    with (saved / "characters.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(rows.tobytes())
    with pytest.raises(ElmoHelpersError, match=r"characters\.npy is not as it was written"):
        Corpus.load(saved)


def test_two_writers_of_one_corpus(saved):
    """Each would have taken the other's shards for those of an earlier corpus."""
    before = contents(saved)
    with corpus_directory(saved) as temporary:
        with pytest.raises(ElmoHelpersError, match="corpus is being made by another process"):
            corpus_of(["a b c"]).save(saved)
        corpus_of(["a b c"]).save(saved.parent / "other")
        for name in FILES:
            shutil.copy(saved / name, temporary)
    assert contents(saved) == before
    corpus_of(["a b c"]).save(saved)
    assert Corpus.load(saved).titles == ["a b c"]
    assert sorted(path.name for path in saved.parent.iterdir()) == ["corpus", "other"]


def test_the_header_counts_titles_and_tokens_by_split(saved):
    corpus, header = Corpus.load(saved), json.loads((saved / "corpus.json").read_text())
    (shard,) = header["shards"]
    parts = {"total": corpus} | {name: corpus.split(name) for name in SPLITS}
    assert shard["titles"] == {name: len(part) for name, part in parts.items()}
    assert shard["tokens"] == {name: part.n_tokens for name, part in parts.items()}
    assert min(shard["titles"].values()) > 0
    assert shard["crc32"] == zlib.crc32((saved / TITLES_FILE).read_bytes())
    settings = {"min_count": 2, "max_size": None, "split": "document", "valid": 0.2, "test": 0.2, "seed": 0}
    assert header["made_from"] == corpus.made_from == settings
