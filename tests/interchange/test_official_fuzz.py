"""Damaged files end in our one error, or are read as what they still say; nothing else ever comes out."""

from __future__ import annotations

import copy
import json
import math
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from comparing import layers_of, refused
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from reference import Reference, read_weights, write_random_model

from elmo_helpers import BiLM, ElmoHelpersError
from elmo_helpers.interchange.official import load_official

SENTENCES = [["the", "cat", "naïve"], ["home"]]
LARGE = 10  # beyond this a changed number may overflow, which the two sides need not do alike
SECONDS = 10  # no file of a few kilobytes may take longer
FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def read_or_refused(path: Path) -> BiLM | None:
    """The model, or None where it ends in an error of ours in one line."""
    message = ""
    try:
        return load_official(path)
    except ElmoHelpersError as error:
        message = str(error)
    assert message
    assert "\n" not in message
    return None


class Files:
    """The files of a small model, and what it gives while they are whole."""

    def __init__(self, directory: Path, *, softmax: bool) -> None:
        self.directory = directory
        paths = write_random_model(
            directory,
            np.random.default_rng(0),
            ce=2,
            filters=[(1, 2), (2, 3)],
            P=3,
            C=4,
            n_layers=2,
            max_characters=10,
            softmax=12 if softmax else None,
        )
        self.options, self.weights = paths
        self.contents = {path.name: path.read_bytes() for path in directory.iterdir()}
        self.plain_options = json.loads(self.contents["options.json"])
        self.datasets = read_weights(self.weights)
        self.layers = layers_of(load_official(directory), SENTENCES)

    def restore(self) -> None:
        """All files as they were."""
        for name, content in self.contents.items():
            (self.directory / name).write_bytes(content)

    def check(self) -> BiLM | None:
        """Load what is there now. It ends in our error, or in a model that gives what its files say."""
        begun = time.perf_counter()
        model = read_or_refused(self.directory)
        assert time.perf_counter() - begun < SECONDS
        if model is None:
            return None
        found = layers_of(model, SENTENCES)
        expected = self._expected()
        if expected is not None:
            for a, b in zip(found, expected, strict=True):
                assert a.shape == b.shape
                assert np.abs(a - b).max() <= 1e-4
        return model

    def _expected(self) -> list[np.ndarray] | None:
        """What the files say now; what they said before, where they say it no more; None: numbers too large."""
        try:
            reference = Reference(self.options, self.weights)
            if any(np.abs(values).max(initial=0) > LARGE for values in reference.weights.values()):
                return None
            return [reference.layers(words) for words in SENTENCES]
        except Exception:
            return self.layers


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Files:
    return Files(tmp_path_factory.mktemp("official"), softmax=True)


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Files:
    return Files(tmp_path_factory.mktemp("official"), softmax=False)


def test_whole_files_are_read(files):
    files.restore()
    model = files.check()
    assert model is not None
    assert model.softmax is not None


def test_the_check_would_notice(files):
    """A model that is not what its files say fails the check."""
    files.restore()
    files.contents, kept = dict(files.contents), files.contents
    try:
        wrong = copy.deepcopy(files.plain_options)
        wrong["lstm"]["use_skip_connections"] = False
        model = load_official(files.directory)
        files.options.write_text(json.dumps(wrong))
        expected = files._expected()
        assert max(np.abs(a - b).max() for a, b in zip(layers_of(model, SENTENCES), expected, strict=True)) > 1e-2
        wrong["lstm"]["n_layers"] = "two"
        files.options.write_text(json.dumps(wrong))
        assert files._expected() is files.layers
    finally:
        files.contents = kept
        files.restore()


# options.json

