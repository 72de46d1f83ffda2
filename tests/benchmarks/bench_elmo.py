"""Reading published models: words a second of `Elmo` beside the usual implementation, and how exact both are.

    python tests/benchmarks/bench_elmo.py [TITLES] [--presets small original] [--titles 512] [--parts batch latency gpu]
                                          [--allennlp PYTHON]

TITLES is a CSV with the column title, plain or gzipped; titles are split at spaces. For each preset random weights of
the published size are written as official files, and both sides read those. Both begin from the same padded character
ids, take turns batch by batch, and end with one vector a word, the mean of the layers. The usual implementation is in
float32 on both lines. Words are counted without boundaries. The part gpu also looks for the batch size that a GPU is
fastest with, of titles sorted by length.

The usual implementation stands in for AllenNLP: the same network, of PyTorch's own modules, 1.15 to 1.2 times as fast
as AllenNLP. With --allennlp, the python of an environment that has it, AllenNLP itself is measured, too.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from allennlp_cell import PublishedCell, padded_ids
from machine import machine
from torch import Tensor

from elmo_helpers import BiLM, BiLMConfig, WordVocabulary, default_titles
from elmo_helpers.interchange.elmo import Elmo
from elmo_helpers.interchange.official import save_official
from elmo_helpers.model.kept import KeptFromWeights
from elmo_helpers.model.precision import has_bf16
from elmo_helpers.training.batching import Batch

BATCH_SIZE = 64
BOUND = 1e-5  # the largest difference that single precision may make
N_SINGLE = 64  # sentences read one at a time
GPU_BATCH_SIZES = (64, 256, 1024, 4096)
USUAL_AT_MOST = 256  # titles of a batch of the usual implementation there, whose CNN reads every position of every word


def read_titles(path: Path, n: int) -> list[list[str]]:
    """The words of the first n titles that have any."""
    titles: list[list[str]] = []
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if words := row["title"].split():
                titles.append(words)
            if len(titles) == n:
                break
    return titles


def write_random_official(preset: str, directory: Path) -> tuple[Path, Path]:
    """Files of a published size with random weights, of a size that neither fades nor saturates."""
    torch.manual_seed(0)
    model = BiLM(BiLMConfig.preset(preset), WordVocabulary([]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1)
        model.char_cnn.embedding.weight.normal_()
        model.char_cnn.embedding.weight[0] = 0
    save_official(model, directory, softmax=False)
    return directory / "options.json", directory / "weights.hdf5"


class Sides:
    """The same model on both sides, and what each gives for padded ids: (B, T, 2P)."""

    def __init__(self, paths: tuple[Path, Path], device: str = "cpu") -> None:
        self.device = device
        self.cell = PublishedCell(*paths).eval().to(device)
        self.elmo = Elmo(*paths, 1).eval().to(device)

    def baseline(self, ids: Tensor) -> Tensor:
        """The usual implementation."""
        layers, mask = self.cell(ids)
        inside = mask[:, 2:]  # a row's words are one place before its last two marks
        return layers.mean(0)[:, 1:-1] * inside[..., None]

    def ours(self, ids: Tensor) -> Tensor:
        """The library."""
        return self.elmo(ids)["elmo_representations"][0]

    def forget(self) -> None:
        """Begin without any word that an earlier call has spelled out."""
        self.elmo.reader.kept_words = KeptFromWeights()

    def timed(self, function: Callable[[Tensor], Tensor], ids: Tensor) -> tuple[float, Tensor]:
        """Seconds and result."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        result = function(ids)
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begun, result


def cosines(a: Tensor, b: Tensor, ids: Tensor) -> Tensor:
    """Cosines of the vectors of all words."""
    real = (ids > 0).any(-1)
    return torch.nn.functional.cosine_similarity(a[real].double(), b[real].double(), dim=-1)


