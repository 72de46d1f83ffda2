"""All of preprocessing in one call: a file of titles becomes a corpus on disk."""

import os
from pathlib import Path

from elmo_helpers.config import TextConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.titles import clean_titles, default_titles, read_titles
from elmo_helpers.text.tokenization import Tokenizer


def prepare_corpus(
    titles: str | os.PathLike,
    directory: str | os.PathLike,
    *,
    characters: CharacterVocabulary | None = None,
    text: TextConfig | None = None,
    min_count: int = 3,
    progress: bool = False,
    **split_settings,
) -> Corpus:
    """The corpus in `directory`; where there is none, it is made from the file `titles` first, and saved there.

    Args:
        titles: A file for `read_titles`; where it is missing, the default corpus is written there.
        directory: Where the corpus lies or is to lie. One that lies there is loaded, unless `titles` is newer; it
            must have the `characters` and `text` asked for, and keeps the other settings that it was made with.
            Remove the directory to have it made anew.
        characters: How words are spelled in ids; None: the `tutorial` scheme.
        text: How titles become tokens; None: the defaults.
        min_count: Words that the training rows have less often are `<UNK>` to the softmax.
        progress: Show progress bars.
        split_settings: `max_size`, `split`, `valid`, `test` and `seed` of `Corpus.build`.

    Raises:
        ElmoHelpersError: The file or the directory cannot be used, or holds a corpus of other characters or text.
    """
    made = Path(directory) / "corpus.json"
    if made.is_file() and not (Path(titles).is_file() and Path(titles).stat().st_mtime > made.stat().st_mtime):
        corpus = Corpus.load(directory)
        for name, wanted, there in (
            ("characters", characters, corpus.character_vocabulary),
            ("text", text, corpus.text),
        ):
            if wanted not in (None, there):
                raise ElmoHelpersError(
                    f"{directory} holds a corpus with {name}={there}, and {wanted} is asked for: remove the directory "
                    "to have it made anew, or name another one."
                )
        return corpus
    characters, text = characters or CharacterVocabulary(), text or TextConfig()
    frame, _ = read_titles(default_titles(titles))
    frame, report = clean_titles(frame, characters.scheme, text.lowercase)
    if frame.empty:
        counts = ", ".join(f"{row.rows} {row.reason}" for row in report.itertuples())
        raise ElmoHelpersError(
            f"{titles}: no title is left after cleaning ({counts}); characters of scheme utf8 drop none."
        )
    tokens = Tokenizer(text.tokenizer)(frame["title"], progress=progress)
    corpus = Corpus.build(frame, tokens, characters, text, min_count=min_count, **split_settings)
    corpus.save(directory)
    return Corpus.load(directory)
