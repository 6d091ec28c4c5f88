"""When the stand-in for EventBridge Scheduler fires: as its documentation says of summer time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_durable.testing.recurrence import Recurrence


def times(expression: str, timezone: str, start: str, count: int) -> list[str]:
    found = []
    time = datetime.fromisoformat(start).replace(tzinfo=UTC)
    while len(found) < count and (due := Recurrence(expression, timezone).after(time)) is not None:
        found.append(f"{due:%m-%dT%H:%M}")
        time = due
    return found


def test_a_local_time_moves_with_the_clocks():
    nine = times("cron(0 9 * * ? *)", "Europe/Paris", "2025-03-28T12:00", 3)
    assert nine == ["03-29T08:00", "03-30T07:00", "03-31T07:00"]


def test_a_local_time_that_the_clocks_skip_is_not_due():
    # Paris, 30 March 2025: 01:59 is followed by 03:00.
    assert times("cron(30 2 * * ? *)", "Europe/Paris", "2025-03-28T12:00", 2) == [
        "03-29T01:30",
        "03-31T00:30",
    ]


def test_a_local_time_that_comes_twice_is_due_the_first_time():
    # Paris, 26 October 2025: 02:59 is followed by 02:00.
    assert times("cron(30 2 * * ? *)", "Europe/Paris", "2025-10-25T12:00", 2) == [
        "10-26T00:30",
        "10-27T01:30",
    ]
    hourly = times("cron(0 * * * ? *)", "Europe/Paris", "2025-10-25T22:30", 4)
    assert hourly == ["10-25T23:00", "10-26T00:00", "10-26T02:00", "10-26T03:00"]


def test_a_rate_knows_no_summer_time():
    assert times("rate(12 hours)", "UTC", "2025-03-29T12:00", 3) == [
        "03-30T00:00",
        "03-30T12:00",
        "03-31T00:00",
    ]
    assert times("rate(1 day)", "Europe/Paris", "2025-03-29T12:00", 2) == ["03-30T00:00", "03-31T00:00"]


def test_a_day_that_is_not_over_in_utc_counts():
    # Havana puts its clocks back at 01:00 to midnight: 2 November 2025 has 00:30 twice.
    assert times("cron(30 0 * * ? *)", "America/Havana", "2025-11-02T04:45", 1) == ["11-03T05:30"]
    assert times("cron(30 23 * * ? *)", "Pacific/Kiritimati", "2025-01-01T00:00", 2) == [
        "01-01T09:30",
        "01-02T09:30",
    ]


def test_a_day_that_a_zone_left_out_is_not_due():
    # Samoa went from 29 to 31 December 2011.
    found = times("cron(0 12 * * ? *)", "Pacific/Apia", "2011-12-29T00:00", 2)
    assert found == ["12-29T22:00", "12-30T22:00"]


CHANGES = {
    "Europe/Paris": ("2025-03-30", "2025-10-26"),
    "America/New_York": ("2025-03-09", "2025-11-02"),
    "America/Havana": ("2025-03-09", "2025-11-02"),  # at midnight
    "Australia/Lord_Howe": ("2025-04-06", "2025-10-05"),  # by half an hour
    "America/St_Johns": ("2011-03-13", "2011-11-06"),  # a minute after midnight
    "Pacific/Apia": ("2011-12-30", "2011-12-31"),  # by a day
    "Asia/Kolkata": ("2025-01-01", "2025-07-01"),  # never
}


@given(
    st.sampled_from([(zone, day) for zone, days in CHANGES.items() for day in days]),
    st.sets(st.integers(0, 59), min_size=1, max_size=4),
    st.sets(st.integers(0, 23), min_size=1, max_size=6),
    st.sets(st.integers(1, 7), min_size=1),
)
def test_a_minute_is_due_when_its_local_time_is_and_comes_for_the_first_time(
    change, minutes, hours, weekdays
):
    name, day = change
    zone = ZoneInfo(name)
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=36)
    listed = [",".join(map(str, sorted(values))) for values in (minutes, hours, weekdays)]

    expected = []
    for minute in range(1, 72 * 60):
        local = (start + timedelta(minutes=minute)).astimezone(zone)
        if (
            local.fold == 0
            and local.minute in minutes
            and local.hour in hours
            and local.isoweekday() % 7 + 1 in weekdays
        ):
            expected.append(f"{local.astimezone(UTC):%m-%dT%H:%M}")

    expression = f"cron({listed[0]} {listed[1]} ? * {listed[2]} *)"
    assert times(expression, name, start.isoformat(), len(expected)) == expected


def test_a_rare_day_is_found():
    assert times("cron(0 0 29 2 ? *)", "UTC", "2097-01-01T00:00", 1) == ["02-29T00:00"]


def test_in_the_end_there_is_none():
    assert times("cron(0 0 1 1 ? 2025)", "UTC", "2024-06-01T00:00", 2) == ["01-01T00:00"]


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 9 * * *)",
        "cron(0 9 * * * *)",
        "cron(0 9 ? * ? *)",
        "cron(60 9 * * ? *)",
        "cron(0 9 ? * 0 *)",
        "cron(0 9 ? * 8 *)",
        "cron(0 9 ? * FRI-MON *)",
        "cron(0/0 9 * * ? *)",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(30 seconds)",
        "every day",
    ],
)
def test_what_scheduler_refuses_is_refused(expression):
    with pytest.raises(ValueError):
        Recurrence(expression, "UTC")
