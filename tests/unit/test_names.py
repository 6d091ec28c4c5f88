"""Ids, paths, keys and tokens: whatever a user writes in them, each names one thing, and is read back as it was."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lambda_durable.aws import keys, waiters
from lambda_durable.aws.table import index_range, index_sort, shard_of
from lambda_durable.callbacks import LONGEST_PATH, VERSION, Address, read_token, token_of
from lambda_durable.connected import LONGEST_RUN_ID, check_run_id
from lambda_durable.engine import journal_ids, paths
from lambda_durable.engine.journal import Author, Claim
from lambda_durable.errors import CallbackTokenError, ConfigurationError
from lambda_durable.runtime.registration import _name
from lambda_durable.runtime.run_ids import run_id

awkward = st.sampled_from(list("/:[]%#.!2FaAé\N{GRINNING FACE}\x00 "))
text = st.text(st.one_of(awkward, st.characters(exclude_categories=["Cs"])), min_size=1, max_size=12)
long_text = st.one_of(text, st.builds(lambda part, times: (part * times)[:256], text, st.integers(1, 256)))
run_ids = st.text(st.sampled_from("ab%.:!é2F"), min_size=1, max_size=6)
journals = st.builds(journal_ids.journal_id, run_ids, st.integers(0, 12))
times = st.integers(0, 10**13 - 1)


@st.composite
def step_paths(draw):
    """Paths as the engine makes them: ids, their repeats, branches, groups in one another."""
    path = ""
    for _ in range(draw(st.integers(1, 4))):
        name = paths.check_id(draw(long_text))
        if repeat := draw(st.integers(0, 2)):
            name = f"{name}:{repeat}"
        path = paths.join(path, name)
        if draw(st.booleans()):
            path = paths.branch(path, paths.escape(draw(text)))
    return path


# -- step ids and paths


@given(long_text, long_text)
def test_two_ids_are_escaped_to_two_names(one, other):
    assert (paths.check_id(one) == paths.check_id(other)) == (one == other)


@given(text)
def test_an_escaped_id_holds_nothing_that_paths_are_made_of(id):
    escaped = paths.check_id(id)
    assert not set(escaped) & set("/:[]")
    assert re.sub("%(..)", lambda found: chr(int(found[1], 16)), escaped) == id


@given(
    st.one_of(st.none(), st.integers(), st.binary(), st.just(""), st.text(min_size=257), st.just("\ud800"))
)
def test_what_is_no_id_is_refused(id):
    with pytest.raises(ConfigurationError):
        paths.check_id(id)


@given(step_paths())
def test_a_path_lies_in_its_parents_outermost_first(path):
    outer = paths.enclosing(path)
    assert [paths.parent(inner) for inner in (*outer, path)] == ["", *outer]
    assert all(paths.within(path, scope) for scope in ("", *outer, path))


@given(step_paths(), text)
def test_a_branch_is_read_back_from_its_path(path, key):
    escaped = paths.escape(key)
    branch = paths.branch(path, escaped)
    assert (paths.is_branch(branch), paths.parent(branch), paths.branch_key(branch)) == (True, path, escaped)


@given(step_paths())
def test_what_undoes_a_step_is_shown_by_its_path_and_lies_in_a_scope_of_its_own(path):
    undo = paths.undo(path)
    assert paths.shown(undo) == f"undo/{path}"
    assert (paths.parent(undo), paths.shown(path)) == (paths.UNDO, path)


# -- journals


@given(run_ids, st.integers(0, 10**6))
def test_a_journals_id_says_its_run_and_number(run, number):
    assert journal_ids.split(journal_ids.journal_id(run, number)) == (run, number)
    assert journal_ids.run_of(journal_ids.journal_id(run, number)) == run


@given(times, times, text, text)
def test_run_ids_sort_by_time_and_differ_by_what_they_are_of(earlier, later, one, other):
    earlier, later = sorted((earlier, later))
    assert run_id(earlier, one)[:10] <= run_id(later, other)[:10]
    assert (run_id(earlier, one) == run_id(later, other)) == ((earlier, one) == (later, other))
    assert check_run_id(run_id(earlier, one)) == run_id(earlier, one)


# -- keys of the table


@given(journals, step_paths(), journals, step_paths())
@example("a", "m[2]", "a", "m")
@example("a", "x", "a#1", "x")
def test_a_record_has_a_key_of_its_own_that_fits(journal, path, other_journal, other_path):
    key, other = keys.record(journal, path), keys.record(other_journal, other_path)
    assert (key == other) == ((journal, path) == (other_journal, other_path))
    assert len(key[0].encode()) <= keys.LONGEST_PARTITION
    assert len(key[1].encode()) <= keys.LONGEST_SORT


@given(journals, step_paths())
def test_a_path_is_read_back_from_its_key(journal, path):
    _, sort = keys.record(journal, path)
    if sort[0] == keys.RECORD:
        assert keys.path(paths.parent(path), sort) == path
    else:
        assert sort == keys.HASHED_RECORD + keys.digest(path)


@given(step_paths(), st.integers(0, 999_999))
def test_the_log_is_read_before_the_outcomes_that_it_names(path, position):
    _, sort = keys.record("run", path)
    assert keys.HEADER < keys.FAILURE < keys.POOLS < keys.log(position) < sort


@given(st.integers(0, 999_999), st.integers(0, 999_999))
def test_log_entries_sort_by_their_position(one, other):
    assert (keys.log(one) < keys.log(other)) == (one < other)


@given(run_ids, step_paths(), text)
def test_no_run_lies_where_events_waiters_and_texts_do(run, path, name):
    partitions = {keys.run(run), keys.record(run, path)[0]}
    others = {keys.event(name), keys.kept(name), waiters.signal_key(name), waiters.paths_key(name)}
    assert not partitions & others
    assert not any(partition.startswith(("e#", "h#", "w#", "s#", "k#")) for partition in partitions)


three_texts = st.tuples(text, text, text)


@given(three_texts, three_texts)
@example(("a", "b#c", "d"), ("a#b", "c", "d"))
def test_waits_for_other_events_paths_and_values_are_found_apart(one, other):
    def key(name, path, match):
        return waiters.event_key(name, path, f'"{match}"')

    assert (key(*one) == key(*other)) == (one == other)
    assert len(key(*one).encode()) <= keys.LONGEST_PARTITION


@given(st.tuples(journals, step_paths()), st.tuples(journals, step_paths()))
def test_two_waits_have_two_places_among_those_for_one_event(one, other):
    assert (waiters.sort_key(*one) == waiters.sort_key(*other)) == (one == other)
    assert len(waiters.sort_key(*one).encode()) <= keys.LONGEST_SORT


@given(times, times, run_ids, long_text)
def test_the_index_of_runs_is_sorted_by_time_and_cut_at_its_ends(earlier, later, run, other):
    earlier, later = sorted((earlier, later))
    one, two = index_sort(earlier, run), index_sort(later, other)
    assert earlier == later or one < two
    first, last = index_range(earlier, later)
    assert first <= one <= last
    assert first <= two <= last
    if later < 10**13 - 1:  # a time has 13 digits until the year 2286
        assert not first <= index_sort(later + 1, run) <= last


@given(run_ids, st.integers(1, 64))
def test_a_shard_is_one_of_them_and_always_the_same(run, shards):
    assert 0 <= shard_of(run, shards) < shards
    assert shard_of(run, shards) == shard_of(run, shards)


# -- what is kept as text


@given(st.integers(0, 10**9), st.text(st.sampled_from("0123456789abcdef.")))
def test_an_author_is_read_back(generation, tag):
    assert Author.parse(str(Author(generation, tag))) == Author(generation, tag)


@given(st.integers(0, 10**6), times, st.text(st.sampled_from("0123456789abcdef:")))
def test_a_claim_is_read_back(attempt, deadline, tag):
    from lambda_durable.aws.items import _claim, claim_text

    assert _claim(claim_text(Claim(attempt, deadline, tag))["S"]) == Claim(attempt, deadline, tag)


@given(text, long_text, st.integers(1, 10**6), text, long_text, st.integers(1, 10**6))
def test_schedules_have_names_that_scheduler_takes_and_the_owner_finds(one, id, n, other, id_2, n_2):
    name = _name(one, re.sub(r"[^\w.-]", "-", id, flags=re.ASCII), n)
    again = _name(other, re.sub(r"[^\w.-]", "-", id_2, flags=re.ASCII), n_2)
    assert re.fullmatch(r"[0-9A-Za-z\-_.]{1,64}", name)
    assert one == other or name.split("-")[1] != again.split("-")[1]


# -- tokens


addresses = st.builds(Address, journals, step_paths().filter(lambda path: path[-1] != "]"), text)


@given(addresses)
def test_a_token_leads_where_it_was_made_for(address):
    token = token_of(address)
    assert read_token(token) == address
    assert re.fullmatch(r"cb1-[0-9A-Za-z_-]+", token)


@given(addresses, addresses)
def test_two_waits_have_two_tokens(one, other):
    assert (token_of(one) == token_of(other)) == (one == other)


@given(addresses, st.data())
def test_a_token_that_was_changed_leads_elsewhere_or_nowhere(address, data):
    token = token_of(address)
    place = data.draw(st.integers(0, len(token) - 1))
    changed = token[:place] + data.draw(st.sampled_from("Aa0-_=.é")) + token[place + 1 :]
    try:
        found = read_token(changed)
    except CallbackTokenError:
        return
    assert (found == address) == (changed == token)
    assert token_of(found) == changed


@given(st.one_of(st.text(), st.none(), st.integers(), st.binary(), st.text().map(VERSION.__add__)))
def test_anything_else_is_no_token(given_):
    with pytest.raises(CallbackTokenError):
        read_token(given_)


@given(st.text(st.sampled_from('aé"\x00\\\N{GRINNING FACE}'), min_size=1, max_size=9), st.integers(0, 10**6))
def test_the_longest_path_that_is_allowed_has_a_token_that_can_be_handed_back(part, number):
    path = part
    while len(json.dumps(path + part)) <= LONGEST_PATH:
        path += part
    longest_run = journal_ids.journal_id("\N{GRINNING FACE}" * LONGEST_RUN_ID, number)
    address = Address(longest_run, path, "n" * 32)
    assert read_token(token_of(address)) == address
