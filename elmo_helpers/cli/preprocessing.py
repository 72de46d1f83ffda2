"""The command preprocess."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from elmo_helpers.cli.app import ProgressOption, command
from elmo_helpers.config import TextConfig


@dataclass(frozen=True)
class Options:
    """What `prepare_corpus` takes by name; what is None is not given."""

    valid_titles: Annotated[
        list[str] | None,
        typer.Option(
            help="A file of titles for validation, or a pattern in quotes (without them a shell would add all but its "
            "first file to TITLES); may be given again. No split is drawn then."
        ),
    ] = None
    test_titles: Annotated[list[str] | None, typer.Option(help="The same for the test.")] = None
    min_count: Annotated[
        int | None, typer.Option(help="Words that the training titles have less often become <UNK>. [3]")
    ] = None
    max_size: Annotated[int | None, typer.Option(help="Words that the vocabulary has at most. [no bound]")] = None
    split: Annotated[
        str | None,
        typer.Option(
            help="document: whole documents, or days, are drawn for validation and test; date: the newest days are "
            "taken. [document]"
        ),
    ] = None
    valid: Annotated[float | None, typer.Option(help="Share of the titles for validation. [0.05]")] = None
    test: Annotated[float | None, typer.Option(help="Share of the titles for the test. [0.05]")] = None
    seed: Annotated[int | None, typer.Option(help="Of the draw. [0]")] = None
    shard_size: Annotated[
        int | None, typer.Option(help="Titles of a shard at most; so many are in memory at a time. [100000]")
    ] = None


@command(
    epilog="Brackets show what a new corpus gets. A corpus that is in the directory already is kept, if it was made as "
    "asked for and no file of titles is newer."
)
def preprocess(
    titles: Annotated[
        list[str],
        typer.Argument(
            help="Files of titles, or patterns such as 'news/*.txt.gz': a CSV with the columns title and date, or one "
            "title a line, plain or gzipped. One .csv that is missing becomes the default corpus."
        ),
    ],
    *,
    output: Annotated[Path, typer.Option(help="Directory that becomes the corpus.")],
    scheme: Annotated[
        str | None,
        typer.Option(
            help="How words are spelled: tutorial, in 69 characters, and titles with others are dropped; utf8, in "
            "bytes. [tutorial]"
        ),
    ] = None,
    max_characters: Annotated[
        int | None, typer.Option(help="Characters kept of a word, its marks included. [30; utf8: 50]")
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="en, spaCy's rules; whitespace; or an installed pipeline of spaCy's. [en]")
    ] = None,
    lowercase: Annotated[
        bool | None, typer.Option(help="Put titles in lower case, or keep their case. [lowercase]")
    ] = None,
    options: Options,
    progress: ProgressOption = True,
) -> None:
    """Make a corpus of files of titles: words, characters, vocabulary and split."""
    from elmo_helpers.text.characters import CharacterVocabulary
    from elmo_helpers.text.preparation import prepare_corpus

    characters = text = None
    if scheme is not None or max_characters is not None:
        usual = 50 if scheme == "utf8" else 30
        characters = CharacterVocabulary(scheme or "tutorial", usual if max_characters is None else max_characters)
    if tokenizer is not None or lowercase is not None:
        text = TextConfig("en" if tokenizer is None else tokenizer, True if lowercase is None else lowercase)
    corpus = prepare_corpus(
        titles[0] if len(titles) == 1 else titles,
        output,
        characters=characters,
        text=text,
        shards=True,
        progress=progress,
        **{name: value for name, value in vars(options).items() if value not in (None, [])},
    )
    _summarize(corpus, output)


def _summarize(corpus: Any, directory: Path) -> None:
    for name in ("train", "valid", "test"):
        part = corpus.split(name)
        typer.echo(f"{name:<18}{part.n_titles:>13,} titles of {part.n_tokens:,} words")
    typer.echo(f"{'vocabulary':<18}{len(corpus.vocabulary):>13,} words, of {len(corpus.lexicon):,} distinct ones")
    typer.echo(f"{'out of vocabulary':<18}{1 - corpus.vocabulary.coverage:>13.2%} of the words of train")
    typer.echo(f"the corpus is in {directory}")
