"""Any title, typed: how surprising each word is to both directions, and which words each would have put there."""

from __future__ import annotations

import html
import math
import os

import ipywidgets as widgets
import numpy as np

from elmo_helpers.analysis.scoring import Fill, Scorer, WordScores
from elmo_helpers.checks import whole_number
from elmo_helpers.display.scoring_plots import plot_likely_words, plot_surprise, share, surprise
from elmo_helpers.display.style import figure, shortened
from elmo_helpers.display.widgets.fields import Message, Picture
from elmo_helpers.display.widgets.turns import in_turn
from elmo_helpers.display.widgets.typed import typed_title
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.text.vocabulary import SPECIALS

_DIRECTIONS = ("forward", "backward", "both")
_GAP = " "  # no token holds white space, so none is taken for the gap
_MOST_WORDS = 48  # of a title: more would not be legible in one strip
_MOST = 20  # likely words that can be asked for
_LONGEST = 20  # letters of a word on a button


class DirectionExplorer(widgets.VBox):
    """What each direction of a biLM knows of a title that is typed.

        DirectionExplorer(model, "The state of the union is strong.")

    The strip shows the surprise of each word, -log2 p in bits, from what stands before it and from what stands after
    it. Below is a button for each word. For the word that is chosen one sees both probabilities, and the words that
    each direction, and both together, would have found likely in its place; none of them reads the word itself.
    """

    scorer: Scorer
    title: widgets.Text
    message: Message
    strip: Picture
    words: widgets.ToggleButtons
    n_words: widgets.IntSlider
    detail: widgets.HTML
    likely: Picture

    def __init__(self, model: BiLM | Scorer | str | os.PathLike[str], title: str = "", *, n_words: int = 8) -> None:
        """Controls and pictures.

        Args:
            model: A trained model that has a softmax, the directory or name of one, or a scorer.
            title: The title shown at first; empty: none.
            n_words: How many likely words are shown at first, at most 20.

        Raises:
            ElmoHelpersError: The model has no softmax, or the directory holds no model.
        """
        self.scorer = model if isinstance(model, Scorer) else Scorer(model)
        vocabulary = self.scorer.model.vocabulary
        self._limit = math.log2(len(vocabulary) - 1)  # the surprise of a word if all, but padding, were equally likely
        self._scores: WordScores | None = None  # of the last title that could be read

        most = max(1, min(_MOST, len(vocabulary) - len(SPECIALS)))
        n = min(whole_number("n_words", n_words, 1), most)
        self.title = widgets.Text(
            title,
            description="Title",
            placeholder="type one, press Enter",
            continuous_update=False,
            layout={"width": "95%"},
        )
        self.message, self.detail = Message(), widgets.HTML()
        self.strip, self.likely = Picture(), Picture()
        self.words = widgets.ToggleButtons(
            options=[], description="Word", style={"button_width": "auto"}, layout={"display": "none", "width": "95%"}
        )
        self.n_words = widgets.IntSlider(
            n,
            min=1,
            max=most,
            description="Likely words",
            continuous_update=False,
            style={"description_width": "initial"},
        )
        self.title.observe(in_turn(lambda change: self._read(change["new"])), "value")
        self.words.observe(in_turn(self._on_choice), "value")
        self.n_words.observe(in_turn(lambda _: self._draw_likely()), "value")
        self._setting_words = False
        super().__init__([self.title, self.message, self.strip, self.words, self.n_words, self.detail, self.likely])
        if title:
            self._read(title)

    def likely_words(self, direction: str) -> list[Fill]:
        """The likeliest words in the place of the chosen one, by "forward", "backward" or "both".

        Raises:
            ElmoHelpersError: No title has been read yet, or there is no such direction.
        """
        if self._scores is None:
            raise ElmoHelpersError("title: none has been read yet: set title.value to one.")
        tokens, i = self._scores.tokens, self.words.value
        return self.scorer.fill(
            [*tokens[:i], _GAP, *tokens[i + 1 :]], self.n_words.value, direction=direction, gap=_GAP
        )

    def _read(self, typed: str) -> None:
        """Show a typed title, or say what is wrong with it and leave the last one."""
        model = self.scorer.model
        with self.message.of_errors():
            tokens = typed_title(typed, model.character_vocabulary, model.text, _MOST_WORDS)
            (scores,) = self.scorer.score([tokens])
            self._scores = scores
            self._set_words(tokens)
            self._draw(scores)

    def _set_words(self, tokens: list[str]) -> None:
        """Make a button for each word; what was chosen by its place stays chosen where there is still such a place."""
        chosen = min(self.words.value or 0, len(tokens) - 1)
        # A word may come twice, and a page finds the button to mark by what is written on it: so it has a number.
        labels = [f"{i} {shortened(t, _LONGEST)}" for i, t in enumerate(tokens, start=1)]
        self._setting_words = True  # each of the next two lines says that another word is chosen
        self.words.options = [(label, i) for i, label in enumerate(labels)]
        self.words.value = chosen
        self._setting_words = False
        self.words.layout.display = None

    def _on_choice(self, _: object) -> None:
        if self._scores is not None and not self._setting_words:
            self._draw(self._scores)

    def _draw(self, scores: WordScores) -> None:
        i = self.words.value
        ax = plot_surprise(scores, chosen=i, limit=self._limit)
        tokens, bits = surprise(scores)
        said = "; ".join(f"{t} {f:.1f} and {b:.1f}" for t, f, b in zip(tokens[1:-1], *bits[:, 1:-1], strict=True))
        self.strip.show(ax.figure, f"surprise in bits, forward and backward: {said}")
        self.detail.value = f'<span role="status">{self._said_of(scores, i)}</span>'
        self._draw_likely()

    def _said_of(self, scores: WordScores, i: int) -> str:
        bits = surprise(scores)[1][:, i + 1]
        parts = [
            f"{name} <b>p = {share(math.exp(nats))}</b> ({b:.1f} bits)"
            for name, nats, b in zip(_DIRECTIONS, (scores.forward[i], scores.backward[i]), bits, strict=False)
        ]
        word = f"“{html.escape(scores.tokens[i][:60])}”, word {i + 1} of {len(scores.tokens)}"
        unknown = "; it is not in the vocabulary: this is the probability of all such words together"
        return f"{word}: {', '.join(parts)}{unknown if scores.unknown[i] else ''}."

    def _draw_likely(self) -> None:
        if self._scores is None:
            return
        word = self._scores.tokens[self.words.value]
        axes, said = figure(3, 12.0, 1.3 + 0.27 * self.n_words.value), []
        for ax, direction in zip(axes, _DIRECTIONS, strict=True):
            fills = self.likely_words(direction)
            plot_likely_words(fills, direction=direction, word=word, ax=ax)
            said.append(f"{direction}: " + ", ".join(f"{f.word} {share(np.exp(f.log_probability))}" for f in fills))
        self.likely.show(axes[0].figure, f"likely words in the place of {word:.60}; " + "; ".join(said))
