"""Encode a whole file: shard by shard, in one process or several, so that a kill loses no row and doubles none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby, tee
from pathlib import Path
from typing import Any

import joblib

from elmo_helpers.checks import choice, flag, whole_number
from elmo_helpers.encoding.encoded_shards import DTYPES, GO_ON, ShardFiles, schema_of
from elmo_helpers.encoding.encoder import Encoder
from elmo_helpers.encoding.input_rows import InputRow, InputRows
from elmo_helpers.encoding.output_files import check_suffix, make_output
from elmo_helpers.encoding.progress import FileProgress
from elmo_helpers.encoding.run_state import FORMAT, begin_or_resume, file_digest, fingerprint, parts_directory
from elmo_helpers.encoding.selection import Selection
from elmo_helpers.encoding.windows import WINDOW, EncodedTitle
from elmo_helpers.encoding.word_vectors import MAX_WORDS
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import path_of, writing
from elmo_helpers.locks import only_one
from elmo_helpers.model.bilm import BiLM, model_of
from elmo_helpers.model.scalar_mix import ScalarMix
from elmo_helpers.training.processes import Processes

BATCH_TOKENS = 8192


@dataclass(frozen=True)
class EncodedFile:
    """What became of a file.

    Attributes:
        output: Where the vectors are.
        rows: Lines of the input, each a row of the output.
        words: Words in them.

    Both numbers are None where nothing was left to do, and in a process that is not the main one.
    """

    output: Path
    rows: int | None = None
    words: int | None = None


def encode_file(
    model: BiLM | str | os.PathLike[str],
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    level: str = "tokens",
    layers: str = "all",
    pooling: str = "states",
    mix: ScalarMix | None = None,
    dtype: str = "float32",
    precision: str = "fp32",
    pretokenized: bool = False,
    batch_tokens: int = BATCH_TOKENS,
    window: int = WINDOW,
    max_words: int = MAX_WORDS,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> EncodedFile:
    """Encode every line of a text file, or every row of a CSV or TSV, into one HDF5 or Parquet file.

    Row i of the output is line or row i of the input, counted from 0; blank and repeated ones are kept. HDF5 of level
    "tokens" is as AllenNLP's command wrote it: a dataset a line, whose name is the line's number, and
    `sentence_to_index`, JSON {sentence: number}, in which a repeated sentence has the number of its last line. HDF5
    of level "titles" has `vectors` (N, …) and `titles` (N,). Parquet has the columns `line`, `title`, `tokens`, and
    `vector` (of "titles") or `vectors` (of "tokens": a list of one a token).

    While it works, the rows that are done lie in shards of `window` rows in the directory OUTPUT.parts, and `output`
    itself appears at the end, whole; for that moment both take disk space. Memory does not grow with the input: it
    holds a window, `max_words` token vectors, and the longest line. On a CPU, oneDNN and PyTorch also keep programs for
    1,024 shapes of batches each, hundreds of megabytes; with `ONEDNN_PRIMITIVE_CACHE_CAPACITY=8` and
    `LRU_CACHE_CAPACITY=8` in the environment, before PyTorch computes anything, they keep 8, as for the command.

    Several processes that accelerate or torchrun has started take the shards in turn; the main one makes the output.

    Args:
        model: A model, or the directory or name of one.
        source: A CSV or TSV with a column `title`, or one title a line; plain or gzipped.
        output: A name that ends in .hdf5, .h5 or .parquet.
        level, layers, pooling, mix: Which vectors; see `Selection`.
        dtype: "float32" or "float16", of the vectors in the file.
        precision: See `Encoder`.
        pretokenized: Tokens are what white space separates, and are taken as they are, not put in lower case either;
            otherwise they are made as those of the model's training text were.
        batch_tokens: Tokens computed together, boundaries included.
        window: Rows that are sorted by length together, and that a kill can lose.
        max_words: Distinct words whose token vectors are kept.
        device: "auto", "cpu", "cuda" and so on.
        resume: Go on with what a run with the same settings has left; it is begun where there is none.
        overwrite: Begin anew, and replace an output that is there.
        progress: Show a progress bar.

    Raises:
        ElmoHelpersError: An argument or a line of the input is not as expected; there is an output, or what a run has
            left of one, and neither `resume` nor `overwrite` is given; it was made with other settings; another
            process is making it; or it cannot be written, which is tried before the work begins.
    """
    output, source = Path(os.path.realpath(path_of("output", output))), path_of("source", source)
    check_suffix(output)
    choice("dtype", dtype, tuple(DTYPES))
    window, max_words = whole_number("window", window, 1), whole_number("max_words", max_words, 1)
    if flag("resume", resume) and flag("overwrite", overwrite):
        raise ElmoHelpersError("resume and overwrite: expected one of them, since one goes on and one begins anew.")
    rows, selection = InputRows(source), Selection(level, layers, pooling, mix)
    processes = Processes(device)
    model = model_of(model).to(processes.device)
    encoder = Encoder(model, batch_tokens=whole_number("batch_tokens", batch_tokens, 1), precision=precision)
    selection.check(model.config)
    options = {
        "level": level,
        "layers": layers,
        "pooling": pooling if level == "titles" else None,
        "mix": None if layers != "mix" or mix is None else [mix.weights.tolist(), mix.gamma.item()],
        "dtype": dtype,
        "precision": precision,
        "pretokenized": flag("pretokenized", pretokenized),
        "window": window,
    }
    parts = parts_directory(output)
    shards = ShardFiles(parts, window, schema_of(level, selection.vector_shape(model.config), dtype))
    header: dict[str, Any] = {}
    there = False
    with ExitStack() as until_the_end:
        with _all_or_none(processes), writing(output, GO_ON):
            if processes.is_main:
                header = {
                    "format": FORMAT,
                    "model": fingerprint(model),
                    "input": file_digest(source),
                    **options,
                }
                output.parent.mkdir(parents=True, exist_ok=True)
                until_the_end.enter_context(only_one(output.with_name(f".{output.name}.lock"), output))
                there = begin_or_resume(output, header, shards, resume=resume, overwrite=overwrite)
        if processes.any(there):
            return EncodedFile(output)
        bar = FileProgress(source, processes.count, progress and processes.is_main)
        try:
            _write_shards(encoder, rows, shards, selection, processes, bar, pretokenized, max_words)
        finally:
            bar.close()
        processes.wait()
        if not processes.is_main:
            return EncodedFile(output)
        with writing(output, GO_ON):
            n_words = make_output(output, shards, rows.count, header, progress=progress)
            shutil.rmtree(parts)
    return EncodedFile(output, rows.count, n_words)


def _write_shards(
    encoder: Encoder,
    rows: InputRows,
    shards: ShardFiles,
    selection: Selection,
    processes: Processes,
    bar: FileProgress,
    pretokenized: bool,
    max_words: int,
) -> None:
    """Encode this process's share of what is not done; words and vectors are gone before the output is made."""
    window, done, words = shards.size, shards.done(), encoder.word_vectors(max_words)
    mine = (row for row in rows if _is_mine(row.number // window, processes, done))
    for k, some in _by_shard(encoder, mine, window, pretokenized, processes):
        bar.begin(some[0][0].number, some[0][0].position)
        encoded = encoder.encode_windows([tokens for _, tokens in some], selection, words, window)
        shards.write(k, _watched([row for row, _ in some], encoded, bar))


def _is_mine(k: int, processes: Processes, done: set[int]) -> bool:
    """Whether shard k is to be made, and by this process."""
    return k % processes.count == processes.rank and k not in done


def _by_shard(
    encoder: Encoder, rows: Iterable[InputRow], window: int, pretokenized: bool, processes: Processes
) -> Iterator[tuple[int, list[tuple[InputRow, list[str]]]]]:
    """The rows of each shard with their tokens, which are made on this process's share of the cores."""
    rows, again = tee(rows)  # the tokenizer reads some thousands of rows ahead
    titles = (row.title for row in again)
    tokens: Iterator[list[str]]
    if pretokenized:
        tokens = map(str.split, titles)
    else:
        beside = int(os.environ.get("LOCAL_WORLD_SIZE", processes.count))
        tokens = encoder.tokenize_iter(titles, max(1, joblib.cpu_count() // beside))
    pairs = zip(rows, tokens, strict=True)
    for k, some in groupby(pairs, key=lambda pair: pair[0].number // window):
        yield k, list(some)


def _watched(
    rows: list[InputRow], encoded: Iterable[EncodedTitle], bar: FileProgress
) -> Iterator[tuple[int, str, EncodedTitle]]:
    for row, title in zip(rows, encoded, strict=True):
        yield row.number, row.title, title
        bar.update(row.position, len(title.tokens))


@contextmanager
def _all_or_none(processes: Processes) -> Iterator[None]:
    """What the main process refuses ends all of them; without it the others would wait for ever."""
    refused = None
    try:
        yield
    except ElmoHelpersError as error:
        refused = error
    if processes.any(refused is not None):
        raise refused or ElmoHelpersError("The main process has refused what was asked for: see its message.")
