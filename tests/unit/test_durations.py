from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_durable.durations import from_millis, parse_duration, require_aware, to_millis
from lambda_durable.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
        ("250ms", timedelta(milliseconds=250)),
        ("1h30m", timedelta(minutes=90)),
        ("1m5ms", timedelta(seconds=60, milliseconds=5)),
        ("1.5h", timedelta(minutes=90)),
        ("0s", timedelta()),
        ("3660d", timedelta(days=3660)),
    ],
)
def test_text_is_a_duration(text: str, expected: timedelta) -> None:
    assert parse_duration(text, "x") == expected


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=3660)))
def test_a_timedelta_is_a_duration_as_it_stands(duration: timedelta) -> None:
    assert parse_duration(duration, "x") == duration


@pytest.mark.parametrize(
    "value", [5, 5.0, True, None, [], "5", "", "s", "5 s", " 5s", "5s\n", "-5", "1e3s", "5S", "٣s"]
)
def test_what_has_no_unit_or_no_meaning_is_refused_by_name(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^timeout: .* is no duration"):
        parse_duration(value, "timeout")


def test_a_bare_number_is_told_that_it_lacks_a_unit() -> None:
    with pytest.raises(ConfigurationError, match=r"a number says nothing of its unit.*timedelta"):
        parse_duration(30, "timeout")


@pytest.mark.parametrize("value", [timedelta(microseconds=-1), "-5s", "-1h30m"])
def test_a_negative_duration_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="cannot be negative"):
        parse_duration(value, "x")


@pytest.mark.parametrize("value", ["3661d", "99999999999999d", "9" * 400 + "w", timedelta.max])
def test_more_than_ten_years_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="more than ten years"):
        parse_duration(value, "x")


def test_an_aware_time_is_given_in_utc() -> None:
    paris = timezone(timedelta(hours=1))

    assert require_aware(datetime(2025, 1, 1, 12, tzinfo=paris), "x") == datetime(2025, 1, 1, 11, tzinfo=UTC)
    assert require_aware(datetime(2025, 1, 1, 12, tzinfo=paris), "x").tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (datetime(2025, 1, 1), "has no time zone"),
        ("2025-01-01", "expected a datetime"),
        (None, "expected a datetime"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "outside the years 1 to 9999"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "outside the years 1 to 9999"),
    ],
)
def test_what_is_no_time_in_utc_is_refused_by_name(value: object, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^when: .*{complaint}"):
        require_aware(value, "when")


@given(st.integers(min_value=0, max_value=253_402_300_799_999))
def test_stored_milliseconds_come_back_equal(millis: int) -> None:
    assert to_millis(from_millis(millis)) == millis
