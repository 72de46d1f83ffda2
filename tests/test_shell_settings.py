"""What Python can set a shell can: every field of every configuration, by an option or by --config."""

import inspect
import json
from dataclasses import fields, replace
from typing import Any

import pytest
from typer.testing import CliRunner

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import (
    BiLM,
    BiLMConfig,
    CharCNNConfig,
    Corpus,
    ElmoHelpersError,
    TextConfig,
    TrainingConfig,
    evaluate,
    prepare_corpus,
)
from elmo_helpers.__main__ import app
from elmo_helpers.analysis.generation import Generator
from elmo_helpers.cli.model_settings import CNN_OPTIONS, MODEL_OPTIONS
from elmo_helpers.cli.training import TRAINING_OPTIONS
from elmo_helpers.config import WordEmbeddingConfig
from elmo_helpers.encoding.corpus_encoding import encode_file
from elmo_helpers.interchange.official import load_official, save_official
from elmo_helpers.text import preparation
from elmo_helpers.training import trainer
from other_settings import TRAINING

# A value of each field that is neither the default nor of the preset tiny, as Python has it.
BILM = {
    "n_layers": 3,
    "hidden_dim": 16,
    "projection_dim": 16,
    "cell_clip": 3.0,
    "projection_clip": 2.5,
    "skip_connections": True,
    "dropout": 0.3,
    "softmax": "adaptive",
    "n_negatives": 7,
}
CNN = {
    "embedding_dim": 6,
    "filters": ((1, 8), (3, 8)),
    "n_highway": 2,
    "projection_dim": 8,
    "activation": "tanh",
}
OF_THE_CORPUS = {"scheme": "tutorial", "max_characters": 12}  # preprocess makes them, and a model follows
TEXT = {"tokenizer": "whitespace", "lowercase": False}
TINY = BiLMConfig.preset("tiny")


def run(*arguments: object):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def error_of(*arguments: object) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    return line


def option(name: str, value: Any) -> list[str]:
    """The words that set a field from a shell."""
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{dashed}" if value else f"--no-{dashed}"]
    if isinstance(value, tuple):
        value = ",".join(f"{width}:{count}" for width, count in value)
    return [f"--{dashed}", str(value).lower() if value is None else str(value)]


@pytest.fixture
def corpus(tmp_path):
    corpus_of(TOY_TITLES, valid=0.2).save(tmp_path / "corpus")
    return tmp_path / "corpus"


