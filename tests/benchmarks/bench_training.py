"""Training with the full softmax: tokens a second, where the time goes, and how far from the matrix products' bound.

    python tests/benchmarks/bench_training.py [CSV] [--preset tutorial] [--steps 60] [--min-count 3]

Without a CSV (columns title and date) it runs on the default corpus.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from elmo_helpers import BiLM, BiLMConfig, Corpus, TrainingConfig, prepare_corpus
from elmo_helpers.model.char_cnn import CharacterCNN
from elmo_helpers.model.lstm import LSTMLayer
from elmo_helpers.model.softmax import FullSoftmax
from elmo_helpers.training import trainer
from elmo_helpers.training.batching import Batch


class Stopwatch:
    """Adds up the time of the functions that it is put around."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def around(self, owner: object, name: str, part: str) -> None:
        """Time every call of `owner.name` under the name `part`."""
        function = getattr(owner, name)

        def timed(*args, **kwargs):
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[part] += time.perf_counter() - start

        setattr(owner, name, timed)


def product_rate(rows: int, n_words: int, dim: int) -> float:
    """Measured floating-point operations a second of the softmax's three matrix products, and nothing else."""
    hidden, weight = torch.randn(rows, dim), torch.randn(n_words, dim)
    scores, d_hidden, d_weight = torch.empty(rows, n_words), torch.empty(rows, dim), torch.zeros(n_words, dim)

    def products() -> None:
        torch.mm(hidden, weight.t(), out=scores)
        torch.mm(scores, weight, out=d_hidden)
        d_weight.addmm_(scores.t(), hidden)

    products()
    start, repetitions = time.perf_counter(), 30
    for _ in range(repetitions):
        products()
    return repetitions * 3 * 2 * rows * n_words * dim / (time.perf_counter() - start)


def run(corpus: Corpus, config: BiLMConfig, steps: int) -> None:
    """Train for `steps` steps on `corpus` and print the table."""
    settings = TrainingConfig(epochs=1)
    titles = corpus.select(np.random.default_rng(0).permutation(len(corpus))[: (steps + 5) * settings.batch_size])
    model = BiLM(config, corpus.vocabulary, corpus.text)
    warm_up = titles.select(slice(0, 5 * settings.batch_size))
    trainer.train(warm_up, model, settings, progress=False)

    watch = Stopwatch()
    watch.around(Batch, "of", "batch: ids and characters")
    watch.around(CharacterCNN, "forward", "character CNN, forward")
    watch.around(LSTMLayer, "forward", "LSTMs, forward")
    watch.around(FullSoftmax, "forward", "softmax: loss and its gradients")
    watch.around(torch.Tensor, "backward", "character CNN and LSTMs, backward")
    watch.around(torch.nn.utils, "clip_grad_norm_", "gradient clipping")
    watch.around(torch.optim.Adam, "step", "Adam")
    rest = titles.select(slice(5 * settings.batch_size, None))
    result = trainer.train(rest, model, settings, progress=False)

    seconds = float(result.history.seconds[0])
    predictions = 2 * (rest.n_tokens + len(rest))
    n_words, dim = len(corpus.vocabulary), config.output_dim
    operations = 3 * 2 * predictions * n_words * dim
    bound = operations / product_rate(256, n_words, dim)
    softmax = watch.seconds["softmax: loss and its gradients"]
    watch.seconds["everything else"] = seconds - sum(watch.seconds.values())
    print(
        f"V {n_words:,}, P {dim}, {len(result.steps)} steps of {settings.batch_size} titles, "
        f"{torch.get_num_threads()} threads"
    )
    print(f"{result.history.tokens_per_second[0]:,.0f} tokens/s (words and both boundaries)")
    for part, part_seconds in sorted(watch.seconds.items(), key=lambda item: -item[1]):
        print(f"  {part_seconds / seconds:6.1%}  {part}")
    print(
        f"The softmax's products alone: {operations / bound / 1e9:,.0f} GFLOP/s here, so the softmax reaches "
        f"{bound / softmax:.0%} of its bound and the whole step {bound / seconds:.0%}."
    )


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", nargs="?", help="a file of titles; default: the default corpus")
    parser.add_argument("--preset", default="tutorial")
    parser.add_argument("--one-hot", action="store_true", help="one-hot characters, as in the original")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--min-count", type=int, default=3)
    arguments = parser.parse_args()
    config = BiLMConfig.preset(arguments.preset)
    if config.char_cnn.embedding_dim is None and not arguments.one_hot:
        config = replace(config, char_cnn=replace(config.char_cnn, embedding_dim=16))
    with tempfile.TemporaryDirectory() as directory:
        titles = arguments.csv or Path(directory) / "title_text.csv"
        corpus = prepare_corpus(titles, Path(directory) / "corpus", min_count=arguments.min_count)
        run(corpus.split("train"), config, arguments.steps)


if __name__ == "__main__":
    main()
