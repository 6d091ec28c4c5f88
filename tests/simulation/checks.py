"""What must be true of a run, whatever happened on its way. Each check yields what is wrong, in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from lambda_durable.aws.batches import PartlyRefusedError
from lambda_durable.aws.table import SHARDS
from lambda_durable.runs import Run, StepRecord
from lambda_durable.runtime.interrupts import ComesAgain
from lambda_durable.testing import Faults
from lambda_durable.testing.simulation import Crashed
from tests.simulation.nodes import Changed, Failed, Group, Model, NoArm, Sleep, Step, within
from tests.simulation.outside import (
    STOPPED,
    TABLE,
    Callback,
    EventWait,
    Invoke,
    Poll,
    Send,
    Transact,
    Waiting,
)
from tests.simulation.parallels import Map
from tests.simulation.traced import Effect, TracedRuntime
from tests.simulation.workflows import Workflow

START = datetime(2025, 1, 1, tzinfo=UTC)
TIMED_OUT = "lambda_durable.errors.RunTimeoutError"
SKEW = 5
"""Seconds by which two hosts' clocks may differ."""


@dataclass
class Case:
    """A run that is over, and what is known of it."""

    workflow: Workflow
    run: Run[Any]
    runtime: TracedRuntime
    faults: Faults | None

    @cached_property
    def expected(self) -> tuple[Model, Any, str | None]:
        """The model of this run: itself, the output, and the path of the step that the run fails on. Of a run
        that was broken off, nobody knows how far it got."""
        if self.broken_off:
            return self.workflow.everything(), None, None
        model = Model(self.run.steps, may_stand_still=self._may_stand_still)
        try:
            return model, self.workflow.model(model), None
        except Failed as failed:
            return model, None, failed.path

    @property
    def _may_stand_still(self) -> bool:
        """Whether an invocation may stand still while a step of its runs, so that it looks at the time too late."""
        return self.faults is not None and (
            self.faults.freeze > 0 or (self.faults.interleave and self.faults.late > 0)
        )

    @property
    def broken_off(self) -> bool:
        """Whether it was ended from outside: cancelled, or too late."""
        return self.run.status == "cancelled" or self.timed_out

    @property
    def timed_out(self) -> bool:
        error = self.run.error
        return error is not None and error.type == TIMED_OUT and error.step_id is None

    @property
    def stops(self) -> list[float]:
        """When it was cancelled, after its start."""
        own = [one.at for one in self.workflow.happenings if one.kind == "cancel"]
        events = [one.at for one in self.workflow.happenings if one.name == STOPPED and one.matches]
        return own + events * self.workflow.life.cancel_on

    @cached_property
    def effects(self) -> dict[str, list[Effect]]:
        found: dict[str, list[Effect]] = defaultdict(list)
        for effect in self.runtime.effects:
            found[effect.path].append(effect)
        return found

    @cached_property
    def again(self) -> int:
        """How often something was done again for outside reasons: invocations that failed, and messages
        delivered once more."""
        visits = [visit for visit in self.runtime.visits if not visit.inner]
        repeated = sum(count - 1 for count in Counter(visit.message_id for visit in visits).values())
        return repeated + sum(visit.error is not None for visit in visits) + self._doubled

    @property
    def _doubled(self) -> int:
        """Schedules come twice as messages of their own, and a lost response makes two of one message."""
        visits = [visit for visit in self.runtime.visits if not visit.inner]
        bodies = Counter(visit.body for visit in visits if visit.receive_count == 1)
        return sum(count - 1 for count in bodies.values())

    @property
    def side_by_side(self) -> bool:
        """Whether two deliveries of one message may be at work at once: then each attempt may run in both, and
        one repetition explains one more call per attempt, not one more in all."""
        return self.faults is not None and bool(self.faults.duplicate)

    @property
    def can_die(self) -> bool:
        return any(visit.error is not None for visit in self.runtime.visits)


