"""Training: tokens a second of each softmax beside the original tutorial's loop, and where the time goes.

    python tests/benchmarks/bench_training.py TITLES [--parts tutorial small time] [--steps 40] [--directory DIR]

TITLES is a CSV with the columns title and date, plain or gzipped. All parts run on the same titles with the same
vocabulary, both sides of a ratio in one run. A token is a word or a boundary that is no padding. The corpus is kept in
DIR, where one is given, for the next run.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import torch
from original_tutorial import OriginalElmo, padded, real_tokens
from reddit_titles import prepare

from elmo_helpers import BiLM, BiLMConfig, Corpus, TrainingConfig, default_titles, evaluate, train
from elmo_helpers.model import softmax_loss
from elmo_helpers.model.adaptive_softmax import AdaptiveSoftmax
from elmo_helpers.model.char_cnn import CharacterCNN
from elmo_helpers.model.full_softmax import FullSoftmax
from elmo_helpers.model.lstm import LSTMLayer
from elmo_helpers.model.sampled_softmax import SampledSoftmax
from elmo_helpers.training import loop
from elmo_helpers.training.batching import Batch
from elmo_helpers.training.optimization import RowOptimizer
from elmo_helpers.training.streams import StreamBatches

WARM_UP = 3  # steps that are not counted
REFERENCE_SMALL = 510  # tokens/s of the TensorFlow reference trainer, small, 8192 negatives, on two cores


def spelled(config: BiLMConfig, softmax: str) -> BiLMConfig:
    """A preset with that softmax; the tutorial's characters get learned vectors, as in the notebooks."""
    if config.char_cnn.embedding_dim is None:
        config = replace(config, char_cnn=replace(config.char_cnn, embedding_dim=16))
    return replace(config, softmax=softmax)


def run(corpus: Corpus, config: BiLMConfig, settings: TrainingConfig, steps: int) -> tuple[float, BiLM]:
    """Train for `steps` steps after the warm-up: tokens a second, and the model."""
    settings = replace(settings, epochs=None, steps=steps + WARM_UP, log_every=1, evaluate_every=10**9)
    seen = []

    def watch(training: loop.TrainingLoop) -> None:
        seen.append((time.perf_counter(), training.progress.tokens))

    result = train(corpus, config, settings, progress=False, callback=watch)
    rows = seen[WARM_UP - 1 : steps + WARM_UP]
    return (rows[-1][1] - rows[0][1]) / (rows[-1][0] - rows[0][0]), result.model


def original(corpus: Corpus) -> float:
    """The original tutorial's own experiment, 128 titles in batches of 64 for two epochs: real tokens a second."""
    characters, tokens = padded(corpus, 128)
    _, seconds = OriginalElmo(len(corpus.vocabulary)).train(characters, tokens)
    return 2 * real_tokens(tokens) / sum(seconds)


