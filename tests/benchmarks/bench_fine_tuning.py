"""Starting from a model that ships: perplexity after some minutes of fine-tuning, beside fresh weights.

    python tests/benchmarks/bench_fine_tuning.py [TITLES] [--model english-titles] [--minutes 3 10] [--directory DIR]

TITLES is a CSV with the columns title and date, or a text file of one sentence a line; without it, the default corpus.
All models predict the same words of the same test titles, which are of documents that none has seen. For each number of
minutes the model is fine-tuned, and fresh weights are trained: of its own size, and of the size and by the settings of
notebook 04.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from machine import machine

from elmo_helpers import (
    BiLM,
    BiLMConfig,
    CharacterVocabulary,
    Corpus,
    InterpolatedBigramModel,
    KneserNeyModel,
    TextConfig,
    TrainingConfig,
    default_titles,
    evaluate,
    fine_tune,
    prepare_corpus,
    train,
)

CHARACTERS = 50  # C, of the models that ship
FINE_TUNING = TrainingConfig(
    epochs=None,
    minutes=3.0,
    batch_size=16,  # few tokens are read, so that many small steps come further than few large ones
    learning_rate=3e-3,
    final_learning_rate=3e-5,
    warmup_steps=100,
    evaluate_every=10**9,
)
OWN_SIZE = replace(FINE_TUNING, batch_size=64, learning_rate=4e-3, final_learning_rate=4e-5, warmup_steps=200)
NOTEBOOK = replace(FINE_TUNING, batch_size=64, learning_rate=8e-3, final_learning_rate=8e-5, warmup_steps=200)


def of_the_notebook(characters: CharacterVocabulary) -> BiLMConfig:
    """The size of notebook 04, spelled in other characters."""
    config = BiLMConfig.preset("tutorial")
    cnn = replace(config.char_cnn, scheme=characters.scheme, max_characters=characters.max_characters, embedding_dim=16)
    return replace(config, char_cnn=cnn, skip_connections=True, dropout=0.0, n_negatives=1024)


def main() -> None:
    """Read the arguments, train, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("titles", nargs="?", type=Path, help="titles; default: the default corpus")
    parser.add_argument("--model", default="english-titles")
    parser.add_argument("--minutes", type=float, nargs="+", default=[3.0, 10.0])
    parser.add_argument("--directory", type=Path, help="where the corpus and the fine-tuned model are kept")
    arguments = parser.parse_args()
    print(f"{machine()}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.directory or Path(temporary)
        titles = arguments.titles or default_titles(directory / "titles.csv")
        model, characters = BiLM.from_pretrained(arguments.model), CharacterVocabulary("utf8", CHARACTERS)
        corpus = prepare_corpus(titles, directory / "corpus", characters=characters, text=TextConfig(lowercase=False))
        compare(model, corpus, arguments.minutes, directory)


def compare(model: BiLM, corpus: Corpus, minutes: list[float], directory: Path) -> None:
    """Train all, and print a line for each."""
    titles, valid, test = (corpus.split(name) for name in ("train", "valid", "test"))
    size = len(corpus.vocabulary)
    print(f"{len(titles):,} titles, {len(test):,} of the test, V {size:,}; exact perplexity on the test")
    print(f"  {'interpolated bigram':<52}{InterpolatedBigramModel(titles, valid).evaluate(test).perplexity:>8,.1f}")
    print(f"  {'counted 5-grams':<52}{KneserNeyModel(titles).evaluate(test).perplexity:>8,.1f}")
    runs = {
        "the model, before its first step": lambda: fine_tune(
            model, titles, replace(FINE_TUNING, steps=1, learning_rate=1e-12, final_learning_rate=None), progress=False
        ),
    }
    own = replace(model.config, softmax="auto", n_negatives=2048)
    for m in minutes:
        runs[f"the model, fine-tuned for {m:g} minutes"] = lambda m=m: fine_tune(
            model,
            titles,
            replace(FINE_TUNING, minutes=m),
            progress=False,
            directory=directory / f"fine-tuned for {m:g} minutes",
            overwrite=True,
        )
        runs[f"its size, fresh weights, {m:g} minutes"] = lambda m=m: train(
            titles, own, replace(OWN_SIZE, minutes=m), progress=False
        )
        runs[f"notebook 04's size, fresh weights, {m:g} minutes"] = lambda m=m: train(
            titles, of_the_notebook(corpus.character_vocabulary), replace(NOTEBOOK, minutes=m), progress=False
        )
    for name, run in runs.items():
        result = run()
        tokens = int(result.history["tokens"].iloc[-1])
        print(f"  {name:<52}{evaluate(result.model, test).perplexity:>8,.1f}  {tokens:>12,} tokens read", flush=True)


if __name__ == "__main__":
    main()
