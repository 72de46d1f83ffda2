"""A string is a date if year, month and day stand in it, and all rows of a file have one order of day and month."""

import gzip
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text import title_files
from elmo_helpers.text.dates import read_date
from elmo_helpers.text.title_files import title_blocks
from elmo_helpers.text.titles import read_titles

# How programs and people write a whole date whose day and month cannot be mixed up.
FORMS = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S UTC",
    "%Y-%m-%dT%H",
    "%Y%m%dT%H%M%SZ",
    "%Y%m%d%H%M%S",
    "%d %b %Y",
    "%d %B %Y %H:%M",
    "%d-%b-%Y",
    "%d. %B %Y",
    "%dth of %B %Y",
    "%b %d %Y %I:%M%p",
    "%B %dth, %Y",
    "%b. %d, %Y at %I:%M:%S %p",
    "%A, %B %d, %Y",
    "%Y-%b-%d",
    "%a, %d %b %Y %H:%M:%S GMT",
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %H:%M:%S +0000 %Y",
    "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)",
]


@given(st.datetimes(datetime(1000, 1, 1)), st.sampled_from(FORMS), st.sampled_from([str, str.lower, str.upper]))
@settings(deadline=None)
def test_a_whole_date_in_any_form_is_its_day(moment, form, case):
    written = case(moment.strftime(form))
    assert read_date(f" {written} ") == (moment.date(), moment.date()), written


@given(
    st.dates(date(1000, 1, 1)),
    st.sampled_from("-/. "),
    st.sampled_from(["", " 10:11", ", 10:11:12", " 10:11 PM"]),
    st.booleans(),
)
@settings(deadline=None)
def test_two_numbers_before_the_year_have_two_readings(day, sign, clock, zeros):
    numbers = (f"{day.day:02}", f"{day.month:02}") if zeros else (str(day.day), str(day.month))
    year = f"{day.year:04}"
    assert read_date(sign.join([*numbers, year]) + clock)[1] == day
    assert read_date(sign.join([*reversed(numbers), year]) + clock)[0] == day
    assert (read_date(sign.join([*numbers, year]) + clock)[0] is None) == (day.day > 12)


@given(
    st.datetimes(datetime(1700, 1, 1)),
    st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    st.sampled_from(["%Y-%m-%dT%H:%M:%S%z", "%a, %d %b %Y %H:%M:%S %z", "%m/%d/%Y %I:%M %p %z", "%Y%m%dT%H%M%S%z"]),
)
@settings(deadline=None)
def test_a_time_with_a_zone_is_of_the_day_in_utc(moment, zone, form):
    there = moment.replace(tzinfo=zone)
    try:
        day = there.astimezone(UTC).date()
    except OverflowError:
        day = None
    assert read_date(there.strftime(form))[0] == day


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "2013",
            "2013-08",
            "2013 08",
            "201308",
            "08/2013",
            "3/2013",
            "August 2013",
            "Aug. 2013",
            "2013-Aug",
            "20",
        ),
        *(
            "20 Aug",
            "August 20th",
            "8/20",
            "20.8.",
            "10:11",
            "10:11:12",
            "10 pm",
            "Aug 20 10:11 +0200",
            "Aug 20 10:11 0200",
            "Tue, 20 Aug",
        ),
        *(
            "190512",
            "130820",
            "8/20/13",
            "20-Aug-13",
            "13-08-20",
            "04/10/96 1030",
            "Aug 20 '96",
            "Aug 20, 96",
            "20/8/013",
            "Aug 20 0930",
        ),
        *(
            "today",
            "yesterday",
            "now",
            "Tuesday",
            "noon",
            "next week",
            "spring 2013",
            "Q3 2013",
            "2013.63",
            "about 2013",
        ),
        *("0", "41506", "1376956800", "1376956800000", "1.3769568e9", "1376956800.5", "201308201011", "12212121"),
        *(
            "0000-00-00",
            "2013-00-01",
            "2013-01-00",
            "2013-02-30",
            "1900-02-29",
            "2013-13-01",
            "2013/20/08",
            "13/14/2013",
        ),
        *("20130230", "30 February 2013", "31/4/2013", "12013-08-20", "-2013-08-20", "2,013-08-20", "10000-01-01"),
        *("2013-08-20T24:30", "2013-08-20 10:61", "2013-08-20T99", "2013-08-20 10:11 +99:00", "20130820996060"),
        *("0001-01-01T00:00+02:00", "9999-12-31T23:00-05:00"),
        *(
            "2013-W34",
            "2013-W34-2",
            "2013-232",
            "2013-08-20-21",
            "2013-08-20/2013-08-21",
            "2013-08-20 BC",
            "2013-08/20",
        ),
        *("2013-08-20 10:11 CST", "2013-08-20\0", "20\0013-08-20", "2013-08-20 x", "x 2013-08-20", "20 août 2013"),
        *(
            "٢٠١٣-٠٨-٢٠",
            "２０１３-０８-２０",
            "20 Auguſt 2013",
            "2013-08-20" * 10_000,
            " " * 10_000 + "2013-08-20 " * 2,
        ),
        *("9" * 5_000, "1/" * 5_000, "Aug " * 5_000),
    ],
)
def test_what_is_no_whole_date(text):
    assert read_date(text) == (None, None)