@pytest.fixture
def trained(monkeypatch, corpus, tmp_path):
    """The model and the settings that `train` is called with for such options; nothing is trained."""

    def ask(*options: str) -> tuple[BiLMConfig, TrainingConfig]:
        found = []
        monkeypatch.setattr(trainer, "train", lambda *args, **keywords: found.append(args) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run("train", corpus, tmp_path / "run", "--preset", "tiny", *options)
        ((_, model, settings),) = found
        return model, settings

    return ask


@pytest.fixture
def config_file(tmp_path):
    def write(data: object, encoding: str = "utf-8") -> str:
        (tmp_path / "model.json").write_text(data if isinstance(data, str) else json.dumps(data), encoding=encoding)
        return str(tmp_path / "model.json")

    return write


def test_the_tables_name_every_field():
    assert {"char_cnn", *BILM} == {field.name for field in fields(BiLMConfig)}
    assert {*CNN, *OF_THE_CORPUS} == {field.name for field in fields(CharCNNConfig)}
    assert TRAINING.keys() == {field.name for field in fields(TrainingConfig)}
    assert TEXT.keys() == {field.name for field in fields(TextConfig)}
    for table, config in ((BILM, TINY), (CNN, TINY.char_cnn), (TRAINING, TrainingConfig()), (TEXT, TextConfig())):
        for name, value in table.items():
            assert value != getattr(config, name)


def test_no_two_options_share_a_name():
    names = [parameter.name for parameter in (*MODEL_OPTIONS, *TRAINING_OPTIONS)]
    others = {"preset", "config", "resume", "overwrite", "device", "tensorboard", "progress", "profile"}
    assert len({*names, *others}) == len(names) + len(others)


@pytest.mark.parametrize("name", BILM)
def test_every_field_of_the_model(trained, config_file, name):
    expected = replace(TINY, **{name: BILM[name]})
    assert trained(*option(name, BILM[name]))[0] == expected
    assert trained("--config", config_file({"model": {name: BILM[name]}}))[0] == expected


@pytest.mark.parametrize("name", CNN)
def test_every_field_of_the_character_cnn(trained, config_file, name):
    expected = replace(TINY, char_cnn=replace(TINY.char_cnn, **{name: CNN[name]}))
    (called,) = (called for called, field in CNN_OPTIONS.items() if field == name)
    assert trained(*option(called, CNN[name]))[0] == expected
    assert trained("--config", config_file({"model": {"char_cnn": {name: CNN[name]}}}))[0] == expected


@pytest.mark.parametrize("name", TRAINING)
def test_every_field_of_the_training(trained, name):
    assert trained(*option(name, TRAINING[name]))[1] == replace(TrainingConfig.preset("tiny"), **{name: TRAINING[name]})


def test_both_projections(trained):
    model, _ = trained("--projection-dim", "6", "--char-cnn-projection-dim", "12")
    assert (model.projection_dim, model.char_cnn.projection_dim) == (6, 12)


def test_every_field_of_text_and_characters(tmp_path):
    (tmp_path / "titles.txt").write_text("\n".join(TOY_TITLES * 3))
    asked = {**TEXT, "scheme": "utf8", "max_characters": 12}
    assert asked.keys() == {*TEXT, *OF_THE_CORPUS}
    words = [word for name, value in asked.items() for word in option(name, value)]
    assert run("preprocess", tmp_path / "titles.txt", "--output", tmp_path / "c", *words).exit_code == 0
    made = Corpus.load(tmp_path / "c")
    assert made.text == TextConfig(**TEXT)
    assert (made.character_vocabulary.scheme, made.character_vocabulary.max_characters) == ("utf8", 12)


def arguments_of(function: Any) -> set[str]:
    return {p.name for p in inspect.signature(function).parameters.values() if p.default is not p.empty}


def options_of(command: str) -> set[str]:
    """The options that --help shows, as names."""
    (found,) = (c for c in app.registered_commands if command in (c.name, c.callback.__name__.replace("_", "-")))
    return set(inspect.signature(found.callback).parameters)


@pytest.mark.parametrize(
    ("command", "function", "otherwise"),
    [
        ("preprocess", prepare_corpus, {"characters", "text", "shards"}),
        ("evaluate", evaluate, set()),
        ("encode", encode_file, {"mix"}),
        ("import", load_official, {"text", "weights"}),  # the weights are the second source
        ("export", save_official, set()),
        ("train", trainer.train, {"model", "config", "validation", "callback"}),
        ("fine-tune", trainer.fine_tune, {"config", "validation", "callback"}),
        ("generate", Generator.generate, set()),
    ],
)
def test_every_argument_of_the_function_behind_a_command(command, function, otherwise):
    """But for objects that only Python has; what they are made of are options of their own."""
    wanted = arguments_of(function) - otherwise
    assert wanted <= options_of(command)
    assert otherwise <= arguments_of(function)


def test_preprocess_passes_on_what_is_given(tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(preparation, "prepare_corpus", lambda *args, **keywords: found.append(keywords) or 1 / 0)
    others = {"min_count": 2, "max_size": 9, "split": "date", "valid": 0.1, "test": 0.2, "seed": 3, "shard_size": 7}
    for asked in ({}, others):
        words = [word for name, value in asked.items() for word in option(name, value)]
        with pytest.raises(ZeroDivisionError):
            run("preprocess", "titles.csv", "--output", tmp_path / "c", *words)
        same = {"characters": None, "text": None, "shards": True, "progress": True}
        assert found.pop() == {**asked, **same}


# Files


def test_the_configuration_of_a_trained_model_as_it_is(trained, corpus, tmp_path):
    first = run("train", corpus, tmp_path / "run", "--preset", "tiny", "--epochs", 1, "--n-highway", 2, "--no-progress")
    assert first.exit_code == 0
    file = str(tmp_path / "run" / "config.json")
    model = BiLM.load(tmp_path / "run").config
    again = run("train", corpus, tmp_path / "again", "--config", file, "--epochs", 1, "--no-progress")
    assert again.exit_code == 0
    assert BiLM.load(tmp_path / "again").config == model
    assert trained("--config", file, "--dropout", "0.4")[0] == replace(model, dropout=0.4), "options go before it"


def test_a_file_and_options_together(trained, config_file):
    file = config_file({"model": {"n_layers": 4, "dropout": 0.3, "char_cnn": {"n_highway": 2, "activation": "tanh"}}})
    model, _ = trained("--config", file, "--dropout", "0.1", "--n-highway", "3")
    cnn = replace(TINY.char_cnn, n_highway=3, activation="tanh")
    assert model == replace(TINY, n_layers=4, dropout=0.1, char_cnn=cnn)
    assert trained("--config", config_file({}))[0] == TINY
    marked = config_file({"model": {"n_layers": 4}}, "utf-8-sig")
    assert trained("--config", marked)[0].n_layers == 4


def test_a_projection_is_made_to_fit_unless_it_is_asked_for(trained, config_file):
    assert trained("--config", config_file({"model": {"hidden_dim": 20}}))[0].char_cnn.projection_dim == 20
    assert trained("--filters", "2:50")[0].char_cnn.projection_dim == 8
    fixed = config_file({"model": {"hidden_dim": 20, "char_cnn": {"projection_dim": None}}})
    assert trained("--config", fixed, "--char-cnn-projection-dim", "40")[0].char_cnn.projection_dim == 40


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"hidden_dim": 3}, r"unknown settings ['hidden_dim']; expected some of ['format', 'model', 'text']"),
        ({"model": {"hiden_dim": 3}}, "unknown settings ['hiden_dim']"),
        ({"model": {"char_cnn": {"filter": [[1, 2]]}}}, "unknown settings ['filter']"),
        ({"text": {"lower": True}}, "unknown settings ['lower']"),
        ({"format": "elmo_helpers run 1"}, "'elmo_helpers run 1'"),
        ({"model": {"hidden_dim": 0}}, "hidden_dim=0"),
        ({"model": {"hidden_dim": "64"}}, "hidden_dim='64'"),
        ({"model": {"char_cnn": {"filters": 5}}}, "filters=5"),
        ({"model": {"char_cnn": {"filters": [[1, 2, 3]]}}}, "filters="),
        ({"model": {"char_cnn": 5}}, "char_cnn=5"),
        ({"model": [1]}, "model=[1]"),
        ({"text": None}, "unknown settings NoneType"),
        ({"model": {"char_cnn": {"n_words": 12, "dim": 8}}}, "unknown settings ['dim', 'n_words']"),
        ({"model": {"char_cnn": {"scheme": "utf8"}}}, "char_cnn.scheme='utf8': the corpus was made with 'tutorial'"),
        ({"model": {"char_cnn": {"max_characters": 50}}}, "max_characters=50: the corpus was made with 12"),
        ({"text": {"lowercase": False}}, "text.lowercase=False: the corpus was made with True"),
        ({"model": {"char_cnn": {"projection_dim": 11}}}, "char_cnn.projection_dim=8"),
        ([], "unknown settings list"),
        ("{", "is not UTF-8 JSON"),
    ],
)
def test_files_that_are_refused(corpus, config_file, tmp_path, data, said):
    file = config_file(data)
    error = error_of("train", corpus, tmp_path / "run", "--preset", "tiny", "--config", file)
    assert error.startswith(f"Error: {file}")
    assert said in error
    assert not (tmp_path / "run").exists()


