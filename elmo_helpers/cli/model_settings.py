"""The sizes of a new model, as a shell gives them: by options, by a file, and by the corpus that it is to read."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elmo_helpers.cli.options import config_options
from elmo_helpers.config import BiLMConfig, CharCNNConfig, TextConfig, from_plain_data
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import read_json

if TYPE_CHECKING:
    from elmo_helpers.text.characters import CharacterVocabulary
    from elmo_helpers.text.shards import CorpusShards

_OF_THE_CORPUS = ("scheme", "max_characters")
MODEL_FIELDS = [field.name for field in dataclasses.fields(BiLMConfig) if field.name != "char_cnn"]
CNN_FIELDS = [field.name for field in dataclasses.fields(CharCNNConfig) if field.name not in _OF_THE_CORPUS]
# The names of options, and the fields that they set. A field that has a namesake in the LSTMs says whose it is.
CNN_OPTIONS = {f"char_cnn_{name}" if name in MODEL_FIELDS else name: name for name in CNN_FIELDS}
MODEL_OPTIONS = [*config_options(CharCNNConfig(), CNN_OPTIONS), *config_options(BiLMConfig(), MODEL_FIELDS)]


def given_sizes(given: dict[str, Any]) -> dict[str, Any]:
    """What was given of `MODEL_OPTIONS`, laid out as under "model" in config.json."""
    sizes = {name: value for name, value in given.items() if name in MODEL_FIELDS}
    cnn = {CNN_OPTIONS[name]: value for name, value in given.items() if name in CNN_OPTIONS}
    return {**sizes, "char_cnn": cnn} if cnn else sizes


def asked_for(base: BiLMConfig, file: Path | None, given: dict[str, Any], corpus: "CorpusShards") -> BiLMConfig:
    """The model that is asked for.

    Args:
        base: What neither the file nor an option names.
        file: Laid out as config.json, with all of it or some.
        given: What options name, laid out as under "model" in the file; it replaces what is there.
        corpus: What the model is to be trained on.

    Raises:
        ElmoHelpersError: A setting is unknown, out of its range, or not the corpus's.
    """
    characters = corpus.character_vocabulary
    if file is None:
        return model_config(base, given, characters)
    sizes = _read(file, corpus.text)
    both = {**sizes, **given}
    if isinstance(sizes.get("char_cnn"), dict):
        both["char_cnn"] = {**sizes["char_cnn"], **given.get("char_cnn", {})}
    try:
        return model_config(base, both, characters)
    except ElmoHelpersError as error:
        model_config(base, given, characters)  # raises where an option is at fault
        raise ElmoHelpersError(f"{file}: {error}") from None


def _read(file: Path, text: TextConfig) -> dict[str, Any]:
    """The model's settings in a file; what it says of text must be true of the corpus."""
    from elmo_helpers.model.storage import FORMAT

    data = read_json(file)
    known = {"format", "model", "text"}
    if not isinstance(data, dict) or data.keys() - known:
        unknown = sorted(data.keys() - known) if isinstance(data, dict) else type(data).__name__
        raise ElmoHelpersError(f"{file}: unknown settings {unknown}; expected some of {sorted(known)}.")
    if data.get("format", FORMAT) != FORMAT:
        raise ElmoHelpersError(f"{file} is of the format {data['format']!r}: expected {FORMAT!r}, or none.")
    sizes, asked = data.get("model", {}), data.get("text", {})
    if not isinstance(sizes, dict):
        raise ElmoHelpersError(f"{file}: model={sizes!r:.60}: expected settings by their names.")
    try:
        from_plain_data(TextConfig, asked)
        _check_corpus("text", asked, dataclasses.asdict(text))
    except ElmoHelpersError as error:
        raise ElmoHelpersError(f"{file}: {error}") from None
    return sizes


def _check_corpus(part: str, asked: dict[str, Any], has: dict[str, Any]) -> None:
    """Check that what is asked for is what the corpus has, where it is the corpus's to say."""
    for name, value in has.items():
        if asked.get(name, value) != value:
            raise ElmoHelpersError(
                f"{part}.{name}={asked[name]!r:.60}: the corpus was made with {value!r}, and the model must be too: "
                "leave it out, or make the corpus by preprocess as it is asked for."
            )


def model_config(base: BiLMConfig, sizes: dict[str, Any], characters: "CharacterVocabulary") -> BiLMConfig:
    """A configuration with some sizes of its own, which reads the characters of a corpus.

    A token vector that is not as wide as one LSTM direction or both is projected to the width of one, where its
    projection is not among the sizes.

    Args:
        base: What `sizes` leave open.
        sizes: Fields of `BiLMConfig`, and under "char_cnn" of `CharCNNConfig`.
        characters: The corpus's.

    Raises:
        ElmoHelpersError: A field is unknown, or a value out of its range or not the corpus's.
    """
    asked = sizes.get("char_cnn", {})
    if not isinstance(asked, dict):
        raise ElmoHelpersError(f"char_cnn={asked!r:.60}: expected settings by their names.")
    has = {name: getattr(characters, name) for name in _OF_THE_CORPUS}
    _check_corpus("char_cnn", asked, has)
    before = base.to_dict()
    cnn = from_plain_data(CharCNNConfig, {**before["char_cnn"], **has, **asked})
    both = {**before, **sizes}
    width = both["hidden_dim"] if both["projection_dim"] is None else both["projection_dim"]
    is_free = "projection_dim" not in asked and isinstance(width, int) and width > 0
    if is_free and cnn.output_dim not in (width, 2 * width):
        cnn = dataclasses.replace(cnn, projection_dim=width)
    return from_plain_data(BiLMConfig, {**both, "char_cnn": cnn})
