"""The command line: what it passes on, what it prints, and how it ends."""

import dataclasses
import json
import re
import subprocess
import sys
from dataclasses import fields
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import (
    BiLM,
    BiLMConfig,
    CharacterVocabulary,
    Corpus,
    ElmoHelpersError,
    Generator,
    TrainingConfig,
    evaluate,
    train,
)
from elmo_helpers.__main__ import app
from elmo_helpers.cli.model_settings import CNN_FIELDS, MODEL_FIELDS, model_config
from elmo_helpers.cli.options import config_options, field_help
from elmo_helpers.config import CharCNNConfig, TextConfig
from elmo_helpers.text import preparation
from elmo_helpers.text.shards import CorpusShards
from elmo_helpers.training import trainer

COMMANDS = ["preprocess", "train", "fine-tune", "evaluate", "encode", "generate", "import", "export"]


def run(*arguments: object):
    """What a command did; an exception that is not an exit is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "100"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def error_of(*arguments: object) -> str:
    """The one sentence with which a command refuses."""
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.fixture
def corpus_directory(tmp_path):
    corpus_of(TOY_TITLES, valid=0.2, test=0.2).save(tmp_path / "corpus")
    return tmp_path / "corpus"


@pytest.fixture
def model_directory(tmp_path, corpus_directory):
    torch.manual_seed(0)
    corpus = Corpus.load(corpus_directory)
    BiLM(BiLMConfig.preset("tiny"), corpus.vocabulary, corpus.text).save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def calls(monkeypatch):
    """The arguments with which `train` and `fine_tune` are called; neither trains."""
    found = []
    columns = ["step", "forward", "backward", "perplexity"]
    history = pd.DataFrame([[10, 4.0, 6.0, 5.0], [20, 2.0, 4.0, 3.0], [30, None, None, None]], columns=columns)
    result = SimpleNamespace(model=None, history=history, finished=True, profile=None)

    def spy(*args, **kwargs):
        found.append((args, kwargs))
        return result

    monkeypatch.setattr(trainer, "train", spy)
    monkeypatch.setattr(trainer, "fine_tune", spy, raising=False)
    found_result = SimpleNamespace(calls=found, result=result)
    return found_result


# Help


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert command in result.stdout
    assert command in run("--help").stdout


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (CharCNNConfig, CNN_FIELDS),
        (BiLMConfig, MODEL_FIELDS),
        (TrainingConfig, [f.name for f in fields(TrainingConfig)]),
    ],
)
def test_every_option_has_a_help_text(config, names):
    texts = field_help(config)
    assert [name for name in names if not texts[name]] == []


def test_every_field_is_an_option():
    for command, configs in {"train": [BiLMConfig, TrainingConfig], "fine-tune": [TrainingConfig]}.items():
        shown = run(command, "--help").stdout
        for field in (field for config in configs for field in fields(config)):
            if field.name != "char_cnn":
                assert f"--{field.name.replace('_', '-')} " in shown
    options = {option.name for option in config_options(TrainingConfig())}
    assert not options & {*MODEL_FIELDS, "embedding_dim", "preset", "resume", "device", "overwrite"}


def test_help_and_mistakes_do_not_load_pytorch(tmp_path):
    program = "import sys, runpy\ntry:\n    runpy.run_module('elmo_helpers', run_name='__main__')\n"
    program += "finally:\n    assert not {'torch', 'pandas', 'spacy', 'matplotlib'} & set(sys.modules)"
    for arguments, code in (
        (["--help"], 0),
        (["train", "--help"], 0),
        (["preprocess", "--help"], 0),
        (["train", "corpus", "run", "--batch-size", "0"], 1),
        (["train", "corpus", "run", "--seed", "x"], 2),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert (done.returncode, done.stderr.count("Traceback")) == (code, 0), done.stderr


# preprocess


@pytest.fixture
def titles(tmp_path):
    rows = [(title, f"2001-01-{day + 1:02}") for day, title in enumerate(TOY_TITLES)]
    pd.DataFrame(rows, columns=["title", "date"]).to_csv(tmp_path / "titles.csv", index=False)
    return tmp_path / "titles.csv"


def test_preprocess(titles, tmp_path):
    arguments = ["--min-count", 2, "--tokenizer", "whitespace", "--valid", 0.25, "--test", 0, "--no-progress"]
    result = run("preprocess", titles, "--output", tmp_path / "corpus", *arguments)
    assert result.exit_code == 0
    corpus = Corpus.load(tmp_path / "corpus")
    train, valid = corpus.split("train"), corpus.split("valid")
    assert len(valid) == 3
    assert corpus.character_vocabulary == CharacterVocabulary("tutorial", 30)
    assert corpus.text == TextConfig(tokenizer="whitespace")
    lines = [re.sub(" +", " ", line) for line in result.stdout.splitlines()]
    assert lines == [
        f"train 9 titles of {train.n_tokens} words",
        f"valid 3 titles of {valid.n_tokens} words",
        "test 0 titles of 0 words",
        f"vocabulary {len(corpus.vocabulary)} words, of {len(corpus.lexicon)} distinct ones",
        f"out of vocabulary {1 - corpus.vocabulary.coverage:.2%} of the words of train",
        f"the corpus is in {tmp_path / 'corpus'}",
    ]
    assert result.stderr == ""


def test_preprocess_all_settings(tmp_path):
    for name, text in {"a": "One two\nTwo three", "b": "Four four", "held": "Two", "judged": "Three ω"}.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    sources = [tmp_path / "[ab].txt", "--valid-titles", tmp_path / "held.txt", "--test-titles", tmp_path / "j*.txt"]
    settings = ["--scheme", "utf8", "--no-lowercase", "--min-count", 1, "--max-size", 3]
    assert run("preprocess", *sources, "--output", tmp_path / "corpus", *settings).exit_code == 0
    corpus = Corpus.load(tmp_path / "corpus")
    assert corpus.split("train").titles == ["One two", "Two three", "Four four"]
    assert corpus.split("valid").titles == ["Two"]
    assert corpus.split("test").titles == ["Three ω"]
    assert corpus.character_vocabulary == CharacterVocabulary("utf8", 50)
    assert len(corpus.vocabulary) == 4 + 3


def test_preprocess_several_files_and_the_draw(tmp_path):
    for name in "ab":
        rows = [(f"{name} {day}", f"2001-01-{day:02}") for day in range(1, 21)]
        pd.DataFrame(rows, columns=["title", "date"]).to_csv(tmp_path / f"{name}.csv", index=False)
    draw = ["--split", "date", "--valid", 0.1, "--test", 0.2, "--seed", 3, "--max-characters", 12]
    result = run("preprocess", tmp_path / "a.csv", tmp_path / "b.csv", "--output", tmp_path / "c", *draw)
    assert result.exit_code == 0
    corpus = Corpus.load(tmp_path / "c")
    assert [len(corpus.split(name)) for name in ("train", "valid", "test")] == [28, 4, 8]
    assert corpus.split("train").dates.max() < corpus.split("test").dates.min()
    assert corpus.character_vocabulary == CharacterVocabulary("tutorial", 12)


def test_preprocess_refuses_what_the_library_refuses(titles, tmp_path):
    output = ["--output", tmp_path / "corpus"]
    assert "missing" in error_of("preprocess", tmp_path / "no.txt", *output)
    assert "no file matches this pattern" in error_of("preprocess", tmp_path / "*.gz", *output)
    assert "scheme='latin'" in error_of("preprocess", titles, *output, "--scheme", "latin")
    assert "max_characters=2" in error_of("preprocess", titles, *output, "--max-characters", 2)
    assert "valid" in error_of("preprocess", titles, *output, "--valid", 1.5)
    assert not (tmp_path / "corpus").exists()
    run("preprocess", titles, *output)
    assert "is asked for: remove the directory" in error_of("preprocess", titles, *output, "--scheme", "utf8")


# train


def test_train_passes_everything_on(calls, corpus_directory, tmp_path):
    calls.result.profile = pd.DataFrame(
        [["LSTMs", 30.0, 0.75], ["optimiser", 10.0, 0.25]], columns=["part", "seconds", "share"]
    )
    options = ["--preset", "tiny", "--n-layers", 3, "--dropout", 0.5, "--skip-connections", "--embedding-dim", "none"]
    options += ["--softmax", "sampled", "--n-negatives", 5, "--epochs", "none", "--steps", 7, "--minutes", "0.5"]
    options += ["--no-shuffle", "--optimizer", "sgd", "--learning-rate", "1e-2", "--gradient-clip", "None"]
    options += ["--device", "cpu", "--overwrite", "--tensorboard", "--no-progress", "--profile"]
    result = run("train", corpus_directory, tmp_path / "run", *options)
    assert result.exit_code == 0
    [((corpus, model, config), keywords)] = calls.calls
    assert isinstance(corpus, CorpusShards)
    expected = Corpus.load(corpus_directory)
    assert corpus.n_titles == len(expected.split("train"))
    tiny = BiLMConfig.preset("tiny")
    assert model == dataclasses.replace(
        tiny,
        char_cnn=dataclasses.replace(tiny.char_cnn, embedding_dim=None),
        n_layers=3,
        dropout=0.5,
        skip_connections=True,
        softmax="sampled",
        n_negatives=5,
    )
    assert config == TrainingConfig(
        epochs=None, steps=7, minutes=0.5, shuffle=False, optimizer="sgd", learning_rate=0.01, gradient_clip=None
    )
    assert keywords.pop("validation").n_titles == len(expected.split("valid"))
    assert keywords == {
        "directory": tmp_path / "run",
        "device": "cpu",
        "resume": False,
        "overwrite": True,
        "tensorboard": True,
        "progress": False,
        "profile": True,
    }
    assert result.stdout.splitlines() == [
        " 75.0%      30.0 s  LSTMs",
        " 25.0%      10.0 s  optimiser",
        "best perplexity 3.00 on the validation titles (forward 2.00, backward 4.00) after step 20",
        f"the run is in {tmp_path / 'run'}",
    ]


@pytest.mark.parametrize("preset", ["tutorial", "small", "medium", "original", "tiny"])
def test_train_presets(calls, corpus_directory, tmp_path, preset):
    assert run("train", corpus_directory, tmp_path / "run", "--preset", preset).exit_code == 0
    [((_, model, config), keywords)] = calls.calls
    assert config == TrainingConfig.preset(preset)
    expected = BiLMConfig.preset(preset)
    # The corpus is of the tutorial scheme with 12 characters, whatever the preset was made for.
    char_cnn = dataclasses.replace(expected.char_cnn, scheme="tutorial", max_characters=12)
    assert model == dataclasses.replace(expected, char_cnn=char_cnn)
    assert (keywords["device"], keywords["resume"], keywords["progress"]) == ("auto", False, True)


def test_train_without_validation_titles(calls, tmp_path):
    corpus_of(TOY_TITLES).save(tmp_path / "corpus")
    calls.result.history["perplexity"] = None
    result = run("train", tmp_path / "corpus", tmp_path / "run")
    assert calls.calls[0][1]["validation"] is None
    assert result.stdout == f"the run is in {tmp_path / 'run'}\n"


@pytest.fixture
def begun(corpus_directory, tmp_path):
    """A run that stands after its first step, in tmp_path / "run"."""
    shards = CorpusShards.load(corpus_directory)
    model = dataclasses.replace(BiLMConfig.preset("tiny"), n_layers=3)
    config = TrainingConfig(epochs=4, learning_rate=0.01, log_every=1)
    settings = {"directory": tmp_path / "run", "callback": lambda loop: loop.stop(), "progress": False}
    stopped = train(shards.split("train"), model, config, validation=shards.split("valid"), **settings)
    assert not stopped.finished
    return stopped.model.config, config


def test_resume_passes_on_the_runs_own_settings_and_what_was_given(begun, calls, corpus_directory, tmp_path):
    model, config = begun
    go_on = ["train", corpus_directory, tmp_path / "run", "--resume"]
    assert run(*go_on, "--device", "cpu").exit_code == 0
    run(*go_on, "--epochs", 5)
    run(*go_on, "--epochs", "none", "--minutes", 5)
    run(*go_on, "--hidden-dim", 16)
    run(*go_on, "--preset", "tiny")
    run(*go_on, "--preset", "tiny", "--steps", 9)
    tiny = TrainingConfig(epochs=4, log_every=1)
    assert [args[1:] for args, _ in calls.calls] == [
        (model, config),
        (model, dataclasses.replace(config, epochs=5)),
        (model, dataclasses.replace(config, epochs=None, minutes=5.0)),
        (dataclasses.replace(model, hidden_dim=16), config),
        (BiLMConfig.preset("tiny"), tiny),  # a preset says what a run was begun with, and not how far it is to go
        (BiLMConfig.preset("tiny"), dataclasses.replace(tiny, steps=9)),
    ]
    assert all(keywords["resume"] for _, keywords in calls.calls)


def test_resume_without_a_run(calls, corpus_directory, model_directory, tmp_path):
    for start in (["train"], ["fine-tune", model_directory]):
        for more in ([], ["--epochs", 5]):
            said = error_of(*start, corpus_directory, tmp_path / "none", "--resume", *more)
            assert "none holds no run to go on with" in said
    assert not (tmp_path / "none").exists()


def test_a_run_that_was_stopped_says_how_to_go_on(calls, corpus_directory, model_directory, tmp_path, monkeypatch):
    calls.result.finished = False
    result = run("train", corpus_directory, tmp_path / "run")
    assert result.exit_code == 130
    assert f"python -m elmo_helpers train {corpus_directory} {tmp_path / 'run'} --resume" in result.stderr
    result = run("fine-tune", model_directory, corpus_directory, tmp_path / "run")
    assert result.exit_code == 130
    assert f"elmo_helpers fine-tune {model_directory} {corpus_directory} {tmp_path / 'run'} --resume" in result.stderr
    monkeypatch.setenv("RANK", "1")  # of several processes one speaks
    result = run("train", corpus_directory, tmp_path / "run")
    assert (result.exit_code, result.output) == (130, "")


def test_train_fine_tune_and_evaluate_for_real(corpus_directory, tmp_path):
    first = ["train", corpus_directory, tmp_path / "run", "--preset", "tiny", "--epochs", 1, "--no-progress"]
    result = run(*first)
    assert result.exit_code == 0
    shown = re.search(r"best perplexity ([\d.]+) on the validation titles", result.stdout)[1]
    data = json.loads(run("evaluate", tmp_path / "run", corpus_directory, "--split", "valid", "--json").stdout)
    assert f"{data['perplexity']:.2f}" == shown
    assert run(*first, "--resume").stdout == result.stdout  # it has come to its end
    assert run("train", corpus_directory, tmp_path / "run", "--resume").stdout == result.stdout
    assert "dropout" in error_of("train", corpus_directory, tmp_path / "run", "--resume", "--dropout", 0.3)
    go_on = ["train", corpus_directory, tmp_path / "run", "--resume", "--no-progress"]
    assert run(*go_on, "--epochs", 3).exit_code == 0
    whole = ["train", corpus_directory, tmp_path / "whole", "--preset", "tiny", "--epochs", 3, "--no-progress"]
    assert run(*whole).exit_code == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "whole")]
    assert weights[0] == weights[1]
    assert "epochs=2: " in error_of(*go_on, "--epochs", 2)
    further = ["fine-tune", tmp_path / "run", corpus_directory, tmp_path / "further", "--steps", 1, "--no-progress"]
    assert "after step 1\n" in run(*further).stdout
    assert run(*further, "--resume").exit_code == 0
    go_on = ["fine-tune", *further[1:4], "--resume", "--no-progress"]
    assert run(*go_on, "--steps", "none").exit_code == 0
    assert len(pd.read_csv(tmp_path / "further" / "training" / "history.csv")) == 2
    assert BiLM.load(tmp_path / "further").config == BiLM.load(tmp_path / "run").config


def test_widths_are_made_to_fit():
    characters = CharacterVocabulary("utf8", 50)
    assert model_config(BiLMConfig.preset("small"), {}, characters) == BiLMConfig.preset("small")
    assert (
        model_config(BiLMConfig.preset("tutorial"), {"hidden_dim": 128}, characters).char_cnn.projection_dim is None
    )  # F = P
    assert model_config(BiLMConfig.preset("tutorial"), {"hidden_dim": 100}, characters).char_cnn.projection_dim == 100
    assert model_config(BiLMConfig.preset("small"), {"projection_dim": 256}, characters).char_cnn.projection_dim == 256
    assert (
        model_config(BiLMConfig.preset("small"), {"projection_dim": None}, characters).char_cnn.projection_dim == 1024
    )
    for sizes in ({"hidden_dim": 0}, {"projection_dim": -1}, {"hidden_dim": 0, "projection_dim": None}):
        with pytest.raises(ElmoHelpersError, match=r"^(hidden_dim|projection_dim)=(0|-1): expected a whole number"):
            model_config(BiLMConfig.preset("tutorial"), sizes, characters)


def test_train_refuses_what_the_library_refuses(calls, corpus_directory, tmp_path):
    start = ["train", corpus_directory, tmp_path / "run"]
    assert "preset='huge': expected one of tutorial" in error_of(*start, "--preset", "huge")
    assert "batch_size=0" in error_of(*start, "--batch-size", 0)
    assert "feed='none'" in error_of(*start, "--feed", "none")
    assert "set at least one, or the run never ends" in error_of(*start, "--epochs", "none")
    assert "learning_rate=nan" in error_of(*start, "--learning-rate", "nan")
    assert "dropout=1.0" in error_of(*start, "--dropout", 1)
    assert "softmax='soft'" in error_of(*start, "--softmax", "soft")
    assert "corpus.json" in error_of("train", tmp_path / "nowhere", tmp_path / "run")
    assert calls.calls == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "x"], "'--seed'"),
        (["--epochs", "two"], "'two' is neither a whole number nor none"),
        (["--epochs", "1.5"], "'1.5' is neither a whole number nor none"),
        (["--minutes", "soon"], "'soon' is neither a number nor none"),
        (["--epoch", "2"], "No such option"),
    ],
)
def test_a_word_in_the_place_of_a_number(corpus_directory, tmp_path, arguments, said):
    result = run("train", corpus_directory, tmp_path / "run", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_missing_arguments():
    for command in COMMANDS:
        result = run(command)
        assert result.exit_code == 2
        assert "Missing" in result.stderr
    assert "Did you mean 'train'" in run("trian").stderr


# fine-tune


def test_fine_tune_passes_everything_on(calls, corpus_directory, model_directory, tmp_path):
    start = ["fine-tune", model_directory, corpus_directory, tmp_path / "run"]
    assert run(*start, "--epochs", 1, "--final-learning-rate", 0).exit_code == 0
    [((model, corpus, config), keywords)] = calls.calls
    assert model == model_directory
    assert corpus.n_titles == len(Corpus.load(corpus_directory).split("train"))
    assert config == TrainingConfig(epochs=1, final_learning_rate=0.0)
    assert keywords["directory"] == tmp_path / "run"
    assert keywords["validation"].n_titles
    assert keywords["vocabulary"] == "corpus"
    assert run(*start, "--vocabulary", "model").exit_code == 0
    assert calls.calls[-1][1]["vocabulary"] == "model"
    assert "corpus.json" in error_of("fine-tune", model_directory, tmp_path / "none", tmp_path / "run")


# generate


def test_generate(model_directory):
    generator = Generator(model_directory)

    def printed(*options: object) -> list[list[str]]:
        result = run("generate", model_directory, *options)
        assert result.exit_code == 0
        return [line.split() for line in result.stdout.splitlines()]

    assert printed() == generator.generate(10)
    drawing = {"temperature": 0.5, "top_k": 3, "seed": 4}
    options = ["--temperature", 0.5, "--top-k", 3, "--seed", 4]
    beginning = generator.generate(2, beginning="the old", max_words=4, **drawing)
    assert printed("--n", 2, "--beginning", "the old", "--max-words", 4, *options) == beginning
    assert printed("--n", 2, "--end", "home", *options) == generator.generate(2, end="home", **drawing)
    between = generator.fill_between("the", "home", 3, 2, **drawing)
    assert printed("--n", 2, "--beginning", "the", "--end", "home", "--between", 3, *options) == between
    assert "--temperature" not in error_of("generate", model_directory, "--temperature", 0)
    assert "fill_between" in error_of("generate", model_directory, "--beginning", "the", "--end", "home")
    for option in (["--max-words", 40], ["--direction", "forward"]):
        assert "are not of --between" in error_of("generate", model_directory, "--between", 3, *option)


@pytest.mark.parametrize("command", ["generate", "evaluate", "encode", "fine-tune", "export"])
def test_an_empty_name_of_a_model(command):
    result = run(command, "", "a", "b")
    assert result.exit_code == 2
    assert "the name is empty" in result.stderr


# evaluate


def test_evaluate(corpus_directory, model_directory):
    titles = Corpus.load(corpus_directory).split("test")
    expected = evaluate(BiLM.load(model_directory), titles)
    result = run("evaluate", model_directory, corpus_directory, "--device", "cpu")
    assert [re.sub(" +", " ", line) for line in result.stdout.splitlines()] == [
        f"forward perplexity {expected.forward:.2f}",
        f"backward perplexity {expected.backward:.2f}",
        f"mean perplexity {expected.perplexity:.2f}",
        f"predictions {expected.n_predictions} in each direction",
        f"out of vocabulary {expected.oov_rate:.2%} of the words",
    ]
    result = run("evaluate", model_directory, corpus_directory, "--device", "cpu", "--json")
    data = json.loads(result.stdout)
    assert data == {"split": "test", "perplexity": expected.perplexity, **dataclasses.asdict(expected)}


def test_evaluate_streams(corpus_directory, model_directory):
    titles = Corpus.load(corpus_directory).split("train")
    expected = evaluate(BiLM.load(model_directory), titles, 2, streams=True)
    options = ["--split", "train", "--streams", "--batch-size", 2, "--json"]
    data = json.loads(run("evaluate", model_directory, corpus_directory, *options).stdout)
    assert data["perplexity"] == pytest.approx(expected.perplexity)


def test_evaluate_refuses_what_the_library_refuses(corpus_directory, model_directory, tmp_path):
    assert "there is no such directory, nor does a model of that name ship" in error_of(
        "evaluate", tmp_path / "none", corpus_directory
    )
    assert "corpus.json" in error_of("evaluate", model_directory, tmp_path / "none")
    assert "split='dev'" in error_of("evaluate", model_directory, corpus_directory, "--split", "dev")
    assert "device='nowhere'" in error_of("evaluate", model_directory, corpus_directory, "--device", "nowhere")
    assert "batch_size=0" in error_of("evaluate", model_directory, corpus_directory, "--batch-size", 0)
    corpus_of(TOY_TITLES).save(tmp_path / "whole")
    assert "no title in the split test: name another" in error_of("evaluate", model_directory, tmp_path / "whole")


# The process


def test_ctrl_c_ends_with_130(monkeypatch, titles, tmp_path):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "prepare_corpus", interrupted)
    result = run("preprocess", titles, "--output", tmp_path / "corpus")
    assert (result.exit_code, result.output) == (130, "")


def test_the_module_runs(tmp_path):
    command = [sys.executable, "-m", "elmo_helpers", "evaluate", "model", "corpus"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: corpus.*corpus\.json.*\n", done.stderr)


# Published files


def test_export_and_import(tmp_path):
    corpus = corpus_of(TOY_TITLES, scheme="utf8")
    cnn = dataclasses.replace(BiLMConfig.preset("tiny").char_cnn, scheme="utf8", projection_dim=8)
    torch.manual_seed(0)
    model = BiLM(dataclasses.replace(BiLMConfig.preset("tiny"), char_cnn=cnn), corpus.vocabulary, corpus.text)
    model.save(tmp_path / "model")
    assert "options.json" in run("export", tmp_path / "model", tmp_path / "files", "--softmax").stdout
    files = tmp_path / "files"
    found = run("import", files / "options.json", files / "weights.hdf5", tmp_path / "back")
    assert f"predicts {len(corpus.vocabulary)} words" in found.stdout
    back = BiLM.load(tmp_path / "back")
    assert back.text == corpus.text
    assert evaluate(back, corpus).perplexity == pytest.approx(evaluate(model, corpus).perplexity, rel=1e-5)
    run("import", files / "options.json", files / "weights.hdf5", tmp_path / "vectors", "--no-softmax")
    assert BiLM.load(tmp_path / "vectors").softmax is None
    corpus.save(tmp_path / "corpus")
    assert "has no softmax" in error_of("evaluate", tmp_path / "vectors", tmp_path / "corpus", "--split", "train")
    run("import", files, tmp_path / "whole", "--lowercase")
    assert BiLM.load(tmp_path / "whole").text == dataclasses.replace(corpus.text, lowercase=True)
    run("import", files, tmp_path / "others", "--tokenizer", "en", "--no-lowercase")
    assert BiLM.load(tmp_path / "others").text == TextConfig("en", lowercase=False)


def test_what_cannot_be_exported_or_imported(tmp_path, model_directory):
    assert "scheme='tutorial'" in error_of("export", model_directory, tmp_path / "files")
    assert not (tmp_path / "files").exists()
    missing = error_of("import", tmp_path / "options.json", tmp_path / "weights.hdf5", tmp_path / "model-2")
    assert "options.json is missing" in missing
    assert "4 files" in error_of("import", *"abcd", tmp_path / "model-2")
    (tmp_path / "options.json").write_text("{}")
    (tmp_path / "weights.hdf5").write_bytes(b"mine")
    assert "weights" in error_of("import", tmp_path / "options.json", tmp_path / "weights.hdf5"), "and no directory"
    assert (tmp_path / "weights.hdf5").read_bytes() == b"mine"