Check = Callable[[Case], Iterator[str]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


def violations(case: Case) -> list[str]:
    """What is wrong with a run. Without an end, and without a choice in its races, the rest means nothing."""
    found = [f"the_run_ends: {text}" for text in the_run_ends(case)]
    if found:
        found += [f"invocations_fail_for_a_reason: {text}" for text in invocations_fail_for_a_reason(case)]
        return found
    try:
        _ = case.expected
    except NoArm as error:
        return [f"races_are_decided: {error}"]
    found = [f"{name}: {text}" for name, texts in case.runtime.wrong.items() for text in texts[:3]]
    return found + [f"{one.__name__}: {text}" for one in CHECKS for text in one(case)]


def the_run_ends(case: Case) -> Iterator[str]:
    run = case.run
    ends = ["completed", "failed"]
    if case.stops:
        ends.append("cancelled")
    if run.status not in ends:
        last = case.runtime.visits[-1] if case.runtime.visits else None
        yield f"the run is {run.status}, and nothing will bring it back; the last message was {last}"


@check
def invocations_fail_for_a_reason(case: Case) -> Iterator[str]:
    excused: tuple[type[BaseException], ...] = (Crashed, ComesAgain)
    if case.faults is not None and case.faults.lose_response:
        excused += (ReadTimeoutError,)
    if case.faults is not None and case.faults.throttle:
        excused += (ClientError, PartlyRefusedError)
    for visit in case.runtime.visits:
        if visit.error is None:
            continue
        if not isinstance(visit.error, excused):
            yield f"invocation #{visit.number} raised {visit.error!r}; its message: {visit.body}"
        elif isinstance(visit.error, Crashed) and case.faults is None:
            yield f"invocation #{visit.number} died: {visit.error}; its message: {visit.body}"


@check
def it_ends_as_the_workflow_says(case: Case) -> Iterator[str]:
    _, output, failed = case.expected
    run = case.run
    if case.broken_off:
        return
    if failed is None:
        if run.status != "completed":
            yield f"the run failed, and should have completed: {run.error}"
        elif run.output != output:
            yield f"the output is\n      {run.output}\n    and should be\n      {output}"
    elif run.status != "failed" or run.error is None:
        yield f"the run completed, and should have failed on {failed}"
    elif run.error.step_id != failed:
        yield f"the run failed on {run.error}, and should have on {failed}"


@check
def an_interrupted_step_was_interrupted(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    for path in model.interrupted:
        if not case.can_die and not case.runtime.interrupted[path]:
            yield f"{path} failed as interrupted, and no invocation died: {case.run.steps[path].error}"


@check
def steps_are_complete(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    for path in () if case.broken_off else sorted(model.required):
        step = case.run.steps.get(path)
        if step is None:
            yield f"{path} should have run, and has no record"
        elif step.status not in ("completed", "failed"):
            yield f"{path} should have ended, and is {step.status}"
    for path in case.run.steps:
        if path not in model.nodes and not path.endswith("]") and not path.startswith("undo/"):
            yield f"{path} has a record, and should never have been reached"


@check
def only_one_arm_of_a_race_runs(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    for path, taken in model.forbidden.items():
        for other in (*case.run.steps, *case.effects):
            if within(path, other):
                yield f"{other} ran, and so did {taken}: two arms of one race"


@check
def effects_belong_to_the_workflow(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    for path in case.effects.keys() - model.nodes.keys():
        begun = path in case.workflow.everything().nodes
        if begun and all(effect.visit.error is not None for effect in case.effects[path]):
            continue  # it began beside a branch that failed, in an invocation that died, and left no trace
        yield f"the function of {path} ran, and should never have been reached"


@check
def attempts_are_what_the_policy_says(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    for path, node in model.nodes.items():
        step = case.run.steps.get(path)
        if not isinstance(node, Step) or step is None or step.status not in ("completed", "failed"):
            continue
        most = node.attempts + (case.again if case.can_die else 0) + case.runtime.interrupted[path]
        if not node.attempts <= step.attempts <= most and path not in model.interrupted:
            yield f"{path} took {step.attempts} attempts, and should have taken {node.attempts} (at most {most})"


def _was_interrupted(step: StepRecord) -> bool:
    """Whether it failed because an attempt was begun and never heard of: it may have died before its function ran."""
    return step.error is not None and step.error.type.endswith("StepInterruptedError")


@check
def effects_happen_once_per_attempt(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    for path, node in model.nodes.items():
        if not isinstance(node, Step):
            continue
        effects = case.effects.get(path, [])
        step = case.run.steps.get(path)
        by_attempt = Counter(effect.attempt for effect in effects)
        if step is not None and step.status in ("completed", "failed") and path not in model.interrupted:
            if node.attempts - case.again > len(effects):
                yield f"{path} has {step.attempts} attempts, and its function ran only {len(effects)} times"
            if not effects and not (case.can_die and _was_interrupted(step)):
                yield f"{path} is {step.status}, and its function never ran"
        if node.at_most_once and any(count > 1 for count in by_attempt.values()):
            yield f"{path} is at_most_once, and its function ran more than once in an attempt: {dict(by_attempt)}"
        for attempt, count in by_attempt.items():
            if count > 1 + case.again:
                yield f"attempt {attempt} of {path} ran {count} times, with {case.again} repetitions of anything"
        if (
            len(effects) > node.attempts + case.again + case.runtime.interrupted[path]
            and not case.side_by_side
        ):
            yield (
                f"the function of {path} ran {len(effects)} times, for {node.attempts} attempts and {case.again} "
                "repetitions of anything"
            )
        per_visit = Counter((effect.visit.number, effect.attempt) for effect in effects)
        for (visit, attempt), count in per_visit.items():
            if count > 1:
                yield f"{path} ran {count} times as attempt {attempt} in invocation #{visit}"


@check
def committed_steps_never_run_again(case: Case) -> Iterator[str]:
    for effect in case.runtime.effects:
        committed = case.runtime.committed.get(effect.path)
        if committed is not None and effect.visit.began > committed:
            yield (
                f"{effect.path} had its outcome at tick {committed}; invocation #{effect.visit.number}, which began at "
                f"{effect.visit.began}, ran it again"
            )


@check
def retries_wait_as_long_as_they_should(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    longest = max((node.takes for node in model.nodes.values() if isinstance(node, Step)), default=0)
    skew = timedelta(seconds=5) if case.faults is not None and case.faults.skew else timedelta(milliseconds=1)
    for path, node in model.nodes.items():
        effects = case.effects.get(path, [])
        if not isinstance(node, Step) or not effects or node.jitter:
            continue
        first: dict[int, Effect] = {}
        for effect in effects:
            first.setdefault(effect.attempt, effect)
        for attempt, effect in first.items():
            before = first.get(attempt - 1)
            if before is None or before.succeeds:
                continue
            waited = effect.time - before.time
            least = timedelta(seconds=min(node.delay, 60)) - skew
            if waited < least:
                yield f"{path} waited {waited} before attempt {attempt}, and its policy says {node.delay} s"
            # What an invocation still runs may keep it from what is due, when it has no time for both.
            if case.faults is None and waited > timedelta(seconds=node.delay + node.takes + longest + 2):
                yield f"{path} waited {waited} before attempt {attempt}, which is more than {node.delay} s"


@check
def sleeps_last_as_long_as_they_should(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    for path, node in model.nodes.items():
        step = case.run.steps.get(path)
        if not isinstance(node, Sleep) or step is None or step.ended_at is None or step.started_at is None:
            continue
        if (lasted := step.ended_at - step.started_at) != timedelta(seconds=node.seconds):
            yield f"{path} lasted {lasted}, and should have lasted {node.seconds} s"


@check
def messages_come_to_an_end(case: Case) -> Iterator[str]:
    for letter in case.runtime.dead_letters:
        yield f"a dead letter: {letter}"
    if case.runtime._scheduler._schedules:
        yield f"schedules are left: {case.runtime._scheduler._schedules}"


@check
def there_is_no_storm(case: Case) -> Iterator[str]:
    model = case.workflow.everything()
    work = 0
    for node in model.nodes.values():
        if isinstance(node, Step):
            work += 2 * node.attempts + 2 * node.undo
        elif isinstance(node, Poll):
            work += 2 + min(node.until, node.timeout) // node.every
        else:
            work += (
                2
                + isinstance(node, Group)
                + 4 * isinstance(node, (Callback, Invoke, Send))
                + isinstance(node, Waiting)
            )
    work += len(case.workflow.happenings)
    life = case.workflow.life
    work += 3 * len(life.rounds) + 2 * life.on_failure + 2 * (life.finish is not None)
    most = 4 + 2 * work
    if life.pin:
        most *= 2
    if case.faults is not None:
        most = 40 + 6 * most
    runtime = case.runtime
    if runtime.invocations > most:
        yield f"{runtime.invocations} invocations, for {work} pieces of work (expected at most {most})"
    looks = SHARDS * (1 + len(runtime._app.functions))
    calls = sum(runtime.calls.values()) - 2 * looks * runtime.reconciled
    if calls > 12 * most:
        yield f"{calls} AWS calls, for {work} pieces of work (expected at most {12 * most})"


@check
def waits_end_with_what_came(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    for path, node in model.nodes.items():
        step = case.run.steps.get(path)
        if not isinstance(node, Waiting) or step is None or step.status != "completed":
            continue
        number, came = node.number(step.output), case.workflow.happenings
        assert step.started_at is not None
        assert step.ended_at is not None
        begun, ended = seconds_of(step.started_at), seconds_of(step.ended_at)
        suits = [
            one
            for one in came
            if one.name == node.name and (one.matches or not getattr(node, "matching", False))
        ]
        if number is not None and number not in {one.number for one in suits if one.at <= ended + SKEW}:
            yield f"{path} ended with {number}, which nobody had sent to it"
        if number is None and ended < begun + node.seconds - SKEW:
            yield f"{path} gave up after {ended - begun} s, and not after {node.seconds}"
        if case.faults is None:
            first = min((one.at for one in suits if begun < one.at < begun + node.seconds - 1), default=None)
            if first is not None and (number is None or ended > first + 1):
                yield f"{path} ended at {ended} with {number}, and what it waited for came at {first}"


@check
def no_wait_misses_what_came(case: Case) -> Iterator[str]:
    """Of what came in good time: as long before it gave up as four deliveries of a message take."""
    if case.faults is not None and case.faults.lose:
        return
    model, _, _ = case.expected
    waits = [(path, node) for path, node in model.nodes.items() if isinstance(node, EventWait)]
    patience = 4 * (case.runtime._timeout.total_seconds() + 60)
    outputs = {path: case.run.steps[path].output for path, _ in waits if path in case.run.steps}
    taken = {node.number(outputs[path]) for path, node in waits if path in outputs}
    for path, node in waits:
        step = case.run.steps.get(path)
        if step is None or step.status != "completed" or step.output is not None:
            continue
        assert step.started_at is not None
        assert step.ended_at is not None
        begun, ended = seconds_of(step.started_at), seconds_of(step.ended_at)
        for one in case.workflow.happenings:
            suits = one.name == node.name and (one.matches or not node.matching)
            since = begun - node.lookback + SKEW
            if suits and one.number not in taken and since < one.at < ended - patience:
                yield f"{path} gave up at {ended}, and what it waited for came at {one.at}: {one.number}"


@check
def callbacks_end_with_what_came(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    came = case.workflow.happenings
    for path, node in model.nodes.items():
        step = case.run.steps.get(path)
        if not isinstance(node, Callback) or step is None or step.ended_at is None:
            continue
        assert step.started_at is not None
        begun, ended = seconds_of(step.started_at), seconds_of(step.ended_at)
        if step.status == "completed":
            numbers = {one.number for one in came if one.kind == "complete" and one.at <= ended + SKEW}
            if step.output not in numbers:
                yield f"{path} ended with {step.output}, which nobody had given"
        elif step.error is not None and "Timeout" in step.error.type:
            least = min(node.seconds, node.heartbeat or node.seconds)
            if ended < begun + least - SKEW:
                yield f"{path} gave up after {ended - begun} s, and not after {least}"
        elif step.error is not None and "Callback" in step.error.type:
            failed = any(one.kind == "fail" and one.at <= ended + SKEW for one in came)
            if not failed:
                yield f"{path} failed with {step.error}, and nobody had failed it"


@check
def transactions_happen_once(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    steps = [path for path, node in model.nodes.items() if isinstance(node, Transact)]
    if not steps:
        return
    items = case.runtime.aws("dynamodb").scan(TableName=TABLE["TableName"])["Items"]
    found = {item["id"]["S"]: int(item["n"]["N"]) for item in items}
    done = Counter(
        model.nodes[path].id
        for path in steps
        if (step := case.run.steps.get(path)) and step.status == "completed"
    )
    late = case.broken_off and set(found.values()) == {1}  # a step that was at work when its run ended
    if found != done and not (late and done.keys() <= found.keys()):
        yield f"the table holds {found}, and the journal says {dict(done)}"


@check
def other_runs_end(case: Case) -> Iterator[str]:
    for run in case.runtime.other_runs():
        if run.status not in ("completed", "failed", "cancelled"):
            yield f"run {run.run_id} of {run.function_id} is {run.status}"


@check
def events_are_sent_once(case: Case) -> Iterator[str]:
    model, _, _ = case.expected
    sends = [path for path, node in model.nodes.items() if isinstance(node, Send)]
    known = [case.run.steps[path] for path in sends if path in case.run.steps]
    done = sum(step.status == "completed" for step in known)
    most = len(sends) if case.broken_off else len(known)  # one that was at work then leaves no trace
    started = sum(run.function_id == "sent" for run in case.runtime.other_runs())
    if not done <= started <= most:
        yield f"{done} events were sent (at most {most}), and {started} runs started by them"


@check
def who_follows_hears_each_message_once_and_in_order(case: Case) -> Iterator[str]:
    heard, everything = case.runtime.heard, case.workflow.everything().told
    there = case.runtime.published(case.run.run_id)  # but for what has expired
    if there != heard[len(heard) - len(there) :]:
        yield f"who looked now and then heard {heard}, and who looks now hears {there}"
    first: dict[str, int] = {}
    counts: Counter[tuple[str, int | None]] = Counter()
    for place, message in enumerate(heard):
        name = message.step_id or message.topic
        first.setdefault(name, place)
        counts[name, message.attempt] += 1
        if counts[name, message.attempt] == 2:
            yield f"{name} was told more than once (attempt {message.attempt})"
    if unknown := first.keys() - {told.name for told in everything}:
        yield f"{sorted(unknown)} were told, and nothing tells them"
    for number, later in enumerate(everything):
        for earlier in everything[:number]:
            if earlier.said is None or not {earlier.name, later.name} <= first.keys():
                continue  # a step may tell when it was given up, and others began
            if earlier.precedes(later) and first[later.name] < first[earlier.name]:
                yield f"{later.name} was told before {earlier.name}"
    if not case.broken_off:
        yield from _untold(case, first)


def _untold(case: Case, heard: Mapping[str, int]) -> Iterator[str]:
    for told in case.expected[0].told:
        if told.name in heard:
            data = case.runtime.heard[heard[told.name]].data
            if told.said is not None and data != told.said:
                yield f"{told.name} told {data}, and was to tell {told.said}"
        elif told.surely and (told.said is not None or case.run.steps[told.name].status == "completed"):
            yield f"{told.name} was never told"


@check
def what_was_done_is_undone(case: Case) -> Iterator[str]:
    undos, rounds = Counter(case.runtime.undos), case.workflow.rounds
    model, steps = Model({}, everything=True), case.run.steps
    model.body("", rounds[min(case.run.continuations, len(rounds) - 1)], 0)  # what earlier ones did stays
    ended = case.run.ended_at
    if case.run.status == "completed":
        if undos:
            yield f"the run completed, and {sorted(undos)} were undone"
        return
    for path, node in model.nodes.items():
        if not isinstance(node, Step) or not node.undo:
            continue
        step = steps.get(path)
        told = any(effect.succeeds and effect.visit.error is None for effect in case.effects.get(path, []))
        committed = step is not None and step.status == "completed"
        told = (
            told and not case.runtime.interrupted[path]
        )  # else one was, and nobody knows whether it took effect
        if (committed or told) and not undos[path] and not _can_not_be_undone(case, path):
            yield f"{path} took effect ({step and step.status}), the run {case.run.status}, and nothing undid it"
        if undos[path] and not case.effects.get(path):
            yield f"{path} was undone, and its function never ran"
        if undos[path] > 1 + case.again:
            yield f"{path} was undone {undos[path]} times, with {case.again} repetitions of anything"
    done = [
        path
        for path in dict.fromkeys(case.runtime.undos)
        if path in steps and steps[path].status == "completed"
    ]
    for later, earlier in pairwise(done):
        if steps[later].ended_at < steps[earlier].ended_at:
            yield f"{later} was undone before {earlier}, and had ended before it"
    for path, step in steps.items():
        if path.startswith("undo/") and (step.ended_at is None or ended is None or step.ended_at > ended):
            yield f"the run ended at {ended}, and {path} is {step.status}, ended at {step.ended_at}"


def _can_not_be_undone(case: Case, path: str) -> bool:
    """Whether a deploy has put a step before what is to be undone: that is a failure for all to see, and no more
    can be done, since only running the step would tell what comes after it."""
    changes = any(isinstance(node, Changed) for node in case.workflow.nodes_within())
    deployed = any(one.kind == "deploy" for one in case.workflow.happenings)
    undo = case.run.steps.get(f"undo/{path}")
    return changes and deployed and undo is not None and undo.status == "failed"


@check
def timeouts_and_cancels_are_kept(case: Case) -> Iterator[str]:
    run, life = case.run, case.workflow.life
    assert run.ended_at is not None
    begun, ended = seconds_of(run.created_at), seconds_of(run.ended_at)
    if case.timed_out:
        limits = [limit for limit in (life.start, life.finish) if limit is not None]
        if not limits or ended - begun < min(limits) - SKEW:
            yield f"the run timed out after {ended - begun} s, and may take {life.finish} s, and {life.start} to begin"
        undone = any(
            isinstance(node, Step) and node.undo for node in case.workflow.everything().nodes.values()
        )
        if case.faults is None and limits and not undone and ended - begun > max(limits) + 60:
            yield f"the run timed out only after {ended - begun} s, and may take {life.finish} s"
    if run.status == "cancelled" and ended < min(case.stops) - SKEW:
        yield f"the run was cancelled at {ended}, and nobody had done so before {min(case.stops)}"
    if case.faults is None and run.status == "completed":
        if life.finish is not None and ended - begun > life.finish + 1:
            yield f"the run ended after {ended - begun} s, and may take {life.finish} s"
        if case.stops and ended > min(case.stops) + 1 and min(case.stops) > 1:
            yield f"the run completed at {ended}, and was cancelled at {min(case.stops)}"


@check
def a_failure_is_handled_once(case: Case) -> Iterator[str]:
    handlers = [run for run in case.runtime.other_runs() if run.function_id == "workflow/on_failure"]
    wanted = case.run.status == "failed" and case.workflow.life.on_failure
    if len(handlers) != wanted:
        yield f"the run {case.run.status}, and {len(handlers)} runs handle its failure"


@check
def a_pinned_run_stays_on_its_code(case: Case) -> Iterator[str]:
    if not case.workflow.life.pin or case.run.continuations:
        return
    began_on = int(case.run.version or 0)
    for effect in case.runtime.effects:
        if effect.version != began_on:
            yield f"{effect.path} ran on the code of deploy {effect.version}, and the run is pinned to {began_on}"


@check
def fan_outs_keep_to_their_width(case: Case) -> Iterator[str]:
    model = case.workflow.everything()
    for path, node in model.nodes.items():
        if not isinstance(node, Map) or node.width is None:
            continue
        spans = []
        for item in (f"{path}[{f'k{index}' if node.keyed else index}]" for index in range(node.count)):
            if effects := case.effects.get(item):
                spans.append((effects[0].tick, case.runtime.committed.get(item, case.runtime.ticks)))
        for began, _ in spans:
            at_once = sum(first <= began <= last for first, last in spans)
            if at_once > node.width:
                yield f"{at_once} items of {path} were at work at once, and {node.width} may be"


def seconds_of(time: datetime) -> float:
    return (time - START).total_seconds()