@torch.inference_mode()
def batches(sides: Sides, titles: list[list[str]]) -> None:
    """Words a second in batches, in single precision and in bf16, and how far the vectors are apart."""
    n_words = sum(map(len, titles))
    parts = [titles[start : start + BATCH_SIZE] for start in range(0, len(titles), BATCH_SIZE)]
    all_ids = [padded_ids(part).to(sides.device) for part in parts]
    for dtype, name in ((None, "float32"), (torch.bfloat16, "bfloat16, autocast")):
        if dtype and not has_bf16(torch.device(sides.device)):
            continue
        autocast = torch.autocast(sides.device, dtype) if dtype else nullcontext()
        seconds, furthest, similar = np.zeros(2), 0.0, []
        for number, ids in enumerate([all_ids[0], *all_ids]):
            a, theirs = sides.timed(sides.baseline, ids)
            with autocast:
                b, ours = sides.timed(sides.ours, ids)
            if number == 0:  # warms up
                sides.forget()
                continue
            seconds += a, b
            if dtype:
                similar.append(cosines(ours, theirs, ids))
            else:
                furthest = max(furthest, float((theirs - ours).abs().max()))
        rates = n_words / seconds
        print(
            f"  {name}: usual, in float32, {rates[0]:,.0f} words/s, elmo_helpers {rates[1]:,.0f} words/s, "
            f"{rates[1] / rates[0]:.2f} times as fast",
            flush=True,
        )
        if dtype:
            similar = torch.cat(similar)
            print(f"    cosine to float32: worst {float(similar.min()):.6f}, mean {float(similar.mean()):.6f}")
        elif sides.device == "cpu":
            furthest = max(furthest, layers_apart(sides, parts[0], all_ids[0]))
            print(f"    largest difference {furthest:.1e}, of all layers in the first batch and the mean in all")
            if furthest > BOUND:
                raise SystemExit(f"The vectors are {furthest:.1e} apart, and {BOUND:.0e} is the bound.")
        else:
            print(f"    largest difference {furthest:.1e}")


def layers_apart(sides: Sides, titles: list[list[str]], ids: Tensor) -> float:
    """The largest difference of any layer, boundaries included, between the usual implementation and `BiLM`."""
    bilm = sides.elmo.bilm
    batch = Batch.of_words(titles, bilm.character_vocabulary, bilm.vocabulary)
    ours = bilm(batch.characters, batch.tokens, batch.lengths).layers
    return float((sides.cell(ids)[0] - ours).abs().max())


@torch.inference_mode()
def latency(sides: Sides, titles: list[list[str]]) -> None:
    """Milliseconds of one sentence at a time: of sentences as they come, and of the same ones read again.

    At first nearly every short title has a word that was not met before, which is spelled out; the second time none.
    """
    some = titles[:N_SINGLE]
    all_ids = [padded_ids([words]).to(sides.device) for words in some]
    sides.timed(sides.baseline, all_ids[0])  # warms up
    sides.timed(sides.ours, all_ids[0])
    sides.forget()
    usual = [sides.timed(sides.baseline, ids)[0] for ids in all_ids]
    n_words = np.median([len(words) for words in some])
    print(
        f"  one sentence at a time, float32, {len(some)} sentences, half of them of at most {n_words:.0f} words: usual "
        f"{1000 * np.median(usual):.1f} ms"
    )
    for which in ("as they come", "read again"):
        ours = [sides.timed(sides.ours, ids)[0] for ids in all_ids]
        print(
            f"    elmo_helpers, {which}: {1000 * np.median(ours):.1f} ms (nine of ten below "
            f"{1000 * np.quantile(ours, 0.9):.1f}), {np.median(usual) / np.median(ours):.2f} times as fast"
        )


@torch.inference_mode()
def beside_allennlp(python: Path, paths: tuple[Path, Path], sides: Sides, titles: list[list[str]]) -> None:
    """Words and milliseconds beside AllenNLP itself, which runs in an environment of its own, one after the other."""
    parts = [padded_ids(titles[start : start + BATCH_SIZE]) for start in range(0, len(titles), BATCH_SIZE)]
    singles = [padded_ids([words]) for words in titles[:N_SINGLE]]
    with tempfile.TemporaryDirectory() as directory:
        ids, output = Path(directory) / "ids.npz", Path(directory) / "output.npz"
        np.savez(ids, *(part.numpy() for part in [*parts, *singles]))
        peer = Path(__file__).with_name("allennlp_peer.py")
        subprocess.run([python, peer, *paths, ids, output], check=True)
        with np.load(output) as file:
            seconds = file["arr_0"]
            theirs = [torch.from_numpy(file[f"arr_{i + 1}"]) for i in range(len(parts))]
    words_a_second = sum(map(len, titles)) / seconds[: len(parts)].sum()
    one = np.median(seconds[len(parts) :])
    print(f"  AllenNLP, float32: {words_a_second:,.0f} words/s; one sentence {1000 * one:.1f} ms", flush=True)
    for dtype in (None, torch.bfloat16) if has_bf16(torch.device("cpu")) else (None,):
        with torch.autocast("cpu", dtype) if dtype else nullcontext():
            sides.timed(sides.ours, parts[0])  # warms up
            sides.forget()
            results = [sides.timed(sides.ours, part) for part in parts]
            sides.forget()
            ours_one = np.median([sides.timed(sides.ours, ids)[0] for ids in singles])
            again = np.median([sides.timed(sides.ours, ids)[0] for ids in singles])
        rate = sum(map(len, titles)) / sum(taken for taken, _ in results)
        furthest = max(float((a - b).abs().max()) for a, (_, b) in zip(theirs, results, strict=True))
        print(
            f"  elmo_helpers, {'bfloat16' if dtype else 'float32'}: {rate:,.0f} words/s, {rate / words_a_second:.1f} "
            f"times; one sentence {1000 * ours_one:.1f} ms, {one / ours_one:.1f} times, read again {1000 * again:.1f} "
            f"ms, {one / again:.1f} times; largest difference {furthest:.1e}",
            flush=True,
        )


