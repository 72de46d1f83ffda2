"""Published files are read into the model that they describe, written again, and refused where they are damaged."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from comparing import VARIANTS, assert_agrees, assert_close, copy_files, layers_of, refused, sentences_for
from reference import Reference, read_weights, vocabulary_of, write_random_model

from elmo_helpers import BiLM, BiLMConfig, CharCNNConfig, ElmoHelpersError, TextConfig, WordVocabulary
from elmo_helpers.config import WordEmbeddingConfig
from elmo_helpers.interchange.official import load_official, save_official
from elmo_helpers.training.batching import Batch

CELL = "RNN_{}/RNN/MultiRNNCell/Cell{}/LSTMCell"


@pytest.fixture(scope="module", params=list(VARIANTS))
def variant(request, tmp_path_factory):
    """A directory with random weights of each variant, and the reference on them."""
    directory = tmp_path_factory.mktemp("variant") / "official"
    return directory, Reference(*write_random_model(directory, np.random.default_rng(0), **VARIANTS[request.param]))


@pytest.fixture
def official(tmp_path, rng):
    """A directory with the files of a small model that has a softmax."""
    write_random_model(tmp_path / "official", rng, softmax=12, max_characters=12)
    return tmp_path / "official"


def reference_of(directory) -> Reference:
    return Reference(directory / "options.json", directory / "weights.hdf5")


# The same vectors


def test_each_sentence_alone(variant):
    directory, reference = variant
    model = load_official(directory)
    assert not model.training
    for words in sentences_for(model.character_vocabulary.max_characters):
        assert_agrees(model, reference, [words])


def test_sentences_of_several_lengths_in_one_batch(variant):
    directory, reference = variant
    model = load_official(directory)
    sentences = sentences_for(model.character_vocabulary.max_characters)
    assert_agrees(model, reference, sentences)
    assert_agrees(model, reference, sentences[:2] + sentences[3:])
    assert_agrees(model, reference, sentences[::-1])


def test_the_reference_is_worth_comparing_with(tmp_path, rng):
    """Clips bind at some places and leave others alone, and what a variant changes moves the vectors."""
    reference = Reference(*write_random_model(tmp_path / "0", rng))
    words = sentences_for(50)[0]
    plain = reference.layers(words)
    for name in ("cell", "projection"):
        bound, free = reference.clipped[name], reference.clipped[f"{name} free"]
        assert 0.1 < bound / (bound + free) < 0.9
    assert (plain.std(axis=(1, 2)) > 0.05).all()
    options = json.loads((tmp_path / "0" / "options.json").read_text())
    for section, key, value in (
        ("lstm", "use_skip_connections", False),
        ("lstm", "cell_clip", 3),
        ("lstm", "proj_clip", 3),
        ("char_cnn", "activation", "tanh"),
        ("char_cnn", "n_highway", 0),
        ("char_cnn", "max_characters_per_token", 4),
    ):
        changed = json.loads(json.dumps(options))
        changed[section][key] = value
        (tmp_path / "0" / "options.json").write_text(json.dumps(changed))
        assert np.abs(reference_of(tmp_path / "0").layers(words) - plain).max() > 1e-2, key


def test_the_reference_spells_as_published(tmp_path, rng):
    reference = Reference(*write_random_model(tmp_path, rng, max_characters=6))
    assert reference.ids(["<S>", "</S>", "aé", "abcé", "<UNK>", ""]) == [
        (259, 257, 260, 261, 261, 261),
        (259, 258, 260, 261, 261, 261),
        (259, 98, 196, 170, 260, 261),
        (259, 98, 99, 100, 196, 260),
        (259, 61, 86, 79, 76, 260),
        (259, 260, 261, 261, 261, 261),
    ]


def test_one_step_of_the_reference_by_hand(tmp_path, rng):
    """One token, one layer: the gates' order, the forget bias and both clips, written out once more."""
    reference = Reference(*write_random_model(tmp_path, rng, n_layers=1, word_level=5, P=2, C=3))
    w = reference.weights
    h, c, x = np.array([0.2, -0.1]), np.array([0.3, -0.3, 0.1]), w["embedding"][4]
    z = [
        sum(v * w[f"{CELL.format(0, 0)}/W_0"][r, k] for r, v in enumerate([*x, *h])) + w[f"{CELL.format(0, 0)}/B"][k]
        for k in range(12)
    ]
    i, j, f, o = (np.array(z[3 * g : 3 * g + 3]) for g in range(4))
    cell = c / (1 + np.exp(-f - 1)) + np.tanh(j) / (1 + np.exp(-i))
    cell = np.minimum(np.maximum(cell, -0.3), 0.3)
    out = np.tanh(cell) / (1 + np.exp(-o)) @ w[f"{CELL.format(0, 0)}/W_P_0"]
    found = reference._step(0, 0, x, h, c)
    assert_close(found, [np.minimum(np.maximum(out, -0.3), 0.3), cell], 1e-12)


