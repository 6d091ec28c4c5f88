"""What `scripts/bench` measures still runs; how long it takes is never tested."""

import pytest

from benchmarks import replays, workers


@pytest.mark.parametrize("replay", replays.REPLAYS.values(), ids=replays.REPLAYS)
def test_a_replay_is_measured(replay):
    replay(3)


@pytest.mark.parametrize("invoke", workers.INVOCATIONS.values(), ids=workers.INVOCATIONS)
def test_an_invocation_is_measured(invoke):
    invoke()
