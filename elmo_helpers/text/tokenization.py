"""Titles into tokens, on all cores and in order."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain, islice
from typing import TYPE_CHECKING

import joblib
from joblib.executor import get_memmapping_executor
from tqdm.auto import tqdm

from elmo_helpers.checks import in_order, shown, whole_number
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.characters import is_text

if TYPE_CHECKING:
    from spacy.language import Language

_IMPORTED_IN = os.getpid()
_SMALL = 5000  # fewer titles than this are done sooner than other processes are started
_CHUNK = 2000  # titles sent to a process at a time
_REMEMBERED = 50_000  # words, each of which a pipeline remembers for good; beyond so many another one is begun
_around_unknown = re.compile("(<unk>)", re.IGNORECASE).split


class Tokenizer:
    """Cuts titles into tokens.

    No token holds white space: spaCy's tokens of white space alone are dropped, as the original's strip() did. A
    `<unk>` of the text, in upper or lower case, is a token of its own, which spaCy alone would cut at its brackets.

    Args:
        name: "en" is the rule-based tokenizer of spaCy's blank English, which needs no download; "whitespace" takes
            text that is tokenised already, as it is; any other name is an installed spaCy pipeline, or the directory
            of one, of which the tokenizer alone is loaded.
        processes: How many processes share the work: None for one a core, 1 for this process alone. Fewer than 5,000
            titles are always done in this process, and so is "whitespace". The tokens are the same in any case.

    Raises:
        ElmoHelpersError: spaCy or the pipeline is not installed, the pipeline cannot be read, or `processes` is below
            1.
    """

    def __init__(self, name: str = "en", processes: int | None = None) -> None:
        if processes is not None:
            processes = whole_number("processes", processes, 1)
        if not isinstance(name, str | os.PathLike):
            raise ElmoHelpersError(f"tokenizer={shown(name)}: expected 'en', 'whitespace' or a pipeline's name.")
        # What is wrong with the name fails here rather than in the middle of the work.
        if name != "whitespace" and find_spec("spacy") is None:
            raise ElmoHelpersError(
                f"tokenizer={name!r} is one of spaCy's, which is not installed: run `pip install elmo_helpers[spacy]`, "
                "or cut the text into tokens by other means and name the tokenizer 'whitespace'."
            )
        if name not in ("en", "whitespace"):
            _splitter(name)
        self.name = name
        self.processes = processes

    def __call__(self, titles: Iterable[str], progress: bool = False) -> Iterator[list[str]]:
        """The tokens of each title, in order, as a stream: titles are taken from `titles` as tokens are asked for.

        Args:
            titles: Any number of titles; a generator is fine.
            progress: Show a progress bar.

        Raises:
            ElmoHelpersError: `titles` has no titles in order, or one of them is no text or holds a lone surrogate
                (raised when its turn comes).
        """
        stream = self._stream(in_order("titles", titles, "a list of titles"))
        total = len(titles) if isinstance(titles, Sized) else None
        return iter(tqdm(stream, total=total, desc="tokens", unit=" titles", disable=not progress))

    def __repr__(self) -> str:
        return f"Tokenizer(name={self.name!r}, processes={self.processes})"

    def _stream(self, titles: Iterable[str]) -> Iterator[list[str]]:
        titles = _checked(titles)
        processes = joblib.cpu_count() if self.processes is None else self.processes
        if processes > 1 and self.name != "whitespace" and _may_start_processes():
            start = list(islice(titles, _SMALL))
            titles = chain(start, titles)
            if len(start) == _SMALL:
                yield from _in_processes(self.name, titles, processes)
                return
        yield from map(_splitter(self.name), titles)


def _may_start_processes() -> bool:
    """Whether this process can have others work for it.

    One that was forked has the parent's pool in memory and nobody who serves it, and would wait for ever; the workers
    of a `multiprocessing.Pool` are not allowed any.
    """
    return os.getpid() == _IMPORTED_IN and not multiprocessing.current_process().daemon


def _checked(titles: Iterable[str]) -> Iterator[str]:
    for i, title in enumerate(titles):
        if not isinstance(title, str):
            raise ElmoHelpersError(f"titles[{i}] is {shown(title)}, not text: drop missing titles first.")
        if not is_text(title):
            raise ElmoHelpersError(f"titles[{i}] is {title!r:.60}, which holds half a character: mend or drop it.")
        yield str(title)  # NumPy's strings are not those that spaCy takes


def _in_processes(name: str, titles: Iterator[str], processes: int) -> Iterator[list[str]]:
    # joblib.Parallel as a generator runs through all of its input, however slowly the results are used; here a few
    # chunks are under way at a time, so memory does not grow with the number of titles.
    pending: deque[Future[str]] = deque()
    try:
        while chunk := list(islice(titles, _CHUNK)):
            # Asked for each time: another joblib user in this process may have replaced the pool since. It is the kind
            # of pool that joblib.Parallel makes, which goes on with ours where there is one.
            pending.append(get_memmapping_executor(processes, timeout=60).submit(_tokenize, name, chunk))
            if len(pending) > 3 * processes:
                yield from _tokens(pending.popleft().result())
        while pending:
            yield from _tokens(pending.popleft().result())
    finally:
        for future in pending:
            future.cancel()


def _tokenize(name: str, titles: list[str]) -> str:
    """In another process: a title a line, tokens apart by spaces, which is a third of a list's cost to send."""
    split = _splitter(name)
    return "\n".join(" ".join(split(title)) for title in titles)


def _tokens(lines: str) -> Iterator[list[str]]:
    return map(str.split, lines.split("\n"))


@lru_cache(maxsize=4)
def _splitter(name: str) -> Callable[[str], list[str]]:
    """The function from one title to its tokens."""
    if name == "whitespace":
        return str.split
    pipeline = _pipeline(name)
    most = len(pipeline.vocab) + _REMEMBERED

    def split(title: str) -> list[str]:
        nonlocal pipeline
        if len(pipeline.vocab) > most:
            pipeline = _pipeline(name)
        # A token never holds white space in spaCy's own tokenizers; split() makes sure for any other.
        return [part for token in pipeline.tokenizer(title) for part in token.text.split()]

    def split_around_unknown(title: str) -> list[str]:
        pieces = _around_unknown(title)
        if len(pieces) == 1:
            return split(title)
        return [word for i, piece in enumerate(pieces) for word in ([piece] if i % 2 else split(piece))]

    return split_around_unknown


def _pipeline(name: str) -> Language:
    """A pipeline that has met no text yet."""
    import spacy

    if name == "en":
        return spacy.blank("en")
    try:
        return spacy.load(name, exclude=["vectors"], config={"nlp": {"pipeline": [], "disabled": []}})
    except Exception as error:  # a package of that name may be anything
        raise ElmoHelpersError(
            f"The spaCy pipeline {name!r} cannot be loaded ({error}): install it with "
            f"`python -m spacy download NAME`, or use 'en', which needs no download."
        ) from None
