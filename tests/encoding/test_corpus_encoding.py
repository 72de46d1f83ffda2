"""A file in, a file out: what stands in it, beside each title encoded alone; and what is refused."""

import csv
import gzip
import json

import by_hand
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import read_output
import torch

from conftest import TOY_TITLES, needs_bf16
from elmo_helpers import BiLM, ElmoHelpersError, ScalarMix, Tokenizer, normalize_title
from elmo_helpers.encoding import corpus_encoding, encoded_shards, output_files
from elmo_helpers.encoding.corpus_encoding import EncodedFile, encode_file

LINES = ["", *TOY_TITLES, "the cat sat on the mat", "  ", "the " * 400, "the \N{PILE OF POO} cat\0", ""]
FORMATS = [".hdf5", ".h5", ".parquet"]
TOKENS = {"level": "tokens", "layers": "all"}
TITLES = {"level": "titles", "layers": "average"}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "titles.txt"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


def encode(model, source, output, **options):
    return encode_file(model, source, output, **{"device": "cpu", "progress": False, "window": 5, **options})


def no_leftovers(output):
    assert sorted(file.name for file in output.parent.iterdir() if output.stem in file.name) == [output.name]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("layers", ["all", "top", "average", "mix"])
def test_tokens(toy_model, source, tmp_path, suffix, layers):
    mix = ScalarMix(3, [1.0, 0.0, -2.0])
    with torch.no_grad():
        mix.gamma.fill_(0.5)
    output = tmp_path / f"out{suffix}"
    result = encode(toy_model, source, output, level="tokens", layers=layers, mix=mix)
    assert result == EncodedFile(output, len(LINES), sum(len(line.split()) for line in LINES))
    found = read_output.token_vectors(output)
    assert len(found) == len(LINES)
    for line, vectors in zip(LINES, found, strict=True):
        expected = by_hand.vectors(toy_model, line.split(), "tokens", layers, weights=[1.0, 0.0, -2.0], gamma=0.5)
        assert vectors.shape == expected.shape
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
    no_leftovers(output)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("layers", ["all", "average"])
@pytest.mark.parametrize("pooling", ["states", "mean"])
def test_titles(toy_model, source, tmp_path, suffix, pooling, layers):
    output = tmp_path / "new" / "folder" / f"out{suffix}"
    encode(toy_model, source, output, level="titles", layers=layers, pooling=pooling)
    expected = [by_hand.vectors(toy_model, line.split(), "titles", layers, pooling) for line in LINES]
    found = read_output.title_vectors(output)
    assert found.shape == (len(LINES), *expected[0].shape)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    replaced = LINES if suffix == ".parquet" else [line.replace("\0", "\N{REPLACEMENT CHARACTER}") for line in LINES]
    assert read_output.titles(output) == replaced
    no_leftovers(output)


def test_the_sentence_index_is_as_allennlps(toy_model, source, tmp_path):
    encode(toy_model, source, tmp_path / "out.hdf5")
    expected = {line.strip(): str(i) for i, line in enumerate(LINES)}  # as its source has it
    assert read_output.sentence_to_index(tmp_path / "out.hdf5") == expected


@pytest.mark.parametrize("options", [TOKENS, TITLES], ids=["tokens", "titles"])
def test_float16(toy_model, source, tmp_path, options):
    for suffix in (".hdf5", ".parquet"):
        for dtype in ("float32", "float16"):
            encode(toy_model, source, tmp_path / f"{dtype}{suffix}", dtype=dtype, **options)
        read = read_output.token_vectors if options is TOKENS else read_output.title_vectors
        full, half = (read(tmp_path / f"{dtype}{suffix}") for dtype in ("float32", "float16"))
        for a, b in zip(full, half, strict=True):
            np.testing.assert_array_equal(a.astype(np.float16), b)
    with h5py.File(tmp_path / "float16.hdf5") as file:
        assert file["vectors" if options is TITLES else "1"].dtype == np.float16
    assert "halffloat" in str(pq.read_schema(tmp_path / "float16.parquet").field(3).type)


