"""What all widgets share: a message under a field, and a picture that is drawn again without flicker."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import ipywidgets as widgets
import matplotlib.pyplot as plt
import traitlets
from matplotlib.figure import Figure, SubFigure

from elmo_helpers.display.style import VERMILION
from elmo_helpers.errors import ElmoHelpersError


class Message(widgets.HTML):
    """A line under a field, which says what is wrong with what was typed; empty at first. Screen readers read it."""

    text: str
    value: str

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def say(self, text: str) -> None:
        """Show `text`, as it is: nothing in it is read as HTML; empty: show nothing."""
        self.text = text
        line = f'<div role="alert" style="color: {VERMILION}; line-height: 1.4">{html.escape(text)}</div>'
        self.value = line if text else ""

    @contextmanager
    def of_errors(self) -> Iterator[None]:
        """Show the message of an ElmoHelpersError in the block, or nothing where there is none."""
        try:
            yield
        except ElmoHelpersError as error:
            self.say(str(error))
        else:
            self.say("")


class Picture(widgets.Image):
    """A figure in the page. Another one takes its place when it is ready, so that nothing blinks."""

    value: bytes

    # An image has no description, but the page looks at its length before it sets a tooltip, and fails without one.
    description: traitlets.Unicode[str, str | bytes] = traitlets.Unicode("").tag(sync=True)

    def __init__(self) -> None:
        # Beside others a picture keeps its size; a box would stretch it to its own width.
        super().__init__(format="png", layout={"max_width": "100%", "display": "none", "align_self": "flex-start"})

    def show(self, figure: Figure | SubFigure, text: str) -> None:
        """Draw a figure, and close it.

        Args:
            figure: Made by `style.figure` or a plot function; of a part of a figure, the whole is drawn.
            text: What is to be seen, for who points at it or cannot see it.
        """
        whole, png = figure.figure, BytesIO()
        whole.savefig(png, format="png")
        plt.close(whole)  # or the notebook would show it once more at the end of the cell
        self.tooltip = text
        self.value = png.getvalue()
        self.layout.display = None

    def clear(self) -> None:
        """Show nothing."""
        self.layout.display = "none"
