"""The recipe of english-titles, the model that ships: from files of titles to the model, resumable at each step.

    python recipes/english_titles.py REDDIT.csv.gz ARXIV.csv.gz DIRECTORY [--held-out TITLES.csv.gz] [--precision fp32]

REDDIT and ARXIV are tables with the columns title and date (see the model's card for where they come from); the State
of the Union messages come from the default corpus. Held out are the newest titles of each source; the newest fifth of
TITLES and of the messages, which `make evidence` tests on; and the messages that the notebooks hold out. Titles with a
word of left_out.txt are not used.
Each step is a command of the library, and is not repeated where its result is there. The model is in DIRECTORY/model.
"""

import argparse
import csv
import gzip
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from elmo_helpers import CharacterVocabulary, TextConfig, default_titles, prepare_corpus
from elmo_helpers.files import whole_file
from elmo_helpers.training.checkpoint import has_checkpoint

Row = tuple[str, str]  # date, title

N_HELD_OUT = 5_000  # of the newest titles of a source: the older half is for validation, the newer one for the test
TESTED_SHARE = 0.2  # of the newest titles, on which make evidence tests
# A word has to be known in whatever case a reader writes: so many of the titles come in another one.
LOWER, TITLE, UPPER = 0.10, 0.05, 0.02
LEFT_OUT = Path(__file__).with_name("left_out.txt")
SIZES = Path(__file__).with_name("english_titles.json")

PREPROCESS = "--scheme utf8 --no-lowercase --min-count 8 --max-size 49996"  # with the specials, 50,000 words
TRAIN = (
    "--epochs none --steps 14400 --batch-size 128 --learning-rate 0.006 --final-learning-rate 0.00003 "
    "--warmup-steps 500 --evaluate-every 4000 --checkpoint-every 500 --log-every 100"
)
# A second time, from where the rate had come to its end, and in another order of the titles.
TRAIN_ON = (
    "--epochs none --steps 5400 --batch-size 128 --learning-rate 0.003 --final-learning-rate 0.00003 "
    "--warmup-steps 200 --evaluate-every 2700 --checkpoint-every 250 --log-every 50 --seed 1"
)


def rows_of(path: Path) -> list[Row]:
    """The rows of a table, the oldest first."""
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8", newline="") as stream:
        table = csv.DictReader(stream)
        columns = table.fieldnames or []
        if not {"date", "title"} <= {*columns}:
            found = ", ".join(columns) or "none"
            raise SystemExit(f"{path}: expected the columns title and date, and found {found}: name them so.")
        return sorted(((row["date"], row["title"]) for row in table), key=lambda row: row[0])


def newest(rows: list[Row], share: float) -> list[Row]:
    """The newest rows, that share of all."""
    return rows[int(len(rows) * (1 - share)) :]


def of_notebooks(messages: Path, directory: Path) -> list[str]:
    """The messages' sentences that a corpus of the notebooks holds out, whichever characters it is made of."""
    titles = []
    for scheme, length in (("tutorial", 30), ("utf8", 50)):
        characters, text = CharacterVocabulary(scheme, length), TextConfig(lowercase=scheme == "tutorial")
        corpus = prepare_corpus(messages, directory / f"messages-{scheme}", characters=characters, text=text)
        days = {day for name in ("valid", "test") for day in corpus.split(name).dates.astype("M8[D]").astype(str)}
        titles += [title for day, title in rows_of(messages) if day in days]
    return titles


def without_words(rows: Iterable[Row], words: set[str]) -> Iterator[Row]:
    """The rows in whose title none of `words` stands."""
    for date, title in rows:
        if words.isdisjoint(re.findall(r"[^\W\d_]+", title.lower())):
            yield date, title


def in_some_case(title: str, generator: random.Random) -> str:
    """The title, now and then in lower case, with all words capitalised, or in capitals."""
    drawn = generator.random()
    if drawn < LOWER:
        return title.lower()
    if drawn < LOWER + TITLE:
        return " ".join(word[:1].upper() + word[1:] for word in title.split(" "))
    if drawn < LOWER + TITLE + UPPER:
        return title.upper()
    return title


def split(sources: list[list[Row]], tested: set[str]) -> dict[str, list[Row]]:
    """Titles of train, valid and test, each title once."""
    words = {line for line in LEFT_OUT.read_text(encoding="utf-8").split("\n") if line and not line.startswith("#")}
    parts: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    for source in sources:
        rows = list(without_words(source, words))
        parts["valid"] += rows[-N_HELD_OUT : -N_HELD_OUT // 2]
        parts["test"] += rows[-N_HELD_OUT // 2 :]
        parts["train"] += rows[:-N_HELD_OUT]
    held_out = tested | {title for name in ("valid", "test") for _, title in parts[name]}
    generator = random.Random(0)
    once = {title: date for date, title in parts["train"] if title not in held_out}
    parts["train"] = [(date, in_some_case(title, generator)) for title, date in once.items()]
    generator.shuffle(parts["train"])  # all shards are alike
    return parts


def write(path: Path, rows: list[Row]) -> None:
    """Write a table of titles, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("date", "title"), *rows])


def run(*command: object) -> None:
    """A command of the library."""
    subprocess.run([sys.executable, "-m", "elmo_helpers", *map(str, command)], check=True)


def run_into(folder: Path, *command: object) -> None:
    """A command that trains into a folder, or goes on there."""
    run(*command, *(["--resume"] if has_checkpoint(folder / "training" / "checkpoints") else []))


def main() -> None:
    """Read the arguments and go through the steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reddit", type=Path)
    parser.add_argument("arxiv", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--held-out", type=Path, help="a table whose newest fifth is held out, too")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16", help="fp32: for an older processor")
    arguments = parser.parse_args()
    directory = arguments.directory
    directory.mkdir(parents=True, exist_ok=True)
    files = {name: directory / f"{name}.csv" for name in ("train", "valid", "test")}
    if not all(path.is_file() for path in files.values()):
        messages = default_titles(directory / "messages.csv")
        tested = newest(rows_of(messages), TESTED_SHARE)
        if arguments.held_out:
            tested += newest(rows_of(arguments.held_out), TESTED_SHARE)
        held_out = {title for _, title in tested} | {*of_notebooks(messages, directory)}
        sources = [rows_of(path) for path in (arguments.reddit, arguments.arxiv, messages)]
        for name, rows in split(sources, held_out).items():
            write(files[name], rows)
    corpus, first, model = directory / "corpus", directory / "run", directory / "model"
    others = ["--valid-titles", files["valid"], "--test-titles", files["test"]]
    run("preprocess", files["train"], "--output", corpus, *others, *PREPROCESS.split())
    precision = ["--precision", arguments.precision]
    run_into(first, "train", corpus, first, "--config", SIZES, *TRAIN.split(), *precision)
    run_into(model, "fine-tune", first, corpus, model, *TRAIN_ON.split(), *precision)


if __name__ == "__main__":
    main()