odd_values = st.one_of(
    st.integers(-3, 60),
    st.sampled_from([10**6, 10**9, -(10**9), 2**31, 2**63, 10**30]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([1.0, 2.0, 4.0, 262.0, 0.3]),
    st.text(max_size=5),
    st.sampled_from(["2", "relu", "tanh", "", "true", "\ud800"]),
    st.none(),
    st.booleans(),
    st.lists(st.integers(-1, 5), max_size=3),
    st.lists(st.lists(st.integers(-1, 5), max_size=3), max_size=3),
    st.dictionaries(st.sampled_from(["dim", "lstm", "n_layers", ""]), st.integers(-1, 5), max_size=2),
)
EXTRA = ("dropout", "text", "format", "n_negative_samples_batch", "bidirectional", "n_tokens_vocab", "unheard of")


def places_of(options: Any, above: tuple = ()) -> list[tuple]:
    """The path of every value inside."""
    keys = options if isinstance(options, dict) else range(len(options)) if isinstance(options, list) else ()
    return [path for key in keys for path in ((*above, key), *places_of(options[key], (*above, key)))]


@st.composite
def damaged_options(draw: st.DrawFn, options: dict) -> Any:
    """The options with one to three things changed."""
    options = copy.deepcopy(options)
    for _ in range(draw(st.integers(1, 3))):
        places = places_of(options)
        if not places:
            break
        *above, key = draw(st.sampled_from(places))
        section = options
        for part in above:
            section = section[part]
        kind = draw(st.sampled_from(["remove", "odd", "odd", "text", "list", "nest", "rename", "add", "near"]))
        value = section[key]
        if kind == "remove":
            del section[key]
        elif kind == "rename" and isinstance(section, dict):
            section[draw(st.text(max_size=3)) + str(key)] = section.pop(key)
        elif kind == "add":
            options[draw(st.sampled_from(EXTRA))] = draw(odd_values)
        elif kind == "near" and isinstance(value, int | float):
            section[key] = value + draw(st.sampled_from([-1, 1, 0.5, 0.0]))
        elif kind in ("text", "list", "nest"):
            section[key] = {"text": str(value), "list": [value], "nest": {"value": value}}[kind]
        else:
            section[key] = draw(odd_values)
    return options


@settings(FUZZ, max_examples=200)
@given(data=st.data())
def test_damaged_options(bare, data):
    bare.restore()
    options = data.draw(damaged_options(bare.plain_options))
    cnn = options.get("char_cnn")
    length = cnn.get("max_characters_per_token") if isinstance(cnn, dict) else None
    assume(not isinstance(length, int) or not 2_000 < length <= 10_000)  # legal, and slow in the reference
    bare.options.write_text(json.dumps(options), encoding="utf-8")
    bare.check()


@settings(FUZZ, max_examples=60)
@given(value=odd_values)
def test_options_that_are_something_else(bare, value):
    bare.restore()
    bare.options.write_text(json.dumps(value), encoding="utf-8")
    assert bare.check() is None


@settings(FUZZ, max_examples=100)
@given(data=st.data())
def test_damaged_text_of_the_options(bare, data):
    bare.restore()
    text = bytearray(bare.contents["options.json"])
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text) - 1))]
    for _ in range(data.draw(st.integers(0, 3))):
        if text:
            text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        length = json.loads(text)["char_cnn"]["max_characters_per_token"]
    except (ValueError, TypeError, KeyError):
        length = None
    assume(not isinstance(length, int) or not 2_000 < length <= 10_000)
    bare.options.write_bytes(text)
    bare.check()


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"lstm": ' * 100_000, '{"lstm": {"dim": ' + "9" * 10_000 + "}}", "NaN", '"\\ud800"', "\ufeff{}"],
    ids=["lists", "objects", "digits", "NaN", "half a character", "byte order mark"],
)
def test_text_that_breaks_readers(bare, text):
    bare.restore()
    bare.options.write_text(text, encoding="utf-8")
    with refused("options.json"):
        load_official(bare.directory)


@pytest.mark.parametrize("huge", [10**9, 2**31, 2**63, 10**30, 10**400], ids=["1e9", "2^31", "2^63", "1e30", "1e400"])
@pytest.mark.parametrize(
    "keys",
    [
        ("lstm", "dim"),
        ("lstm", "projection_dim"),
        ("lstm", "n_layers"),
        ("char_cnn", "n_highway"),
        ("char_cnn", "embedding", "dim"),
        ("char_cnn", "filters", 0, 0),
        ("char_cnn", "filters", 1, 1),
        ("char_cnn", "max_characters_per_token"),
    ],
    ids=lambda keys: ".".join(map(str, keys)),
)
def test_huge_sizes_are_refused_at_once(bare, keys, huge):
    bare.restore()
    options = copy.deepcopy(bare.plain_options)
    section = options
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = huge
    bare.options.write_text(json.dumps(options))
    begun = time.perf_counter()
    with pytest.raises(ElmoHelpersError):
        load_official(bare.directory)
    assert time.perf_counter() - begun < 2


def test_very_many_filters_are_refused_at_once(bare):
    bare.restore()
    options = copy.deepcopy(bare.plain_options)
    options["char_cnn"]["filters"] *= 20_000
    bare.options.write_text(json.dumps(options))
    begun = time.perf_counter()
    with refused("weights.hdf5"):
        load_official(bare.directory)
    assert time.perf_counter() - begun < 2


# weights.hdf5


@st.composite
def changed_dataset(draw: st.DrawFn, values: np.ndarray) -> Any:
    """Other values for a dataset; None: it is taken out."""
    kind = draw(
        st.sampled_from(["remove", "reshape", "cut", "type", "number", "number", "not finite", "empty", "zero"])
    )
    shape = values.shape
    if kind == "remove":
        return None
    if kind == "reshape":
        return draw(st.sampled_from([values.ravel(), values.T, values[None], values[..., None], values[::-1]]))
    if kind == "cut":
        axis = draw(st.integers(0, values.ndim - 1))
        return values.take(range(draw(st.integers(0, shape[axis]))), axis)
    if kind == "type":
        return values.astype(draw(st.sampled_from(["i4", "u1", "?", "c8", "f8", ">f4", "f2", "S4", "longdouble"])))
    if kind == "empty":
        return h5py.Empty("f4")
    if kind == "zero":
        return np.zeros(shape, np.float32)
    changed = values.copy()
    number = st.floats(width=32, allow_nan=False, allow_infinity=False)
    other = draw(number if kind == "number" else st.sampled_from([math.nan, math.inf, -math.inf]))
    changed.flat[draw(st.integers(0, values.size - 1))] = other
    return changed


@settings(FUZZ, max_examples=100)
@given(data=st.data())
def test_damaged_datasets(files, data):
    files.restore()
    names = data.draw(st.lists(st.sampled_from(sorted(files.datasets)), min_size=1, max_size=2, unique=True))
    finite = True
    with h5py.File(files.weights, "r+") as file:
        for name in names:
            values = data.draw(changed_dataset(files.datasets[name]))
            del file[name]
            if values is not None:
                file[name] = values
                numbers = isinstance(values, np.ndarray) and values.dtype.kind == "f"
                finite &= numbers and bool(np.isfinite(values).all())
    model = files.check()
    assert model is None or finite  # what is not finite, or no number, is never read


@pytest.mark.parametrize(
    "name", ["char_embed", "CNN/W_cnn_0", "RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell/W_0", "softmax/W"]
)
@pytest.mark.parametrize("shape", [(10**9, 10**3), (2**40,), (10**6, 10**6, 10**3)], ids=str)
def test_huge_datasets_are_refused_at_once(files, name, shape):
    """A few bytes can declare a dataset of any size."""
    files.restore()
    with h5py.File(files.weights, "r+") as file:
        del file[name]
        file.create_dataset(name, shape, "f4", chunks=tuple(min(n, 64) for n in shape))
    begun = time.perf_counter()
    with refused(name, shape):
        load_official(files.directory)
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("name", [b"\xff", b"CNN/\xff", b"RNN_0/\xe9", "RNN_0/é", "CNN/", "later"], ids=ascii)
def test_names_that_are_no_text(files, name):
    """Something unknown beside the weights: left alone, or refused where it looks like a part of the model."""
    files.restore()
    with h5py.File(files.weights, "r+") as file:
        file[name.rstrip("/") + "/x" if isinstance(name, str) else name] = np.zeros(3, np.float32)
    model = files.check()
    if name == "later":
        assert model is not None


@pytest.mark.parametrize("kind", ["soft", "dangling", "circle", "external storage", "virtual", "compound", "words"])
def test_datasets_that_are_no_plain_numbers(files, tmp_path, kind):
    files.restore()
    name = "CNN_proj/b_proj"
    (tmp_path / "numbers").write_bytes(np.ones(3, np.float32).tobytes())
    with h5py.File(files.weights, "r+") as file:
        del file[name]
        if kind in ("soft", "dangling", "circle"):
            file[name] = h5py.SoftLink({"soft": "/CNN/b_cnn_1", "dangling": "/nowhere", "circle": f"/{name}"}[kind])
        elif kind == "external storage":
            file.create_dataset(name, (3,), "f4", external=[(str(tmp_path / "numbers"), 0, 12)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((3,), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), "data", (3,))
            file.create_virtual_dataset(name, layout)
        elif kind == "compound":
            file[name] = np.zeros(3, [("a", "f4"), ("b", "f4")])
        else:
            file.create_dataset(name, data=["1", "2", "3"], dtype=h5py.string_dtype())
    with refused(name):
        load_official(files.directory)


@settings(FUZZ, max_examples=100)
@given(data=st.data())
def test_truncated_weights(files, data):
    files.restore()
    whole = files.contents["weights.hdf5"]
    files.weights.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    files.check()


@settings(FUZZ, max_examples=200)
@given(data=st.data())
def test_flipped_bytes_of_the_weights(files, data):
    files.restore()
    content = bytearray(files.contents["weights.hdf5"])
    # Names and shapes stand in front; most of the file is numbers.
    for _ in range(data.draw(st.integers(1, 4))):
        end = data.draw(st.sampled_from([100, 3000, len(content)]))
        content[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    files.weights.write_bytes(content)
    files.check()


# The rest


@settings(FUZZ, max_examples=60)
@given(data=st.data())
def test_damaged_vocabulary(files, data):
    """No word of a vocabulary file is dropped, doubled or invented: there are as many as the softmax has rows."""
    files.restore()
    content = bytearray(files.contents["vocabulary.txt"])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    (files.directory / "vocabulary.txt").write_bytes(content)
    model = files.check()
    if model is not None:
        lines = content.decode("utf-8-sig").removesuffix("\n").split("\n")
        while len(lines) > 12 and not lines[-1].strip():  # a blank line behind the last row is no word
            lines.pop()
        assert sorted(model.vocabulary.words[1:]) == sorted(line.removesuffix("\r") for line in lines)
        assert len(model.vocabulary) == len(model.softmax.bias) == 13


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@settings(FUZZ, max_examples=80)
@given(data=st.data())
def test_damaged_zip(bare, compression, data):
    """Every member of a zip file has a checksum: what is read is what was written."""
    path = bare.directory.parent / f"damaged-{compression}.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in bare.contents.items():
            archive.writestr(name, content)
    content = bytearray(path.read_bytes())
    kind = data.draw(st.sampled_from(["cut", "flip", "flip the end"]))
    if kind == "cut":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            begin = max(len(content) - 200, 0) if kind == "flip the end" else 0
            content[data.draw(st.integers(begin, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    model = read_or_refused(path)
    if model is not None:
        for found, expected in zip(layers_of(model, SENTENCES), bare.layers, strict=True):
            assert (found == expected).all()