def test_who_is_at_fault(corpus, config_file, tmp_path):
    start = ["train", corpus, tmp_path / "run", "--preset", "tiny"]
    sound = config_file({"model": {"n_layers": 4}})
    assert error_of(*start, "--config", sound, "--dropout", 2).startswith("Error: dropout=2.0")
    assert error_of(*start, "--config", tmp_path / "none.json").startswith(
        f"Error: {tmp_path / 'none.json'} is missing"
    )
    assert "is a directory" in error_of(*start, "--config", tmp_path).lower()


@pytest.mark.parametrize("value", ["", "2", "2:x", "2:3:4", "2:3,", "none"])
def test_filters_that_cannot_be_read(corpus, tmp_path, value):
    result = run("train", corpus, tmp_path / "run", "--filters", value)
    assert result.exit_code == 2
    assert "expected pairs width:count" in " ".join(result.stderr.split())


def test_words_read_whole_are_not_trained(toy_corpus, tmp_path):
    """So the two fields of their configuration need no option."""
    assert {field.name for field in fields(WordEmbeddingConfig)} == {"n_words", "dim"}
    words = WordEmbeddingConfig(len(toy_corpus.vocabulary), 8)
    with pytest.raises(ElmoHelpersError, match="The model reads"):
        trainer.train(toy_corpus, replace(TINY, char_cnn=words), TrainingConfig(epochs=1), progress=False)
