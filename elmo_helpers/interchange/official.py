"""The published ELMo files: read into a biLM, and written from one.

options.json    sizes and settings
weights.hdf5    the weights, and the softmax where it is there
vocabulary.txt  the words of the softmax, or of the word vectors, one a line: `<S>`, `</S>`, `<UNK>` first
"""

from __future__ import annotations

import io
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import h5py

from elmo_helpers.checks import flag, instance
from elmo_helpers.config import TextConfig
from elmo_helpers.encoding.hdf5_files import writable_hdf5
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import (
    check_ordinary,
    open_ordinary,
    parse_json,
    path_of,
    read_bytes,
    whole_directory,
    write_json,
)
from elmo_helpers.interchange.official_options import FORMAT, config_of, options_of, text_of
from elmo_helpers.interchange.official_weights import CNN_PROJECTION, LSTM_PROJECTION, WeightsFile, write_weights
from elmo_helpers.model.adaptive_softmax import AdaptiveSoftmax
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.devices import check_has_numbers
from elmo_helpers.model.sizes import within_memory
from elmo_helpers.text.vocabulary import SPECIALS, WordVocabulary

_ENDINGS = {"options": ("options.json",), "weights": (".hdf5", ".h5"), "vocabulary": ("vocabulary.txt", "vocab.txt")}
# What zipfile raises on damaged files.
_DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    KeyError,
    ValueError,
)


def load_official(
    source: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    *,
    vocabulary: str | os.PathLike[str] | WordVocabulary | None = None,
    softmax: bool | None = None,
    text: TextConfig | None = None,
) -> BiLM:
    """Read a published ELMo; it is in evaluation mode, and gives the published vectors (to float32's precision).

    Args:
        source: A directory or a zip file with one options.json and one HDF5 file (their names may have something in
            front), and a vocabulary.txt where there is one; or an options file, and `weights` beside it.
        weights: The HDF5 file that belongs to an options file.
        vocabulary: The words of the softmax or of the word vectors: a file with one a line, `<S>`, `</S>` and `<UNK>`
            among them, or a vocabulary. Models that read characters and have no softmax need none. Blank lines behind
            the last word are no words.
        softmax: Whether to read the softmax: None where it is there; False never; True always.
        text: How raw titles become tokens for this model; None: what our own files say, else spaCy's rules with case.

    Raises:
        ElmoHelpersError: A file is missing, damaged, cut off or an address on the web, from which nothing is fetched;
            an option is wrong; a dataset is missing or misshapen. The message names it, what was found and what was
            expected.
    """
    if softmax is not None:
        softmax = flag("softmax", softmax)
    if text is not None:
        instance("text", text, TextConfig, "a TextConfig, or None")
    if vocabulary is not None and not isinstance(vocabulary, WordVocabulary):
        vocabulary = path_of("vocabulary", vocabulary)
    files = _find(path_of("source", source), None if weights is None else path_of("weights", weights))
    options = files.json()
    words = order = None
    with files.weights() as file:
        file.check_kind()
        if softmax is None:
            softmax = any(file.shape(name) is not None for name in ("softmax/W", "softmax/b"))
        word_shape = None if file.shape("char_embed") else file.shape("embedding")
        n_words = word_shape[0] if word_shape else None
        if softmax or n_words is not None:
            what, shape = ("a softmax", file.shape("softmax/W")) if softmax else ("word vectors", word_shape)
            words, order = _words(files, vocabulary, what, shape)
        elif isinstance(vocabulary, WordVocabulary):
            words = vocabulary
        try:
            config = config_of(
                options,
                cnn_projection=file.shape(CNN_PROJECTION) is not None,
                lstm_projection=file.shape(LSTM_PROJECTION) is not None,
                n_words=n_words,
            )
            config = replace(config, softmax="auto" if softmax else "none")
            text = text or text_of(options)
        except ElmoHelpersError as error:
            raise ElmoHelpersError(f"{files.options}: {error}") from None
        n_known = 0 if words is None else len(words) - 1
        if n_words is not None and n_words != n_known:
            raise ElmoHelpersError(
                f"{files.weights_name}: the dataset embedding has the shape {word_shape}: the vocabulary has "
                f"{n_known} words, so expected {(n_known, config.output_dim)}."
            )
        state = file.state(config, n_known if softmax else None)
    if order is not None:
        for name in {"char_cnn.weight", "softmax.weight", "softmax.bias"} & state.keys():
            state[name] = state[name][order]
    return BiLM.of_weights(config, text, WordVocabulary([]) if words is None else words, state)