# The softmax


def test_log_probabilities_of_both_directions(official):
    model, reference = load_official(official), reference_of(official)
    words = ["the", "cat", "sat", "on", "mars"]
    top = reference.layers(words)[-1]
    for part in (top[:, :6], top[:, 6:]):
        found = model.softmax.log_probabilities(torch.tensor(part, dtype=torch.float32)).detach().numpy()
        expected = reference.log_probabilities(part)
        assert found.shape == (7, 13)
        assert np.isneginf(found[:, 0]).all()  # padding is never said
        for i, word in enumerate(vocabulary_of(12)):
            assert np.abs(found[:, model.vocabulary.id(word)] - expected[:, i]).max() <= 1e-5


@pytest.mark.parametrize("options", [{"softmax": 12}, {"softmax": 12, "word_level": 12}], ids=["characters", "words"])
def test_the_loss_is_that_of_the_reference(tmp_path, rng, options):
    reference = Reference(*write_random_model(tmp_path, rng, **options))
    model = load_official(tmp_path)
    sentences = [["the", "cat", "sat"], ["mars"], ["a", "dog", "ran", "home", "."]]
    batch = Batch.of_words(sentences, model.character_vocabulary, model.vocabulary, errors="skip")
    with torch.inference_mode():
        loss, _ = batch.loss(model)
    lines = vocabulary_of(12)
    forward = backward = 0.0
    for words in sentences:
        ids = [lines.index(word) if word in lines else 2 for word in ["<S>", *words, "</S>"]]
        top = reference.layers(words)[-1]
        forward -= reference.log_probabilities(top[:-1, :6])[np.arange(len(ids) - 1), ids[1:]].sum()
        backward -= reference.log_probabilities(top[1:, 6:])[np.arange(len(ids) - 1), ids[:-1]].sum()
    assert float(loss.forward) == pytest.approx(forward, rel=1e-5)
    assert float(loss.backward) == pytest.approx(backward, rel=1e-5)


def test_the_softmax_is_read_where_it_is_there_or_left_out(official, tmp_path, rng):
    assert load_official(official).softmax is not None
    assert load_official(official, softmax=True).softmax is not None
    without = load_official(official, softmax=False)
    assert without.softmax is None
    assert_agrees(without, reference_of(official), [["the", "cat"]])
    write_random_model(tmp_path / "bare", rng)
    assert load_official(tmp_path / "bare").softmax is None
    with refused("softmax"):
        load_official(tmp_path / "bare", softmax=True)


def test_a_softmax_needs_its_words(official):
    (official / "vocabulary.txt").unlink()
    with refused("softmax", "vocabulary"):
        load_official(official)
    with refused("softmax", "vocabulary"):
        load_official(official, softmax=True)
    assert load_official(official, softmax=False).softmax is None


def test_words_need_a_vocabulary(tmp_path, rng):
    write_random_model(tmp_path, rng, word_level=12)
    (tmp_path / "vocabulary.txt").unlink()
    with refused("vocabulary"):
        load_official(tmp_path)


@pytest.mark.parametrize("options", [{"softmax": 12}, {"word_level": 12, "softmax": 12}], ids=["characters", "words"])
def test_words_keep_their_rows_in_whatever_order_they_stand(tmp_path, rng, options):
    """A vocabulary with `</S>` first and `<UNK>` among the words: a word's numbers are those of its own line."""
    paths = write_random_model(tmp_path, rng, **options)
    lines = vocabulary_of(12)
    shuffled = ["</S>", "cat", "<S>", *[w for w in lines[3:] if w != "cat"], "<UNK>"]
    (tmp_path / "vocabulary.txt").write_text("".join(f"{word}\n" for word in shuffled))
    model, reference = load_official(tmp_path), Reference(*paths)
    if "word_level" in options:
        place = {word: i + 1 for i, word in enumerate(shuffled)}
        expected = [reference.layers_of_ids([(place[w],) for w in ("<S>", "the", "cat", "<UNK>", "</S>")])]
        assert_close(layers_of(model, [["the", "cat", "unheard-of"]]), expected)
    hidden = np.random.default_rng(1).normal(size=(4, 6))
    found = model.softmax.log_probabilities(torch.tensor(hidden, dtype=torch.float32)).detach().numpy()
    expected = reference.log_probabilities(hidden)
    for i, word in enumerate(shuffled):
        assert np.abs(found[:, model.vocabulary.id(word)] - expected[:, i]).max() <= 1e-5


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda lines: lines[:-1], ["softmax/W", "(12, 6)", "(11, 6)"]),
        (lambda lines: [*lines, "another"], ["softmax/W", "(12, 6)", "(13, 6)"]),
        (lambda lines: [*lines[:-1], lines[3]], ["the"]),
        (lambda lines: ["<s>", *lines[1:]], ["<S>"]),
        (lambda lines: [*lines[:2], *lines[3:], "other"], ["<UNK>"]),
        (lambda lines: [*lines[:-1], "<S>"], ["<S>"]),
    ],
    ids=["a line less", "a line more", "a word twice", "no <S>", "no <UNK>", "<S> twice"],
)
def test_vocabularies_that_do_not_fit(official, change, names):
    lines = change(vocabulary_of(12))
    (official / "vocabulary.txt").write_text("".join(f"{word}\n" for word in lines))
    with refused(*names):
        load_official(official)


