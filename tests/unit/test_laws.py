"""Laws that hold for all retry policies, durations, crontabs, matches and batches."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lambda_durable import ConfigurationError, Event, Retry
from lambda_durable.aws.batches import MOST_ENTRIES, PartlyRefusedError, batches, send_all
from lambda_durable.config import Timeouts
from lambda_durable.crontab import parse_crontab
from lambda_durable.durations import LONGEST, from_millis, in_millis, parse_duration, to_millis
from lambda_durable.expressions import MISSING, canonical, compile_condition, compile_expression
from lambda_durable.matching import LONGEST as LONGEST_MATCH
from lambda_durable.matching import value_at
from lambda_durable.testing.recurrence import recurrence

durations = st.timedeltas(min_value=timedelta(), max_value=LONGEST)
policies = st.builds(
    Retry,
    max_attempts=st.integers(1, 10**6),
    initial_delay=durations,
    multiplier=st.floats(1, 1e300, allow_nan=False),
    max_delay=durations,
    jitter=st.booleans(),
)
attempts = st.integers(1, 10**9)


# -- retries


@given(policies, attempts, st.text())
def test_a_delay_is_within_its_bounds_and_the_same_each_time(policy, attempt, seed):
    delay = policy.delay(attempt, seed)
    assert timedelta() <= delay <= policy.max_delay
    assert policy.delay(attempt, seed) == delay


@given(policies, attempts, attempts)
def test_without_jitter_delays_never_get_shorter(policy, one, other):
    assume(not policy.jitter)
    earlier, later = sorted((one, other))
    assert policy.delay(earlier, "a") <= policy.delay(later, "b")
    assert policy.delay(1, "c") == min(policy.initial_delay, policy.max_delay)


@given(policies, attempts, st.text())
def test_jitter_makes_no_delay_longer(policy, attempt, seed):
    assume(policy.jitter)
    steady = Retry(
        initial_delay=policy.initial_delay,
        multiplier=policy.multiplier,
        max_delay=policy.max_delay,
        jitter=False,
    )
    assert policy.delay(attempt, seed) <= steady.delay(attempt, seed)


def test_jitter_uses_the_whole_range():
    policy = Retry(initial_delay="100s", max_delay="100s")
    seen = [policy.delay(1, str(seed)) for seed in range(400)]
    assert min(seen) < timedelta(seconds=5)
    assert max(seen) > timedelta(seconds=95)
    assert timedelta(seconds=45) < sum(seen, timedelta()) / len(seen) < timedelta(seconds=55)


# -- durations

numbers = st.one_of(st.integers(0, 999).map(str), st.decimals(0, 99, places=3).map(str))
units = {"w": 7 * 86_400, "d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}
parts = st.lists(st.tuples(numbers, st.sampled_from(sorted(units))), min_size=1, max_size=4)


@given(parts)
def test_a_duration_is_the_sum_of_its_parts(parts):
    text = "".join(number + unit for number, unit in parts)
    seconds = sum(float(number) * units[unit] for number, unit in parts)
    assume(seconds < LONGEST.total_seconds())
    assert parse_duration(text, "x").total_seconds() == pytest.approx(seconds, abs=1e-5)


@given(durations)
def test_a_duration_that_is_written_out_is_read_back(duration):
    written = f"{duration.days}d{duration.seconds}s{duration.microseconds / 1000}ms"
    assert parse_duration(written, "x") == duration


@given(st.text(st.sampled_from("0123456789.-+ smhdwe٣\n"), max_size=8))
def test_any_text_is_a_duration_or_an_error_that_names_the_argument(text):
    try:
        duration = parse_duration(text, "timeout")
    except ConfigurationError as error:
        assert str(error).startswith("timeout: ")
    else:
        assert timedelta() <= duration <= LONGEST


@given(st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)), durations)
@example(datetime(2515, 3, 17, 16, 38, 26, 623_500, UTC), timedelta())
def test_times_are_kept_to_the_millisecond_and_durations_add_up(moment, duration):
    assert abs(from_millis(to_millis(moment)) - moment) <= timedelta(microseconds=500)
    assert abs(to_millis(moment + duration) - (to_millis(moment) + in_millis(duration))) <= 1


@given(durations)
def test_a_timeout_of_nothing_is_refused_and_any_other_is_kept(duration):
    if duration:
        assert Timeouts(finish=duration).finish == duration
    else:
        with pytest.raises(ConfigurationError):
            Timeouts(finish=duration)


# -- crontabs


def field(low, high, start):
    steps = st.integers(1, 5).map(f"{start}/{{}}".format)
    return st.one_of(st.just("*"), st.integers(low, high).map(str), steps)


RANGES = ((0, 59, "*"), (0, 23, "*"), (1, 28, "1-28"), (1, 12, "*"), (0, 6, "0-6"))
fields = st.tuples(*(field(*each) for each in RANGES)).map(" ".join)
zones = st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@given(fields, zones, moments)
def test_the_next_time_comes_after_now_and_is_the_next_until_it_is_past(expression, zone, now):
    for each in parse_crontab(expression, "x").expressions():
        due = recurrence(each, zone).after(now)
        assert due is not None
        assert due > now
        assert recurrence(each, zone).after(due - timedelta(microseconds=1)) == due
        assert recurrence(each, zone).after(now + (due - now) / 2) == due
        assert (due.second, due.microsecond) == (0, 0)
        local = due.astimezone(ZoneInfo(zone))
        assert local.minute in parse_crontab(expression, "x").minutes
        assert local.hour in parse_crontab(expression, "x").hours


@given(fields)
def test_a_crontab_says_the_same_when_it_is_read_again(expression):
    assert parse_crontab(expression, "x") == parse_crontab(f" {expression.lower()}  ", "y")


# -- matches

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text(max_size=5)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
events = values.map(lambda value: Event("order", {"a": {"b": value}}))


def json_equal(one, other):
    """Equality as JSON has it: numbers by value, and no number is a boolean."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(json_equal, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(json_equal(one[key], other[key]) for key in one)
    return one == other


