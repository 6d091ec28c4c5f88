"""Each rule, with code that breaks it and code that does the same rightly."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from lambda_durable.check import RULES, check

HERE = Path(__file__).parent
FINDS = re.compile(r"# finds: ([a-z, -]+)$")


def places(report):
    return Counter((finding.line, finding.rule) for finding in (*report.findings, *report.notes))


def wanted(path):
    lines = enumerate(path.read_text().splitlines(), 1)
    found = ((number, FINDS.search(line)) for number, line in lines)
    return Counter((number, rule) for number, match in found if match for rule in match[1].split(", "))


def fixture(folder, rule):
    return HERE / folder / f"{rule.replace('-', '_')}_rule.py"


@pytest.mark.parametrize("rule", RULES)
def test_what_breaks_a_rule_is_found_where_it_does(rule):
    path = fixture("finds", rule)
    assert any(found == rule for _, found in wanted(path))
    assert places(check([path])) == wanted(path)


@pytest.mark.parametrize("rule", RULES)
def test_the_same_done_rightly_passes(rule):
    path = fixture("passes", rule)
    report = check([path])
    assert report.handlers
    assert places(report) == Counter()
