"""Cron expressions: which are refused, and what the others are for EventBridge Scheduler."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aws_croniter import AwsCroniter
from cronsim import CronSim
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lambda_durable import ConfigurationError
from lambda_durable.crontab import parse_crontab
from lambda_durable.testing.recurrence import Recurrence

START = datetime(2027, 12, 30, 23, 58, tzinfo=UTC)  # a leap year lies ahead


def translated(expression: str) -> tuple[str, ...]:
    return parse_crontab(expression, "cron").expressions()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", ["* * * * ? *"]),
        ("0 9 * * MON-FRI", ["0 9 ? * MON-FRI *"]),
        ("0 9 * * 1-5", ["0 9 ? * MON-FRI *"]),
        ("  0\t9 * * mon-fri ", ["0 9 ? * MON-FRI *"]),
        ("*/15 * * * *", ["0/15 * * * ? *"]),
        ("5/20 * * * *", ["5/20 * * * ? *"]),
        ("10-30/10 * * * *", ["10,20,30 * * * ? *"]),
        ("0 22-23,0-2 * * *", ["0 0-2,22,23 * * ? *"]),
        ("0 0 1,15 JAN,jul *", ["0 0 1,15 1,7 ? *"]),
        ("0 0 29 2 *", ["0 0 29 2 ? *"]),
        ("0 0 * * 0", ["0 0 ? * SUN *"]),
        ("0 0 * * 7", ["0 0 ? * SUN *"]),
        ("0 0 * * 5-7", ["0 0 ? * SUN,FRI,SAT *"]),
        ("0 0 * * FRI-SUN", ["0 0 ? * SUN,FRI,SAT *"]),
        ("0 0 * * */2", ["0 0 ? * SUN,TUE,THU,SAT *"]),
        ("0 0 * * 0-6", ["0 0 ? * * *"]),
        ("0 0 */2 * *", ["0 0 1/2 * ? *"]),
        ("0 0 */1 * MON", ["0 0 ? * MON *"]),
    ],
)
def test_an_expression_of_five_fields_becomes_one_of_six(expression, expected):
    assert list(translated(expression)) == [f"cron({each})" for each in expected]


def test_either_of_two_kinds_of_days_takes_two_expressions():
    assert translated("30 6 13 * FRI") == ("cron(30 6 13 * ? *)", "cron(30 6 ? * FRI *)")


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        (9, "expected an expression"),
        (None, "expected an expression"),
        ("", "5 fields (minute, hour, day of month, month, day of week), not 0"),
        ("0 9 * *", "5 fields (minute, hour, day of month, month, day of week), not 4"),
        ("0 9 * * ? *", "5 fields (minute, hour, day of month, month, day of week), not 6"),
        ("@daily", 'write "0 0 * * *" for @daily'),
        ("@Yearly", 'write "0 0 1 1 *" for @yearly'),
        ("60 * * * *", "minute '60': expected 0 to 59"),
        ("-1 * * * *", "minute '-1'"),
        ("0,x * * * *", "minute 'X': expected 0 to 59"),
        ("0, * * * *", "minute ''"),
        ("1.5 * * * *", "minute '1.5'"),
        ("٣ * * * *", "minute '٣'"),
        ("0 24 * * *", "hour '24': expected 0 to 23"),
        ("0 0 0 * *", "day of month '0': expected 1 to 31"),
        ("0 0 32 * *", "day of month '32'"),
        ("0 0 * 13 *", "month '13': expected 1 to 12 or JAN to DEC"),
        ("0 0 * FOO *", "month 'FOO'"),
        ("0 0 * * 8", "day of week '8': expected 0 to 7 or SUN to SAT"),
        ("0 0 MON * *", "day of month 'MON'"),
        ("0 0 L * *", "day of month 'L'"),
        ("0 0 15W * *", "day of month '15W'"),
        ("0 0 ? * MON", "day of month '?'"),
        ("0 0 * * MON#2", "day of week 'MON#2'"),
        ("0 0 * * FRI-MON", "a range runs upwards"),
        ("0 22-2 * * *", "a range runs upwards"),
        ("*/0 * * * *", "a step is 1 to 59"),
        ("*/60 * * * *", "a step is 1 to 59"),
        ("0 */24 * * *", "a step is 1 to 23"),
        ("*/x * * * *", "a step is 1 to 59"),
        ("*-5 * * * *", "minute '*-5'"),
        ("0 0 30 2 *", "is never due"),
        ("0 0 31 2,4,6,9,11 *", "is never due"),
        ("0 0 */2 * MON", "write a range, such as 1-31/2"),
        ("0 0 1 * */2", "write a range"),
    ],
)
def test_what_is_wrong_is_refused_naming_the_field(expression, complaint):
    with pytest.raises(ConfigurationError) as caught:
        parse_crontab(expression, "cron(x)")
    assert str(caught.value).startswith("cron(x)")
    assert complaint in str(caught.value)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.integers(1, high)
    # CronSim takes 5-5/2 for 5/2, which goes on to the end.
    wide = span.filter(lambda ends: len(set(ends.split("-"))) == 2)
    stepped = st.tuples(st.one_of(st.just("*"), number.map(str), wide), step).map(
        lambda both: f"{both[0]}/{both[1]}"
    )
    terms = st.lists(st.one_of(number.map(str), span, stepped), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), terms)


@given(st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)).map(" ".join))
@example("0 9 13 * FRI")
@example("0 0 29 2 *")
@example("59 23 31 12 7")
def test_the_translation_is_due_when_the_expression_is(expression):
    """Two others' opinions: of the expression, and of what it is for AWS."""
    try:
        expressions = translated(expression)
    except ConfigurationError as error:
        assert "never due" in str(error) or "crons disagree" in str(error)
        assume(False)
    unix = [
        time.replace(tzinfo=UTC)
        for time, _ in zip(CronSim(expression, START.replace(tzinfo=None)), range(12), strict=False)
    ]
    until = unix[-1] + timedelta(minutes=1)

    ours: set[datetime] = set()
    theirs: set[datetime] = set()
    for each in expressions:
        due, time = Recurrence(each, "UTC"), START
        while (time := due.after(time)) is not None and time < until:
            ours.add(time)
        aws, time = AwsCroniter(each[5:-1]), START
        while (time := aws.occurrence(time).next()) is not None and time < until:
            theirs.add(time)

    assert sorted(ours) == unix
    assert sorted(theirs) == unix
    assert all(len(each) <= 256 for each in expressions)
