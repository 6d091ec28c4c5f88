import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_durable.config import Retry, check_steps_per_invocation
from lambda_durable.errors import (
    ConfigurationError,
    DeterminismError,
    DurableError,
    NonRetriableError,
    RetryAfterError,
    SerializationError,
    StepTimeoutError,
)

seconds = timedelta(seconds=1)


def test_defaults_are_five_attempts_with_jittered_exponential_backoff() -> None:
    retry = Retry()

    assert (retry.max_attempts, retry.multiplier, retry.jitter) == (5, 2.0, True)
    assert (retry.initial_delay, retry.max_delay) == (5 * seconds, 3600 * seconds)
    assert (retry.retry_on, retry.give_up_on) == ((Exception,), ())


def test_never_is_one_attempt() -> None:
    assert Retry.never().max_attempts == 1


@pytest.mark.parametrize("delay", ["7s", "2d"])
def test_fixed_is_the_same_delay_each_time_even_above_the_default_maximum(delay: str) -> None:
    retry = Retry.fixed(delay, 9)

    assert retry.max_attempts == 9
    assert len({retry.delay(attempt, f"seed {attempt}") for attempt in range(1, 9)}) == 1
    assert retry.delay(1, "") == Retry(initial_delay=delay, max_delay="10d", jitter=False).delay(1, "")


def test_policies_are_frozen_and_compare_by_value() -> None:
    assert Retry(initial_delay="60s") == Retry(initial_delay=timedelta(minutes=1))
    assert len({Retry(), Retry(), Retry.never()}) == 2
    assert dataclasses.replace(Retry(), max_attempts=7) == Retry(max_attempts=7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Retry().max_attempts = 3  # type: ignore[misc]


def test_arguments_are_keywords() -> None:
    with pytest.raises(TypeError):
        Retry(5)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"max_attempts": 0}, r"Retry\(max_attempts=\): expected an integer of at least 1, got 0"),
        ({"max_attempts": -1}, "at least 1"),
        ({"max_attempts": True}, "max_attempts"),
        ({"max_attempts": 2.0}, "max_attempts"),
        ({"max_attempts": "5"}, "max_attempts"),
        ({"multiplier": 0.99}, r"Retry\(multiplier=\): expected a finite number of at least 1, got 0.99"),
        ({"multiplier": float("nan")}, "finite"),
        ({"multiplier": float("inf")}, "finite"),
        ({"multiplier": 10**400}, "finite"),
        ({"multiplier": True}, "multiplier"),
        ({"multiplier": "2"}, "multiplier"),
        ({"initial_delay": 5}, r"Retry\(initial_delay=\): 5 is no duration"),
        ({"max_delay": timedelta(seconds=-1)}, r"Retry\(max_delay=\): .*negative"),
        ({"jitter": 1}, r"Retry\(jitter=\)"),
        ({"retry_on": "ValueError"}, r"Retry\(retry_on=\): expected exception classes"),
        ({"retry_on": (ValueError, int)}, r"Retry\(retry_on=\).*got <class 'int'>"),
        ({"retry_on": [ValueError]}, "retry_on"),
        ({"give_up_on": ValueError("x")}, r"Retry\(give_up_on=\)"),
    ],
)
def test_a_bad_argument_is_refused_by_name(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Retry(**arguments)


def test_a_bad_fixed_delay_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"Retry.fixed\(delay=\)"):
        Retry.fixed(5, 3)  # type: ignore[arg-type]


def test_a_single_class_stands_for_a_tuple_of_it() -> None:
    assert Retry(retry_on=OSError, give_up_on=KeyError) == Retry(retry_on=(OSError,), give_up_on=(KeyError,))