def test_a_number_beyond_float16(toy_model, source, tmp_path):
    mix = ScalarMix(2)
    with torch.no_grad():
        mix.gamma.fill_(1e9)
    options = {"level": "titles", "layers": "mix", "mix": mix}
    with pytest.raises(ElmoHelpersError, match=r"dtype=float16: a vector of line 0 to line 4 .* use float32"):
        encode(toy_model, source, tmp_path / "out.h5", dtype="float16", **options)
    encode(toy_model, source, tmp_path / "out.h5", overwrite=True, **options)


@pytest.mark.parametrize("suffix", [".hdf5", ".parquet"])
@pytest.mark.parametrize("options", [TOKENS, TITLES], ids=["tokens", "titles"])
@pytest.mark.parametrize("lines", [[], [""], ["the cat"], ["", "", ""]], ids=["none", "blank", "one", "blanks"])
def test_few_lines(toy_model, tmp_path, suffix, options, lines):
    (tmp_path / "few.txt").write_text("".join(f"{line}\n" for line in lines))
    output = tmp_path / f"out{suffix}"
    assert encode(toy_model, tmp_path / "few.txt", output, **options).rows == len(lines)
    if options is TOKENS:
        found = read_output.token_vectors(output)
        if suffix == ".hdf5":
            assert set(read_output.sentence_to_index(output)) == set(lines)
    else:
        found = read_output.title_vectors(output)
    expected = [by_hand.vectors(toy_model, line.split(), **options) for line in lines]
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.txt", "t.txt.gz"])
def test_the_models_own_tokenizer(toy_model, tmp_path, name):
    toy_model.text = type(toy_model.text)("en")
    rows = ['The "old" dog, a cat.', "don't\nrun", "", "home", "home"] if "csv" in name else LINES
    with (gzip.open if name.endswith("gz") else open)(tmp_path / name, "wt", newline="") as stream:
        if "csv" in name:
            csv.writer(stream).writerows([("n", "title"), *enumerate(rows)])
        else:
            stream.writelines(f"{row}\n" for row in rows)
    encode(toy_model, tmp_path / name, tmp_path / "out.parquet")
    tokens = list(Tokenizer("en")(normalize_title(row) for row in rows))
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["title"].to_pylist() == rows
    assert table["tokens"].to_pylist() == tokens
    for words, found in zip(tokens, read_output.token_vectors(tmp_path / "out.parquet"), strict=True):
        np.testing.assert_allclose(found, by_hand.token_layers(toy_model, words), atol=1e-6)


def test_pretokenized(toy_model, tmp_path):
    toy_model.text = type(toy_model.text)("en")
    (tmp_path / "t.txt").write_text("Do n't the-cat (run)\n")
    encode(toy_model, tmp_path / "t.txt", tmp_path / "out.parquet", pretokenized=True)
    assert pq.read_table(tmp_path / "out.parquet")["tokens"].to_pylist() == [["Do", "n't", "the-cat", "(run)"]]


