"""What preprocessing costs: seconds a part, titles a second, memory at the peak, bytes on disk.

python tests/benchmarks/bench_preprocess.py [CSV] [--titles N]

Without a CSV the default corpus is written to a temporary directory first, which is not timed. Everything is written
to a temporary directory and removed.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.titles import clean_titles, default_titles, read_titles
from elmo_helpers.text.tokenization import Tokenizer


def resident_bytes() -> int:
    """Resident memory of this process and all processes under it; a page that two of them share counts twice."""
    parents, resident = {}, {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # The name, the second field, stands in brackets and may hold spaces.
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            resident[int(process.name)] = int((process / "statm").read_text().split()[1])
            parents[int(process.name)] = int(fields[1])
        except OSError:  # it has just ended
            continue
    family, found = set(), {os.getpid()}
    while found:
        family |= found
        found = {child for child, parent in parents.items() if parent in found}
    return sum(resident.get(process, 0) for process in family) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """Watch the resident memory from a thread; yields a function that says the peak so far in bytes."""
    peak, done = resident_bytes(), threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, resident_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: peak
    finally:
        done.set()
        thread.join()


def timed(tokens: Iterator[list[str]], seconds: dict[str, float]) -> Iterator[list[str]]:
    """Pass tokens on as they come, and add up the time spent waiting for them."""
    seconds["Tokenizer"] = 0.0
    while True:
        start = time.perf_counter()
        words = next(tokens, None)
        seconds["Tokenizer"] += time.perf_counter() - start
        if words is None:
            return
        yield words


def measure(path: Path, n_titles: int | None, directory: Path) -> tuple[dict[str, float], Corpus, int]:
    """Preprocess `path` into `directory`: seconds by part, the corpus as loaded, titles read."""
    seconds = {}
    start = time.perf_counter()

    def lap(part: str) -> None:
        nonlocal start
        now = time.perf_counter()
        seconds[part] = now - start
        start = now

    frame, _ = read_titles(path)
    lap("read_titles")
    frame = frame.head(n_titles) if n_titles else frame
    n_read = len(frame)
    frame, _ = clean_titles(frame)
    lap("clean_titles")
    tokens = timed(Tokenizer("en")(frame["title"]), seconds)
    corpus = Corpus.build(frame, tokens, CharacterVocabulary())
    lap("Corpus.build")
    seconds["Corpus.build"] -= seconds["Tokenizer"]
    corpus.save(directory)
    lap("Corpus.save")
    corpus = Corpus.load(directory)
    lap("Corpus.load")
    return seconds, corpus, n_read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", nargs="?", type=Path, help="columns title and date; default: the default corpus")
    parser.add_argument("--titles", type=int, metavar="N", help="the first N titles alone")
    arguments = parser.parse_args()
    if not Path("/proc/self/statm").exists():
        parser.error("memory is read from /proc, which this system lacks")

    with tempfile.TemporaryDirectory() as temporary:
        path = arguments.csv or default_titles(Path(temporary) / "titles.csv")
        directory = Path(temporary) / "corpus"
        with peak_memory() as peak:
            seconds, corpus, n_read = measure(path, arguments.titles, directory)
        report(seconds, corpus, n_read, peak(), directory)


def report(seconds: dict[str, float], corpus: Corpus, n_read: int, peak: int, directory: Path) -> None:
    """Print the tables."""
    total = sum(seconds.values())
    rate = f"{n_read / total:,.0f} titles/s"
    for part in ("read_titles", "clean_titles", "Tokenizer", "Corpus.build", "Corpus.save", "Corpus.load"):
        print(f"{part:<28}{seconds[part]:>10.2f} s")
    print(f"{'all':<28}{total:>10.2f} s   {rate}")
    print()
    on_disk = {file.name: file.stat().st_size for file in sorted(directory.iterdir())}
    for name, size in on_disk.items():
        print(f"{name:<28}{size / 1e6:>10.1f} MB")
    print(f"{'all on disk':<28}{sum(on_disk.values()) / 1e6:>10.1f} MB")
    print(f"{'memory at the peak':<28}{peak / 1e6:>10.0f} MB")
    print()
    n, n_tokens, n_characters = len(corpus), int(corpus.lengths.max()) + 2, corpus.characters.shape[1]
    padded = 8 * n * n_tokens * (1 + n_characters)
    print(f"{n:,} of {n_read:,} titles kept, {corpus.n_tokens:,} tokens, {len(corpus.lexicon):,} distinct words")
    print(
        f"as the original's padded int64 arrays, ({n:,}, {n_tokens}) and ({n:,}, {n_tokens}, {n_characters}): "
        f"{padded / 1e9:.1f} GB"
    )


if __name__ == "__main__":
    main()