def save_official(model: BiLM, directory: str | os.PathLike[str], *, softmax: bool = False) -> None:
    """Write a model as published files, whole or not at all: options.json, weights.hdf5 and vocabulary.txt.

    Args:
        model: A model that reads `utf8` characters, or words.
        directory: New, empty, or written by this function before.
        softmax: Also write the softmax, which most published files leave out; it is what scores words.

    Raises:
        ElmoHelpersError: The format cannot say something that the model is; the message names it.
    """
    instance("model", model, BiLM, "a BiLM")
    softmax = flag("softmax", softmax)
    check_has_numbers(model.device)
    options = options_of(model.config, model.text)
    if softmax and model.softmax is None:
        raise ElmoHelpersError("softmax=True: the model has no softmax to write; pass softmax=False.")
    if softmax and isinstance(model.softmax, AdaptiveSoftmax):
        raise ElmoHelpersError(
            "softmax=True: the model's softmax is adaptive, which the published format cannot say; write the model "
            "without it, or train one with softmax='full' or 'sampled'."
        )
    words = model.vocabulary.words[1:]
    for word in words:
        if word.splitlines() != [word] or not _is_utf8(word):
            raise ElmoHelpersError(f"The word {word!r} of the vocabulary cannot be written on one line of UTF-8 text.")
    options["n_tokens_vocab"] = len(words)
    with whole_directory(directory, header="options.json", format_name=FORMAT) as path:
        write_json(path / "options.json", options)
        with writable_hdf5(path / "weights.hdf5") as (file, _):
            write_weights(file, model.config, model.state_dict(), len(words) if softmax else None)
        (path / "vocabulary.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8", newline="\n")


@dataclass(frozen=True)
class _Files:
    """Where the three files are: paths, or names inside a zip file."""

    options: str
    weights_name: str
    vocabulary: str | None
    zip: Path | None = None

    def json(self) -> object:
        """What options.json holds."""
        return parse_json(self.read(self.options), self.options)

    @contextmanager
    def weights(self) -> Iterator[WeightsFile]:
        """The weight file, open."""
        name = self.weights_name
        with open_ordinary(name) if self.zip is None else io.BytesIO(self.read(name)) as stream:
            try:
                file = h5py.File(stream, "r")  # through a file of Python's own, which HDF5 does not lock
            except (OSError, RuntimeError, ValueError) as error:
                raise ElmoHelpersError(
                    f"{name} is no HDF5 file, or is damaged or cut off ({error}): restore it."
                ) from None
            with file:
                yield WeightsFile(file, name)

    def read(self, name: str) -> bytes:
        """All of one of them."""
        if self.zip is None:
            return read_bytes(name)
        try:
            with zipfile.ZipFile(self.zip) as archive:
                n_bytes = archive.getinfo(name).file_size  # no more than it says is unpacked, whatever is there
                with within_memory(f"{self.zip}: {name}", n_bytes):
                    return archive.read(name)
        except ElmoHelpersError:
            raise
        except _DAMAGED_ZIP as error:
            raise ElmoHelpersError(f"{self.zip}: {name} cannot be read ({error}): restore the file.") from None


