"""A word's occurrences on a map, with sliders for the mix of layers that moves it."""

from __future__ import annotations

import html
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from elmo_helpers.analysis.nearest import nearest_rows, unit_rows
from elmo_helpers.analysis.occurrences import Occurrences, find_occurrences
from elmo_helpers.checks import whole_number
from elmo_helpers.display.context_map import MAX_CLUSTERS, ContextMap, map_contexts, mix_layers, name_clusters
from elmo_helpers.display.search_plots import plot_contexts
from elmo_helpers.display.style import shortened, styled
from elmo_helpers.display.widgets.dates import checked_dates, date_text
from elmo_helpers.display.widgets.fields import Message, Picture
from elmo_helpers.display.widgets.tables import table_html
from elmo_helpers.display.widgets.turns import in_turn
from elmo_helpers.encoding.encoder import Encoder
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.titles import normalize_title

_KEPT = 4  # words whose vectors are kept
_LINE = 30  # letters on each side of the word in a line
_WIDE = {"description_width": "110px"}
_GAMMA = (
    "γ multiplies all vectors, and with them the Euclidean distances and the numbers on the axes. Cosines stay, so the "
    "nearest occurrences and the clusters do too."
)


@dataclass(frozen=True)
class _Mixed:
    """The n occurrences of a word under one mix of the layers."""

    vectors: NDArray[np.float32]  # (n, 2P)
    units: NDArray[np.float32]  # the same, each of length 1
    map: ContextMap
    names: list[str]  # of the clusters