def test_many_pieces_of_a_shard(toy_model, source, tmp_path, monkeypatch):
    encode(toy_model, source, tmp_path / "whole.hdf5")
    encode(toy_model, source, tmp_path / "whole.parquet", **TITLES)
    monkeypatch.setattr(encoded_shards, "_BATCH_BYTES", 1000)
    encode(toy_model, source, tmp_path / "pieces.hdf5")
    encode(toy_model, source, tmp_path / "pieces.parquet", **TITLES)
    for a, b in zip(*(read_output.token_vectors(tmp_path / f"{n}.hdf5") for n in ("whole", "pieces")), strict=True):
        np.testing.assert_array_equal(a, b)
    whole, pieces = (pq.ParquetFile(tmp_path / f"{n}.parquet") for n in ("whole", "pieces"))
    assert whole.read().equals(pieces.read())
    assert pieces.num_row_groups > whole.num_row_groups == -(-len(LINES) // 5)


def test_a_saved_model(toy_model, source, tmp_path):
    toy_model.save(tmp_path / "model")
    encode(toy_model, source, tmp_path / "a.parquet")
    encode(tmp_path / "model", source, tmp_path / "b.parquet")
    a, b = (pq.read_table(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    assert a.equals(b, check_metadata=True)


# What is there already


def stopped(model, source, output, monkeypatch, after=2, **options):
    """Leave what a run leaves that ends after some shards."""
    write = encoded_shards.ShardFiles.write

    def some(self, k, rows):
        if k == after:
            raise KeyboardInterrupt
        write(self, k, rows)

    with monkeypatch.context() as patch:
        patch.setattr(encoded_shards.ShardFiles, "write", some)
        with pytest.raises(KeyboardInterrupt):
            encode(model, source, output, **options)


def same(a, b):
    for x, y in zip(read_output.token_vectors(a), read_output.token_vectors(b), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)


@pytest.mark.parametrize("suffix", [".hdf5", ".parquet"])
def test_gone_on_with(toy_model, source, tmp_path, monkeypatch, suffix):
    whole, output = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    encode(toy_model, source, whole)
    stopped(toy_model, source, output, monkeypatch)
    assert not output.exists()
    with pytest.raises(ElmoHelpersError, match=r"out.*\.parts is of a run that has not ended: go on with --resume"):
        encode(toy_model, source, output)
    made = []
    write = encoded_shards.ShardFiles.write
    monkeypatch.setattr(
        encoded_shards.ShardFiles, "write", lambda self, k, rows: made.append(k) or write(self, k, rows)
    )
    encode(toy_model, source, output, resume=True)
    assert made == [2, 3], "what was done is not done again"
    same(output, whole)
    no_leftovers(output)
    assert encode(toy_model, source, output, resume=True) == EncodedFile(output), "nothing is left to do"
    with pytest.raises(ElmoHelpersError, match=r"is there already: name another output, or replace it"):
        encode(toy_model, source, output)
    with pytest.raises(ElmoHelpersError, match=r"made with other settings \(layers 'all' there, 'top' now\)"):
        encode(toy_model, source, output, resume=True, layers="top")
    encode(toy_model, source, output, overwrite=True, layers="top")
    assert read_output.token_vectors(output)[1].ndim == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"level": "titles"}, "level 'tokens' there, 'titles' now; pooling None there, 'states' now"),
        ({"layers": "mix", "mix": ScalarMix(3, [0, 1, 2])}, "layers 'all' there, 'mix' now; mix None there"),
        ({"dtype": "float16"}, "dtype 'float32' there, 'float16' now"),
        pytest.param({"precision": "bf16"}, "precision 'fp32' there, 'bf16' now", marks=needs_bf16),
        ({"pretokenized": True}, "pretokenized False there, True now"),
        ({"window": 6}, "window 5 there, 6 now"),
    ],
)
def test_other_settings_are_refused(toy_model, source, tmp_path, monkeypatch, options, said):
    stopped(toy_model, source, tmp_path / "out.h5", monkeypatch)
    with pytest.raises(ElmoHelpersError) as caught:
        encode(toy_model, source, tmp_path / "out.h5", resume=True, **options)
    assert f"out.h5.parts was made with other settings ({said}" in str(caught.value)


def test_another_model_or_input_is_refused(toy_model, source, tmp_path, monkeypatch):
    stopped(toy_model, source, tmp_path / "out.h5", monkeypatch)
    other = BiLM(toy_model.config, toy_model.vocabulary, toy_model.text)
    with pytest.raises(ElmoHelpersError, match=r"other settings \(another model\): repeat those"):
        encode(other, source, tmp_path / "out.h5", resume=True)
    source.write_text(source.read_text().replace("rain", "hail"))
    with pytest.raises(ElmoHelpersError, match=r"other settings \(another input\): repeat those"):
        encode(toy_model, source, tmp_path / "out.h5", resume=True)
    encode(toy_model, source, tmp_path / "out.h5", overwrite=True)
    no_leftovers(tmp_path / "out.h5")


def test_killed_between_the_last_two_acts(toy_model, source, tmp_path, monkeypatch):
    output = tmp_path / "out.h5"
    with monkeypatch.context() as patch:
        patch.setattr(corpus_encoding.shutil, "rmtree", lambda path: None)
        encode(toy_model, source, output)
    assert output.with_name("out.h5.parts").exists()
    encode(toy_model, source, output, resume=True)
    no_leftovers(output)


