"""A short scripts/chaos: a deployed stack, killed and cut off at random, loses nothing."""

from __future__ import annotations

from playing import needs_a_clock, played

RUNS, SEED = 40, 1


@needs_a_clock
def test_runs_end_as_they_must_and_nothing_is_left_whatever_is_killed():
    account = played("chaos.chaos", "--runs", str(RUNS), "--seed", str(SEED))

    assert account["violations"] == []
    assert sum(account["started"].values()) == RUNS
    assert account["faults"]["kills"] > 0
    assert account["invocations"]["died"] > 0
    assert {"throttled", "server errors", "cut connections"} <= account["faults"].keys()