class TestWants:
    @pytest.mark.parametrize("error", [ValueError(), OSError(), RetryAfterError("later", "5s")])
    def test_by_default_any_exception(self, error: Exception) -> None:
        assert Retry().wants(error)

    @pytest.mark.parametrize(
        "error", [SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()]
    )
    def test_what_is_no_exception_counts_as_one(self, error: BaseException) -> None:
        assert Retry().wants(error)
        assert Retry(retry_on=BaseException).wants(error)
        assert not Retry(retry_on=ValueError).wants(error)

    def test_what_is_no_exception_can_be_named_too(self) -> None:
        assert Retry(retry_on=SystemExit).wants(SystemExit())
        assert not Retry(give_up_on=SystemExit).wants(SystemExit())

    @pytest.mark.parametrize(
        "error",
        [DurableError(), NonRetriableError(), DeterminismError(), SerializationError(), StepTimeoutError()],
    )
    def test_no_error_of_ours_even_if_asked_for(self, error: DurableError) -> None:
        assert not Retry(retry_on=(Exception, DurableError, type(error))).wants(error)

    def test_only_what_retry_on_names(self) -> None:
        retry = Retry(retry_on=(OSError,))

        assert retry.wants(ConnectionError())
        assert not retry.wants(ValueError())

    def test_retry_after_whatever_retry_on_names(self) -> None:
        assert Retry(retry_on=()).wants(RetryAfterError("later", "5s"))

    def test_give_up_wins(self) -> None:
        retry = Retry(retry_on=(OSError,), give_up_on=(ConnectionError, RetryAfterError))

        assert retry.wants(FileNotFoundError())
        assert not retry.wants(ConnectionResetError())
        assert not retry.wants(RetryAfterError("later", "5s"))

    def test_nothing_if_told_so(self) -> None:
        assert not Retry(retry_on=()).wants(ValueError())


class TestDelay:
    def test_grows_from_the_initial_delay_to_the_maximum(self) -> None:
        retry = Retry(initial_delay="1s", multiplier=3, max_delay="20s", jitter=False)

        assert [retry.delay(n, "") / seconds for n in range(1, 6)] == [1, 3, 9, 20, 20]

    @pytest.mark.parametrize("attempt", [1_000, 10**9, 10**400])
    @pytest.mark.parametrize("multiplier", [1.5, 1e300])
    def test_huge_attempts_are_capped(self, attempt: int, multiplier: float) -> None:
        assert Retry(multiplier=multiplier, jitter=False).delay(attempt, "") == timedelta(hours=1)

    def test_a_multiplier_of_one_never_grows(self) -> None:
        assert Retry(multiplier=1, jitter=False).delay(10**9, "") == 5 * seconds

    def test_no_initial_delay_stays_none(self) -> None:
        assert Retry(initial_delay="0s", jitter=False).delay(10**9, "") == timedelta()

    def test_an_initial_delay_above_the_maximum_is_capped(self) -> None:
        assert Retry(initial_delay="2h", jitter=False).delay(1, "") == timedelta(hours=1)

    def test_jitter_is_spread_over_the_whole_delay(self) -> None:
        delays = [Retry(initial_delay="100s").delay(1, str(seed)) / seconds for seed in range(500)]

        assert min(delays) < 5
        assert max(delays) > 95
        assert 45 < sum(delays) / 500 < 55

    def test_jitter_is_the_same_for_a_seed_in_every_process_and_release(self) -> None:
        assert Retry(initial_delay="100s").delay(1, "run/step") == timedelta(seconds=90.662987)

    @given(
        st.builds(
            Retry,
            initial_delay=st.timedeltas(timedelta(), timedelta(days=3660)),
            multiplier=st.floats(1, 1e308),
            max_delay=st.timedeltas(timedelta(), timedelta(days=3660)),
        ),
        st.integers(min_value=1),
        st.text(),
    )
    def test_is_reproducible_and_never_above_the_maximum(self, retry: Retry, attempt: int, seed: str) -> None:
        delay = retry.delay(attempt, seed)

        assert timedelta() <= delay <= retry.max_delay
        assert delay <= dataclasses.replace(retry, jitter=False).delay(attempt, seed)
        assert delay == retry.delay(attempt, seed)


@pytest.mark.parametrize("value", [1, 7, 10**9, "all", "auto"])
def test_steps_per_invocation_is_a_number_or_a_word(value: object) -> None:
    assert check_steps_per_invocation(value) == value


@pytest.mark.parametrize("value", [0, -1, True, 1.0, None, "1", "ALL", "", [1]])
def test_any_other_steps_per_invocation_is_refused_by_name(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^steps_per_invocation: expected"):
        check_steps_per_invocation(value)
