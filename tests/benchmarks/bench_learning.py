"""What some minutes of training come to: exact perplexity on the newest titles, beside models that only count.

    python tests/benchmarks/bench_learning.py TITLES [--minutes 10] [--softmax adaptive] [--out FILE.json]

Trains the tutorial's size on all titles of a CSV but the newest 20,000. The newest 10,000 are the test; a part of the
10,000 before them makes the curve. Every model predicts the same words.
"""

import argparse
import json
import resource
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import torch
from reddit_titles import prepare

from elmo_helpers import (
    BiLMConfig,
    Corpus,
    CorpusShards,
    InterpolatedBigramModel,
    TrainingConfig,
    UnigramModel,
    default_titles,
    evaluate,
    train,
)

CURVE_TITLES = 1000  # validation titles of each point of the curve


def main() -> None:
    """Read the arguments, train, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("titles", nargs="?", type=Path, help="a CSV of titles; default: the default corpus")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--softmax", default="adaptive")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=8e-3)
    parser.add_argument("--directory", type=Path, help="where the corpus is kept")
    parser.add_argument("--out", type=Path, help="write the numbers and the curve here, as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        titles = arguments.titles or default_titles(Path(temporary) / "titles.csv")
        arguments.directory = arguments.directory or Path(temporary)
        results = learn(prepare(titles, arguments.directory), arguments)
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def learn(shards: CorpusShards, arguments: argparse.Namespace) -> dict:
    """Train for some minutes and measure; all numbers, as plain data."""
    valid, test = (shards.split(name)[0] for name in ("valid", "test"))
    config = BiLMConfig.preset("tutorial")
    config = replace(
        config,
        char_cnn=replace(config.char_cnn, embedding_dim=16),
        skip_connections=True,
        dropout=0.0,  # not one epoch is read, so nothing can be learned by heart
        softmax=arguments.softmax,
    )
    settings = TrainingConfig(
        epochs=None,
        minutes=arguments.minutes,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        final_learning_rate=arguments.learning_rate / 100,
        warmup_steps=200,
        evaluate_every=1000,
        precision=arguments.precision,
    )
    result = train(
        shards.split("train"), config, settings, validation=valid.select(slice(0, CURVE_TITLES)), progress=False
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"tutorial size, {arguments.softmax} softmax, V {len(shards.vocabulary):,}, {arguments.precision}, "
        f"{arguments.minutes:g} minutes, {torch.get_num_threads()} threads"
    )
    print(result.history[["step", "epoch", "tokens", "train_loss", "perplexity", "tokens_per_second"]].to_string())
    counted = Corpus.load(arguments.directory / "tutorial").split("train")
    measured = {
        "biLM": evaluate(result.model, test),
        "interpolated bigram": InterpolatedBigramModel(counted, valid).evaluate(test),
        "unigram": UnigramModel(counted).evaluate(test),
    }
    print(f"\nexact perplexity on the newest {len(test):,} titles   forward  backward      mean")
    for name, e in measured.items():
        print(f"  {name:<38}{e.forward:>10,.1f}{e.backward:>10,.1f}{e.perplexity:>10,.1f}")
    print(f"  words not in the vocabulary: {measured['biLM'].oov_rate:.1%}; memory at the peak {peak / 1e6:,.0f} MB")
    return {
        "settings": vars(arguments) | {"titles": None, "directory": None, "out": None},
        "test": {name: asdict(e) | {"perplexity": e.perplexity} for name, e in measured.items()},
        "curve": result.history.to_dict("records"),
        "peak_bytes": peak,
    }


if __name__ == "__main__":
    main()
