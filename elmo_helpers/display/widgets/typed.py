"""What a person typed into a field, as the words that a model reads; what it cannot read is said in one sentence."""

from __future__ import annotations

from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import CHARACTERS, CharacterVocabulary, is_text
from elmo_helpers.text.titles import normalize_title
from elmo_helpers.text.tokenization import Tokenizer
from elmo_helpers.text.word_ids import WordIds

_LETTERS = 100  # a word of a title at most, on average: longer text is no title, and not worth being cut into words


def typed_word(typed: str, characters: CharacterVocabulary | WordIds, text: TextConfig) -> str:
    """One word, normalised as the words of a model's training text were, but not cut by its tokenizer.

    Raises:
        ElmoHelpersError: It is blank, more than one word, or holds a character that the model cannot spell.
    """
    words = _normalized(typed, characters, text).split()
    if not words:
        raise ElmoHelpersError("Type a word.")
    if len(words) > 1:
        raise ElmoHelpersError(f"These are {len(words):,} words: type one of them.")
    return words[0]


def typed_title(typed: str, characters: CharacterVocabulary | WordIds, text: TextConfig, at_most: int) -> list[str]:
    """The words of a title, made as those of a model's training text were.

    Raises:
        ElmoHelpersError: There is none, there are more than `at_most`, or one holds a character that the model cannot
            spell.
    """
    if len(typed) > _LETTERS * at_most:
        raise ElmoHelpersError(f"This has {len(typed):,} characters: type a title of at most {at_most} words.")
    words = next(Tokenizer(text.tokenizer)([_normalized(typed, characters, text)]))
    if not words:
        raise ElmoHelpersError("Type a title.")
    if len(words) > at_most:
        raise ElmoHelpersError(f"This title has {len(words)} words: type one of at most {at_most}.")
    return words


def _normalized(typed: str, characters: CharacterVocabulary | WordIds, text: TextConfig) -> str:
    if not is_text(typed):
        raise ElmoHelpersError("The text holds half a character, which cannot be read: type it anew.")
    title = normalize_title(typed, text.lowercase)
    if characters.scheme == "tutorial" and (outside := next((c for c in title if c not in CHARACTERS), None)):
        raise ElmoHelpersError(
            f"{outside!r} is none of the {len(CHARACTERS)} characters that this model spells words with: leave it out."
        )
    return title
