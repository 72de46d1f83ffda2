"""Titles that models write, as they come: the first ten of each direction, and one completed from both sides."""

from __future__ import annotations

from collections.abc import Sequence

from evidence_vectors import Model

from elmo_helpers import Generator

N_TITLES, SEED = 10, 0
# As the words come (temperature 1) a small model wanders; a little below it keeps to what it knows.
TEMPERATURE, MAX_WORDS = 0.8, 25
BEGINNING, N_BETWEEN, END = "Scientists", 4, "in the brain"


def written(models: Sequence[Model]) -> list[dict]:
    """What each model with a softmax writes, by how it was asked, as plain data."""
    found = []
    for model in models:
        if model.encoder.model.softmax is None:
            continue
        generator = Generator(model.encoder.model)
        drawing = {"temperature": TEMPERATURE, "seed": SEED}
        asked = {
            "forward": generator.generate(N_TITLES, max_words=MAX_WORDS, **drawing),
            "backward": generator.generate(N_TITLES, direction="backward", max_words=MAX_WORDS, **drawing),
            f"both, {BEGINNING} … {END}": generator.fill_between(BEGINNING, END, N_BETWEEN, **drawing),
        }
        for how, titles in asked.items():
            found.append({"model": model.name, "how": how, **drawing, "titles": [" ".join(title) for title in titles]})
    return found
