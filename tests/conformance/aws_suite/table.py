"""The scenarios of AWS's durable-execution conformance suite 1.0.0 (PyPI: aws-durable-execution-conformance-tests, by
their names in scenarios.txt), and what of ours shows each.

The suite compares the history of events that AWS's service writes, event for event. Ours has another journal; what is
shown here is the behaviour: outcomes, what is called how often, and how long it takes.
"""

from __future__ import annotations

from pathlib import Path

SCENARIOS = Path(__file__).with_name("scenarios.txt").read_text().split()

# By module, what each test shows. A scenario may need several tests.
BEHAVIOURS = {
    "test_suite_steps": {
        "test_a_steps_result_comes_back": "step/1-1 step/1-2",
        "test_a_step_may_be_named_by_its_function": "step/1-1",
        "test_a_step_uses_what_the_one_before_it_returned": "step/1-3",
        "test_a_result_may_be_nested_or_nothing": "step/1-4 step/1-5",
        "test_a_steps_lines_are_logged_once": "step/1-7",
        "test_a_step_that_has_succeeded_is_not_run_again": "step/1-8 step/1-9",
        "test_a_step_that_has_failed_raises_again_without_being_run": "step/1-10",
        "test_a_step_is_retried_after_its_delay": "step/1-11",
        "test_attempts_come_to_an_end": "step/1-12",
        "test_by_default_a_step_is_retried_with_growing_delays_and_jitter": "step/1-13",
        "test_delays_grow_as_the_policy_says": "step/1-14",
        "test_the_kind_of_error_decides_whether_it_is_retried": "step/1-15 step/1-16",
        "test_at_most_once_is_never_begun_again": "step/1-17",
        "test_at_most_once_per_attempt_is_retried_as_a_new_attempt": "step/1-18",
        "test_an_error_that_is_not_retried_fails_the_run": "step/1-19",
        "test_a_caught_error_lets_the_run_go_on": "step/1-20",
        "test_a_sleep_takes_as_long_as_it_says": "wait/2-1 wait/2-2 wait/2-4 wait/2-5",
        "test_sleeps_follow_one_another": "wait/2-3",
    },
    "test_suite_groups": {
        "test_a_groups_steps_lie_in_it": "child/3-1 child/3-2",
        "test_a_groups_steps_follow_one_another": "child/3-3",
        "test_what_fails_in_a_group_fails_the_run": "child/3-4 child/3-15",
        "test_what_fails_in_a_group_can_be_caught_outside": "child/3-5",
        "test_groups_nest": "child/3-6",
        "test_a_groups_step_is_retried": "child/3-7 child/3-8",
        "test_a_group_that_is_done_is_not_entered_again": "child/3-9 child/3-17",
        "test_sleeps_in_and_after_a_group": "child/3-10 child/3-13 child/3-18",
        "test_a_large_result_comes_back_and_is_not_made_again": "child/3-11",
        "test_a_crash_in_a_group_loses_nothing": "child/3-12",
        "test_a_group_may_return_nothing": "child/3-16",
    },
    "test_suite_callbacks": {
        "test_what_the_outside_world_hands_back_is_the_result": (
            "callback/4-1 callback/4-2 wait_for_callback/7-1 wait_for_callback/7-2 wait_for_callback/7-15"
        ),
        "test_a_callback_that_does_not_come_is_a_time_out": (
            "callback/4-3 callback/4-4 callback/4-14"
            " wait_for_callback/7-5 wait_for_callback/7-12 wait_for_callback/7-14"
        ),
        "test_heartbeats_keep_a_callback_alive": "callback/4-5 wait_for_callback/7-13",
        "test_a_failure_from_outside_fails_the_run": "callback/4-6 wait_for_callback/7-4",
        "test_a_failure_from_outside_can_be_caught_and_is_the_same_on_every_replay": (
            "callback/4-13 wait_for_callback/7-6"
        ),
        "test_a_callback_pends_beside_other_steps": (
            "callback/4-7 callback/4-8 callback/4-9 callback/4-10 callback/4-11"
        ),
        "test_a_callback_that_has_come_is_not_waited_for_again": "callback/4-12",
        "test_a_model_says_what_comes_back": "callback/4-15 callback/4-16 wait_for_callback/7-11",
        "test_callbacks_follow_one_another": "callback/4-17 wait_for_callback/7-9",
        "test_callbacks_pend_together_and_come_in_any_order": "callback/4-18 callback/4-19",
        "test_a_submit_that_fails_for_good_fails_the_callback": "wait_for_callback/7-7",
        "test_a_callback_in_a_group": "wait_for_callback/7-8",
        "test_a_callback_after_a_sleep_and_a_step": "wait_for_callback/7-10",
    },
    "test_suite_invokes": {
        "test_what_a_function_returns_comes_back": "invoke/5-1 invoke/5-2 invoke/5-3",
        "test_a_function_may_be_given_nothing_and_return_it": "invoke/5-4",
        "test_a_function_that_fails_fails_its_caller": "invoke/5-5",
        "test_a_failure_can_be_caught_and_is_the_same_on_every_replay": "invoke/5-6 invoke/5-10",
        "test_large_data_goes_there_and_back": "invoke/5-7",
        "test_a_function_that_has_returned_is_not_invoked_again": "invoke/5-9",
        "test_steps_and_invokes_follow_one_another": "invoke/5-11 invoke/5-12 invoke/5-14",
        "test_a_function_is_invoked_in_a_group": "invoke/5-13",
    },
    "test_suite_polls": {
        "test_a_check_is_made_until_its_result_will_do": (
            "wait_for_condition/6-1 wait_for_condition/6-3 wait_for_condition/6-5"
        ),
        "test_the_first_check_may_do": "wait_for_condition/6-2 wait_for_condition/6-10",
        "test_state_that_one_check_hands_to_the_next_is_a_loop_of_steps": (
            "wait_for_condition/6-4 wait_for_condition/6-9"
        ),
        "test_checks_come_to_an_end": "wait_for_condition/6-6",
        "test_a_check_that_raises_fails_the_poll": "wait_for_condition/6-7 wait_for_condition/6-8",
        "test_what_a_poll_returned_goes_on_into_steps_and_polls": "wait_for_condition/6-12 wait_for_condition/6-13",
    },
    "test_suite_fan_out": {
        "test_results_come_in_the_order_of_what_was_given": "parallel/8-1 parallel/8-11 map/9-1 map/9-11",
        "test_branches_may_return_values_of_any_kind_without_a_step": "parallel/8-4",
        "test_an_item_comes_with_its_index": "map/9-3",
        "test_nothing_to_do_is_done_at_once": "parallel/8-5 map/9-4",
        "test_the_first_failure_stops_what_has_not_begun_and_is_raised": "parallel/8-6 parallel/8-7 map/9-5 map/9-6",
        "test_failures_can_stand_among_the_results_of_a_map": (
            "parallel/8-9 parallel/8-16 parallel/8-17 parallel/8-20 parallel/8-22 map/9-8 map/9-18"
        ),
        "test_a_threshold_is_a_loop": (
            "parallel/8-8 parallel/8-10 parallel/8-13 parallel/8-18 map/9-7 map/9-9 map/9-10"
        ),
        "test_what_is_done_is_not_done_again_while_a_branch_sleeps": "parallel/8-14 map/9-15",
        "test_what_is_done_is_not_done_again_after_a_sleep": "map/9-17",
        "test_a_type_says_how_results_are_kept": (
            "parallel/8-15 map/9-14 map/9-19 map/9-20 wait_for_condition/6-11"
        ),
        "test_a_limit_below_one_is_refused": "parallel/8-19",
        "test_branches_nest": "parallel/8-21",
        "test_items_may_have_names": "parallel/8-3 map/9-13",
        "test_results_that_are_large_together_come_back": "map/9-16",
    },
    "test_suite_middleware": {
        "test_a_run_is_told_of_before_its_handler_and_after_its_end": "plugin/10-1",
        "test_a_step_is_told_of_once_by_its_id": "plugin/10-2",
        "test_each_attempt_is_told_of_with_its_outcome": "plugin/10-3",
        "test_what_middleware_raises_changes_nothing": "plugin/10-4",
        "test_all_middleware_is_told": "plugin/10-5",
        "test_a_run_starts_once_however_often_it_is_replayed": "plugin/10-6",
        "test_middleware_is_told_that_a_run_failed": "plugin/10-7",
    },
}

