"""A short scripts/crowd: on a deployed stack, with workers of several processes, the limit of a key holds."""

from __future__ import annotations

from playing import needs_a_clock, played

EVENTS, KEYS, LIMIT, WORKERS = 60, 5, 3, 4


@needs_a_clock
def test_a_limit_holds_and_is_reached_and_all_are_served():
    size = {"events": EVENTS, "keys": KEYS, "limit": LIMIT, "workers": WORKERS, "seed": 1}
    account = played("chaos.crowd", *(f"--{name}={value}" for name, value in size.items()))

    assert account["violations"] == []
    assert account["served"] == EVENTS
    assert account["keys"] == KEYS
    assert account["most inside at once"] == LIMIT
    assert account["messages a run"] < 5
