"""Hypothesis, the same in every run of the tests; `HYPOTHESIS_PROFILE=hunt` draws other examples each time.

On machines that are busy with something else, slow input is no failure.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("hunt", settings.get_profile("tests"), derandomize=False, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tests"))
