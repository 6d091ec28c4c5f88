"""What a crowd is judged by: a limit that did not hold, one that was never reached, and who was not served."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from chaos.audit import left
from chaos.log import Stay, fresh_log
from chaos.queues import Guest, fairness, most_at_once, most_by_key, violations, waits

GUESTS = [Guest(n, who, 0.0) for n, who in enumerate("aab")]


def stays(*some):
    return {
        str(n): Stay(n, who, 1, begin, end, served=end is not None)
        for n, (who, begin, end) in enumerate(some)
    }


def wrong(some, limit=2, **ended):
    return violations(GUESTS, some, limit, Counter(ended or {"completed": 3}))


def test_what_is_right_is_not_told():
    assert wrong(stays(("a", 1, 3), ("a", 2, 4), ("b", 1, 9))) == []


def test_who_leaves_as_another_enters_is_gone():
    assert most_at_once([Stay(0, "a", 1, 1, 2), Stay(1, "a", 2, 2, 3)]) == 1


def test_who_never_left_is_inside_for_good():
    assert most_at_once([Stay(0, "a", 1, 1, None), Stay(1, "a", 2, 8, 9)]) == 2


def test_each_key_is_counted_by_itself():
    assert most_by_key(stays(("a", 1, 3), ("a", 2, 4), ("b", 1, 9)).values()) == {"a": 2, "b": 1}


def test_more_than_the_limit_is_told():
    (text,) = wrong(stays(("a", 1, 3), ("a", 2, 4), ("b", 1, 9)), limit=1)
    assert text == "2 were inside at once for key a, and 1 may be"


def test_a_limit_that_was_never_reached_is_told():
    (text,) = wrong(stays(("a", 1, 2), ("a", 3, 4), ("b", 1, 9)))
    assert "no key ever had 2 inside" in text


def test_who_was_never_served_is_told():
    (text,) = wrong(stays(("a", 1, 3), ("a", 2, 4), ("b", 5, None)))
    assert text == "1 were never served: events [2]"


def test_who_was_killed_inside_is_not_served():
    killed = stays(("a", 1, 3), ("a", 2, 4), ("b", 5, 6))
    killed["2"].served = False
    assert wrong(killed) == ["1 were never served: events [2]"]
    assert wrong({**killed, "again": Stay(2, "b", 2, 7, 8, served=True)}) == []


def test_runs_that_did_not_complete_are_told():
    (text,) = wrong(stays(("a", 1, 3), ("a", 2, 4), ("b", 1, 9)), completed=2, failed=1)
    assert text == "3 runs were to complete, and they are {'completed': 2, 'failed': 1}"


def test_waits_last_until_the_first_stay_and_keys_are_compared_by_them():
    again = {**stays(("a", 1, 3), ("a", 3, 4), ("b", 6, 9)), "again": Stay(0, "a", 1, 8, 9)}
    waited = waits(GUESTS, again.values())
    assert waited == {"a": [1, 3], "b": [6]}
    assert fairness(waited) == {
        "median wait": 4,
        "greatest median of a key": 6,
        "greatest over median, of medians": 1.5,
        "longest wait": 6,
        "longest over median, of longest": 1.33,
    }


@pytest.mark.parametrize(("stay", "end"), [("one step's", 7.5), ("r", None)], ids=["step", "run"])
def test_a_step_s_stay_ends_with_its_process_and_that_of_a_run_does_not(tmp_path, stay, end):
    log = fresh_log(tmp_path)
    with log.path.open("a") as file:
        enter = {"kind": "enter", "pid": 1, "stay": stay, "run": "r", "n": 4, "who": "a", "at": 5.0}
        for line in (enter, {"kind": "killed", "pid": 2, "at": 6.0}, {"kind": "killed", "pid": 1, "at": 7.5}):
            file.write(json.dumps(line) + "\n")
    log.read()
    (found,) = log.stays.values()
    assert (found.n, found.who, found.begin, found.end, found.served) == (4, "a", 5.0, end, False)
    with log.path.open("a") as file:
        file.write(json.dumps({"kind": "leave", "pid": 3, "stay": stay, "at": 9.0}) + "\n")
    log.read()
    assert (found.end, found.served) == (9.0, True)


@pytest.mark.parametrize(
    ("sk", "numbers", "what"),
    [
        ("!", {"n": "0", "w": "0"}, None),
        ("!", {"a": "5"}, None),
        ("!", {"n": "0", "w": "0", "kp": "1"}, None),
        ("!", {"n": "1", "+lease": "9"}, None),
        ("!", {"n": "1", "+run": "0"}, "a gate that has ['+run']"),
        ("!", {"n": "1"}, "a gate that has ['n = 1']"),
        ("!", {"n": "0", "w": "2"}, "a gate that has ['w = 2']"),
        ("0001#r", {}, "a place in a line"),
    ],
)
def test_who_waits_or_is_inside_for_good_is_left_behind_and_a_lease_is_not(sk, numbers, what):
    item = {"pk": {"S": "q#g"}, "sk": {"S": sk}, **{name: {"N": number} for name, number in numbers.items()}}
    assert left(item, {}) == what
