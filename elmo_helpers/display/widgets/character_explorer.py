"""Any word, typed: its ids, what each filter answers to its characters, and the words nearest by spelling."""

from __future__ import annotations

import html
from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from elmo_helpers.checks import whole_number
from elmo_helpers.config import TextConfig
from elmo_helpers.display.character_plots import character_labels, plot_response_heat
from elmo_helpers.display.spelling_plots import plot_neighbours, plot_spelling
from elmo_helpers.display.style import figure, shortened
from elmo_helpers.display.widgets.fields import Message, Picture
from elmo_helpers.display.widgets.turns import in_turn
from elmo_helpers.display.widgets.typed import typed_word
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.char_cnn import CharacterCNN
from elmo_helpers.text.characters import CharacterVocabulary
from elmo_helpers.text.tokenization import Tokenizer

_CHUNK = 4096  # words spelled out together
_MOST = 20  # neighbours that can be asked for
_LONGEST = 24  # letters of a word in a title
_BESIDE = {"display": "flex", "flex_flow": "row wrap", "align_items": "flex-start"}


class CharacterExplorer(widgets.VBox):
    """What a character CNN makes of a word, for any word that is typed: misspelled and invented ones, too.

        CharacterExplorer(model, corpus.lexicon[3:5003], word="goverment")

    Three pictures: the characters of the word and their ids; the responses of all filters of one width, before the
    maximum and the activation; and the words nearest to it. Nearness is the cosine between vectors from which the mean
    vector of `words` is subtracted, because what all words share says nothing about one. The typed word itself is no
    neighbour.

    The vectors of `words` are computed once, when the widget is made.
    """

    cnn: CharacterCNN
    text: TextConfig
    characters: CharacterVocabulary
    words: list[str]
    word: widgets.Text
    width: widgets.Dropdown
    n_neighbours: widgets.IntSlider
    message: Message
    note: widgets.HTML
    spelling: Picture
    responses_picture: Picture
    neighbours_picture: Picture

    def __init__(
        self,
        model: CharacterCNN | BiLM,
        words: Sequence[str],
        *,
        text: TextConfig | None = None,
        word: str = "",
        n_neighbours: int = 8,
    ) -> None:
        """Controls and pictures.

        Args:
            model: A character CNN, or a biLM that has one. It must not be trained while the widget is used.
            words: The words among which neighbours are looked for, as the model's tokenizer makes them.
            text: How the model's training text was made into tokens. None: what a biLM says; of a CNN alone, the
                defaults, which lower-case.
            word: The word shown at first; empty: none.
            n_neighbours: How many neighbours are shown at first, at most 20.

        Raises:
            ElmoHelpersError: The model reads words whole, by no characters, or there is no word to look among.
        """
        cnn = model.char_cnn if isinstance(model, BiLM) else model
        if not isinstance(cnn, CharacterCNN):
            raise ElmoHelpersError("model: it reads words whole and has no character CNN; pass one that has.")
        self.cnn = cnn
        if isinstance(words, str) or not (words := list(words)) or not all(isinstance(w, str) for w in words):
            raise ElmoHelpersError(f"words={words!r:.60}: expected a list of at least one word.")
        self.text = text or (model.text if isinstance(model, BiLM) else TextConfig())
        self.characters = CharacterVocabulary(self.cnn.config.scheme, self.cnn.config.max_characters)
        self.words = list(dict.fromkeys(words))
        self._place = {w: i for i, w in enumerate(self.words)}
        vectors = torch.cat([self._vectors(self.words[i : i + _CHUNK]) for i in range(0, len(self.words), _CHUNK)])
        self._mean = vectors.mean(0)
        self._directions = F.normalize(vectors - self._mean, dim=1)  # (U, D)
        self._shown: str | None = None  # the last word that could be read

        most = min(_MOST, len(self.words))
        self.word = widgets.Text(word, description="Word", placeholder="type one, press Enter", continuous_update=False)
        banks = [(f"{width} ({count} filters)", i) for i, (width, count) in enumerate(self.cnn.config.filters)]
        first = min(1, len(banks) - 1)
        self.width = widgets.Dropdown(options=banks, value=first, description="Filter width")
        n = min(whole_number("n_neighbours", n_neighbours, 1), most)
        self.n_neighbours = widgets.IntSlider(n, min=1, max=most, description="Neighbours", continuous_update=False)
        self.message, self.note = Message(), widgets.HTML()
        self.spelling, self.responses_picture, self.neighbours_picture = Picture(), Picture(), Picture()
        self.word.observe(in_turn(lambda change: self._read(change["new"])), "value")
        self.width.observe(in_turn(lambda _: self._draw_responses()), "value")
        self.n_neighbours.observe(in_turn(lambda _: self._draw_neighbours()), "value")
        controls = widgets.Box([self.word, self.width, self.n_neighbours], layout=_BESIDE)
        pictures = widgets.Box([self.responses_picture, self.neighbours_picture], layout=_BESIDE)
        super().__init__([controls, self.message, self.note, self.spelling, pictures])
        if word:
            self._read(word)

    def ids(self, word: str) -> NDArray[np.int64]:
        """The ids of a word's characters, without padding, (n,) int64.

        Raises:
            ElmoHelpersError: A character is outside the model's table.
        """
        row: NDArray[np.int64] = self.characters.encode([word])[0].astype(np.int64)
        return row[: int(np.flatnonzero(row != self.characters.padding_id).max(initial=-1)) + 1]

    def responses(self, word: str, bank: int) -> tuple[NDArray[np.float32], list[str]]:
        """What the filters of one width answer to each window of a word.

        The last window holds nothing but padding, where there is room for one: whatever follows gives the same.

        Args:
            word: The word.
            bank: Which width, by its number in `CharCNNConfig.filters`.

        Returns:
            - (filters, windows) float32.
            - The characters in each window.
        """
        row = self.characters.encode([word]).astype(np.int64)
        with torch.no_grad():
            embedded = self.cnn.embed(torch.from_numpy(row).to(self._device))
            responses = self.cnn.filter_responses(embedded, bank)[0].float().cpu().numpy()
        n = min(len(self.ids(word)) + 1, responses.shape[1])
        labels, width = character_labels(row[0], self.characters), self.cnn.config.filters[bank][0]
        return responses[:, :n], ["".join(labels[p : p + width]) for p in range(n)]

    def nearest(self, word: str, n: int) -> list[tuple[str, float]]:
        """The n words nearest to one, the nearest first, each with its cosine; fewer where there are no more."""
        n = whole_number("n", n, 1)
        with torch.no_grad():
            cosines = self._directions @ F.normalize(self._vectors([word]) - self._mean, dim=1)[0]  # (U,)
        itself = self._place.get(word)
        if itself is not None:
            cosines[itself] = -torch.inf
        best = cosines.topk(min(n, len(self.words) - (itself is not None)))
        return [(self.words[i], c) for i, c in zip(best.indices.tolist(), best.values.tolist(), strict=True)]

    @property
    def _device(self) -> torch.device:
        return next(self.cnn.parameters()).device

    @torch.no_grad()
    def _vectors(self, words: list[str]) -> Tensor:
        """(n, D); as everywhere, a character outside the table is left out of a word that is not typed."""
        rows = self.characters.encode(words, errors="skip").astype(np.int64)
        vectors: Tensor = self.cnn(torch.from_numpy(rows).to(self._device))
        return vectors.float()

    def _read(self, typed: str) -> None:
        """Show a typed word, or say what is wrong with it and leave the last one."""
        with self.message.of_errors():
            word = typed_word(typed, self.characters, self.text)
            self._shown = word
            self.note.value = f'<span role="status">{html.escape(self._remarks(word))}</span>'
            self._draw_spelling(word)
            self._draw_responses()
            self._draw_neighbours()

    def _remarks(self, word: str) -> str:
        n, among = len(self.words), "is" if word in self._place else "is not"
        remarks = [f"“{word:.60}” {among} one of the {n:,} words that neighbours are looked for among."]
        room = self.characters.max_characters - (2 if self.characters.scheme == "utf8" else 0)  # marks of begin and end
        if (len(word.encode()) if self.characters.scheme == "utf8" else len(word)) > room:
            unit = "bytes" if self.characters.scheme == "utf8" else "characters"
            remarks.append(f"The model reads its first {room} {unit}.")
        tokens = next(Tokenizer(self.text.tokenizer)([word]))
        if len(tokens) > 1:
            remarks.append(f"In a title it is cut into {len(tokens)} tokens, {' · '.join(tokens):.80}; here it is one.")
        return " ".join(remarks)

    def _draw_spelling(self, word: str) -> None:
        ids = self.ids(word)
        labels = character_labels(ids, self.characters)
        ax = plot_spelling(ids, labels, title=f"“{shortened(word, _LONGEST)}” as ids")
        spelled = ", ".join(f"{label} {i}" for label, i in zip(labels, ids, strict=True))
        self.spelling.show(ax.figure, f"characters and ids of {word:.60}: {spelled}")

    def _draw_responses(self) -> None:
        if self._shown is None:
            return
        responses, windows = self.responses(self._shown, self.width.value)
        height = min(12.0, 1.2 + 0.115 * len(responses))  # of a thousand filters a row is a line of pixels
        (ax,) = figure(1, max(4.5, 2.2 + 0.36 * len(windows)), max(3.0, height))
        plot_response_heat(responses, windows, ax=ax)
        strongest, place = np.unravel_index(responses.argmax(), responses.shape)
        said = f"responses of {len(responses)} filters to {self._shown:.60}; the strongest is filter {strongest}"
        self.responses_picture.show(ax.figure, f"{said} at {windows[place]}, {responses.max():.2f}")

    def _draw_neighbours(self) -> None:
        if self._shown is None:
            return
        found = self.nearest(self._shown, self.n_neighbours.value)
        words, cosines = [w for w, _ in found], [c for _, c in found]
        ax = plot_neighbours(words, cosines, title=f"Nearest to “{shortened(self._shown, _LONGEST)}”")
        said = ", ".join(f"{w} {c:.2f}" for w, c in found)
        self.neighbours_picture.show(ax.figure, f"words nearest to {self._shown:.60}: {said}")
