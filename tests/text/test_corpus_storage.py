import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from small_corpora import DAYS, EMOJI, TITLES, corpus_of

from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.splitting import SPLITS


@pytest.fixture
def corpus():
    return corpus_of(TITLES, DAYS)


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


FILES = ["characters.npy", "corpus.json", "lexicon.json", "titles.arrow", "vocabulary.json"]


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
        ("corpus.json", lambda d: d.update(version=2)),
        ("corpus.json", lambda d: d.update(format="something else")),
        ("corpus.json", lambda d: d.pop("text")),
        ("corpus.json", lambda d: d.update(text={"stemming": True})),
        ("corpus.json", lambda d: d.update(text=[])),
        ("corpus.json", lambda d: d.pop("characters")),
        ("corpus.json", lambda d: d["characters"].update(scheme="runes")),
        ("corpus.json", lambda d: d["sizes"].update(titles=7)),
        ("corpus.json", lambda d: d["sizes"].pop("tokens")),
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


def write_table(path, table):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_table(path):
    return pa.ipc.open_file(path.read_bytes()).read_all()


@pytest.mark.parametrize("wrong", [-1, 0, 13, 2**31 - 1])
def test_lexicon_ids_out_of_range_are_noticed(saved, wrong):
    table = read_table(saved / "titles.arrow")
    assert len(Corpus.load(saved).lexicon) == 13
    column = table["tokens"].chunk(0)
    ids = column.flatten().to_numpy().copy()
    ids[7] = wrong
    changed = pa.LargeListArray.from_arrays(column.offsets, pa.array(ids), type=column.type)
    write_table(saved / "titles.arrow", table.set_column(3, table.schema.field("tokens"), changed))
    with pytest.raises(ElmoHelpersError, match=r"titles\.arrow .*lexicon ids .* expected 1 to 12"):
        Corpus.load(saved)


def test_other_faults_of_the_table_are_noticed(saved):
    table = read_table(saved / "titles.arrow")
    path = saved / "titles.arrow"
    splits = pa.array([0, 0, 0, 3, 0, 0], type=pa.int8())
    column = table["tokens"].chunk(0)
    backwards = column.offsets.to_numpy().copy()
    backwards[2] = 99
    broken = pa.LargeListArray.from_arrays(pa.array(backwards), column.values, type=column.type)
    for fault in (
        table.set_column(2, table.schema.field("split"), splits),
        table.set_column(3, table.schema.field("tokens"), broken),
        table.drop_columns(["date"]),
        table.rename_columns(["day", "title", "split", "tokens"]),
        table.slice(0, 0),
        table.slice(1),
        pa.concat_tables([table, table]),
    ):
        write_table(path, fault)
        with pytest.raises(ElmoHelpersError, match="corpus"):
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


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_byte_ends_in_an_error_or_in_a_corpus(saved, name):
    whole = (saved / name).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        (saved / name).unlink()  # or a table still mapped would change
        (saved / name).write_bytes(damaged)
        with contextlib.suppress(ElmoHelpersError):
            Corpus.load(saved).padded_characters()
