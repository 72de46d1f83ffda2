"""The spaCy component "elmo": contextual vectors of a document's tokens, and what spaCy makes of them.

    nlp.add_pipe("elmo", config={"model": "data/models/mine"})

It is found through the package's entry points: nothing need be imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy import util
from spacy.attrs import ORTH, SENT_START
from spacy.language import Language
from spacy.pipeline.pipe import Pipe
from spacy.strings import StringStore
from spacy.tokens import Doc
from spacy.training import Example

from elmo_helpers.checks import choice, whole_number
from elmo_helpers.config import PRECISIONS
from elmo_helpers.encoding.encoder import Encoder
from elmo_helpers.encoding.selection import Selection
from elmo_helpers.encoding.windows import WINDOW
from elmo_helpers.encoding.word_vectors import MAX_WORDS, WordVectors
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import read_bytes
from elmo_helpers.integrations.layer_choice import check_layers, selection_of
from elmo_helpers.integrations.spacy_hooks import set_vector_hooks
from elmo_helpers.integrations.spacy_layer import doc_tensor
from elmo_helpers.model.bilm import BiLM, model_of
from elmo_helpers.model.kept import KeptFromWeights
from elmo_helpers.model.storage import FILES
from elmo_helpers.pretrained.shipped import DEFAULT_MODEL
from elmo_helpers.text.titles import normalize_title
from elmo_helpers.training.processes import usable_device

__all__ = ["ElmoComponent", "doc_tensor", "make_elmo", "set_vector_hooks"]

_MAX_NUMBERS = 2**26  # of the vectors of documents that are computed together: 256 MB
_MAX_SPELLINGS = 1_000_000  # distinct tokens whose normalised text is remembered


@Language.factory(
    "elmo",
    assigns=["doc.tensor"],
    default_config={
        "model": DEFAULT_MODEL,
        "layers": "average",
        "batch_tokens": 8192,
        "window": WINDOW,
        "max_words": MAX_WORDS,
        "precision": "fp32",
        "device": "auto",
    },
)
def make_elmo(
    nlp: Language,
    name: str,
    model: str | None,
    layers: str | list[float],
    batch_tokens: int,
    window: int,
    max_words: int,
    precision: str,
    device: str,
) -> ElmoComponent:
    """The component that `nlp.add_pipe("elmo", config=...)` makes; its settings are those of `ElmoComponent`."""
    return ElmoComponent(
        model,
        name,
        layers=layers,
        batch_tokens=batch_tokens,
        window=window,
        max_words=max_words,
        precision=precision,
        device=device,
    )


class NoModelError(ElmoHelpersError, AttributeError):
    """There is no model, or it cannot be read.

    An AttributeError too, since spaCy asks each component with `hasattr` whether it has a `model` and other things,
    before one is needed.
    """


class ElmoComponent(Pipe):
    """Sets `doc.tensor`, (tokens, 2P) float32, and the vectors and similarities of docs, spans and tokens from it.

    Tokens are those of spaCy's tokenizer, and each one's text is normalised as the model's training text was. A
    character that the model cannot spell is left out of its token's spelling. A token of white space alone is not
    read by the model, which never saw one: its row is zero.

    A biLM is trained on sentences. Where a document has sentence boundaries (from a parser, senter or sentencizer
    before this component), each sentence is encoded by itself; otherwise all of the document is, as one sentence.

    A component behind this one learns from the vectors with the layer `elmo_helpers.DocTensor.v1` as its tok2vec:
    `nlp.update` computes them before that component is updated. The model itself is not trained.
    """

    batch_tokens: int
    window: int
    max_words: int
    precision: str

    def __init__(
        self,
        model: BiLM | str | os.PathLike[str] | None = DEFAULT_MODEL,
        name: str = "elmo",
        *,
        layers: str | list[float] = "average",
        batch_tokens: int = 8192,
        window: int = WINDOW,
        max_words: int = MAX_WORDS,
        precision: str = "fp32",
        device: str = "auto",
    ) -> None:
        """A component.

        Args:
            model: A model, the directory of one, the name of one that ships, or its name on the Hugging Face Hub. It is
                read when it is first needed, since a pipeline that was saved brings its own and may outlive that
                directory.
            name: The component's name in the pipeline.
            layers: "average": the mean of all layers; "top": the last one; or L + 1 weights w_l of Σ_l w_l h^l, which
                for a learned `ScalarMix` are `(mix.gamma * mix.shares).tolist()`.
            batch_tokens: Tokens computed together, boundaries included.
            window: Documents that `nlp.pipe` sorts by length together; fewer where their vectors would take more than
                256 MB, and never fewer than the `batch_size` of `nlp.pipe`. Many are faster; 1 leaves it to that.
            max_words: Distinct words whose token vectors are kept between calls.
            precision: "fp32", or "bf16" for matrix products in bfloat16.
            device: "auto" (a GPU where there is one), "cpu", "cuda" and so on.

        Raises:
            ElmoHelpersError: A setting is of the wrong kind.
        """
        self.name = name
        check_layers(layers, ("average", "top"))
        self.layers = layers
        self.batch_tokens = whole_number("batch_tokens", batch_tokens, 1)
        self.window = whole_number("window", window, 1)
        self.max_words = whole_number("max_words", max_words, 1)
        self.precision = choice("precision", precision, PRECISIONS)
        self.device = device
        self._source = model
        self._forget()

    @property
    def model(self) -> BiLM:
        """The model; another one may be set.

        Raises:
            NoModelError: There is none, or its directory cannot be read.
        """
        if not isinstance(self._source, BiLM):
            if self._source is None:
                raise NoModelError(
                    f'The component {self.name!r} has no model: name the directory of one, config={{"model": ...}}.'
                )
            try:
                self._source = BiLM.from_pretrained(self._source)
            except ElmoHelpersError as error:
                raise NoModelError(f"The component {self.name!r} has no model: {error}") from None
        return self._source

    @model.setter
    def model(self, model: BiLM) -> None:
        if not isinstance(model, BiLM):
            raise ElmoHelpersError(f"model={model!r:.60}: expected a BiLM.")
        self._source = model
        self._forget()

    def __call__(self, doc: Doc) -> Doc:
        """Set the vectors of one document."""
        self._set_vectors([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 1000) -> Iterator[Doc]:
        """Set the vectors of a stream of documents, some thousands of them at a time; see `window`."""
        handle_error = self.get_error_handler()
        encoder, selection = self._ready()  # what is wrong with the model is no document's error
        max_tokens = _MAX_NUMBERS // selection.dim(encoder.model.config)
        for docs in _together(stream, batch_size, self.window, max_tokens):
            try:
                self._set_vectors(docs)
            except Exception as error:
                handle_error(self.name, self, docs, error)
            else:
                yield from docs

    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None) -> None:
        """Read the model, so that what is wrong with it is known before training begins."""
        self._ready()

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: object = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Set the vectors of the documents that the components behind are about to learn from; nothing is learned here.

        Returns:
            `losses`, as it was.
        """
        self._set_vectors([example.predicted for example in examples])
        return {} if losses is None else losses

    def to_disk(self, path: str | os.PathLike[str], *, exclude: Iterable[str] = ()) -> None:
        """Write the model to the directory `path`, as `BiLM.save` does; the settings are in the pipeline's own."""
        self.model.save(path)

    def from_disk(self, path: str | os.PathLike[str], *, exclude: Iterable[str] = ()) -> ElmoComponent:
        """Take the model that `to_disk` wrote.

        Raises:
            ElmoHelpersError: A file is missing or damaged.
        """
        self.model = BiLM.load(path)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The files that `to_disk` writes, as bytes."""
        with TemporaryDirectory() as directory:
            self.to_disk(directory)
            files = {file: read_bytes(Path(directory, file)) for file in FILES}
        return util.to_bytes({file: partial(files.__getitem__, file) for file in FILES}, ())

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> ElmoComponent:
        """Take the model that `to_bytes` wrote.

        Raises:
            ElmoHelpersError: A file is missing or damaged.
        """
        with TemporaryDirectory() as directory:
            try:
                util.from_bytes(data, {file: Path(directory, file).write_bytes for file in FILES}, ())
            except (ValueError, TypeError, AttributeError) as error:
                raise ElmoHelpersError(
                    f"data: expected what to_bytes gave ({str(error) or type(error).__name__:.100})."
                ) from None
            return self.from_disk(directory)

    def __reduce__(self) -> tuple[Any, ...]:
        # What was made from the weights is known by their place in memory, which is another in another process.
        made = ("_spellings", "_ready_for", "_kept_words")
        return _restored, (self.name, {name: value for name, value in self.__dict__.items() if name not in made})

    def _forget(self) -> None:
        """Begin without anything that was made from the model."""
        self._spellings: dict[int, str | None] = {}
        self._ready_for: tuple[Encoder, Selection] | None = None
        self._kept_words = KeptFromWeights[WordVectors]()

    def _ready(self) -> tuple[Encoder, Selection]:
        if self._ready_for is None:
            model = model_of(self.model).to(usable_device(self.device))
            selection = selection_of("tokens", self.layers, model.config)
            encoder = Encoder(model, batch_tokens=self.batch_tokens, precision=self.precision)
            self._ready_for = encoder, selection
        return self._ready_for

    def _set_vectors(self, docs: list[Doc]) -> None:
        encoder, selection = self._ready()
        model = encoder.model
        sentences: list[list[str]] = []  # of all documents, without tokens of white space
        plans = []  # for each document: how many of the sentences are its own, and where its words are; None: all over
        for doc in docs:
            of_tokens = self._words(doc)
            own = _sentences(doc, of_tokens)
            sentences += own
            plans.append((len(own), _places(of_tokens)))
        words = self._kept_words.get(
            [*model.char_cnn.parameters()],
            model.device,
            lambda: WordVectors(model, self.max_words, self.precision),
        )
        encoded = encoder.encode_windows(sentences, selection, words, max(1, len(sentences)))
        dim = selection.dim(model.config)
        for doc, (n_sentences, places) in zip(docs, plans, strict=True):
            vectors = [next(encoded).vectors for _ in range(n_sentences)]
            together = vectors[0] if len(vectors) == 1 else np.concatenate([np.zeros((0, dim), np.float32), *vectors])
            tensor: Any = together  # spaCy says that it is of float64, and takes any floats
            if places is not None:
                tensor = np.zeros((len(doc), dim), dtype=np.float32)
                tensor[places] = together
            doc.tensor = tensor
            set_vector_hooks(doc)

    def _words(self, doc: Doc) -> list[str | None]:
        """The normalised text of each token; None of one of white space alone."""
        orths = doc.to_array(ORTH).tolist()
        spellings = self._spellings
        try:
            return list(map(spellings.__getitem__, orths))
        except KeyError:
            own = {orth: self._spelling(doc.vocab.strings, orth) for orth in set(orths)}
            if len(spellings) > _MAX_SPELLINGS:
                self._spellings = own  # the full table is not emptied: another thread may be reading it
            else:
                spellings.update(own)
            return [own[orth] for orth in orths]

    def _spelling(self, strings: StringStore, orth: int) -> str | None:
        text = strings[orth]
        return None if text.isspace() else normalize_title(text, lowercase=self.model.text.lowercase)


def _together(docs: Iterable[Doc], batch_size: int, window: int, max_tokens: int) -> Iterator[list[Doc]]:
    """As many documents as `window`, or fewer of many tokens; at least `batch_size` in any case."""
    some, n_tokens = [], 0
    for doc in docs:
        some.append(doc)
        n_tokens += len(doc)
        if len(some) >= (batch_size if n_tokens >= max_tokens else max(batch_size, window)):
            yield some
            some, n_tokens = [], 0
    if some:
        yield some


def _restored(name: str, state: dict[str, Any]) -> ElmoComponent:
    component = ElmoComponent(None, name)
    component.__dict__.update(state)
    return component


def _sentences(doc: Doc, words: list[str | None]) -> list[list[str]]:
    """The words of each sentence that has any; all of them where the document has no sentence boundaries."""
    if "sents" in doc.user_hooks:
        starts = [sentence.start for sentence in doc.sents]
    elif len(doc) > 1 and doc.has_annotation("SENT_START"):
        starts = np.flatnonzero(doc.to_array(SENT_START) == 1).tolist()
    else:
        starts = [0]
    cuts = sorted({0, *starts, len(words)})
    pieces = ([word for word in words[a:b] if word is not None] for a, b in pairwise(cuts))
    return [piece for piece in pieces if piece]


def _places(words: list[str | None]) -> NDArray[np.int64] | None:
    """Where words are among the tokens, (number of words,) int; None: everywhere."""
    return np.array([i for i, word in enumerate(words) if word is not None], dtype=int) if None in words else None
