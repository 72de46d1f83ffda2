"""Sentences of a notebook that hold computed numbers."""

from __future__ import annotations

from IPython.display import Markdown, display


def say(text: str) -> None:
    """Show a sentence below a cell as text, not as something printed; `text` is Markdown."""
    display(Markdown(text))
