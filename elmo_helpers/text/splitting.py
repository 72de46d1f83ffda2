"""Which titles are trained on, which choose the model and which judge it: whole documents, never parts of one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from elmo_helpers.errors import ElmoHelpersError

SPLITS = ("train", "valid", "test")  # a row's split is stored as its position here


def split_rows(
    titles: pd.DataFrame, by: str = "document", valid: float = 0.05, test: float = 0.05, seed: int = 0
) -> NDArray[np.int8]:
    """Put every row in a split, so that no document is in two of them.

    Sentences of one document resemble each other: a model tested on the neighbours of its training sentences
    would look better than it is.

    Args:
        titles: A frame with the column date (datetime64) and, if there is one, the column document.
        by: "document": documents are drawn at random. A document is all rows with the same value of `document`, or,
            without this column, of the same day; a row where that is missing is a document of its own.
            "date": the newest days are test, the next newest valid; `document` is not looked at.
        valid, test: Shares of the rows, met as closely as whole documents can; 0 gives an empty split, and any other
            share at least one document.
        seed: Of the random draw.

    Returns:
        Positions in SPLITS, shape (len(titles),), int8.

    Raises:
        ElmoHelpersError: `by` is unknown; the shares leave no training rows; there are fewer documents than splits;
            rows have no date and `by` is "date".
    """
    check_split(by, valid, test)
    documents = _documents(titles, by)
    sizes = np.bincount(documents)  # (n_documents,), rows of each
    n_splits = 1 + (valid > 0) + (test > 0)
    if len(sizes) < n_splits:
        raise ElmoHelpersError(
            f"The titles are of {len(sizes)} document(s), too few for {n_splits} splits: pass valid=0, test=0, or give "
            "the rows different dates or a column document."
        )

    newest_first = by == "date"
    order = np.random.default_rng(seed).permutation(len(sizes))
    if newest_first:
        order = np.sort(order)[::-1]
    split_of = np.zeros(len(sizes), dtype=np.int8)
    for name, share, leave in (("test", test, n_splits - 1), ("valid", valid, 1)):
        if share > 0:
            held_out = _hold_out(order, sizes, share * len(titles), leave, newest_first)
            split_of[held_out] = SPLITS.index(name)
            order = order[split_of[order] == 0]
    return split_of[documents]


def check_split(by: str, valid: float, test: float) -> None:
    """Refuse what `split_rows` cannot do, whatever the rows.

    Raises:
        ElmoHelpersError: `by` is unknown, or the shares leave no training rows.
    """
    if by not in ("document", "date"):
        raise ElmoHelpersError(f"split={by!r}: expected document or date.")
    if not (valid >= 0 and test >= 0 and valid + test < 1):
        raise ElmoHelpersError(f"valid={valid}, test={test}: expected shares of at least 0, together below 1.")


def _documents(titles: pd.DataFrame, by: str) -> NDArray[np.int64]:
    """The number of each row's document, (len(titles),); by date, older days have lower numbers."""
    documents: NDArray[np.int64]
    if by == "document" and "document" in titles:
        documents, _ = pd.factorize(titles["document"])
    else:
        documents, _ = pd.factorize(titles["date"].dt.floor("D"), sort=True)
    missing = documents < 0
    if by == "date" and missing.any():
        raise ElmoHelpersError(
            f"Row {int(np.argmax(missing))} has no date, so split='date' cannot be done: pass split='document'."
        )
    documents[missing] = documents.max(initial=-1) + 1 + np.arange(missing.sum())
    return documents


def _hold_out(
    order: NDArray[np.int64], sizes: NDArray[np.int64], target: float, leave: int, in_order: bool
) -> list[int]:
    """Documents from `order` with about `target` rows together, at least one document, all but `leave` at most.

    A document is taken if it brings the sum of rows nearer to the target. One that is too large is passed over, or,
    where the order must be kept, is the end.
    """
    taken: list[int] = []
    rows = 0
    for document in order:
        room = 2 * (target - rows)
        if len(order) - len(taken) == leave or room <= 1:  # no document has less than one row
            break
        if sizes[document] < room:
            taken.append(document)
            rows += sizes[document]
        elif in_order:
            break
    if not taken:
        taken = [order[0] if in_order else order[np.argmin(sizes[order])]]
    return taken