@torch.inference_mode()
def best_batch_size(sides: Sides, titles: list[list[str]]) -> None:
    """Words a second at several batch sizes, of all titles, sorted by length; ids are on the GPU beforehand."""
    titles = sorted(titles, key=len)
    n_words = sum(map(len, titles))
    for size in GPU_BATCH_SIZES:
        all_ids = [padded_ids(titles[i : i + size]).to(sides.device) for i in range(0, len(titles), size)]
        for dtype, name in ((None, "float32"), (torch.bfloat16, "bfloat16, autocast")):
            rates = []
            for function in (sides.baseline, sides.ours):
                if function == sides.baseline and size > USUAL_AT_MOST:
                    continue
                with torch.autocast(sides.device, dtype) if dtype else nullcontext():
                    sides.timed(function, all_ids[-1])  # warms up
                    torch.cuda.reset_peak_memory_stats()
                    rates.append(n_words / sum(sides.timed(function, ids)[0] for ids in all_ids))
            usual = f"usual {rates[0]:,.0f} words/s, " if len(rates) == 2 else ""
            memory = torch.cuda.max_memory_allocated() / 1e9
            print(
                f"  {size} a batch, {name}: {usual}elmo_helpers {rates[-1]:,.0f} words/s, {memory:.1f} GB", flush=True
            )


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "titles_file", metavar="TITLES", nargs="?", type=Path, help="a CSV of titles; default: the default corpus"
    )
    parser.add_argument("--presets", nargs="+", choices=("small", "medium", "original"), default=["small", "original"])
    parser.add_argument("--titles", type=int, default=512, help="how many titles are read")
    parser.add_argument("--parts", nargs="*", choices=("batch", "latency", "gpu"), default=["batch", "latency"])
    parser.add_argument(
        "--allennlp",
        metavar="PYTHON",
        type=Path,
        help="the python of an environment with allennlp==2.10.1 (Python 3.8): measure beside AllenNLP itself, too",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        file = arguments.titles_file or default_titles(Path(directory) / "titles.csv")
        titles = read_titles(file, arguments.titles)
    n_words, n_distinct = sum(map(len, titles)), len({word for words in titles for word in words})
    print(
        f"{len(titles):,} titles, {n_words:,} words, {n_distinct:,} of them distinct, {BATCH_SIZE} titles a batch; "
        f"{machine()}"
    )
    for preset in arguments.presets:
        with tempfile.TemporaryDirectory() as directory:
            paths = write_random_official(preset, Path(directory) / "official")
            devices = ["cpu"] * bool({"batch", "latency"} & set(arguments.parts) or arguments.allennlp) + ["cuda"] * (
                "gpu" in arguments.parts
            )
            for device in devices:
                if device == "cuda" and not torch.cuda.is_available():
                    print(f"\n{preset}: there is no GPU here")
                    continue
                name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
                print(f"\n{preset}, {name}", flush=True)
                torch.backends.cudnn.allow_tf32 = False  # the convolutions of the usual implementation
                sides = Sides(paths, device)
                if device == "cpu" and arguments.allennlp:
                    beside_allennlp(arguments.allennlp, paths, sides, titles)
                if device == "cuda" or "batch" in arguments.parts:
                    batches(sides, titles)
                if device == "cuda" or "latency" in arguments.parts:
                    latency(sides, titles)
                if device == "cuda":
                    best_batch_size(sides, titles)


if __name__ == "__main__":
    main()
