"""Fuzzing for as long as it is given: python -m tests.fuzz.fuzz --minutes 10 [--only tokens] [--seed 1]."""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
import traceback
from collections import Counter

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, Target

ROUND = 100
"""Inputs of one target before it is another's turn."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Send what nobody should to all that parses outside input.")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the first round")
    parser.add_argument("--only", choices=[target.__name__ for target in TARGETS], help="one target")
    given_ = parser.parse_args()
    logging.getLogger("lambda_durable").setLevel(logging.CRITICAL)
    targets = [target for target in TARGETS if given_.only in (None, target.__name__)]
    until, round_ = time.monotonic() + given_.minutes * 60, given_.seed
    became: dict[str, Counter[str]] = {target.__name__: Counter() for target in targets}
    slowest: dict[str, float] = {}
    failed: dict[str, str] = {}
    while time.monotonic() < until and len(failed) < len(targets):
        for target in targets:
            name = target.__name__
            if name in failed or time.monotonic() >= until:
                continue
            try:
                _round(target, round_, became[name], slowest)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                failed[name] = f"--only {name} --seed {round_}"
                traceback.print_exc(limit=-8)
        round_ += 1
    for name, counts in became.items():
        told = ", ".join(f"{count:,} {what}" for what, count in counts.most_common())
        told = (
            f"{told}; the slowest took {slowest[name]:.2f} s"
            if slowest.get(name)
            else "its turn did not come"
        )
        print(f"{name:16} {counts.total():8,} inputs: {told}")  # noqa: T201
    for name, again in failed.items():
        print(f"{name} FAILED: again with {again}")  # noqa: T201
    total = sum(counts.total() for counts in became.values())
    print(f"{total:,} inputs, {len(failed)} of {len(targets)} targets failed")  # noqa: T201
    return 1 if failed else 0


def _round(target: Target, number: int, became: Counter[str], slowest: dict[str, float]) -> None:
    @seed(number)
    @settings(
        max_examples=ROUND,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(st.data())
    def fuzzed(data: st.DataObject) -> None:
        began = time.perf_counter()
        became[target(data)] += 1
        took = time.perf_counter() - began
        slowest[target.__name__] = max(took, slowest.get(target.__name__, 0))

    fuzzed()


if __name__ == "__main__":
    sys.exit(main())