def test_damaged_shards_are_found(toy_model, source, tmp_path, monkeypatch):
    output = tmp_path / "out.h5"
    stopped(toy_model, source, output, monkeypatch, after=3)
    parts = output.with_name("out.h5.parts")
    first, second = (parts / f"rows-{k:08}.arrow" for k in (0, 1))
    good = first.read_bytes()
    for bad in (b"", good[: len(good) // 2], second.read_bytes()):
        first.write_bytes(bad)
        with pytest.raises(ElmoHelpersError, match=r"rows-00000000\.arrow is not as it was written .*: delete it"):
            encode(toy_model, source, output, resume=True)
        assert not output.exists()
    first.unlink()
    encode(toy_model, source, output, resume=True)
    encode(toy_model, source, tmp_path / "whole.h5")
    same(output, tmp_path / "whole.h5")


def test_what_others_have_put_there_is_kept(toy_model, source, tmp_path):
    (tmp_path / "out.h5").write_bytes(b"mine")
    for options, said in (({}, "is there already"), ({"resume": True}, "was not made by this command")):
        with pytest.raises(ElmoHelpersError, match=said):
            encode(toy_model, source, tmp_path / "out.h5", **options)
    assert (tmp_path / "out.h5").read_bytes() == b"mine"
    parts = tmp_path / "other.h5.parts"
    parts.mkdir()
    (parts / "mine").write_text("mine")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(ElmoHelpersError, match=r"other\.h5\.parts holds something else"):
            encode(toy_model, source, tmp_path / "other.h5", **options)
    assert (parts / "mine").read_text() == "mine"
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(ElmoHelpersError, match=r"folder\.h5 is no ordinary file"):
        encode(toy_model, source, tmp_path / "folder.h5", overwrite=True)


def test_bad_arguments(toy_model, source, tmp_path):
    for arguments, said in (
        ({"output": tmp_path / "out.npy"}, r"out\.npy: name an output that ends in \.hdf5 or \.h5"),
        ({"source": tmp_path / "none.txt"}, r"none\.txt is missing"),
        ({"source": tmp_path}, r"cannot be read \(Is a directory\)"),
        ({"level": "words"}, "level='words'"),
        ({"dtype": "int8"}, "dtype='int8': expected one of float32, float16"),
        ({"precision": "int8"}, "precision='int8'"),
        ({"device": "nowhere"}, "device='nowhere'"),
        ({"window": 0}, "window=0"),
        ({"batch_tokens": 0}, "batch_tokens=0"),
        ({"max_words": 0}, "max_words=0"),
        ({"layers": "mix", "mix": ScalarMix(2)}, "mix: expected weights of 3 layers"),
        ({"resume": True, "overwrite": True}, "expected one of them"),
        ({"pretokenized": "no"}, "pretokenized='no'"),
    ):
        with pytest.raises(ElmoHelpersError, match=said):
            encode(toy_model, **{"source": source, "output": tmp_path / "out.h5", **arguments})
    assert [file.name for file in tmp_path.iterdir()] == [source.name], "nothing is begun"


def test_a_bad_line_late_in_the_input(toy_model, tmp_path):
    (tmp_path / "t.txt").write_bytes(b"the cat\n" * 20 + b"caf\xe9\n")
    with pytest.raises(ElmoHelpersError, match=r"t\.txt, line 21: byte 163 of the text, 0xe9, is not UTF-8"):
        encode(toy_model, tmp_path / "t.txt", tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


def test_a_sentence_index_too_large_for_hdf5(toy_model, source, tmp_path, monkeypatch):
    monkeypatch.setattr("elmo_helpers.encoding.sentence_index._MAX_BYTES", 100)
    with pytest.raises(ElmoHelpersError, match=r"cut the input in parts, or name an OUTPUT that ends in \.parquet"):
        encode(toy_model, source, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


def test_the_header_says_what_it_was_made_with(toy_model, source, tmp_path):
    for suffix in (".hdf5", ".parquet"):
        encode(toy_model, source, tmp_path / f"out{suffix}")
        header = output_files.read_header(tmp_path / f"out{suffix}")
        assert header["level"] == "tokens"
        assert json.loads(json.dumps(header)) == header
    assert output_files.read_header(source.with_suffix(".h5")) is None


def test_the_bar_shows_words_a_second_and_the_time_left(toy_model, source, tmp_path, capsys):
    encode(toy_model, source, tmp_path / "out.h5", progress=True)
    shown = capsys.readouterr().err
    assert "words/s" in shown
    assert "100%" in shown
    encode(toy_model, source, tmp_path / "quiet.h5")
    assert capsys.readouterr().err == ""