def test_a_vocabulary_that_is_no_text(official):
    (official / "vocabulary.txt").write_bytes(b"<S>\n</S>\n<UNK>\n\xff\xfe\n")
    with refused("vocabulary.txt"):
        load_official(official)


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("zipped", [False, True], ids=["directory", "zip"])
@pytest.mark.parametrize("options", [{"softmax": 12}, {"word_level": 12}], ids=["characters", "words"])
def test_byte_order_marks_are_no_part_of_a_file(tmp_path, rng, options, zipped):
    directory = tmp_path / "official"
    write_random_model(directory, rng, **options)
    expected = load_official(directory)
    for name in ("options.json", "vocabulary.txt"):
        (directory / name).write_bytes(BOM + (directory / name).read_bytes())
    if zipped:
        with zipfile.ZipFile(tmp_path / "official.zip", "w") as archive:
            for path in directory.iterdir():
                archive.write(path, path.name)
    found = load_official(tmp_path / "official.zip" if zipped else directory)
    assert found.vocabulary.words == expected.vocabulary.words
    assert all(torch.equal(w, expected.state_dict()[name]) for name, w in found.state_dict().items())


@pytest.mark.parametrize("end", ["\n", "\n\n\n", "\r\n", " \n", "\t\n \r\n", "  "], ids=repr)
@pytest.mark.parametrize("options", [{"softmax": 12}, {"word_level": 12}], ids=["characters", "words"])
def test_blank_lines_behind_the_last_word_are_no_words(tmp_path, rng, options, end):
    write_random_model(tmp_path, rng, **options)
    expected = load_official(tmp_path)
    with (tmp_path / "vocabulary.txt").open("a", newline="") as file:
        file.write(end)
    for vocabulary in (None, tmp_path / "vocabulary.txt"):
        found = load_official(tmp_path, vocabulary=vocabulary)
        assert found.vocabulary.words == expected.vocabulary.words
        assert all(torch.equal(w, expected.state_dict()[name]) for name, w in found.state_dict().items())


def test_a_blank_line_that_has_a_row_is_a_word(tmp_path, rng):
    """The original trainer counts one, wherever it stands."""
    for words in ([*vocabulary_of(11), ""], [*vocabulary_of(4), "", *vocabulary_of(11)[4:]]):
        write_random_model(tmp_path, rng, softmax=12)
        (tmp_path / "vocabulary.txt").write_text("".join(f"{word}\n" for word in words))
        assert "" in load_official(tmp_path).vocabulary


def test_word_vectors_of_another_number(tmp_path, rng):
    write_random_model(tmp_path, rng, word_level=12)
    (tmp_path / "vocabulary.txt").write_text("".join(f"{word}\n" for word in vocabulary_of(11)))
    with refused("embedding", "(12, 6)", "(11, 6)"):
        load_official(tmp_path)


# Where the files are