def tutorial(titles: Path, directory: Path, steps: int) -> None:
    """The tutorial's size beside the original."""
    corpus = prepare(titles, directory, "tutorial").split("train")[0]
    baseline = original(corpus)
    print(f"\ntutorial size, V {len(corpus.vocabulary):,}, batches of titles, {torch.get_num_threads()} threads")
    print(f"  {'original tutorial, 128 titles, 64 a batch':<52}{baseline:>9,.0f} tokens/s")
    for softmax, precision, batch_size in (
        ("full", "fp32", 64),
        ("adaptive", "fp32", 64),
        ("sampled", "fp32", 64),
        ("sampled", "bf16", 64),
        ("adaptive", "fp32", 256),
        ("sampled", "bf16", 256),
    ):
        settings = TrainingConfig(batch_size=batch_size, precision=precision)
        n = max(4, steps // 4) if softmax == "full" else steps
        rate, _ = run(corpus, spelled(BiLMConfig.preset("tutorial"), softmax), settings, n)
        name = f"{softmax}, {precision}, {batch_size} a batch"
        print(f"  {name:<52}{rate:>9,.0f} tokens/s   {rate / baseline:6.1f} times the original", flush=True)


def small(titles: Path, directory: Path, steps: int) -> None:
    """The published small size by its recipe, and the exact perplexity that each precision comes to."""
    shards = prepare(titles, directory, "utf8")
    corpus, valid = shards.split("train")[0], shards.split("valid")[0].select(slice(0, 2000))
    recipe = TrainingConfig.preset("small")
    print(f"\nsmall (published), V {len(corpus.vocabulary):,}, 128 streams of 20 tokens, Adagrad, 8192 negatives")
    perplexities = {}
    for precision in ("fp32", "bf16"):
        settings = replace(recipe, precision=precision)
        rate, model = run(corpus, spelled(BiLMConfig.preset("small"), "sampled"), settings, steps)
        perplexities[precision] = evaluate(model, valid).perplexity
        print(
            f"  {precision:<10}{rate:>9,.0f} tokens/s   {rate / REFERENCE_SMALL:5.1f} times the reference trainer's "
            f"{REFERENCE_SMALL}; exact validation perplexity after these steps {perplexities[precision]:,.1f}",
            flush=True,
        )
    print(f"  perplexity of bf16 against fp32: {perplexities['bf16'] / perplexities['fp32'] - 1:+.2%}")


class Stopwatch:
    """Adds up the time of the functions that it is put around; of nested ones only the outer counts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._undo, self._depth = [], 0

    def around(self, owner: object, name: str, part: str) -> None:
        """Time every call of `owner.name` under the name `part`."""
        function = getattr(owner, name)

        def timed(*args, **kwargs):
            start, self._depth = time.perf_counter(), self._depth + 1
            try:
                return function(*args, **kwargs)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds[part] += time.perf_counter() - start

        setattr(owner, name, timed)
        self._undo.append((owner, name, function))

    def remove(self) -> None:
        """Leave all functions as they were."""
        for owner, name, function in reversed(self._undo):
            setattr(owner, name, function)


def product_rate(shapes: list[tuple[int, int, int]], dtype: torch.dtype) -> float:
    """Floating-point operations a second of these matrix products, (rows, inner, columns), and nothing else."""
    pairs = [(torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)) for m, k, n in shapes]
    outputs = [torch.empty(m, n, dtype=dtype) for m, _, n in shapes]

    def products() -> None:
        for (a, b), out in zip(pairs, outputs, strict=True):
            torch.mm(a, b, out=out)

    products()
    start, repetitions = time.perf_counter(), 0
    while time.perf_counter() - start < 1.0:
        products()
        repetitions += 1
    return repetitions * sum(2 * m * k * n for m, k, n in shapes) / (time.perf_counter() - start)


def where_the_time_goes(titles: Path, directory: Path, steps: int) -> None:
    """Shares of a step by part, and the softmax against the rate of its matrix products alone."""
    for preset, scheme, softmax, precision in (
        ("tutorial", "tutorial", "full", "fp32"),
        ("tutorial", "tutorial", "sampled", "fp32"),
        ("tutorial", "tutorial", "adaptive", "fp32"),
        ("small", "utf8", "sampled", "fp32"),
        ("small", "utf8", "sampled", "bf16"),
    ):
        corpus = prepare(titles, directory, scheme).split("train")[0]
        config = spelled(BiLMConfig.preset(preset), softmax)
        watch = Stopwatch()
        watch.around(Batch, "of", "batch: ids and characters")
        watch.around(StreamBatches, "batch", "batch: ids and characters")
        watch.around(CharacterCNN, "forward", "character CNN, forward")
        watch.around(LSTMLayer, "forward", "LSTMs, forward")
        for kind in (FullSoftmax, SampledSoftmax, AdaptiveSoftmax):
            backward = ", forward" if kind is AdaptiveSoftmax else ": loss and its gradients"
            watch.around(kind, "forward", f"softmax{backward}")
        watch.around(torch.Tensor, "backward", "backward of the rest")
        watch.around(loop, "clip_gradients", "norm of the gradients, clipping")
        watch.around(torch.optim.Adam, "step", "optimiser")
        watch.around(torch.optim.Adagrad, "step", "optimiser")
        watch.around(RowOptimizer, "step", "optimiser")
        settings = replace(TrainingConfig.preset(preset), precision=precision)
        n = max(4, steps // 4) if softmax == "full" or preset == "small" else steps
        seen = {}

        def begin(training: loop.TrainingLoop, watch=watch, seen=seen) -> None:
            if training.progress.step == WARM_UP:
                watch.seconds.clear()
                seen["start"], seen["tokens"] = time.perf_counter(), training.progress.tokens
            seen["end"], seen["all"] = time.perf_counter(), training.progress.tokens

        settings = replace(settings, epochs=None, steps=n + WARM_UP, log_every=1, evaluate_every=10**9)
        try:
            train(corpus, config, settings, progress=False, callback=begin)
        finally:
            watch.remove()
        seconds, n_tokens = seen["end"] - seen["start"], seen["all"] - seen["tokens"]
        watch.seconds["everything else"] = seconds - sum(watch.seconds.values())
        print(f"\n{preset}, {softmax} softmax, {precision}: {n_tokens / seconds:,.0f} tokens/s")
        for part, part_seconds in sorted(watch.seconds.items(), key=lambda item: -item[1]):
            print(f"  {part_seconds / seconds:6.1%}  {part}")
        if softmax == "adaptive":
            continue
        n_scored = len(corpus.vocabulary) if softmax == "full" else config.n_negatives
        width = config.output_dim
        n_rows = max(softmax_loss._CHUNK_SCORES // n_scored, softmax_loss._MIN_ROWS)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        shapes = [(n_rows, width, n_scored), (n_rows, n_scored, width), (n_scored, n_rows, width)]
        rate = product_rate(shapes, dtype)
        predictions = 2 * (n_tokens if settings.feed == "streams" else n_tokens - n * settings.batch_size)
        bound = predictions * 3 * 2 * width * n_scored / rate
        measured = watch.seconds["softmax: loss and its gradients"]
        print(
            f"  The softmax's three matrix products alone run at {rate / 1e9:,.0f} GFLOP/s; the softmax reaches "
            f"{bound / measured:.0%} of that, and the whole step would take {bound / seconds:.0%} of its time for them."
        )


PARTS = {"tutorial": tutorial, "small": small, "time": where_the_time_goes}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("titles", nargs="?", type=Path, help="a CSV of titles; default: the default corpus")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--steps", type=int, default=40, help="steps that are counted (full softmax: a quarter)")
    parser.add_argument("--directory", type=Path, help="where the corpus is kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        titles = arguments.titles or default_titles(Path(temporary) / "titles.csv")
        for part in arguments.parts:
            PARTS[part](titles, arguments.directory or Path(temporary), arguments.steps)


if __name__ == "__main__":
    main()
