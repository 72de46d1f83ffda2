"""Training runs as they are seen: one line and the curves of the present one, all of them compared, and their code."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import pandas as pd

from elmo_helpers.config import BiLMConfig
from elmo_helpers.display.live import Pace, run_figure
from elmo_helpers.display.training_plots import plot_runs
from elmo_helpers.display.widgets.fields import Picture
from elmo_helpers.display.widgets.run_table import code_of, table_of_runs
from elmo_helpers.display.widgets.training_estimate import duration
from elmo_helpers.display.widgets.training_run import TrainingRun
from elmo_helpers.display.widgets.turns import in_turn
from elmo_helpers.training.config import TrainingConfig

_SHARE = 1 / 8  # of the time that drawing may take: the run goes on meanwhile, if more slowly
_PRESENT = "the settings above"


class RunView(widgets.VBox):
    """The state, the curves and the table of runs; it changes when it is told to, in the thread that tells it.

    Attributes:
        state: The run's state, which screen readers read when it changes.
        numbers: Its numbers, which change all the time.
        curves: Its training loss and validation perplexity.
        comparison: The validation perplexities of all runs, when there are two.
        table: All runs.
        code_choice: Whose configurations are shown as code.
        code: The code, to be copied.
    """

    state: widgets.HTML
    numbers: widgets.HTML
    curves: Picture
    comparison: Picture
    table: widgets.HTML
    code_choice: widgets.Dropdown
    code: widgets.Textarea

    def __init__(self, *, validated: bool, references: Mapping[str, float]) -> None:
        """A view of no run yet.

        Args:
            validated: There are validation titles.
            references: Name of a model to its perplexity on them.
        """
        self._validated, self._references = validated, references
        self._settings: tuple[BiLMConfig, TrainingConfig] | None = None
        self._runs: list[TrainingRun] = []
        self._pace = Pace(_SHARE)
        self._drawn = (0, 0)  # rows of both tables in the curves
        self._compared: list[tuple[str, int]] = []  # name and evaluations of each run in the comparison
        self.state, self.numbers, self.table = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.curves, self.comparison = Picture(), Picture()
        self.code_choice = widgets.Dropdown(
            options=[_PRESENT], description="Code of", style={"description_width": "7em"}, layout={"width": "23em"}
        )
        self.code = widgets.Textarea(
            description="Configuration", rows=12, style={"description_width": "7em"}, layout={"width": "48em"}
        )
        self.code_choice.observe(in_turn(lambda _: self._show_code()), "value")
        super().__init__(
            [self.state, self.numbers, self.curves, self.comparison, self.table, self.code_choice, self.code]
        )

    def settings(self, configs: tuple[BiLMConfig, TrainingConfig] | None) -> None:
        """Show these configurations as code; None: those that were typed are wrong."""
        self._settings = configs
        self.code_choice.value = _PRESENT
        self._show_code()

    def begin(self) -> None:
        """Another run begins: its curves take the place of the last one's."""
        self._pace, self._drawn = Pace(_SHARE), (0, 0)
        self.curves.clear()

    def show(self, runs: Sequence[TrainingRun], epoch_steps: int) -> None:
        """Show these runs as they are now, with the last one's curves where they have grown and it is time to.

        Args:
            runs: All runs, the present one last.
            epoch_steps: The steps of one pass over the titles in it.
        """
        run = runs[-1]
        best = run.best_perplexity
        found = "" if best is None else f" · best validation perplexity {best:,.1f}"
        self.state.value = f'<span role="status"><b>{html.escape(run.name)}: {run.state}</b>{found}</span>'
        self.numbers.value = " · ".join(_numbers(run, epoch_steps))
        self.table.value = table_of_runs(runs)
        self._show_curves(run)
        self._show_comparison(runs)

    def ended(self, runs: Sequence[TrainingRun]) -> None:
        """The last of these runs has ended: offer its configurations as code."""
        self._runs = list(runs)
        self.code_choice.options = [_PRESENT, *(run.name for run in runs)]
        self.code_choice.value = runs[-1].name

    def _show_curves(self, run: TrainingRun) -> None:
        rows = (len(run.progress.steps), len(run.progress.history))
        if rows == self._drawn or (run.going and not self._pace.due):
            return
        with self._pace.drawing():
            drawn = run_figure(
                run.progress, validated=self._validated, sampled=run.sampled, references=self._references
            )
            words = [run.name]
            if rows[0]:
                words.append(f"training loss {run.progress.steps[-1]['loss']:.3f}")
            if run.best_perplexity is not None:
                words.append(f"best validation perplexity {run.best_perplexity:,.1f}")
            self.curves.show(drawn, ", ".join(words))
        self._drawn = rows

    def _show_comparison(self, runs: Sequence[TrainingRun]) -> None:
        measured = [(lowest, run) for run in runs if (lowest := run.best_perplexity) is not None]
        evaluations = [(run.name, len(run.progress.history)) for _, run in measured]
        if len(measured) < 2 or evaluations == self._compared:
            return
        self._compared = evaluations
        ax = plot_runs({run.name: pd.DataFrame(list(run.progress.history)) for _, run in measured}, self._references)
        lowest, best = min(measured, key=lambda pair: pair[0])
        self.comparison.show(
            ax.figure, f"{len(measured)} runs; the lowest perplexity, {lowest:,.1f}, is that of {best.name}"
        )

    def _show_code(self) -> None:
        run = next((run for run in self._runs if run.name == self.code_choice.value), None)
        configs = self._settings if run is None else (run.model_config, run.training_config)
        self.code.value = "# A setting above is wrong." if configs is None else code_of(*configs)


def _numbers(run: TrainingRun, epoch_steps: int) -> list[str]:
    """How far a run is, how it learns, how fast, and how long it takes."""
    p, c, words = run.progress, run.training_config, []
    if p.step:
        words.append(f"epoch {p.step / epoch_steps:.2f}" + ("" if c.epochs is None else f" of {c.epochs}"))
        words.append(f"step {p.step:,}" + ("" if run.n_steps is None else f" of {run.n_steps:,}"))
    if p.steps:
        row = p.steps[-1]
        words.append(f"{'sampled ' if run.sampled else ''}training loss {row['loss']:.3f}")
        words.append(f"{row['tokens_per_second']:,.0f} tokens/s")
    words.append(f"{duration(p.seconds)} so far" if run.going else duration(p.seconds))
    if run.going and run.seconds_left is not None:
        words.append(f"about {duration(run.seconds_left)} left")
    return words
