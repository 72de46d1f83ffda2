"""The dates of titles as widgets take and show them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.dates import MISSING, read_date


def checked_dates(dates: Sequence[object] | NDArray[np.datetime64] | None, n: int) -> NDArray[np.datetime64]:
    """The date of each of n titles, (n,) datetime64[D]; NaT where there is none, and everywhere of None.

    Raises:
        ElmoHelpersError: There is not one a title, or something is neither a date nor missing.
    """
    if dates is None:
        return np.full(n, "NaT", dtype="datetime64[D]")
    try:
        if isinstance(dates, np.ndarray) and dates.dtype.kind == "M":  # which holds any year already
            days = dates.astype("datetime64[D]")
        else:
            given = list(dates)
            if incomplete := [date for date in given if not _is_whole(date)]:
                raise ValueError(f"{incomplete[0]!r} is no whole date")
            read = pd.to_datetime(pd.Series(given), format="ISO8601")
            # Of a time with a zone the day is that of its own place.
            days = (read if read.dt.tz is None else read.dt.tz_localize(None)).to_numpy().astype("datetime64[D]")
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ElmoHelpersError(f"dates: expected dates such as 2001-12-31, or NaT ({reason}).") from None
    if days.shape != (n,):
        raise ElmoHelpersError(f"dates: expected {n}, one a title, and got {days.size}.")
    return days


def _is_whole(date: object) -> bool:
    """Whether no part of a date would be completed: pandas makes days of its own of a year, a number, and "now"."""
    if isinstance(date, str):
        return read_date(date) != (None, None) or date.strip().lower() in MISSING
    return not isinstance(date, Real) or math.isnan(date)


def date_text(date: np.datetime64) -> str:
    """2001-12-31, or "no date"."""
    return "no date" if np.isnat(date) else str(date)
