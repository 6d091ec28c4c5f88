"""The contract of `Scheduler`: schedules that are due once."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest


@pytest.fixture
def noon(services):
    """A full minute in some days."""
    return (services.now() + timedelta(days=3)).replace(second=0)


def test_its_body_is_sent_at_its_time(services, noon):
    services.scheduler.schedule("abc", noon, '{"run":"r"}')
    assert services.fired("abc", noon) == ['{"run":"r"}']


def test_the_same_schedule_again_changes_nothing(services, noon):
    services.scheduler.schedule("abc", noon, "body")
    services.scheduler.schedule("abc", noon, "body")
    assert services.fired("abc", noon) == ["body"]


def test_another_time_under_its_name_is_an_error_and_the_first_stays(services, noon):
    services.scheduler.schedule("abc", noon, "body")
    with pytest.raises(ValueError, match="schedule abc exists"):
        services.scheduler.schedule("abc", noon + timedelta(minutes=1), "body")
    assert services.fired("abc", noon) == ["body"]


def test_its_time_may_be_in_any_time_zone(services, noon):
    there = noon.astimezone(timezone(timedelta(hours=5, minutes=45)))
    services.scheduler.schedule("abc", there, "body")
    services.scheduler.schedule("abc", noon, "body")
    assert services.fired("abc", noon) == ["body"]


def test_the_longest_name_is_taken(services, noon):
    name = "a-Z_0." + "x" * 58
    services.scheduler.schedule(name, noon, "body")
    assert services.fired(name, noon) == ["body"]
