"""Encoding a whole file: words a second, memory at an eighth and at all of it, size on disk, distance to the bound.

    python tests/benchmarks/bench_encode_corpus.py TITLES [--preset tutorial|small] [--limit N] [--suffix .parquet]
        [--level titles|tokens]

TITLES is a CSV with a column title or one title a line, plain or gzipped. The model has random weights, which cost
what learned ones cost. One vector a title, or a word, is written, its layers averaged. Each run is the command `encode`
in a process of its own, whose peak of resident memory is the operating system's count.

The bound is the time that the matrix products alone would take: those of the character CNN for each distinct word
once, and those of the LSTMs for each token, each kind at the best rate that it reaches here by itself.
"""

import argparse
import io
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from machine import product_rate

from elmo_helpers import BiLM, BiLMConfig, WordVocabulary, default_titles
from elmo_helpers.__main__ import app
from elmo_helpers.encoding import corpus_encoding
from elmo_helpers.encoding.input_rows import InputRows
from elmo_helpers.encoding.word_vectors import WordVectors


def write_model(directory: Path, preset: str) -> None:
    """A model of that size with random weights, which predicts hardly any words, since none is predicted here."""
    config = BiLMConfig.preset(preset)
    if config.char_cnn.embedding_dim is None:  # learned character vectors, as in the notebooks
        config = replace(config, char_cnn=replace(config.char_cnn, embedding_dim=16))
    torch.manual_seed(0)
    BiLM(replace(config, softmax="full"), WordVocabulary(["the"], None)).save(directory)


def encode(model: Path, titles: Path, output: Path, options: list[str]) -> dict[str, float]:
    """Run the command in this process: what it took, and how many distinct words were spelled out."""
    spelled = {"words": 0, "characters": 0}
    append = WordVectors._append

    def counted(self: WordVectors, table: object, spellings: np.ndarray) -> None:
        used = (spellings != self.model.character_vocabulary.padding_id) & (spellings != 0)
        spelled["words"] += len(spellings)
        spelled["characters"] += int((used * np.arange(1, spellings.shape[1] + 1)).max(1).sum())
        append(self, table, spellings)

    WordVectors._append = counted
    arguments = ["encode", str(model), str(titles), str(output), *options, "--layers", "average", "--device", "cpu"]
    start = time.perf_counter()
    with redirect_stdout(io.StringIO()) as printed:
        app([*arguments, "--overwrite", "--no-progress"], standalone_mode=False)
    seconds = time.perf_counter() - start
    rows, words = (int(number.replace(",", "")) for number in re.findall(r"[\d,]+", printed.getvalue())[:2])
    return {
        "rows": rows,
        "words": words,
        "seconds": seconds,
        "bytes": output.stat().st_size,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "spelled": spelled["words"],
        "characters": spelled["characters"],
    }


def products(config: BiLMConfig, took: dict[str, float]) -> Iterator[tuple[str, float, tuple[int, int, int]]]:
    """Kinds of matrix products: name, floating-point operations of the run, and the shape (rows, inner, columns)."""
    cnn, n_tokens = config.char_cnn, took["words"] + 2 * took["rows"]
    positions = took["characters"] + took["spelled"]  # of windows, each word's length and one
    channels = cnn.embedding_dim or 72
    for width, count in cnn.filters:
        yield "CNN", 2 * positions * width * channels * count, (4096, width * channels, count)
    f = cnn.n_filters
    for _ in range(2 * cnn.n_highway):
        yield "highway", 2 * took["spelled"] * f * f, (4096, f, f)
    if cnn.projection_dim:
        yield "projection", 2 * took["spelled"] * f * cnn.projection_dim, (4096, f, cnn.projection_dim)
    together = max(1, round(corpus_encoding.BATCH_TOKENS * took["rows"] / n_tokens))  # titles of a batch
    h, p = config.hidden_dim, config.output_dim
    for layer in range(config.n_layers):
        width = cnn.output_dim if layer == 0 else p
        yield "LSTM, input", 2 * 2 * n_tokens * width * 4 * h, (corpus_encoding.BATCH_TOKENS, width, 4 * h)
        yield "LSTM, state", 2 * 2 * n_tokens * p * 4 * h, (together, p, 4 * h)
        if config.projection_dim:
            yield "LSTM, output", 2 * 2 * n_tokens * h * p, (together, h, p)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("titles", nargs="?", type=Path, help="a file of titles; default: the default corpus")
    parser.add_argument("--preset", default="tutorial", choices=["tutorial", "small", "medium", "original"])
    parser.add_argument("--limit", type=int, help="only the first N titles")
    parser.add_argument("--suffix", default=".parquet", choices=[".parquet", ".hdf5"])
    parser.add_argument("--level", default="titles", choices=["titles", "tokens"])
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--encode", nargs=3, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    options = ["--level", arguments.level, "--precision", arguments.precision]
    if arguments.encode:
        print(json.dumps(encode(*arguments.encode, options)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = arguments.titles or default_titles(folder / "titles.csv")
        write_model(folder / "model", arguments.preset)
        rows = [row.title.replace("\n", " ") for row in islice(InputRows(source), arguments.limit)]
        threads = torch.get_num_threads()
        print(f"{arguments.preset}, {arguments.precision}, {threads} threads, {arguments.level} as {arguments.suffix}")
        peaks = []
        for n in (len(rows) // 8, len(rows)):
            (folder / "some.txt").write_text("".join(f"{title}\n" for title in rows[:n]), encoding="utf-8")
            command = [sys.executable, __file__, *options, "--encode", folder / "model", folder / "some.txt"]
            command.append(folder / f"out{arguments.suffix}")
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            took = json.loads(done.stdout)
            peaks.append(took["peak"])
            print(
                f"{took['rows']:>10,} titles, {took['words']:>11,} words, {took['spelled']:,} spelled out: "
                f"{took['words'] / took['seconds']:,.0f} words/s, {took['rows'] / took['seconds']:,.0f} titles/s, "
                f"{took['peak'] / 1e6:,.0f} MB at the peak, {took['bytes'] / 1e6:,.1f} MB on disk",
                flush=True,
            )
        print(f"memory of all against an eighth: {peaks[1] / peaks[0]:.2f} times")
        config = BiLM.load(folder / "model").config
        dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
        bound: dict[str, float] = {}
        for name, operations, shape in products(config, took):
            bound[name] = bound.get(name, 0.0) + operations / product_rate(dtype, shape)
        print(f"matrix products alone: {sum(bound.values()) / took['seconds']:.0%} of the time of the whole run")
        for name, seconds in bound.items():
            print(f"  {seconds / took['seconds']:6.1%}  {name}")


if __name__ == "__main__":
    main()
