"""Tasks whose labels come free with any titles: words made one spelling, and commas that were taken out.

Nobody has to label anything. Something is taken out of a title, and a classifier that reads the vectors of the title's
words is asked what it was. Where two words are made one spelling, the word itself says nothing, so all that is known
comes from the words around it: such a task shows what a layer knows of a word in its context.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from elmo_helpers.checks import flag, instance, items, shown, whole_number
from elmo_helpers.errors import ElmoHelpersError

# Pairs of frequent words. A noun and a verb, say, stand among other words, so the few words around tell them apart.
TWO_CLASSES = (("work", "must"), ("make", "country"), ("give", "people"), ("time", "take"), ("find", "world"))
# Two nouns stand in like places: what the title is about tells them apart.
ONE_CLASS = (
    ("war", "trade"),
    ("money", "water"),
    ("law", "land"),
    ("school", "army"),
    ("men", "years"),
    ("health", "debt"),
)
# Words that people take for each other when they write.
CONFUSED = (
    ("their", "there"),
    ("than", "then"),
    ("its", "his"),
    ("was", "were"),
    ("which", "who"),
    ("in", "on"),
    ("has", "have"),
)

# Accents and the like that stand behind the letter they belong to: no expression of `re` names them.
_MARKS = "".join(sign for sign in map(chr, range(0x300, 0x20000)) if unicodedata.category(sign).startswith("M"))
_WORD = rf"[^\W\d_]+(?:[{_MARKS}][^\W\d_]*)*"
_words = re.compile(rf"{_WORD}(?:['’]{_WORD})?|\d+(?:[.,]\d+)*|[^\s\w]|_").findall


class WordExample(NamedTuple):
    """A title in which one word was given the spelling of another."""

    tokens: list[str]  # the title, with the first word of the pair at `place`
    place: int
    label: int  # 1 where the second word of the pair stood there, 0 where the first did


class CommaExample(NamedTuple):
    """A title without its commas."""

    tokens: list[str]
    labels: list[int]  # one a token: 1 where a comma stood behind it


def cut_words(title: str, lowercase: bool = False) -> list[str]:
    """A title as words, numbers and single signs, by one expression that needs no other package.

    A word, of the letters of any language, keeps its accents and its apostrophe ("don't"), a number its points and
    commas ("1,000.5"); any other sign is a token.

    Raises:
        ElmoHelpersError: The title is no text, or `lowercase` is neither True nor False.
    """
    title = instance("title", title, str, "a string")
    return _words(title.lower() if flag("lowercase", lowercase) else title)


def one_spelling(
    titles: Iterable[Sequence[str]],
    pair: tuple[str, str],
    *,
    most: int = 12_000,
    shortest: int = 5,
    longest: int = 40,
    seed: int = 0,
) -> list[WordExample]:
    """Make the two words of a pair one spelling, the first: which of them was it?

    Titles are taken in an order that is drawn. Of a title that has several such words, one is drawn; the others stay
    as they are. Both labels are equally frequent: of the more frequent word's examples, the first ones are kept.

    Args:
        titles: The tokens of each title. A pair's words are compared as they stand, so give tokens in lower case where
            the model reads lower case.
        pair: Two different words.
        most: So many titles with such a word are taken at most, before the labels are made equally frequent.
        shortest, longest: Titles of fewer and of more tokens are left out.
        seed: Of what is drawn.

    Returns:
        The examples in an order that is drawn, so that the first n are a sample; empty where one word does not occur.

    Raises:
        ElmoHelpersError: The pair is not two different words, a title is no list of tokens, or a number is none.
    """
    first, second = _pair(pair)
    generator = np.random.default_rng(whole_number("seed", seed, 0))
    most = whole_number("most", most, 1)
    by_label: tuple[list[WordExample], list[WordExample]] = ([], [])
    for title in _in_drawn_order(titles, shortest, longest, generator):
        if first not in title and second not in title:
            continue
        places = [place for place, word in enumerate(title) if word in (first, second)]
        place = int(generator.choice(places))
        label = int(title[place] == second)
        by_label[label].append(WordExample([*title[:place], first, *title[place + 1 :]], place, label))
        if sum(map(len, by_label)) == most:
            break
    n = min(map(len, by_label))
    examples = by_label[0][:n] + by_label[1][:n]
    return [examples[i] for i in generator.permutation(2 * n)]


def commas(
    titles: Iterable[Sequence[str]],
    *,
    most: int | None = None,
    shortest: int = 6,
    longest: int = 40,
    seed: int = 0,
) -> list[CommaExample]:
    """Take the commas out of titles: behind which words did they stand?

    Titles are taken in an order that is drawn, with and without commas, as frequent as they are. A comma at the
    beginning of a title is taken out and asked of nobody; several in a row are one.

    Args:
        titles: The tokens of each title, in which "," is a token of its own.
        most: How many titles are taken; None: all.
        shortest, longest: Titles of fewer and of more tokens, commas included, are left out.
        seed: Of what is drawn.

    Returns:
        The titles that are left with a word.

    Raises:
        ElmoHelpersError: A title is no list of tokens, or a number is none.
    """
    generator = np.random.default_rng(whole_number("seed", seed, 0))
    most = None if most is None else whole_number("most", most, 0)
    examples: list[CommaExample] = []
    for title in _in_drawn_order(titles, shortest, longest, generator):
        if len(examples) == most:
            break
        tokens: list[str] = []
        labels: list[int] = []
        for token in title:
            if token != ",":
                tokens.append(token)
                labels.append(0)
            elif labels:
                labels[-1] = 1
        if tokens:
            examples.append(CommaExample(tokens, labels))
    return examples


def _in_drawn_order(
    titles: Any, shortest: int, longest: int, generator: np.random.Generator
) -> Iterable[Sequence[str]]:
    """The titles of a length within the bounds, in an order that is drawn."""
    shortest, longest = whole_number("shortest", shortest, 1), whole_number("longest", longest, 1)
    titles = items("titles", titles, "a list of titles")
    for number, title in enumerate(titles):
        if isinstance(title, str | bytes) or not isinstance(title, Sequence):
            raise ElmoHelpersError(f"titles: number {number} is {shown(title)}: expected a list of tokens.")
    return (titles[i] for i in generator.permutation(len(titles)) if shortest <= len(titles[i]) <= longest)


def _pair(pair: Any) -> tuple[str, str]:
    words = items("pair", pair, "two different words")
    if len(words) != 2 or not all(isinstance(word, str) and word for word in words) or words[0] == words[1]:
        raise ElmoHelpersError(f"pair={shown(pair)}: expected two different words.")
    return words[0], words[1]