@given(st.text("0123456789-/., ", max_size=16) | st.text("0123456789 Augsept,-", max_size=16))
@settings(deadline=None)
def test_what_is_read_stands_there(text):
    """Whatever is taken for a date, its year is written, and so are month and day: as numbers, or by name."""
    for day in set(read_date(text)) - {None}:
        assert f"{day.year:04}" in text
        assert str(day.day) in text
        assert str(day.month) in text or f"{day:%b}".lower() in text.lower()


@pytest.fixture
def table(tmp_path):
    def write(*dates, name="titles.csv"):
        content = "title,date\n" + "".join(f"title {i},{day}\n" for i, day in enumerate(dates))
        path = tmp_path / name
        path.write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())
        return path

    return write


def days(path, size=100):
    return [str(day)[:10] for frame, _ in title_blocks(path, size) for day in frame["date"]]


SIZES = pytest.mark.parametrize("size", [1, 2, 3, 100])


@SIZES
@pytest.mark.parametrize("name", ["titles.csv", "titles.csv.gz"])
@pytest.mark.parametrize("sign", "/.- ")
def test_one_row_tells_the_order_of_all(table, size, name, sign):
    for written, expected in (
        (("10/9/2016", "30/9/2016", "1/10/2016"), ["2016-09-10", "2016-09-30", "2016-10-01"]),
        (("10/9/2016", "9/30/2016", "1/10/2016"), ["2016-10-09", "2016-09-30", "2016-01-10"]),
        (("10/9/2016", "2016/9/8", "", "9/9/2016", "1/10/2016 10:11", "30/9/2016", "2/1/2016"), None),
    ):
        expected = expected or ["2016-09-10", "2016-09-08", "2016-09-09", "2016-10-01", "2016-09-30", "2016-01-02"]
        assert days(table(*(day.replace("/", sign) for day in written), name=name), size) == expected


@SIZES
def test_where_no_row_tells_the_order_the_month_is_first(table, size):
    assert days(table("10/9/2016", "Aug 20 2013", "1/10/2016"), size) == ["2016-10-09", "2013-08-20", "2016-01-10"]


@SIZES
@pytest.mark.parametrize(
    ("dates", "lines"),
    [
        (("30/9/2016", "9/30/2016"), (2, 3)),
        (("9/30/2016", "30/9/2016"), (3, 2)),
        (("1/2/2016", "2016-01-02", "9.30.2016", "30/9/2016", "30/9/2016", "9/30/2016"), (5, 4)),
    ],
)
def test_two_orders_in_one_file_are_refused_by_both_lines(table, size, dates, lines):
    day_first, month_first = lines
    with pytest.raises(ElmoHelpersError, match=rf"in line {day_first}, .* day .* in line {month_first}, .* the month"):
        days(table(*dates), size)


def test_a_row_without_a_title_tells_the_order_too(tmp_path):
    (tmp_path / "t.csv").write_text("title,date\na,10/9/2016\n,30/9/2016\n")
    assert days(tmp_path / "t.csv") == ["2016-09-10"]


@pytest.mark.parametrize(
    ("dates", "opened"),
    [
        (["2016-09-10"] * 6, 1),
        (["30/9/2016"] + ["10/9/2016"] * 5, 1),
        (["9/9/2016"] * 6, 1),  # either order is the same day
        (["10/9/2016"] * 5 + ["30/9/2016"], 2),
        (["10/9/2016"] * 6, 2),
    ],
)
def test_a_file_is_read_again_once_and_only_to_learn_the_order(table, monkeypatch, dates, opened):
    path, files, open_file = table(*dates), [], title_files.open_file

    def counted(path):
        files.append(path)
        return open_file(path)

    monkeypatch.setattr(title_files, "open_file", counted)
    assert len(days(path, 1)) == 6
    assert files == [path] * opened


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_string_that_is_no_whole_date_is_refused_by_its_line(table, name):
    for text in ("190512", "04/10/96 1030", "Aug 20 10:11 +0200", "2013", "August 2013", "31/9/2016", "9" * 5_000):
        with pytest.raises(
            ElmoHelpersError, match=r"line 3: '.{,80} is not a date; write year, month and day"
        ) as caught:
            read_titles(table("2013-08-20", text, name=name))
        assert len(str(caught.value)) < 400
