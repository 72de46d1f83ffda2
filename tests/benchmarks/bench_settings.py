"""What each setting of notebook 04 is worth: exact perplexity on the test titles where it alone is another.

    python tests/benchmarks/bench_settings.py [TITLES] [--only NAME ...] [--directory DIR]

TITLES is a CSV with the columns title and date, or a text file of one sentence a line; without it, the default corpus.
All models are trained as the notebook trains its own, on the same titles and with the same seed, and predict the same
words of the same test titles, which are of documents that none has seen. The last one differs by chance alone.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from bench_fine_tuning import of_the_notebook
from machine import machine

from elmo_helpers import (
    Corpus,
    InterpolatedBigramModel,
    KneserNeyModel,
    TrainingConfig,
    default_titles,
    evaluate,
    prepare_corpus,
    train,
)

NOTEBOOK = TrainingConfig(epochs=3, seed=0, learning_rate=8e-3, final_learning_rate=8e-5, warmup_steps=200)
# By name: the fields of the character CNN, of the biLM and of the training that are others than in the notebook.
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "as in the notebook": ({}, {}, {}),
    "no skip connections": ({}, {"skip_connections": False}, {}),
    "dropout of a tenth": ({}, {"dropout": 0.1}, {}),
    "characters one-hot": ({"embedding_dim": None}, {}, {}),
    "512 drawn words": ({}, {"n_negatives": 512}, {}),
    "half the learning rate": ({}, {}, {"learning_rate": 4e-3, "final_learning_rate": 4e-5}),
    "six epochs": ({}, {}, {"epochs": 6}),
    "LSTMs of twice the size": ({}, {"hidden_dim": 128}, {}),
    "the same and six epochs": ({}, {"hidden_dim": 128}, {"epochs": 6}),
    "another seed": ({}, {}, {"seed": 1}),
}


def main() -> None:
    """Read the arguments, train, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("titles", nargs="?", type=Path, help="titles; default: the default corpus")
    parser.add_argument("--only", nargs="+", choices=list(CHANGES), default=list(CHANGES), metavar="NAME")
    parser.add_argument("--directory", type=Path, help="where the corpus is kept")
    arguments = parser.parse_args()
    print(f"{machine()}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.directory or Path(temporary)
        titles = arguments.titles or default_titles(directory / "titles.csv")
        compare(prepare_corpus(titles, directory / "corpus"), arguments.only)


def compare(corpus: Corpus, names: list[str]) -> None:
    """Train all, and print a line for each."""
    titles, valid, test = (corpus.split(name) for name in ("train", "valid", "test"))
    print(f"{len(titles):,} titles, {len(test):,} of the test, V {len(corpus.vocabulary):,}")
    print(f"  {'':<28}{'perplexity':>12}{'seconds':>10}{'parameters':>14}")
    counting = {"interpolated bigram": InterpolatedBigramModel(titles, valid), "5-grams": KneserNeyModel(titles)}
    for name, counts in counting.items():
        print(f"  {name:<28}{counts.evaluate(test).perplexity:>12,.1f}")
    for name in names:
        cnn, bilm, training = CHANGES[name]
        config = of_the_notebook(corpus.character_vocabulary)
        config = replace(config, char_cnn=replace(config.char_cnn, **cnn), **bilm)
        start = time.perf_counter()
        model = train(titles, config, replace(NOTEBOOK, **training), validation=valid, progress=False).model
        seconds = time.perf_counter() - start
        n = sum(parameter.numel() for parameter in model.parameters())
        print(f"  {name:<28}{evaluate(model, test).perplexity:>12,.1f}{seconds:>10,.0f}{n:>14,}", flush=True)


if __name__ == "__main__":
    main()