# Why nothing of ours shows it.
NO_COUNTERPART = {
    "A serializer that changes the value: a result is the same on the first run as on every replay": (
        "step/1-6 child/3-14 invoke/5-15 invoke/5-16"
    ),
    "A step without a name: its id is how an outcome is found again in changed code": (
        "wait_for_callback/7-3 parallel/8-2 map/9-2"
    ),
    "Tenants of AWS's own invocation: a tenant is part of the data, or a stack of its own": "invoke/5-8",
    "How the history nests: here a branch is no operation of its own, and costs none": "parallel/8-12 map/9-12",
}

# Shown by what handler code does with steps, where AWS's SDK has a setting.
IN_HANDLER_CODE = {
    "test_state_that_one_check_hands_to_the_next_is_a_loop_of_steps": "state handed from check to check",
    "test_a_threshold_is_a_loop": "a number of successes that is enough, or of failures that are too many",
}


def topics() -> list[str]:
    return list(dict.fromkeys(scenario.partition("/")[0] for scenario in SCENARIOS))


def outcome() -> str:
    """The table of docs/conformance.md."""
    shown = {test: set(names.split()) for tests in BEHAVIOURS.values() for test, names in tests.items()}
    lines = ["| scenarios of | there | shown here | by | no counterpart |", "|---|---|---|---|---|"]
    for topic in [*topics(), ""]:
        prefix = f"{topic}/" if topic else ""
        mine = {scenario for scenario in SCENARIOS if scenario.startswith(prefix)}
        tests = [test for test, names in shown.items() if names & mine]
        covered = mine & set().union(*shown.values())
        without = sum(scenario in mine for names in NO_COUNTERPART.values() for scenario in names.split())
        name = f"`{topic}`" if topic else "all"
        lines.append(f"| {name} | {len(mine)} | {len(covered)} | {len(tests)} behaviours | {without or ''} |")
    return "\n".join(lines)