def test_the_same_from_directory_pair_and_zip(official, tmp_path):
    sentences = sentences_for(12)
    expected = layers_of(load_official(official), sentences)
    pair = load_official(official / "options.json", official / "weights.hdf5")
    as_text = load_official(str(official / "options.json"), weights=str(official / "weights.hdf5"))
    assert pair.softmax is not None
    models = [pair, as_text]
    for name, folder, compression in (("flat", "", zipfile.ZIP_STORED), ("deep", "elmo/small/", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w", compression) as archive:
            for path in official.iterdir():
                archive.write(path, f"{folder}{path.name}")
        models.append(load_official(tmp_path / f"{name}.zip"))
        assert models[-1].vocabulary.words == pair.vocabulary.words
    for model in models:
        for found, wanted in zip(layers_of(model, sentences), expected, strict=True):
            assert (found == wanted).all()
        assert torch.equal(model.softmax.weight, pair.softmax.weight)


def test_published_names(official):
    """Published files carry their size in front of their names."""
    expected = layers_of(load_official(official), [["the", "cat"]])[0]
    (official / "options.json").rename(official / "elmo_2x1024_128_2048cnn_1xhighway_options.json")
    (official / "weights.hdf5").rename(official / "elmo_2x1024_128_2048cnn_1xhighway_weights.hdf5")
    assert (layers_of(load_official(official), [["the", "cat"]])[0] == expected).all()


def test_a_vocabulary_from_elsewhere(official, tmp_path):
    expected = load_official(official)
    (official / "vocabulary.txt").rename(tmp_path / "words")
    pair = official / "options.json", official / "weights.hdf5"
    ours = WordVocabulary(vocabulary_of(12)[3:])
    for vocabulary in (tmp_path / "words", str(tmp_path / "words"), ours):
        model = load_official(*pair, vocabulary=vocabulary)
        assert model.vocabulary.words == expected.vocabulary.words
        assert torch.equal(model.softmax.weight, expected.softmax.weight)


def test_how_raw_titles_become_tokens(official):
    text = TextConfig(tokenizer="whitespace", lowercase=True)
    assert load_official(official, text=text).text == text
    assert not load_official(official).text.lowercase  # the published models know upper case


def test_loading_leaves_the_random_state_and_the_files(official):
    before = {path.name: path.read_bytes() for path in official.iterdir()}
    state = torch.random.get_rng_state()
    load_official(official)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert {path.name: path.read_bytes() for path in official.iterdir()} == before


@pytest.mark.parametrize(
    "address", ["https://host/elmo/options.json", "http://host/a", "s3://bucket/key", "hf://owner/name", "file:///a/b"]
)
def test_nothing_is_fetched_from_an_address(official, address):
    pair = official / "options.json", official / "weights.hdf5"
    for call in (
        lambda: load_official(address),
        lambda: load_official(address, pair[1]),
        lambda: load_official(pair[0], address),
        lambda: load_official(*pair, vocabulary=address),
        lambda: save_official(load_official(official), address),
    ):
        with refused(address, "nothing is fetched"):
            call()


@pytest.mark.parametrize("value", [3, True, b"options.json", ["options.json"], {"lstm": {}}, {"a"}, "a\0b", "\ud800"])
def test_what_is_no_path(official, value):
    pair = official / "options.json", official / "weights.hdf5"
    for name, call in {
        "source": lambda: load_official(value, pair[1]),
        "weights": lambda: load_official(pair[0], value),
        "vocabulary": lambda: load_official(*pair, vocabulary=value),
        "directory": lambda: save_official(load_official(official), value),
    }.items():
        with refused(f"{name}=", "path"):
            call()
    with refused("source=None"):
        load_official(None)


@pytest.mark.parametrize("name", ["", ".", "x" * 5000, "/dev/null/weights.hdf5"])
def test_names_of_nothing(official, name):
    for call in (
        lambda: load_official(official / "options.json", name),
        lambda: load_official(name, official / "weights.hdf5"),
    ):
        with pytest.raises(ElmoHelpersError):
            call()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"softmax": "no"}, "softmax='no'"),
        ({"softmax": 1}, "softmax=1"),
        ({"text": {"tokenizer": "en"}}, "text="),
        ({"text": np.zeros(3)}, "text="),
    ],
    ids=str,
)
def test_arguments_of_the_wrong_kind(official, settings, name):
    with refused(name):
        load_official(official, **settings)


@pytest.mark.parametrize("model", [None, "official", {"config": 1}, torch.nn.Linear(2, 2)], ids=repr)
def test_what_is_no_model_is_not_written(tmp_path, model):
    with refused("model=", "expected a BiLM"):
        save_official(model, tmp_path / "official")
    with refused("softmax='no'"):
        save_official(BiLM(BiLMConfig(char_cnn=UTF8, hidden_dim=6), WordVocabulary([])), tmp_path, softmax="no")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "datasets",
    [
        {"embedding": (12, 6)},  # the token vectors that the original trainer can write
        {str(i): (3, 4, 12) for i in range(2000)},  # the vectors of a text
        {"model_weights/dense/kernel": (3, 4)},
        {},
    ],
    ids=["token vectors", "encoded text", "another network", "nothing"],
)
def test_other_hdf5_files_are_no_weights(official, datasets):
    with h5py.File(official / "weights.hdf5", "w") as file:
        for name, shape in datasets.items():
            file[name] = np.zeros(shape, np.float32)
    for softmax in (None, False):
        with refused("weights.hdf5", "no LSTMs", next(iter(datasets), "nothing").split("/")[0]):
            load_official(official, softmax=softmax)


