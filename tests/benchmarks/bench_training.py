"""Training: tokens a second beside a plain PyTorch loop and the original tutorial's, and where the time goes.

    python tests/benchmarks/bench_training.py [TITLES] [--parts tutorial small time] [--steps 20] [--directory DIR]

TITLES is a CSV with the columns title and date, plain or gzipped; without it, the default corpus, whose vocabulary is
smaller. Both sides of a ratio are measured in one run on the same titles with the same vocabulary, batches, negatives
and optimiser. A token is a word or a boundary that is no padding. The bound is what the matrix products alone would
take, each distinct word spelled out once, at the rate of large products on this machine. The corpus is kept in DIR,
where one is given, for the next run.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import machine, peak_memory, product_rate
from original_tutorial import OriginalElmo, padded, real_tokens
from plain_bilm import PlainBiLM
from reddit_titles import prepare

from elmo_helpers import BiLM, BiLMConfig, Corpus, TrainingConfig, default_titles, evaluate, train
from elmo_helpers.model.precision import has_bf16
from elmo_helpers.training.loop import TrainingLoop
from elmo_helpers.training.streams import StreamBatches

WARM_UP = 3  # steps that are not counted
PLAIN_STEPS = 3  # of the plain loop, after one that warms up


def spelled(config: BiLMConfig, softmax: str) -> BiLMConfig:
    """A preset with that softmax; the tutorial's characters get learned vectors, as in the notebooks."""
    if config.char_cnn.embedding_dim is None:
        config = replace(config, char_cnn=replace(config.char_cnn, embedding_dim=16))
    return replace(config, softmax=softmax)


def ours(corpus: Corpus, config: BiLMConfig, settings: TrainingConfig, steps: int) -> tuple[float, BiLM]:
    """Train for `steps` steps after the warm-up: tokens a second, and the model."""
    settings = replace(settings, epochs=None, steps=steps + WARM_UP, log_every=1, evaluate_every=10**9)
    seen = []

    def watch(loop: TrainingLoop) -> None:
        seen.append((time.perf_counter(), loop.progress.tokens))

    result = train(corpus, config, settings, progress=False, callback=watch)
    rows = seen[WARM_UP - 1 : steps + WARM_UP]
    return (rows[-1][1] - rows[0][1]) / (rows[-1][0] - rows[0][0]), result.model


def plain(corpus: Corpus, config: BiLMConfig, settings: TrainingConfig) -> float:
    """Tokens a second of the plain loop, of the same batches."""
    torch.manual_seed(0)
    model = PlainBiLM(config, corpus.character_vocabulary.size, len(corpus.vocabulary)).train()
    optimizer = torch.optim.Adagrad(model.parameters(), lr=settings.learning_rate, initial_accumulator_value=1.0)
    batches = StreamBatches(corpus, settings.batch_size, settings.unroll_steps, np.random.default_rng(0))
    states, n_tokens = None, 0
    for k in range(PLAIN_STEPS + 1):
        if k == 1:
            start = time.perf_counter()
        loss, states = model(batches.batch(k), states)
        optimizer.zero_grad()
        (loss * settings.unroll_steps).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        optimizer.step()
        n_tokens += batches.n_tokens(k) if k else 0
    return n_tokens / (time.perf_counter() - start)


def bound(corpus: Corpus, config: BiLMConfig, settings: TrainingConfig, rate: float) -> float:
    """Tokens a second of the matrix products of a sampled softmax's step alone, forward and backward."""
    batches = StreamBatches(corpus, settings.batch_size, settings.unroll_steps, np.random.default_rng(0))
    first = batches.batch(0)
    n_tokens = batches.n_tokens(0)
    letters = (first.characters > 0).sum().item()
    c, cnn = config, config.char_cnn
    width, dim, p = cnn.n_filters, cnn.output_dim, c.output_dim
    multiplications = letters * sum(cnn.embedding_dim * size * count for size, count in cnn.filters)
    of_word = 2 * cnn.n_highway * width**2 + (width * dim if cnn.projection_dim else 0)
    multiplications += len(first.characters) * of_word
    for layer in range(c.n_layers):
        gates = 4 * c.hidden_dim * ((p if layer else dim) + p)
        multiplications += 2 * n_tokens * (gates + (c.hidden_dim * p if c.projection_dim else 0))
    multiplications += 2 * n_tokens * p * c.n_negatives
    return n_tokens * rate / (3 * 2 * multiplications)


