"""Whether training memory grows with the corpus: the same titles once and eight times over, an epoch of each.

    python tests/benchmarks/bench_memory.py TITLES [--copies 1 8] [--steps N] [--directory DIR]

Each epoch is a process of its own, whose peak of resident memory is the operating system's count, memory-mapped pages
included. The model is a tiny one with an adaptive softmax, so that the corpus is what could fill the memory.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from reddit_titles import prepare

from elmo_helpers import BiLMConfig, CorpusShards, TrainingConfig, default_titles, prepare_corpus


def copies_of(titles: Path, directory: Path, n: int) -> Path:
    """The directory of a corpus whose training titles are there `n` times."""
    prepare(titles, directory)  # writes the parts
    files = []
    for i in range(n):
        files.append(directory / f"train-copy-{i}.csv")
        if not files[-1].exists():
            os.link(directory / "train.csv", files[-1])
    target = directory / f"copies-{n}"
    prepare_corpus(files, target, valid_titles=directory / "valid.csv", min_count=1, max_size=94_293, shards=True)
    return target


def epoch(corpus: Path, steps: int | None) -> None:
    """Train for one epoch, or for some steps of it, in this process and say what it took."""
    from elmo_helpers import train

    shards = CorpusShards.load(corpus).split("train")
    config = BiLMConfig.preset("tiny")
    config = replace(config, char_cnn=replace(config.char_cnn, max_characters=30), softmax="adaptive")
    settings = TrainingConfig(epochs=1, steps=steps, batch_size=1024)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    start = time.perf_counter()
    result = train(shards, config, settings, progress=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(
        f"{shards.n_titles:>10,} titles, {shards.n_tokens:>11,} words in {len(shards):>3} shards: "
        f"{before:6,.0f} MB before training, {peak:6,.0f} MB at the peak of "
        f"{int(result.history.step.iloc[-1]):,} steps, {time.perf_counter() - start:,.0f} s",
        flush=True,
    )


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("titles", nargs="?", type=Path, help="a CSV of titles; default: the default corpus")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--steps", type=int, help="at most so many of an epoch's steps, of 1,024 titles each")
    parser.add_argument("--directory", type=Path, help="where the corpora are kept")
    parser.add_argument("--epoch", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.epoch:
        epoch(arguments.epoch, arguments.steps)
        return
    with tempfile.TemporaryDirectory() as temporary:
        titles = arguments.titles or default_titles(Path(temporary) / "titles.csv")
        for n in arguments.copies:
            corpus = copies_of(titles, arguments.directory or Path(temporary), n)
            steps = [] if arguments.steps is None else ["--steps", str(arguments.steps)]
            subprocess.run([sys.executable, __file__, "--epoch", str(corpus), *steps], check=True)


if __name__ == "__main__":
    main()