@pytest.mark.parametrize("missing", ["options.json", "weights.hdf5"])
def test_a_file_is_missing(official, tmp_path, missing):
    (official / missing).unlink()
    with refused(missing.split(".")[1]):
        load_official(official)
    with refused(missing):
        load_official(official / "options.json", official / "weights.hdf5")
    with zipfile.ZipFile(tmp_path / "official.zip", "w") as archive:
        for path in official.iterdir():
            archive.write(path, path.name)
    with refused("official.zip"):
        load_official(tmp_path / "official.zip")


def test_nothing_is_there(tmp_path):
    for source in (tmp_path / "nowhere", tmp_path):
        with refused(source.name):
            load_official(source)
    with refused("nowhere"):
        load_official(tmp_path / "nowhere", tmp_path / "weights.hdf5")
    (tmp_path / "empty.zip").write_bytes(b"")
    with refused("empty.zip"):
        load_official(tmp_path / "empty.zip")


def test_two_weight_files(official, tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for path in official.iterdir():
            archive.write(path, path.name)
        archive.write(official / "weights.hdf5", "other_weights.hdf5")
    with refused("two.zip", "weights.hdf5", "other_weights.hdf5"):
        load_official(tmp_path / "two.zip")
    copy = (official / "weights.hdf5").read_bytes()
    (official / "other_weights.hdf5").write_bytes(copy)
    with refused("weights.hdf5", "other_weights.hdf5"):
        load_official(official)


@pytest.mark.parametrize("content", [b"", b"not what it says", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"{}", b"[1, 2]"])
def test_files_of_another_kind(official, tmp_path, content):
    for name in ("options.json", "weights.hdf5"):
        directory = copy_files(official, tmp_path / name)
        (directory / name).write_bytes(content)
        with refused(name):
            load_official(directory)
        with refused(name):
            load_official(directory / "options.json", directory / "weights.hdf5")
    (tmp_path / "a.zip").write_bytes(content)
    with refused("a.zip"):
        load_official(tmp_path / "a.zip")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_cut_off_files(official, tmp_path, share):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in official.iterdir():
            archive.write(path, path.name)
    for path in (official / "weights.hdf5", tmp_path / "a.zip"):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        with refused(path.name):
            load_official(official if path.suffix == ".hdf5" else path)


def test_a_damaged_member_of_a_zip(official, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in official.iterdir():
            archive.write(path, path.name)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(255 - b for b in data[middle : middle + 40])
    (tmp_path / "a.zip").write_bytes(data)
    with refused("a.zip"):
        load_official(tmp_path / "a.zip")


# Datasets

DATASETS = {
    "char_embed": (261, 4),
    "CNN/W_cnn_0": (1, 1, 4, 4),
    "CNN/W_cnn_2": (1, 3, 4, 4),
    "CNN/b_cnn_1": (8,),
    "CNN_high_0/W_carry": (16, 16),
    "CNN_high_0/W_transform": (16, 16),
    "CNN_high_1/b_carry": (16,),
    "CNN_high_1/b_transform": (16,),
    "CNN_proj/W_proj": (16, 6),
    "CNN_proj/b_proj": (6,),
    "softmax/W": (12, 6),
    "softmax/b": (12,),
} | {
    f"{CELL.format(direction, layer)}/{name}": shape
    for direction in (0, 1)
    for layer in (0, 1)
    for name, shape in (("W_0", (12, 40)), ("B", (40,)), ("W_P_0", (10, 6)))
}


@pytest.fixture
def two_highways(tmp_path, rng):
    """The model that has the datasets above."""
    write_random_model(tmp_path / "official", rng, n_highway=2, softmax=12)
    return tmp_path / "official"


def replace_dataset(directory, name: str, values: np.ndarray | None) -> None:
    with h5py.File(directory / "weights.hdf5", "r+") as file:
        del file[name]
        if values is not None:
            file[name] = values


@pytest.mark.parametrize("name", DATASETS)
def test_a_missing_dataset(two_highways, name):
    replace_dataset(two_highways, name, None)
    # Whether there is a projection is known from the weights alone, so without it the sizes do not fit together.
    whole = name not in ("CNN_proj/W_proj", f"{CELL.format(0, 0)}/W_P_0")
    with refused(*([name, DATASETS[name]] if whole else [name.split("/")[0 if "proj" in name else -1]])):
        load_official(two_highways)


@pytest.mark.parametrize("name", DATASETS)
def test_a_misshapen_dataset(two_highways, name):
    shape = DATASETS[name]
    others = {
        (*shape[:-1], shape[-1] + 1),
        (shape[0] - 1, *shape[1:]) if shape[0] > 1 else (2, *shape[1:]),
        shape[::-1],
        (int(np.prod(shape)),),
        (*shape, 1),
        (),
    } - {shape}
    for other in others:
        replace_dataset(two_highways, name, np.zeros(other, np.float32))
        with refused(name, other, shape):
            load_official(two_highways)


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(two_highways, name, value):
    values = read_weights(two_highways / "weights.hdf5")[name]
    values.flat[-1] = value
    replace_dataset(two_highways, name, values)
    with refused(name, "finite"):
        load_official(two_highways)


def test_numbers_too_large_for_single_precision(two_highways):
    values = read_weights(two_highways / "weights.hdf5")["CNN_proj/b_proj"].astype(np.float64)
    values[0] = 1e300
    replace_dataset(two_highways, "CNN_proj/b_proj", values)
    with refused("CNN_proj/b_proj", "finite"):
        load_official(two_highways)


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("dtype", [np.int32, np.complex64, "S3", bool], ids=str)
def test_datasets_of_another_type(two_highways, name, dtype):
    replace_dataset(two_highways, name, np.ones(DATASETS[name]).astype(dtype))
    with refused(name):
        load_official(two_highways)


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<f2"])
def test_other_floating_point_numbers_are_read(two_highways, dtype):
    expected = read_weights(two_highways / "weights.hdf5")
    for name, values in expected.items():
        replace_dataset(two_highways, name, values.astype(dtype))
    assert_agrees(load_official(two_highways), reference_of(two_highways), [["the", "cat"], ["home"]])


def test_a_group_in_the_place_of_a_dataset(two_highways):
    with h5py.File(two_highways / "weights.hdf5", "r+") as file:
        del file["char_embed"]
        file.create_group("char_embed")
    with refused("char_embed"):
        load_official(two_highways)


def test_links_to_other_files_are_not_followed(two_highways, tmp_path):
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["secret"] = np.zeros((261, 4), np.float32)
    with h5py.File(two_highways / "weights.hdf5", "r+") as file:
        del file["char_embed"]
        file["char_embed"] = h5py.ExternalLink(str(tmp_path / "other.hdf5"), "secret")
    with refused("char_embed"):
        load_official(two_highways)


@pytest.mark.parametrize("path", [("lstm", "n_layers", 2), ("char_cnn", "n_highway", 1)], ids=["layers", "highways"])
def test_more_in_the_file_than_the_options_ask_for(tmp_path, rng, path):
    section, key, wrong = path
    write_random_model(tmp_path, rng, n_layers=3, n_highway=2)
    change_options(tmp_path, section, key, value=wrong)
    with refused("Cell2" if key == "n_layers" else "CNN_high_1"):
        load_official(tmp_path)


def test_more_filters_in_the_file_than_the_options_ask_for(tmp_path, rng):
    write_random_model(tmp_path, rng, filters=[(1, 3), (2, 3)], n_highway=0, char_proj=False)
    with h5py.File(tmp_path / "weights.hdf5", "r+") as file:
        file["CNN/W_cnn_2"] = np.zeros((1, 3, 4, 5), np.float32)
    with refused("CNN/W_cnn_2"):
        load_official(tmp_path)


def test_a_projection_in_some_layers_only(tmp_path, rng):
    write_random_model(tmp_path, rng, P=6, C=6)
    for layer in (0, 1):
        replace_dataset(tmp_path, f"{CELL.format(1, layer)}/W_P_0", None)
    with refused("W_P_0"):
        load_official(tmp_path)


# Options


def change_options(directory, *keys: str, value: object = ...) -> None:
    """Set a value in options.json, or take it out."""
    path = directory / "options.json"
    options = json.loads(path.read_text(encoding="utf-8"))
    section = options
    for key in keys[:-1]:
        section = section[key]
    if value is ...:
        del section[keys[-1]]
    else:
        section[keys[-1]] = value
    path.write_text(json.dumps(options), encoding="utf-8")


SIZES = (0, -1, 2.5, "4", None, True, [4], {}, float("nan"), 10**9)
WRONG_OPTIONS = {
    ("lstm",): (None, 3, [], "lstm", {}),
    ("lstm", "dim"): SIZES,
    ("lstm", "n_layers"): (*SIZES, 1, 3),
    ("lstm", "projection_dim"): tuple(size for size in SIZES if size is not None),
    ("lstm", "cell_clip"): (-1, "3", [3], "", [], {}, float("nan"), float("inf"), True, False),
    ("lstm", "proj_clip"): (-1, "3", [3], "", [], {}, float("nan"), float("inf"), True, False),
    ("lstm", "use_skip_connections"): (None, 2, "true", [], 0.5),
    ("char_cnn",): (None, 3, [], "cnn", {}),
    ("char_cnn", "activation"): ("gelu", "ReLU", None, 3, ["relu"]),
    ("char_cnn", "filters"): ([], None, 3, "1", {}, [[1]], [[1, 4, 2]], [[0, 4]], [[1, -4]], [["1", 4]], [[1.5, 4]]),
    ("char_cnn", "n_highway"): (-1, 1.5, "1", None, [1], 10**9, 3),
    ("char_cnn", "embedding"): (None, 4, [], {}),
    ("char_cnn", "embedding", "dim"): SIZES,
    ("char_cnn", "n_characters"): (260, 263, 0, -261, None, "262", [262], 10**9),
    ("char_cnn", "max_characters_per_token"): (0, -50, 2, 3, 12.5, "50", None, [50], True, float("nan")),
}


@pytest.mark.parametrize("keys", WRONG_OPTIONS, ids=".".join)
def test_wrong_options(tmp_path, rng, keys):
    write_random_model(tmp_path / "right", rng)
    for i, value in enumerate(WRONG_OPTIONS[keys]):
        directory = copy_files(tmp_path / "right", tmp_path / str(i))
        change_options(directory, *keys, value=value)
        # A size that could be is found out by the shapes, and then a dataset is named.
        size = type(value) is int and value > 0 and keys[-1] in ("dim", "n_layers", "projection_dim", "n_highway")
        with refused(*(["weights.hdf5", "dataset"] if size else ["options.json", keys[-1]])):
            load_official(directory)


@pytest.mark.parametrize(
    "keys",
    [
        ("lstm",),
        ("lstm", "dim"),
        ("lstm", "n_layers"),
        ("lstm", "use_skip_connections"),
        ("char_cnn",),
        ("char_cnn", "activation"),
        ("char_cnn", "filters"),
        ("char_cnn", "embedding"),
        ("char_cnn", "embedding", "dim"),
        ("char_cnn", "max_characters_per_token"),
    ],
    ids=".".join,
)
def test_missing_options(tmp_path, rng, keys):
    write_random_model(tmp_path, rng)
    change_options(tmp_path, *keys)
    with refused("options.json", keys[-1]):
        load_official(tmp_path)


def test_filters_in_another_order_or_number(tmp_path, rng):
    write_random_model(tmp_path / "right", rng)
    for i, filters in enumerate(([[2, 8], [1, 4], [3, 4]], [[1, 4], [2, 8]], [[1, 4], [2, 8], [3, 4], [4, 4]])):
        directory = copy_files(tmp_path / "right", tmp_path / str(i))
        change_options(directory, "char_cnn", "filters", value=filters)
        with refused("CNN"):
            load_official(directory)


def test_what_training_dumps_add_changes_nothing(tmp_path, rng):
    write_random_model(tmp_path, rng)
    expected = layers_of(load_official(tmp_path), sentences_for(50))
    for key, value in {
        "bidirectional": True,
        "dropout": 0.1,
        "all_clip_norm_val": 10.0,
        "n_epochs": 10,
        "n_train_tokens": 768648884,
        "batch_size": 128,
        "n_tokens_vocab": 793471,
        "unroll_steps": 20,
        "n_negative_samples_batch": 8192,
    }.items():
        change_options(tmp_path, key, value=value)
    for found, wanted in zip(layers_of(load_official(tmp_path), sentences_for(50)), expected, strict=True):
        assert (found == wanted).all()


# Written again


def test_round_trip(variant, tmp_path):
    directory, _ = variant
    model = load_official(directory)
    sentences = sentences_for(model.character_vocabulary.max_characters)
    del sentences[2]  # the long one
    save_official(model, tmp_path / "again", softmax=model.softmax is not None)
    again = load_official(tmp_path / "again")
    assert_close(layers_of(again, sentences), layers_of(model, sentences), 1e-6)
    assert_agrees(again, reference_of(tmp_path / "again"), sentences)
    options = json.loads((tmp_path / "again" / "options.json").read_text(encoding="utf-8"))
    assert options.get("char_cnn", {"n_characters": 262})["n_characters"] == 262
    written, given = read_weights(tmp_path / "again" / "weights.hdf5"), read_weights(directory / "weights.hdf5")
    assert written.keys() == given.keys()
    for name, values in written.items():
        assert values.dtype == np.float32
        assert values.shape == given[name].shape
        assert np.abs(values - given[name]).max() <= 1e-6
    if model.softmax is not None:
        assert torch.equal(again.softmax.weight, model.softmax.weight)
        assert torch.equal(again.softmax.bias, model.softmax.bias)
        assert again.vocabulary.words == model.vocabulary.words


UTF8 = CharCNNConfig(
    scheme="utf8", max_characters=20, embedding_dim=5, filters=((1, 3), (3, 5)), n_highway=1, projection_dim=6
)


@pytest.mark.parametrize(
    "config",
    [
        BiLMConfig(char_cnn=UTF8, hidden_dim=9, projection_dim=6, cell_clip=3.0, projection_clip=3.0, softmax="full"),
        BiLMConfig(char_cnn=UTF8, hidden_dim=6, skip_connections=True, softmax="sampled", n_negatives=4),
        BiLMConfig(char_cnn=replace(UTF8, projection_dim=None), hidden_dim=8, n_layers=1, softmax="adaptive"),
        BiLMConfig(char_cnn=replace(UTF8, n_highway=0, activation="tanh"), hidden_dim=6, softmax="none"),
        BiLMConfig(char_cnn=WordEmbeddingConfig(16, 6), hidden_dim=6, skip_connections=True, softmax="full"),
    ],
    ids=["projection", "none in the LSTMs", "none of characters", "tanh", "words"],
)
def test_our_own_models_are_written_for_everybody(tmp_path, config):
    vocabulary = WordVocabulary([f"w{i}" for i in range(12)], range(12, 0, -1))
    torch.manual_seed(0)
    model = BiLM(config, vocabulary, TextConfig(tokenizer="whitespace")).eval()
    has_softmax = config.softmax in ("full", "sampled")
    save_official(model, tmp_path / "official", softmax=has_softmax)
    assert sorted(path.name for path in (tmp_path / "official").iterdir()) == [
        "options.json",
        "vocabulary.txt",
        "weights.hdf5",
    ]
    lines = (tmp_path / "official" / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    assert lines == ["<S>", "</S>", "<UNK>", *vocabulary.words[4:], ""]
    sentences = [["w0", "w11", "w3"], ["unheard-of"], ["w1"] * 30]
    loaded = load_official(tmp_path / "official")
    assert_close(layers_of(loaded, sentences), layers_of(model, sentences), 1e-6)
    assert_agrees(model, reference_of(tmp_path / "official"), sentences)
    assert loaded.text == model.text
    assert (loaded.softmax is not None) == has_softmax
    if has_softmax:
        hidden = torch.randn(3, 6)
        found, wanted = loaded.softmax.log_probabilities(hidden), model.softmax.log_probabilities(hidden)
        assert (found - wanted)[:, 1:].abs().max() <= 1e-6


def test_files_are_the_same_every_time(official, tmp_path):
    model = load_official(official)
    for name in ("1", "2"):
        save_official(model, tmp_path / name, softmax=True)
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_writing_leaves_the_model_as_it_is(official, tmp_path):
    model = load_official(official).train()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    save_official(model, tmp_path / "again", softmax=True)
    assert model.training
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())


def test_somebody_elses_files_are_not_replaced(official, tmp_path):
    model = load_official(official)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("years of work")
    with refused("theirs"):
        save_official(model, tmp_path / "theirs")
    before = (official / "options.json").read_bytes()
    with refused("official"):
        save_official(model, official)
    assert (official / "options.json").read_bytes() == before
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["thesis.txt"]


def test_our_own_files_are_replaced(official, tmp_path):
    model = load_official(official)
    save_official(model, tmp_path / "again")
    with torch.no_grad():
        model.char_cnn.projection.bias += 1
    save_official(model, tmp_path / "again")
    again = load_official(tmp_path / "again")
    assert torch.equal(again.char_cnn.projection.bias, model.char_cnn.projection.bias)


@pytest.mark.parametrize(
    ("config", "softmax", "names"),
    [
        (BiLMConfig(char_cnn=replace(UTF8, scheme="tutorial"), hidden_dim=6), False, ["tutorial"]),
        (BiLMConfig(char_cnn=replace(UTF8, embedding_dim=None), hidden_dim=6), False, ["one-hot"]),
        (BiLMConfig(char_cnn=UTF8, hidden_dim=3), False, ["6", "3"]),
        (BiLMConfig(char_cnn=WordEmbeddingConfig(16, 6), hidden_dim=3), False, ["6", "3"]),
        (BiLMConfig(char_cnn=UTF8, hidden_dim=6, softmax="adaptive"), True, ["adaptive"]),
        (BiLMConfig(char_cnn=UTF8, hidden_dim=6, softmax="none"), True, ["softmax"]),
    ],
    ids=["tutorial", "one-hot", "D = 2P", "words, D = 2P", "adaptive", "no softmax"],
)
def test_what_the_format_cannot_say(tmp_path, config, softmax, names):
    model = BiLM(config, WordVocabulary([f"w{i}" for i in range(12)], range(12, 0, -1)))
    with refused(*names):
        save_official(model, tmp_path / "official", softmax=softmax)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["two\nlines", "carriage\rreturn", "", "half\ud800"])
def test_words_that_no_line_can_hold(tmp_path, word):
    model = BiLM(BiLMConfig(char_cnn=UTF8, hidden_dim=6), WordVocabulary(["a", word]))
    with refused(ascii(word).strip("'")[:3]):
        save_official(model, tmp_path / "official", softmax=True)
    assert not list(tmp_path.iterdir())
