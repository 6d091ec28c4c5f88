from __future__ import annotations

import subprocess
import sys

import pytest

from lambda_durable.errors import ConfigurationError
from lambda_durable.testing import Faults


def test_faults_are_everything_unless_told():
    everything = Faults()
    assert min(everything.duplicate, everything.late, everything.crash, everything.lose_response) > 0
    assert everything.interleave
    assert everything.skew


def test_a_fault_that_is_named_comes_alone():
    alone = Faults(crash=0.3)
    assert (alone.crash, alone.duplicate, alone.late, alone.lose_response) == (0.3, 0, 0, 0)
    assert not alone.interleave
    assert Faults(interleave=True).crash == 0
    assert Faults(interleave=True) == Faults(interleave=True)


def test_a_rate_is_a_probability():
    with pytest.raises(ConfigurationError, match=r"Faults\(late=\)"):
        Faults(late=5)


def test_the_plugin_imports_neither_boto3_nor_moto():
    code = (
        "import sys, lambda_durable.testing.plugin\n"
        "assert not {'boto3', 'botocore', 'moto'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
