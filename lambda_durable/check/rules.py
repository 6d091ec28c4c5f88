"""The rules: what each finds, why that goes wrong, and the way out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """`note`: it tells how far the check has looked, and is no finding."""

    id: str
    title: str
    why: str
    way_out: str
    note: bool = False


_ALL: Final = (
    Rule(
        "clock",
        "the time is read outside a step",
        "The handler is run from its top in each invocation, and each time the clock says something else.",
        'take ctx.now(), which is the same on every replay, or read the clock in a step: ctx.step.run("now", ...)',
    ),
    Rule(
        "random",
        "a random number is drawn outside a step",
        "Every replay draws another one, and what was decided by the first no longer holds.",
        "take ctx.random, which is the same on every replay, or draw it in a step",
    ),
    Rule(
        "uuid",
        "an id is made up outside a step",
        "Every replay makes up another one: what was stored or sent under the first is not found again.",
        'take ctx.run_id, or make the id in a step: ctx.step.run("new-id", lambda: str(uuid4())); uuid5 is the same '
        "for the same name",
    ),
    Rule(
        "environment",
        "the handler asks its process or machine outside a step",
        "The next invocation may be in another process, on another machine, with other settings.",
        "read it in a step, or once at import, as a constant of the module",
    ),
    Rule(
        "network",
        "the network is used outside a step",
        "It happens again on every replay, with another answer; what it does, it does as often.",
        'put it into a function and run that in a step: ctx.step.run("fetch", fetch, ...)',
    ),
    Rule(
        "file",
        "files are touched outside a step",
        "The next invocation may be on another machine, whose disk holds something else; a write happens again on "
        "every replay.",
        "do it in a step, and return what the handler needs of it",
    ),
    Rule(
        "process",
        "another program is started outside a step",
        "It is started again on every replay.",
        "start it in a step",
    ),
    Rule(
        "timer",
        "the handler sleeps or sets a time limit by itself",
        "The Lambda is paid for while it sleeps, and sleeps again on every replay; in an async handler it is an error.",
        'sleep with ctx.step.sleep("a-while", "10m"); limit a step with ctx.step.options(timeout="30s"), and a wait '
        "with its own timeout=",
    ),
    Rule(
        "thread",
        "the handler has a thread or process of its own",
        "A step called there is an error, and what it does beside the handler has another order on every replay.",
        "run steps side by side: ctx.step.submit, map or parallel, or asyncio.gather in an async handler; threads "
        "may be used in a step's function",
    ),
    Rule(
        "computed-id",
        "a step's id is made of what differs on every replay",
        "A step's outcome is found by its id: under another id the step runs again, and its first outcome is lost.",
        "make ids of text, the event's data, earlier results or an index",
    ),
    Rule(
        "unstable-branch",
        "which steps run depends on what differs on every replay",
        "A replay may go the other way: it then runs steps that were not to run, or leaves out those that were.",
        "decide in a step, and branch on what it returned",
    ),
    Rule(
        "unordered",
        "steps are called in an order that differs from process to process",
        "The first step of one replay is the second of another: outcomes are kept by id, and go to the wrong item.",
        "go through sorted(...), or make the id of the item: the order then does not matter (map: key=)",
    ),
    Rule(
        "duplicate-id",
        "two steps of one scope have the same id",
        "The second becomes `id:1`. Once new code leaves the first one out, the second finds the outcome of the "
        "first. In two asyncio tasks it is a DuplicateStepError.",
        "give each its own id, or each task a scope of its own: ctx.step.group(id, fn, ...)",
    ),
    Rule(
        "nested-step",
        "a step is called inside a step",
        "It is a NestedStepError: a step's function is run as a whole, and has no journal of its own.",
        "call both from the handler, or make the outer one a group: ctx.step.group(id, fn, ...)",
    ),
    Rule(
        "mutated-in-step",
        "a step changes what was made outside of it, and is read there",
        "On a replay the step's outcome comes from the journal, and its function is not run: the change is not there.",
        "return it from the step, and change the variable in the handler",
    ),
    Rule(
        "global-state",
        "the handler changes state of its module and reads it",
        "Replays change it again, other runs in the same process share it, and another process has its own.",
        "keep it in a variable of the handler, or in a table, written by a step",
    ),
    Rule(
        "catch-all",
        "a bare except catches what suspends the handler",
        "A handler that waits is left by an exception derived from BaseException. One that catches it fails.",
        "catch Exception or StepError, or end the block with a bare `raise`",
    ),
    Rule(
        "ignored-failure",
        "nobody asks how a step went",
        "If it fails for good, the run completes as if it had not; and one that still pends at the handler's end is "
        "abandoned.",
        "ask for its result, and catch StepError where a failure is no reason to fail",
    ),
    Rule(
        "not-awaited",
        "a coroutine is never awaited",
        "Its steps don't run.",
        "await it, or hand it to asyncio.gather or a TaskGroup",
    ),
    Rule(
        "unresolved",
        "what this does could not be looked into",
        "It is code of another project, or is found only when it runs.",
        "see for yourself that it is the same on every replay; if so, say: # durable: ignore[unresolved]",
        note=True,
    ),
    Rule(
        "unused-ignore",
        "nothing is ignored here",
        "The finding that this comment was for is gone.",
        "remove the comment",
        note=True,
    ),
)

RULES: Final = {rule.id: rule for rule in _ALL}
"""All of them by id, in the order in which docs/check.md has them."""