def _find(source: Path, weights: Path | None) -> _Files:
    """The files of a model in a directory, a zip file, or as a pair."""
    if weights is not None:
        return _Files(str(source), str(weights), _beside(weights))
    if os.path.isdir(source):
        return _chosen([str(path) for path in _listed(source) if not os.path.isdir(path)], source)
    if not os.path.exists(source):
        raise ElmoHelpersError(f"{source} is missing: name a directory or a zip file, or an options file and weights.")
    check_ordinary(source)
    if not zipfile.is_zipfile(source):
        raise ElmoHelpersError(
            f"{source} is neither a directory nor a zip file: with an options file, also pass the path of its weights."
        )
    try:
        with zipfile.ZipFile(source) as archive:
            names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    except _DAMAGED_ZIP as error:
        raise ElmoHelpersError(f"{source} is damaged ({error}): restore it.") from None
    return _chosen(names, source, source)


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError as error:
        raise ElmoHelpersError(f"{directory} cannot be read ({error.strerror}): name one that can.") from None


def _chosen(names: list[str], source: Path, archive: Path | None = None) -> _Files:
    """The one file of each kind."""
    found = {kind: [n for n in names if n.lower().endswith(endings)] for kind, endings in _ENDINGS.items()}
    for kind, of_kind in found.items():
        if len(of_kind) > 1 or (not of_kind and kind != "vocabulary"):
            here = ", ".join(Path(name).name for name in of_kind[:3]) or "none"
            raise ElmoHelpersError(
                f"{source}: expected one file of {kind}, with a name that ends in {' or '.join(_ENDINGS[kind])}, and "
                f"found {here}: name the files one by one."
            )
    vocabulary = found["vocabulary"][0] if found["vocabulary"] else None
    return _Files(found["options"][0], found["weights"][0], vocabulary, archive)


def _beside(weights: Path) -> str | None:
    """The vocabulary file that stands beside the weights, where there is one."""
    candidates = [weights.parent / name for name in _ENDINGS["vocabulary"]]
    return next((str(path) for path in candidates if os.path.exists(path)), None)


def _words(
    files: _Files, vocabulary: Path | WordVocabulary | None, what: str, shape: tuple[int, ...] | None
) -> tuple[WordVocabulary, list[int] | None]:
    """The vocabulary, and the row of each of its words among the file's, after padding; None: as they come.

    Args:
        files: The model's.
        vocabulary: The user's own.
        what: That has a row a word, for the message.
        shape: Of its dataset.
    """
    if isinstance(vocabulary, WordVocabulary):
        return vocabulary, None
    if vocabulary is not None:
        name, data = str(vocabulary), read_bytes(vocabulary)
    elif files.vocabulary is not None:
        name, data = files.vocabulary, files.read(files.vocabulary)
    else:
        leave_out = ", or softmax=False to leave it out" if what == "a softmax" else ""
        raise ElmoHelpersError(
            f"{files.weights_name}: the model has {what}, and there is no vocabulary.txt to name the words: put it "
            f"beside the weights, or pass vocabulary=FILE to load_official{leave_out}."
        )
    words = _lines(name, data, shape[0] if shape else None)
    place = {word: row for row, word in enumerate(words, start=1)}
    missing = [word for word in SPECIALS[1:] if word not in place]
    if missing:
        raise ElmoHelpersError(f"{name}: the line {missing[0]} is missing: expected {', '.join(SPECIALS[1:])} in it.")
    others = [word for word in words if word not in SPECIALS[1:]]
    try:
        ours = WordVocabulary(others)
    except ElmoHelpersError as error:
        raise ElmoHelpersError(f"{name}: {error}") from None
    if len(ours) - 1 != len(words):
        raise ElmoHelpersError(f"{name}: one of {', '.join(SPECIALS[1:])} is there twice: leave one out.")
    return ours, [0, *(place[word] for word in ours.words[1:])]


def _lines(name: str, data: bytes, n: int | None) -> list[str]:
    """The lines of a vocabulary file: as many as there are rows, n, where all lines behind them are blank."""
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ElmoHelpersError(f"{name} is not UTF-8 text ({error}): expected one word a line.") from None
    lines = [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
    return lines if any(map(str.strip, lines[n:])) else lines[:n]


def _is_utf8(word: str) -> bool:
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
