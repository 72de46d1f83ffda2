"""Written dates as days: whole ones alone, and one order of day and month a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from elmo_helpers.errors import ElmoHelpersError

# What stands where a date is missing, in lower case; \N is a database's.
MISSING = ("", "nan", "nat", "na", "n/a", "<na>", "none", "null", r"\n")

_LONGEST = 100  # characters of a date; browsers write 65, with the name of the time zone

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_YEAR = r"(?P<year>\d{4})"  # before month and day
_LAST_YEAR = r"(?P<year>[1-9]\d{3})"  # behind them, where 0930 would be a time
_DAY = r"(?P<day>\d\d?)(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?(?:\s*,\s*|\s+))?"
_NAME = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_MINUTE = r"(?P<minute>[0-5]\d)"
_TIME = rf"(?P<hour>[01]?\d|2[0-3]):{_MINUTE}(?::[0-5]\d(?:[.,]\d+)?)?(?:\s*(?P<half>[ap])\.?m\.?)?"
_DIGITS = rf"(?P<hour>[01]\d|2[0-3]){_MINUTE}[0-5]\d(?:\.\d+)?"  # of a time, too
# Other names of zones, such as CST, stand for several; one in brackets repeats what its numbers say.
_ZONE = r"(?:\s*(?:Z|UTC|GMT|(?:UTC|GMT)?(?P<offset>[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?))(?:\s*\([^()]*\))?)?"
_CLOCK = rf"(?:(?:T|\s*,\s*|\s+(?:at\s+)?){_TIME}{_ZONE})?"

_PATTERNS = [
    re.compile(pattern, flags=re.IGNORECASE | re.ASCII)
    for pattern in (
        # 2013-08-20, 2013/8/20, 2013-08-20T10, 2013-08-20T10:11:12+02:00
        rf"{_YEAR}(?P<sign>[-/. ])(?P<month>\d\d?)(?P=sign)(?P<day>\d\d?)(?:[T ](?:[01]\d|2[0-3])|{_CLOCK})",
        # 20130820, 20130820T101112Z, 20130820101112
        rf"{_YEAR}(?P<month>\d\d)(?P<day>\d\d)(?:T?{_DIGITS}{_ZONE})?",
        # 8/20/2013, 20.08.2013, 8/20/2013 10:11 PM
        rf"(?P<one>\d\d?)(?P<sign>[-/. ])(?P<two>\d\d?)(?P=sign){_LAST_YEAR}{_CLOCK}",
        # 20 Aug 2013, 20th of August 2013, 20-Aug-2013, Tue, 20 Aug 2013 10:11:12 GMT
        rf"{_WEEKDAY}{_DAY}[-/. ]?\s*(?:of\s+)?{_NAME}[-/, ]?\s*{_LAST_YEAR}{_CLOCK}",
        # Aug 20 2013, August 20th, 2013
        rf"{_WEEKDAY}{_NAME}[-/ ]\s*{_DAY}(?:\s*,\s*|[-/ ]\s*){_LAST_YEAR}{_CLOCK}",
        # 2013-Aug-20
        rf"{_YEAR}[-/ ]\s*{_NAME}[-/ ]\s*{_DAY}{_CLOCK}",
        # Tue Aug 20 10:11:12 +0000 2013
        rf"{_WEEKDAY}{_NAME}\s+{_DAY}\s+{_TIME}{_ZONE}\s+{_LAST_YEAR}",
    )
]


def read_date(text: str) -> tuple[date | None, date | None]:
    """The day that a string names: with the month first, and with the day first; None if it names no whole date.

    Year (of four digits), month and day are in the string itself: nothing is completed. The two answers differ where
    day and month are both numbers and no year stands before them. A time with a zone is of the day that it is in UTC.

    Args:
        text: Such as 2013-08-20, 8/20/2013, Aug 20, 2013 or 2013-08-20T10:11:12+02:00.
    """
    text = text.strip()
    matches = (pattern.fullmatch(text) for pattern in _PATTERNS)
    found = next(filter(None, matches), None) if len(text) <= _LONGEST else None
    if found is None:
        return None, None
    part = found.groupdict()
    if "one" in part:
        one, two = int(part["one"]), int(part["two"])
        return _day(part, one, two), _day(part, two, one)
    month = int(part["month"]) if "month" in part else _MONTHS.index(part["name"][:3].lower()) + 1
    day = _day(part, month, int(part["day"]))
    return day, day


def _day(part: dict[str, str], month: int, day: int) -> date | None:
    try:
        written = date(int(part["year"]), month, day)
        return written if part.get("offset") is None else _in_utc(written, part)
    except (ValueError, OverflowError):  # there is no such day, or it is beyond the years 1 to 9999
        return None


def _in_utc(day: date, part: dict[str, str]) -> date:
    hour, offset = int(part["hour"]), part["offset"]
    if half := part.get("half"):
        hour = hour % 12 + (12 if half in "pP" else 0)
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:].lstrip(":") or 0))
    moment = datetime.combine(day, time(hour, int(part["minute"])))
    return (moment + ahead if offset[0] == "-" else moment - ahead).date()


class FileDates:
    """The dates of one file, in which day and month have one order.

    A date such as 30/9/2016 says which order its file has, and 10/9/2016 does not. Where one like the latter comes
    before all like the former, the file is read once more, up to a row that says it. If none does, the month is first.
    """

    def __init__(self, path: Path, again: Callable[[], Iterator[tuple[int, str]]]) -> None:
        """Nothing is read yet.

        Args:
            path: The file's, for messages.
            again: Line and date of each row of the file, from its beginning.
        """
        self._path = path
        self._again = again
        self._was_read_again = False
        self._said: dict[bool, tuple[int, str]] = {}  # that the day is first, or is not: line and date that say so

    def days(self, lines: pd.Series, texts: pd.Series) -> pd.Series:
        """The days of some rows: datetime64[s], NaT where a text is no whole date.

        Args:
            lines: Their lines in the file, (N,).
            texts: Their dates as written, (N,); NaN where the file has none.

        Raises:
            ElmoHelpersError: The rows so far have two orders.
        """
        codes, distinct = pd.factorize(texts)
        readings = [read_date(text) for text in distinct]
        for code, reading in enumerate(readings):
            order = _day_is_first(reading)
            if order is not None and order not in self._said:
                self._hear(order, int(lines.iloc[np.argmax(codes == code)]), distinct[code])
        unclear = not self._said and any(month_first != day_first for month_first, day_first in readings)
        if unclear and not self._was_read_again:
            self._was_read_again = True
            self._look_through()
        # A row without a text has the code -1, and so the last day.
        days = [reading[True in self._said] for reading in readings] + [None]
        return pd.Series(np.array(days, dtype="datetime64[s]")[codes], index=texts.index)

    def _look_through(self) -> None:
        for line, text in self._again():
            order = _day_is_first(read_date(text))
            if order is not None:
                self._hear(order, line, text)
                return

    def _hear(self, day_first: bool, line: int, text: str) -> None:
        self._said[day_first] = (line, text)
        if len(self._said) == 2:
            (day_line, day_text), (month_line, month_text) = self._said[True], self._said[False]
            raise ElmoHelpersError(
                f"{self._path}: in line {day_line}, {day_text!r}, the day comes first, and in line {month_line}, "
                f"{month_text!r}, the month: write all dates in one order, best like 2013-08-20."
            )


def _day_is_first(reading: tuple[date | None, date | None]) -> bool | None:
    """What a date says about its file; None: nothing."""
    month_first, day_first = reading
    return month_first is None if (month_first is None) != (day_first is None) else None
