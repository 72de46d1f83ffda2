"""A title typed, and the titles nearest to it, with their dates and how these spread over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import ipywidgets as widgets
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from elmo_helpers.analysis.nearest import highest, unit_rows
from elmo_helpers.checks import choice, whole_number
from elmo_helpers.display.search_plots import plot_dates_of_nearest
from elmo_helpers.display.widgets.dates import checked_dates, date_text
from elmo_helpers.display.widgets.fields import Message, Picture
from elmo_helpers.display.widgets.tables import table_html
from elmo_helpers.display.widgets.turns import in_turn
from elmo_helpers.encoding.encoder import Encoder
from elmo_helpers.errors import ElmoHelpersError

_WIDE = {"description_width": "110px"}


class FittedVectorizer(Protocol):
    """What counts words, as scikit-learn's `TfidfVectorizer(analyzer=list)` does once it is fitted."""

    def transform(self, raw_documents: Sequence[list[str]], /) -> Any:
        """The counts of n titles, lists of tokens, as a sparse matrix of n rows."""


class TitleSearch(widgets.VBox):
    """Type a title and press Enter: the titles with the highest cosine to it, and when they were written.

        TitleSearch(Encoder(model), titles, dates, vectors=encoder.encode(titles, "mean"))

    The vectors are scaled to length 1 once, so that a search is one product of a matrix and a vector. With
    `counted`, titles are found by a mean of two cosines: (1 − w) of their vectors, w of their counted words.

    Attributes:
        title, pooling, share, n_in_figure: The controls: a text field, a list to choose from, a slider for w, which is
            hidden and at 0 without `counted`, and one for how many of the nearest titles the figure counts.
        message, table, picture: What is wrong with what was typed; the nearest titles; their spread over time.
        nearest: The rows of the nearest titles, as many as the figure counts, the nearest first; (n,) int64.
    """

    title: widgets.Text
    pooling: widgets.Dropdown
    share: widgets.FloatSlider
    n_in_figure: widgets.IntSlider
    message: Message
    table: widgets.HTML
    picture: Picture
    nearest: NDArray[np.int64]

    def __init__(
        self,
        encoder: Encoder,
        titles: Sequence[str] | Sequence[Sequence[str]],
        dates: Sequence[object] | NDArray[np.datetime64] | None,
        *,
        vectors: NDArray[np.floating] | Mapping[str, NDArray[np.floating]] | None = None,
        counted: FittedVectorizer | None = None,
        pooling: str = "mean",
        title: str = "",
        neighbours: int = 10,
        in_figure: int = 100,
    ) -> None:
        """The controls, and what is found for `title`.

        Args:
            encoder: Makes the vector of what is typed.
            titles: The titles that are searched, raw or as lists of tokens.
            dates: The date of each, NaT or None for one without; None: none has one.
            vectors: (N, dim) float, what `encoder.encode(titles, pooling)` gives; or several of them by their pooling,
                to choose from; None: they are made now.
            counted: Counts the words of titles, which are given to it as lists of tokens; None: only vectors count.
            pooling: Of the vectors; of several, the one at first.
            title: What to search for at first; empty: nothing yet.
            neighbours: Titles in the table.
            in_figure: Titles that the figure counts at first.

        Raises:
            ElmoHelpersError: There are no titles, not one date or vector a title, or an argument is of the wrong kind.
        """
        if isinstance(titles, str) or not (titles := list(titles)):
            raise ElmoHelpersError("titles: expected a list of at least one title.")
        self._encoder, self._titles = encoder, titles
        self._dates = checked_dates(dates, len(titles))
        self._n_shown = whole_number("neighbours", neighbours, 1)
        in_figure = min(whole_number("in_figure", in_figure, 1), len(titles))
        if vectors is None:
            vectors = encoder.encode(titles, pooling, progress=True)
        if not isinstance(vectors, Mapping):
            vectors = {pooling: vectors}
        choice("pooling", pooling, tuple(vectors))
        self._units = {name: self._checked(name, rows) for name, rows in vectors.items()}
        self._counted = None if counted is None else (counted, _unit_counts(counted, encoder.tokenize(titles)))
        self.nearest = np.empty(0, dtype=np.int64)

        wide = {"style": _WIDE, "layout": {"width": "90%"}}
        narrow = {"style": _WIDE, "layout": {"width": "420px"}}
        self.title = widgets.Text(
            title, description="Title", placeholder="Type a title and press Enter", continuous_update=False, **wide
        )
        self.pooling = widgets.Dropdown(options=list(vectors), value=pooling, description="Pooling", **narrow)
        self.n_in_figure = widgets.IntSlider(
            in_figure, min=1, max=min(1000, len(titles)), description="In the figure", **narrow
        )
        self.share = widgets.FloatSlider(
            0.0 if counted is None else 0.5, min=0, max=1, step=0.05, description="Counted words", **narrow
        )
        self.share.layout.display = "none" if counted is None else None
        self.message, self.table, self.picture = Message(), widgets.HTML(), Picture()
        controls = [self.pooling, self.share, self.n_in_figure]
        super().__init__([self.title, self.message, *controls, self.table, self.picture])
        for control in (self.title, *controls):
            control.observe(in_turn(lambda _: self._search()), "value")
        if title:
            self._search()

    def search(self, title: str, n: int = 10, pooling: str | None = None) -> pd.DataFrame:
        """The n titles with the highest cosine to `title`, the nearest first; as much by counted words as `share` says.

        Returns:
            A table with the columns cosine, date and title; its index is the row of each title.

        Raises:
            ElmoHelpersError: There is no word in `title`, no vectors are of that pooling, or n is no number of titles.
        """
        n = whole_number("n", n, 1)
        pooling = self.pooling.value if pooling is None else choice("pooling", pooling, tuple(self._units))
        (tokens,) = self._encoder.tokenize([title])
        if not tokens:
            raise ElmoHelpersError("Type a title of at least one word.")
        cosines = self._units[pooling] @ unit_rows(self._encoder.encode([tokens], pooling)[0])
        if self._counted is not None:
            vectorizer, counts = self._counted
            by_words, w = (counts @ _unit_counts(vectorizer, [tokens]).T).toarray()[:, 0], np.float32(self.share.value)
            cosines = (1 - w) * cosines + w * by_words
        rows, cosines = highest(cosines, n)
        found = {"cosine": cosines, "date": self._dates[rows], "title": [self._text(row) for row in rows]}
        return pd.DataFrame(found, index=rows)

    def _checked(self, pooling: str, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        dim = self._encoder.encode([["a"]], pooling).shape[1]
        if np.shape(vectors) != (len(self._titles), dim):
            raise ElmoHelpersError(
                f"vectors: expected {(len(self._titles), dim)}, one a title as “{pooling}” gives, and got "
                f"{np.shape(vectors)}."
            )
        return unit_rows(vectors)

    def _text(self, row: int) -> str:
        title = self._titles[row]
        return title if isinstance(title, str) else " ".join(title)

    def _search(self) -> None:
        with self.message.of_errors():
            n = self.n_in_figure.value
            found = self.search(self.title.value, max(n, self._n_shown))
            self.nearest = found.index.to_numpy()[:n]
            rows = [
                [str(i), f"{cosine:.3f}", date_text(self._dates[row]), title]
                for i, (row, cosine, title) in enumerate(
                    zip(found.index, found["cosine"], found["title"], strict=True), 1
                )
            ]
            self.table.value = table_html(
                ["", "cosine", "date", "title"], rows[: self._n_shown], "rrlw", caption="Nearest titles"
            )
            dates = self._dates[self.nearest]
            dated = dates[~np.isnat(dates)]
            span = f", from {dated.min()} to {dated.max()}" if len(dated) else ""
            ax = plot_dates_of_nearest(dates, self._dates)
            self.picture.show(ax.figure, f"Spread over time of the {n} nearest titles{span}, beside all titles.")


def _unit_counts(vectorizer: FittedVectorizer, titles: list[list[str]]) -> Any:
    """The counts of n titles, (n, words) float32 sparse, each row of length 1.

    Raises:
        ElmoHelpersError: The vectorizer is not fitted, or on something else than lists of tokens.
    """
    from sklearn.preprocessing import normalize  # whoever has such a vectorizer has scikit-learn

    try:
        return normalize(vectorizer.transform(titles).astype(np.float32))
    except (AttributeError, TypeError, ValueError) as error:
        raise ElmoHelpersError(
            f"counted: it cannot count the words of lists of tokens ({error}); pass such as "
            "TfidfVectorizer(analyzer=list).fit(lists of tokens)."
        ) from error
