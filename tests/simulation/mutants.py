"""Deliberate bugs of the protocol: proof that the random workflows can find such. Each is planted by a switch
here alone; `scripts/simulate --mutants` looks for each until a seed finds it, and prints what found it."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import PropertyMock, patch
from uuid import uuid4

from lambda_durable.aws import feed_store, lanes
from lambda_durable.aws.dynamodb import DynamoStore
from lambda_durable.aws.wait_store import WaitStore
from lambda_durable.config import Retry
from lambda_durable.engine.journal import Kind, Payload, State
from lambda_durable.runtime import (
    beginnings,
    branches,
    chain,
    effects,
    endings,
    feeds,
    resolution,
    retention,
    run_ids,
    staleness,
    undoing,
    waits,
    worker,
)
from lambda_durable.runtime.attempts import Attempts
from lambda_durable.runtime.chain import Chain, Visit
from lambda_durable.runtime.endings import Endings
from lambda_durable.runtime.messages import tag
from lambda_durable.runtime.renewal import Renewals
from lambda_durable.runtime.turn import Turn
from lambda_durable.runtime.worker import Worker
from lambda_durable.testing.fakes import FakeScheduler
from lambda_durable.testing.local_runtime import LocalRuntime, _LocalVersions
from tests.simulation.messages import MESSAGES
from tests.simulation.profiles import WHOLE

ALWAYS = "(attribute_exists(pk) OR attribute_not_exists(pk))"

Swap = tuple[Any, str, Callable[[Any], Any]]
"""An object, the name of an attribute of it, and what makes the mutated one of the original."""


@dataclass(frozen=True)
class Mutant:
    """`closed`: it is found by workflows of steps and sleeps alone. `profile`: that in which it is hunted. `first`: the
    seed to begin with. `kept`: the test of a case that was kept, which finds it where hardly any seed does."""

    bug: str
    swaps: tuple[Swap, ...]
    closed: bool = False
    profile: str = WHOLE
    first: int = 0
    kept: str = ""

    @contextmanager
    def planted(self) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, name, mutate in self.swaps:
                if not hasattr(owner, name) and not hasattr(builtins, name):
                    raise AttributeError(
                        f"{owner} has no {name!r} any more, so {self.bug!r} would plant nothing"
                    )
                mutated = mutate(getattr(owner, name, None))
                stack.enter_context(patch.object(owner, name, mutated, create=True))
            yield


def _instead(value: Any) -> Callable[[Any], Any]:
    """A function that gives `value`, whatever it is called with."""
    return lambda _: lambda *args, **options: value


def _property(value: Any) -> Callable[[Any], Any]:
    return lambda _: PropertyMock(return_value=value)


def _acknowledges_first(invoke: Any) -> Any:
    def mutated(runtime: Any, delivery: Any, done: Any, handle: Any) -> None:
        done(None)
        invoke(runtime, delivery, lambda _: None, handle)

    return mutated


def _tag_of_delivery(_: Any) -> Any:
    return property(lambda visit: tag(f"{visit.delivery.message_id}/{visit.delivery.receive_count}"))


def _without_condition(write: Any) -> Any:
    """A write of the store whose condition always holds."""

    def mutated(store: Any, *args: Any, **options: Any) -> Any:
        put = store._put

        def careless(item: Any, condition: Any = None, values: Any = None) -> Any:
            return put(item)

        with patch.object(store, "_put", careless):
            return write(store, *args, **options)

    return mutated


def _update_without_condition(update: Any) -> Any:
    def mutated(store: Any, *args: Any, **options: Any) -> Any:
        change = store._update

        def careless(*given: Any, **named: Any) -> Any:
            return change(*given, **named | {"condition": f"{ALWAYS} OR ({named['condition']})"})

        with patch.object(store, "_update", careless):
            return update(store, *args, **options)

    return mutated


def _entry_without(**fields: Any) -> Callable[[Any], Any]:
    def mutate(append: Any) -> Any:
        return lambda store, run_id, scope, entry: append(store, run_id, scope, replace(entry, **fields))

    return mutate


def _by_the_clock(_: Any) -> Any:
    def mutated(chain: Any, op: Any) -> None:
        chain.note(resolution.ended(chain, op.record, output=Payload(text="null")))

    return mutated


def _one_name_for_all(create: Any) -> Any:
    def mutated(scheduler: Any, name: str, at: Any, body: str) -> None:
        run = body.partition('"run":"')[2][:26]
        if scheduler._schedules.get(run) is None:
            create(scheduler, run or name, at, body)

    return mutated


def _of_another_origin(publish: Any) -> Any:
    def mutated(self: Any, origin: str, *args: Any, **options: Any) -> None:
        publish(self, f"{origin} {uuid4().hex}", *args, **options)

    return mutated


def _new_id(_: Any) -> Any:
    return lambda self, number, event: replace(event, id=uuid4().hex)


def _in_two_writes(_: Any) -> Any:
    def mutated(store: Any, run_id: str, record: Any, items: Any) -> Any:
        store._client.transact_write_items(TransactItems=list(items))
        return store.commit(run_id, record)

    return mutated


def _forward(_: Any) -> Any:
    return lambda found, key=None, reverse=False: sorted(found, key=key)


def _name_of_path(create: Any) -> Any:
    """Schedules are named by what is due, and one that is there is taken for this one, whenever that was."""

    def mutated(scheduler: Any, name: str, at: Any, body: str) -> None:
        due = json.loads(body).get("due") or {}
        named = body.partition('"run":"')[2][:26], due.get("path")
        seen = scheduler.__dict__.setdefault("seen", set())
        if "path" in due and named in seen:
            return
        seen.add(named)
        create(scheduler, name, at, body)

    return mutated


def _waiter_first(announce: Any) -> Any:
    def mutated(chain: Any, record: Any) -> bool:
        if record.kind is Kind.WAIT_FOR_EVENT:
            for waiter in resolution.waiters_of(chain.journal_id, record):
                chain.world.store.add_waiter(waiter)
        done: bool = announce(chain, record)
        return done

    return mutated


def _swallows(hand_over: Any) -> Any:
    def mutated(*args: Any) -> None:
        with suppress(Exception):
            hand_over(*args)

    return mutated


def _only_at_once(follow_up: Any) -> Any:
    """What follows the switch to a new journal, but not when the message that made it comes again."""

    def mutated(renewals: Any, header: Any, message: Any, tag: str, top: Any = None) -> bool:
        return top is not None and follow_up(renewals, header, message, tag, top)

    return mutated


def _even_if_it_went_on(was_done_by_another: Any) -> Any:
    def mutated(chain: Any, path: str) -> Any:
        with patch.object(chain, "repeats", False):
            return was_done_by_another(chain, path)

    return mutated


def _unfenced(chain: Any, record: Any) -> Any:
    return replace(record, state=State.CANCELLED, ended=chain.now(), claim=None, wake_at=None)


def _closes_again(close: Any) -> Any:
    def mutated(*args: Any, **options: Any) -> Any:
        return replace(close(*args, **options), condition=ALWAYS)

    return mutated


MUTANTS = [
    Mutant(
        "a message is acknowledged before it is worked on",
        ((LocalRuntime, "_invoke", _acknowledges_first),),
        closed=True,
    ),
    Mutant(
        "an outcome is committed without a condition",
        ((DynamoStore, "commit", _without_condition),),
        closed=True,
    ),
    Mutant(
        "a delivery takes what an earlier one of its message committed for another's",
        ((Visit, "tag", _tag_of_delivery),),
        closed=True,
    ),
    Mutant("no message is ever overtaken", ((Chain, "follower", _property(False)),), closed=True),
    Mutant(
        "a lane moves wherever it stands",
        ((lanes, "_at", _instead((ALWAYS, {}))),),
        closed=True,
    ),
    Mutant(
        "who moved a lane does not know it when it comes again",
        ((lanes, "read", lambda read: lambda *a, **o: replace(read(*a, **o), by="")),),
        closed=True,
    ),
    Mutant(
        "dispatch is not memoized",
        ((DynamoStore, "append", _entry_without(dispatched=())),),
        closed=True,
    ),
    Mutant("order is not memoized", ((DynamoStore, "append", _entry_without(order={})),), closed=True),
    Mutant(
        "the log's next position is no lock",
        ((DynamoStore, "append", _without_condition),),
        closed=True,
    ),
    Mutant(
        "any follower may take the lead",
        ((Chain, "_brings", _instead(True)),),
        closed=True,
        first=50_000,
    ),
    Mutant(
        "a sleep is registered anew",
        ((DynamoStore, "register", _without_condition),),
        closed=True,
    ),
    Mutant(
        "what was handed out is not sent again",
        ((Turn, "_to_send_again", _instead(False)),),
        closed=True,
    ),
    Mutant(
        "a branch that ends lets nobody go on",
        (
            (
                branches,
                "after",
                lambda after: lambda chain, record: after(chain, record) if chain.message.leaf else None,
            ),
        ),
        closed=True,
    ),
    Mutant(
        "a claim is judged before its deadline",
        ((Attempts, "free_at", lambda _: lambda self, record: 0 if record.claim else None),),
        closed=True,
    ),
    Mutant("nothing claims", ((Attempts, "_claim", _instead(True)),), closed=True),
    Mutant(
        "one name for all schedules of a run",
        ((FakeScheduler, "_create", _one_name_for_all),),
        closed=True,
    ),
    Mutant(
        "a retry does not wait",
        ((Retry, "delay", lambda delay: lambda *a, **o: delay(*a, **o) * 0),),
        closed=True,
    ),
    Mutant(
        "a redelivery leaves no stand-in",
        ((Chain, "leave_a_stand_in", _instead(None)),),
        closed=True,
    ),
    Mutant(
        "a wake goes on though another has done its work",
        ((staleness, "_was_done_by_another", _instead(False)),),
        profile="wakes",
    ),
    Mutant("a time-out is decided by the clock alone", ((waits, "give_up", _by_the_clock),)),
    Mutant("a wait ends twice", ((WaitStore, "resolve", _update_without_condition),)),
    Mutant(
        "a wait that nobody may find is not registered again",
        ((Turn, "_to_register_again", _instead(False)),),
        profile="waits",
    ),
    Mutant(
        "a waiter is removed before its run was woken",
        ((resolution, "is_long_over", _instead(True)),),
        profile="waits",
    ),
    Mutant(
        "an event that is sent again has another id",
        ((effects.Effects, "_identified", _new_id),),
        profile="effects",
    ),
    Mutant(
        "a transaction and its outcome are two writes",
        ((DynamoStore, "transact", _in_two_writes),),
    ),
    Mutant("a run ends twice", ((DynamoStore, "end_run", _update_without_condition),)),
    Mutant("nothing is undone", ((undoing.Undoing, "_undo", _instead(None)),)),
    Mutant("undo begins with what came first", ((undoing, "sorted", lambda _: _forward(_)),)),
    Mutant(
        "undo does not wait for what is still at work",
        ((undoing, "_may_end_until", _instead(None)),),
    ),
    Mutant(
        "a step does not look whether its run is being undone",
        ((Chain, "still_runs", _instead(True)),),
    ),
    Mutant("a lane that is closed again counts twice", ((lanes, "close", _closes_again),), closed=True),
    Mutant(
        "the state of a live run expires", ((chain, "outlive", lambda _: lambda world, header, at: header),)
    ),
    Mutant("a retry has the name of the schedule before it", ((FakeScheduler, "_create", _name_of_path),)),
    Mutant(
        "a wake that came again takes who did its work for the one that goes on",
        ((staleness, "_was_done_by_another", _even_if_it_went_on),),
        kept="test_copies_that_die.py",
    ),
    Mutant(
        "a message is acknowledged though the version that has it failed",
        ((_LocalVersions, "hand_over", _swallows),),
    ),
    Mutant("a pinned run goes on on the live code", ((worker, "is_elsewhere", _instead(False)),)),
    Mutant(
        "a switch to a new journal is not followed up when it comes again",
        ((Renewals, "follow_up", _only_at_once),),
        profile="renewals",
    ),
    Mutant(
        "nobody waits for the end of a run's time",
        ((beginnings, "_send_due", _instead(None)),),
        profile="deadlines",
    ),
    Mutant(
        "what would cancel a run stays when it is over", ((Endings, "_forget_cancelling", _instead(None)),)
    ),
    Mutant(
        "a failure is handled by another run each time",
        ((endings, "run_id", lambda _: lambda time, *parts: run_ids.run_id(time, uuid4().hex)),),
    ),
    Mutant(
        "a message has another id each time",
        ((feeds.Feed, "publish", _of_another_origin),),
        profile=MESSAGES,
    ),
    Mutant(
        "a message takes the place of another",
        ((feed_store, "NOTHING_IS_THERE", lambda _: ALWAYS),),
        profile=MESSAGES,
    ),
    Mutant(
        "who waits publishes nothing before",
        ((Turn, "_publish", _instead(None)),),
        profile=MESSAGES,
    ),
    Mutant(
        "what a run has published expires while it sleeps",
        ((retention, "FEED", lambda _: ":nothing"),),
        kept="test_what_a_run_has_published_lives_as_long_as_it_sleeps",
    ),
]

HARMLESS = [
    Mutant(
        "a copy acknowledges what another delivery works on",
        ((Worker, "_may_be_at_work", _instead(False)),),
    ),
    Mutant("a waiter is written before the journal item", ((Chain, "announce", _waiter_first),)),
    Mutant("undo without the fence", ((undoing, "_fence", lambda _: _unfenced),)),
]
"""Planted as well, and not found: what they break has a second net below it (docs/planted-bugs.md says which)."""
