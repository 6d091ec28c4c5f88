"""`cron` and `every`: what they take, and what a function's schedules are."""

from __future__ import annotations

import zoneinfo
from datetime import timedelta
from typing import Any

import pytest

from lambda_durable import ConfigurationError, Context, Durable, Event, Schedule, cron, every, on_event


class TestCron:
    def test_is_in_utc_unless_it_says_otherwise(self):
        assert cron("0 9 * * *").timezone == "UTC"
        assert cron("0 9 * * *", "Europe/Paris").timezone == "Europe/Paris"

    @pytest.mark.parametrize(
        ("zone", "complaint"),
        [
            ("Europe/Pariss", "there is no such time zone; did you mean 'Europe/Paris'?"),
            ("europe/paris", "did you mean 'Europe/Paris'?"),
            ("UTC+2", "there is no such time zone"),
            ("/etc/localtime", "there is no such time zone"),
            ("../UTC", "there is no such time zone"),
            ("", "expected an IANA time zone"),
            (None, "expected an IANA time zone"),
            ("x" * 51, "expected an IANA time zone"),
        ],
    )
    def test_a_time_zone_that_is_not_there_is_refused(self, zone, complaint):
        with pytest.raises(ConfigurationError) as caught:
            cron("0 9 * * *", timezone=zone)
        assert "timezone=" in str(caught.value)
        assert complaint in str(caught.value)

    def test_where_the_system_has_no_time_zones_the_deployment_judges(self, monkeypatch):
        monkeypatch.setattr(zoneinfo, "available_timezones", set)
        assert cron("0 9 * * *", timezone="Mars/Olympus").timezone == "Mars/Olympus"

    def test_a_wrong_expression_is_shown(self):
        with pytest.raises(ConfigurationError, match=r"cron\('0 25 \* \* \*'\): hour '25'"):
            cron("0 25 * * *")

    def test_shows_what_it_was_given(self):
        assert repr(cron("0  9 * * MON", "Asia/Tokyo")) == "cron('0 9 * * MON', timezone='Asia/Tokyo')"


class TestEvery:
    @pytest.mark.parametrize(
        ("interval", "expression", "shown"),
        [
            ("1m", "rate(1 minute)", "every('1m')"),
            ("15m", "rate(15 minutes)", "every('15m')"),
            (timedelta(hours=1.5), "rate(90 minutes)", "every('1h30m')"),
            ("1d", "rate(1440 minutes)", "every('1d')"),
            ("365d", "rate(525600 minutes)", "every('365d')"),
        ],
    )
    def test_is_a_rate(self, interval, expression, shown):
        trigger = every(interval)
        assert trigger.expressions == (expression,)
        assert repr(trigger) == shown

    @pytest.mark.parametrize("interval", ["0m", "30s", "90s", "1m1ms", "366d"])
    def test_is_in_whole_minutes(self, interval):
        with pytest.raises(ConfigurationError, match="whole minutes, from 1 minute to 365 days"):
            every(interval)

    def test_a_bare_number_says_nothing(self):
        with pytest.raises(ConfigurationError, match="says nothing of its unit"):
            every(5)  # type: ignore[arg-type]


class TestJitter:
    def test_is_a_duration_of_up_to_a_day(self):
        assert cron("0 9 * * *", jitter="10m").jitter == timedelta(minutes=10)
        assert every("1h", jitter="1d").jitter == timedelta(days=1)
        assert every("1h").jitter == timedelta()

    @pytest.mark.parametrize("jitter", ["25h", 60, "-1m", "soon"])
    def test_what_is_none_is_refused(self, jitter):
        with pytest.raises(ConfigurationError, match="jitter="):
            cron("0 9 * * *", jitter=jitter)


class TestAFunction:
    def test_may_have_a_schedule_beside_events(self):
        app = Durable("x")

        @app.function("f", [on_event("a"), cron("0 9 * * *"), every("1h")])
        def f(ctx: Context[Any]) -> None: ...

        assert len(f.triggers) == 3

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (cron("0 9 * * MON-FRI"), cron("0  9 * * 1-5")),
            (cron("0 9 * * *"), cron("0 9 * * *", jitter="5m")),
            (every("60m"), every("1h")),
        ],
    )
    def test_can_t_have_the_same_schedule_twice(self, one, other):
        assert hash(one) == hash(other)
        with pytest.raises(ConfigurationError, match="twice"):
            Durable("x").function("f", [one, other])

    def test_can_have_one_schedule_in_two_time_zones(self):
        Durable("x").function("f", [cron("0 9 * * *", "Asia/Tokyo"), cron("0 9 * * *", "Europe/Paris")])

    def test_takes_triggers_alone(self):
        with pytest.raises(ConfigurationError, match=r"cron\(...\)"):
            Durable("x").function("f", ["0 9 * * *"])  # type: ignore[list-item]


class TestAnEventSentByHand:
    """That of a schedule itself starts its function directly."""

    def test_is_for_the_schedule_that_it_names(self):
        trigger = cron("0 9 * * *", "Europe/Paris")
        data = {"schedule": "0 9 * * *", "timezone": "Europe/Paris"}
        assert trigger.accepts(Event("lambda_durable/scheduled", data))
        assert not trigger.accepts(Event("lambda_durable/scheduled", {**data, "timezone": "UTC"}))
        assert not trigger.accepts(Event("lambda_durable/scheduled", {**data, "schedule": "0 8 * * *"}))
        assert not trigger.accepts(Event("another", data))

    @pytest.mark.parametrize("data", [None, [], "0 9 * * *", {}, {"schedule": None}])
    def test_is_refused_without_one(self, data):
        assert not cron("0 9 * * *").accepts(Event("lambda_durable/scheduled", data))

    def test_is_in_utc_unless_it_says_otherwise(self):
        assert cron("0 9 * * *").accepts(Event("lambda_durable/scheduled", {"schedule": "0 9 * * *"}))
        assert Schedule(schedule="0 9 * * *").timezone == "UTC"