class ContextExplorer(widgets.VBox):
    """A map of one word's occurrences, which moves while the sliders of the mix are dragged.

        ContextExplorer(Encoder(model), titles, "state", dates=dates)

    The vector of an occurrence is γ Σ_l s_l h^l. The map shows the first two principal components of these vectors;
    the colours are clusters of the whole vectors, named by the words beside the occurrences. Below it stand the
    occurrences with the highest cosine to a chosen one, in their titles.

    The axes stay as long as the map fits, so that what is seen to shrink has shrunk.

    Attributes:
        word, shares, gamma, n_clusters, occurrence: The controls: a text field, a list of sliders, and three sliders.
        message, note, table, picture, bar: What is wrong with what was typed; what is shown; the nearest occurrences;
            the map; progress of encoding.
        occurrences: What is shown, or None before a word was found.
    """

    word: widgets.Text
    shares: list[widgets.FloatSlider]
    gamma: widgets.FloatSlider
    n_clusters: widgets.IntSlider
    occurrence: widgets.IntSlider
    message: Message
    note: widgets.HTML
    table: widgets.HTML
    picture: Picture
    bar: widgets.IntProgress

    def __init__(
        self,
        encoder: Encoder,
        titles: Sequence[str] | Sequence[Sequence[str]],
        word: str,
        *,
        dates: Sequence[object] | NDArray[np.datetime64] | None = None,
        max_occurrences: int = 2000,
        n_clusters: int = 4,
        neighbours: int = 8,
        seed: int = 0,
    ) -> None:
        """The controls, and the map of the first word.

        Args:
            encoder: Of the trained model. Its mix, where it has one of L + 1 layers, is where the sliders begin;
                otherwise they begin at equal shares and γ = 1.
            titles: Raw titles, or titles that are lists of tokens already.
            word: The first word.
            dates: The date of each title, missing ones too; None: no dates are shown.
            max_occurrences: Occurrences on the map; of more, as many are drawn at random.
            n_clusters: Clusters at first, from 1 to 6.
            neighbours: Nearest occurrences that are listed.
            seed: Of the draw and of the clusters.

        Raises:
            ElmoHelpersError: An argument is of the wrong kind, or there is not one date a title. (A word that does
                not occur is said below its field.)
        """
        self._encoder, self._limit = encoder, whole_number("max_occurrences", max_occurrences, 1)
        self._n_nearest, self._seed = whole_number("neighbours", neighbours, 1), seed
        if whole_number("n_clusters", n_clusters, 1) > MAX_CLUSTERS:
            raise ElmoHelpersError(f"n_clusters={n_clusters}: expected at most {MAX_CLUSTERS}.")
        self._titles = encoder.tokenize(titles)
        self._dates = None if dates is None else checked_dates(dates, len(self._titles))
        self._known: OrderedDict[str, Occurrences] = OrderedDict()
        self.occurrences: Occurrences | None = None
        self._mixed: _Mixed | None = None
        self._extent, self._quiet = 0.0, False
        self._make_controls(word, n_clusters)
        super().__init__(
            [
                widgets.HBox([self.word, self.bar]),
                self.message,
                *self.shares,
                self._sum,
                self.gamma,
                widgets.HTML(html.escape(_GAMMA)),
                self.n_clusters,
                self.occurrence,
                self.note,
                self.picture,
                self.table,
            ]
        )
        self._look_up()

    @property
    def map(self) -> ContextMap | None:
        """The map of what is shown, or None before a word was found."""
        return None if self._mixed is None else self._mixed.map

    def _make_controls(self, word: str, n_clusters: int) -> None:
        n_layers = self._encoder.model.config.n_layers + 1
        shares, gamma = [1 / n_layers] * n_layers, 1.0
        if (mix := self._encoder.mix) is not None and len(mix.weights) == n_layers:
            shares, gamma = mix.shares.tolist(), mix.gamma.item()
        wide = {"style": _WIDE, "layout": {"width": "420px"}}
        self.word = widgets.Text(word, description="Word", continuous_update=False, **wide)
        self.shares = [
            widgets.FloatSlider(s, min=0, max=1, step=0.01, description=f"Layer {i}, s_{i}", **wide)
            for i, s in enumerate(shares)
        ]
        self.gamma = widgets.FloatSlider(
            gamma, min=min(gamma, 0.1), max=max(2 * gamma, 2.0), step=0.05, description="γ", **wide
        )
        self.n_clusters = widgets.IntSlider(n_clusters, min=1, max=MAX_CLUSTERS, description="Clusters", **wide)
        self.occurrence = widgets.IntSlider(1, min=1, max=1, description="Occurrence", **wide)
        self.message, self.picture, self.table = Message(), Picture(), widgets.HTML()
        self.note, self._sum = widgets.HTML(), widgets.HTML()
        self.bar = widgets.IntProgress(0, max=1, description="Encoding", layout={"visibility": "hidden"})
        self.word.observe(in_turn(lambda _: self._look_up()), "value")
        for slider in [*self.shares, self.gamma, self.n_clusters]:
            slider.observe(in_turn(lambda _: self._changed()), "value")
        self.occurrence.observe(in_turn(lambda _: self._changed(moved=False)), "value")

    def _look_up(self) -> None:
        """Another word: its occurrences, and the map of them; where there are none, the map before stays."""
        with self.message.of_errors():
            found = self._find(self.word.value)
            if found is self.occurrences:
                return
            self.occurrences, self._mixed, self._extent = found, None, 0.0
            self._quiet = True
            self.occurrence.value, self.occurrence.max = 1, len(found)
            self._quiet = False
            self._update(found)

    def _find(self, typed: str) -> Occurrences:
        text = self._encoder.model.text
        word = normalize_title(typed, lowercase=text.lowercase)
        if not word:
            raise ElmoHelpersError("Type a word.")
        if word not in self._known:
            try:
                found = find_occurrences(
                    self._encoder, self._titles, word, limit=self._limit, seed=self._seed, told=self._tell
                )
            finally:
                self.bar.layout.visibility = "hidden"
            if not len(found):
                several = len(word.split()) > 1
                raise ElmoHelpersError(
                    f"“{word}” does not occur as a word in the {len(self._titles):,} titles: type "
                    + ("a single word." if several else "another one.")
                )
            self._known[word] = found
        self._known.move_to_end(word)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return self._known[word]

    def _tell(self, done: int, of: int) -> None:
        if done == 1 or done == of or done % 64 == 0:
            self.bar.max, self.bar.value, self.bar.layout.visibility = of, done, "visible"

    def _changed(self, moved: bool = True) -> None:
        if self.occurrences is not None and not self._quiet:
            with self.message.of_errors():
                self._update(self.occurrences, moved)

    def _update(self, found: Occurrences, moved: bool = True) -> None:
        """Mix, project, cluster, find the nearest and draw; `moved`: more than the chosen occurrence has changed."""
        mixed = self._mix(found) if moved or self._mixed is None else self._mixed
        chosen = self.occurrence.value - 1
        rows, cosines = nearest_rows(mixed.units, mixed.units[chosen], self._n_nearest + 1)
        others = rows != chosen
        rows, cosines = rows[others][: self._n_nearest], cosines[others][: self._n_nearest]
        self._show_lines(found, mixed, chosen, rows, cosines)
        flat = f"PCA ({mixed.map.explained:.0%} of the variance)"
        held = flat if mixed.map.points.any() else "all vectors are the same"
        ax = plot_contexts(
            mixed.map.points,
            mixed.map.clusters,
            mixed.names,
            chosen=chosen,
            nearest=rows.tolist(),
            extent=self._extent or None,
            title=f"“{found.word}”: {held}",
            ax=_fixed_axes(),
        )
        text = f"Map of {len(found)} occurrences of {found.word} in clusters: {'; '.join(mixed.names)}"
        self.picture.show(ax.figure, text)

    def _mix(self, found: Occurrences) -> _Mixed:
        """The occurrences as the sliders stand; the map before is where this one's axes and colours come from."""
        shares = np.array([slider.value for slider in self.shares], dtype=np.float64)
        vectors = mix_layers(found.layers, shares, self.gamma.value)
        context_map = map_contexts(vectors, self.n_clusters.value, self.map, seed=self._seed)
        names = name_clusters(context_map.clusters, found.before, found.after, found.word)
        self._mixed = _Mixed(vectors, unit_rows(vectors), context_map, names)
        self._extent = max(self._extent, 1.08 * float(np.abs(context_map.points).max()))
        self._say(found, shares / shares.sum())
        return self._mixed

    def _say(self, found: Occurrences, shares: NDArray[np.float64]) -> None:
        numbers = ", ".join(f"s<sub>{i}</sub> = {s:.2f}" for i, s in enumerate(shares))
        self._sum.value = f"The sliders divided by their sum, so that the shares sum to 1: {numbers}"
        drawn = f", of which {len(found):,} are drawn at random" if len(found) < found.n_found else ""
        self.note.value = html.escape(
            f"“{found.word}” occurs {found.n_found:,} times in {len(self._titles):,} titles{drawn}."
        )

    def _show_lines(
        self, found: Occurrences, mixed: _Mixed, chosen: int, rows: NDArray[np.int64], cosines: NDArray[np.float32]
    ) -> None:
        dated = self._dates is not None
        header = ["", "cosine", "distance", "cluster", *["date"] * dated, "before", "", "after"]
        shown = [("chosen", chosen, 1.0)]
        shown += [(str(n), i, cosine) for n, (i, cosine) in enumerate(zip(rows, cosines, strict=True), start=1)]
        lines = []
        for name, i, cosine in shown:
            before, word, after = found.line(i)
            distance = np.linalg.norm(mixed.vectors[i] - mixed.vectors[chosen])
            date = [] if self._dates is None else [date_text(self._dates[found.rows[i]])]
            before = shortened(before[::-1], _LINE)[::-1]  # cut at its beginning
            numbers = [f"{cosine:.3f}", f"{distance:.2f}", str(mixed.map.clusters[i] + 1)]
            lines.append([name, *numbers, *date, before, word, shortened(after, _LINE)])
        caption = "The occurrence chosen, and those with the highest cosine to it"
        self.table.value = table_html(header, lines, "rrrr" + "l" * dated + "rll", caption=caption, bold=5 + dated)


def _fixed_axes() -> Axes:
    """Axes that keep their place, however long the names beside them are: a map that is dragged must not jump."""
    with styled(None, 8.6, 4.8) as ax:
        ax.figure.figure.set_layout_engine("none")
        ax.set_position((0.11, 0.11, 0.42, 0.81))
    return ax