@given(values, values)
def test_values_have_one_text_exactly_if_they_are_equal_json(one, other):
    assert (canonical(one) == canonical(other)) == json_equal(one, other)


@given(events, events)
def test_two_events_match_exactly_if_the_values_at_the_path_are_equal(one, other):
    expected = json_equal(one.data["a"]["b"], other.data["a"]["b"])
    for path in ("data.a.b", "event.data.a.b"):
        assert (value_at(path, one) == value_at(path, other)) == expected
    text = value_at("data.a.b", one)
    assert text is not None
    assert len(text) <= LONGEST_MATCH + 1


@given(events)
def test_a_path_that_leads_nowhere_matches_nothing(event):
    assert value_at("data.c", event) is None
    assert value_at("data.a.b.c.d", event) is None
    assert compile_expression("data.c", "x").evaluate(event) is MISSING


@given(st.one_of(st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=5)))
def test_cel_and_a_path_see_one_value(value):
    event = Event("order", {"a": {"b": value}})
    assert compile_expression("data.a.b", "x").evaluate(event) == value
    assert compile_expression("[event.data.a.b][0]", "x").evaluate(event) == value
    assert compile_condition("event.data.a.b == event.data.a.b", "x").holds(event)


# -- batches


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 50))
def test_batches_are_in_order_whole_and_within_their_limits(sizes, most):
    made = list(batches(sizes, lambda size: size, most))
    assert [size for batch in made for size in batch] == sizes
    assert all(1 <= len(batch) <= MOST_ENTRIES for batch in made)
    assert all(sum(batch) <= most or len(batch) == 1 for batch in made)
    for batch, following in pairwise(made):
        assert len(batch) == MOST_ENTRIES or sum(batch) + following[0] > most


@given(st.sets(st.integers(0, 9)), st.lists(st.sets(st.integers(0, 9)), max_size=6))
def test_what_was_refused_is_sent_again_and_nothing_else(batch, refusals):
    sent, pauses = [], iter(refusals)

    def send(entries):
        refused = [entry for entry in entries if entry in next(pauses, set())] if entries else []
        sent.extend(entry for entry in entries if entry not in refused)
        return refused, "throttled"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", lambda _: None)
        try:
            send_all(sorted(batch), send)
        except PartlyRefusedError:
            assert len(sent) < len(batch)
        else:
            assert sorted(sent) == sorted(batch)
    assert len(sent) == len(set(sent))