def sizes(titles: Path, directory: Path, steps: int, preset: str) -> None:
    """One size, by the published recipe: 128 streams of 20 tokens, Adagrad, 8,192 negatives."""
    shards = prepare(titles, directory, "tutorial" if preset == "tutorial" else "utf8")
    corpus, valid = shards.split("train")[0], shards.split("valid")[0].select(slice(0, 1000))
    config, recipe = spelled(BiLMConfig.preset(preset), "sampled"), TrainingConfig.preset("small")
    config = replace(config, n_negatives=min(8192, len(corpus.vocabulary) // 2))
    print(
        f"\n{preset}, V {len(corpus.vocabulary):,}, {recipe.batch_size} streams of {recipe.unroll_steps} tokens, "
        f"{config.n_negatives:,} negatives"
    )
    baseline = plain(corpus, config, recipe)
    print(f"  {'plain PyTorch, fp32':<26}{baseline:>9,.0f} tokens/s", flush=True)
    perplexities = {}
    for softmax, precision in (("sampled", "fp32"), ("sampled", "bf16"), ("adaptive", "fp32")):
        if precision == "bf16" and not has_bf16(torch.device("cpu")):
            print("  bf16: this processor has no instructions for it")
            continue
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        rate, model = ours(corpus, replace(config, softmax=softmax), replace(recipe, precision=precision), steps)
        perplexities[softmax, precision] = evaluate(model, valid).perplexity
        share = ""
        if softmax == "sampled":
            share = f", {rate / bound(corpus, config, recipe, product_rate(dtype)):.0%} of the bound"
        print(
            f"  {softmax + ', ' + precision:<26}{rate:>9,.0f} tokens/s, {rate / baseline:.1f} times{share}", flush=True
        )
    if ("sampled", "bf16") in perplexities:
        change = perplexities["sampled", "bf16"] / perplexities["sampled", "fp32"] - 1
        print(f"  exact perplexity after these steps, bf16 against fp32: {change:+.2%}")
    print(f"  memory at the peak so far {peak_memory() / 1e6:,.0f} MB", flush=True)


def tutorial(titles: Path, directory: Path, steps: int) -> None:
    """The tutorial's size, also beside the original's own experiment: 128 titles in batches of 64 for two epochs."""
    corpus = prepare(titles, directory, "tutorial").split("train")[0]
    characters, tokens = padded(corpus, 128)
    _, seconds = OriginalElmo(len(corpus.vocabulary)).train(characters, tokens)
    baseline = 2 * real_tokens(tokens) / sum(seconds)
    print(f"\ntutorial, batches of titles\n  {'original tutorial, 64':<26}{baseline:>9,.0f} tokens/s", flush=True)
    for softmax, batch_size in (("full", 64), ("adaptive", 64), ("adaptive", 128)):
        n = max(4, steps // 4) if softmax == "full" else steps
        config = spelled(BiLMConfig.preset("tutorial"), softmax)
        rate, _ = ours(corpus, config, TrainingConfig(batch_size=batch_size), n)
        print(
            f"  {f'{softmax}, {batch_size} titles':<26}{rate:>9,.0f} tokens/s, {rate / baseline:.1f} times", flush=True
        )
    sizes(titles, directory, steps, "tutorial")


def small(titles: Path, directory: Path, steps: int) -> None:
    """The published small size."""
    sizes(titles, directory, max(4, steps // 4), "small")


def where_the_time_goes(titles: Path, directory: Path, steps: int) -> None:
    """Shares of a step by part."""
    for preset, softmax, precision in (
        ("tutorial", "adaptive", "fp32"),
        ("tutorial", "sampled", "fp32"),
        ("small", "sampled", "fp32"),
        ("small", "sampled", "bf16"),
    ):
        if precision == "bf16" and not has_bf16(torch.device("cpu")):
            continue
        corpus = prepare(titles, directory, "tutorial" if preset == "tutorial" else "utf8").split("train")[0]
        config = spelled(BiLMConfig.preset(preset), softmax)
        config = replace(config, n_negatives=min(config.n_negatives, len(corpus.vocabulary) // 2))
        n = max(4, steps // 4) if preset == "small" else steps
        settings = replace(TrainingConfig.preset(preset), precision=precision, epochs=None, steps=n)
        result = train(corpus, config, settings, progress=False, profile=True)
        print(f"\n{preset}, {softmax} softmax, {precision}, {n} steps, with the first ones")
        for row in result.profile.itertuples():
            print(f"  {row.share:6.1%}  {row.part}")


PARTS = {"tutorial": tutorial, "small": small, "time": where_the_time_goes}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("titles", nargs="?", type=Path, help="a CSV of titles; default: the default corpus")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--steps", type=int, default=20, help="steps that are counted (of slow ones a quarter)")
    parser.add_argument("--directory", type=Path, help="where the corpus is kept")
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        titles = arguments.titles or default_titles(Path(temporary) / "titles.csv")
        for part in arguments.parts:
            PARTS[part](titles, arguments.directory or Path(temporary), arguments.steps)


if __name__ == "__main__":
    main()
