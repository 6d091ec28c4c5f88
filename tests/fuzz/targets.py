"""What parses outside input, and what must hold whatever that is. Each target takes hypothesis' `data`, and
returns what became of its input."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lambda_durable import CallbackTokenError, ConfigurationError, Event
from lambda_durable.callbacks import Address, read_token, token_of
from lambda_durable.cli.event_files import read_events
from lambda_durable.cli.usage_error import UsageError
from lambda_durable.errors import DamagedItemError, DurableError
from lambda_durable.expressions import ExpressionError, compile_condition, compile_expression
from lambda_durable.matching import check_condition, check_match, value_at
from lambda_durable.runtime.messages import Arrival, Continuation, PoisonError, Scheduled, Start, parse
from lambda_durable.runtime.registration import LARGEST_ANSWER, handle
from lambda_durable.tagged_json import write
from lambda_durable.testing.fakes import FakeScheduler
from tests.fuzz import inputs
from tests.fuzz.rig import Rig, app

EVENT = {
    "version": "0",
    "id": "e-1",
    "detail-type": "order/placed",
    "source": "shop",
    "account": "123456789012",
    "time": "2025-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail": {
        "amount": 5,
        "order": 7,
        "lambda_durable": {"id": "mine", "time": "2025-01-01T00:00:00+00:00"},
    },
}
LARGE = {**EVENT, "detail": {"lambda_durable": {"id": "big", "key": f"inbox/{'0' * 64}"}}}
RESUME = json.loads(Continuation(run="target", generation=3).body())
CONTINUATIONS = [
    RESUME,
    {
        "kind": "continue",
        "run": "target",
        "due": {"path": "paid", "at": 1735697000000},
        "generation": 4,
        "idle": 7,
    },
    {
        "kind": "continue",
        "run": "target",
        "chain": [{"scope": "parts[0]", "lane": 0}],
        "leaf": "parts[1]",
        "lane": 0,
    },
    {"kind": "continue", "run": "target", "forced": True, "check": True, "revived": 1, "stands_for": "abc"},
    {"kind": "continue", "run": "target#1", "failures": 1, "joined": "parts"},
]
STARTS = [
    json.loads(Start(function="order", run="new", event=json.dumps({**EVENT, "name": "x"})).body()),
    json.loads(Start(function="gone", run="new", key=f"inbox/{'0' * 64}").body()),
    {
        "kind": "start",
        "function": "order",
        "run": "child",
        "event": '{"name":"n","data":{},"id":"i","time":"2025-01-01T00:00:00+00:00","source":"s"}',
        "invoker": {"run": "target", "path": "reserve", "resume": json.dumps(RESUME), "depth": 1},
    },
]
OTHERS = [
    json.loads(message.body())
    for message in (
        Scheduled(function="order", schedule="0 9 * * *", time=datetime(2025, 1, 1, 9, tzinfo=UTC)),
        Arrival(event="mine", path="data.order", after=("target", "paid")),
    )
]
MESSAGES = st.sampled_from([EVENT, LARGE, *CONTINUATIONS, *STARTS, *OTHERS])
OWN = st.sampled_from([*CONTINUATIONS, *STARTS, *OTHERS])

Target = Callable[[Any], str]


def queue_messages(data: Any) -> str:
    """A message of the queue is worked on, put aside with a reason, or comes back for a reason that is ours."""
    body = json.dumps(data.draw(inputs.mutated(MESSAGES)))
    rig = Rig()
    try:
        became = rig.handle(body, dead=data.draw(st.integers(0, 4)) == 0)
        rig.finish()
        return became
    finally:
        rig.close()


def message_bodies(data: Any) -> str:
    """A body is a message or poison, and a message of ours is read back as it is."""
    try:
        message = parse(data.draw(inputs.bodies(MESSAGES)))
    except PoisonError as error:
        assert str(error)
        return "refused"
    if not isinstance(message, dict):
        assert parse(message.body()) == message
    return "taken"


class _Context:
    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def _record(number: int, body: object) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "receiptHandle": "r",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "ApproximateFirstReceiveTimestamp": "1735689600000"},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:q",
    }


def sqs_batches(data: Any) -> str:
    """Messages of a batch are worked on beside one that makes no sense, and just those fail that did."""
    rig = Rig()
    try:
        bad = data.draw(inputs.mutated(st.builds(_record, st.just(1), inputs.bodies(MESSAGES))))
        good = [
            _record(
                number,
                json.dumps({**EVENT, "detail": {**EVENT["detail"], "lambda_durable": {"id": f"g{number}"}}}),
            )
            for number in (0, 2)
        ]
        event = {"Records": [good[0], bad, good[1]]}
        try:
            answer = rig.handler()(event, _Context())
        except ConfigurationError:
            assert not _looks_like_a_message(bad)
            return "refused"
        failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
        assert failed in ([], [bad["messageId"]])
        assert all(rig.world.store.get_event(id) is not None for id in ("g0", "g2"))
        return "failed" if failed else "taken"
    finally:
        rig.close()


def _looks_like_a_message(record: Any) -> bool:
    texts = isinstance(record, dict) and all(
        isinstance(record.get(key), str) for key in ("body", "messageId")
    )
    return texts and isinstance(record.get("attributes", {}), dict)


def lambda_events(data: Any) -> str:
    """What invokes the worker is handled, or refused as nothing that it takes."""
    shapes = [EVENT, LARGE, {"Records": [_record(1, json.dumps(EVENT))]}, {"lambda_durable": "reconcile"}, {}]
    event = data.draw(inputs.mutated(st.sampled_from(shapes)))
    if isinstance(event, dict) and "ResponseURL" in event:
        return "left out"
    rig = Rig()
    try:
        rig.handler()(event, _Context())
        return "taken"
    except DurableError as error:
        assert str(error)
        return "refused"
    finally:
        rig.close()


REQUEST = {
    "RequestType": "Create",
    "ResponseURL": "https://answers.example/x?sig=1",
    "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1",
    "RequestId": "1",
    "ResourceType": "AWS::CloudFormation::CustomResource",
    "LogicalResourceId": "Registration",
    "PhysicalResourceId": "schedules-1",
    "ResourceProperties": {"ServiceToken": "arn", "WorkerVersion": "2"},
}


def registrations(data: Any) -> str:
    """CloudFormation gets one answer, which it can read, or there was no place to send it to."""
    request = data.draw(inputs.mutated(st.sampled_from([REQUEST, {**REQUEST, "RequestType": "Delete"}])))
    if not isinstance(request, dict):
        return "left out"
    answers: list[bytes] = []
    scheduler: Any = FakeScheduler(None, None, None, None)  # type: ignore[arg-type]  # no schedule falls due here
    try:
        handle(request, app, scheduler, lambda url, body: answers.append(body))
    except ValueError:
        assert not isinstance(request.get("ResponseURL"), str)
        return "refused"
    (answer,) = answers
    long = any(len(str(value)) > 200 for value in request.values())
    assert long or len(answer) <= LARGEST_ANSWER
    return str(json.loads(answer)["Status"])


def tokens(data: Any) -> str:
    """A token leads somewhere, and is the one that leads there; or it is none."""
    valid = token_of(Address("target", "approve", "n" * 32))
    way = st.one_of(st.just(valid), inputs.texts, inputs.odd, inputs._spoilt(st.just(valid)))
    try:
        address = read_token(token := data.draw(way))
    except CallbackTokenError:
        return "refused"
    assert token_of(address) == token
    return "taken"


EXPRESSIONS = [
    "event.data.amount > 100 && event.data.lines.exists(line, line.sku == 'a')",
    "data.order.items.0.sku",
    "event.name.startsWith('order/') || has(event.data.vip)",
    "async.data.order == event.data.order",
    "event.time > timestamp('2025-01-01T00:00:00Z') ? event.data[0].a : {'a': [1, 2.0, null]}",
    "size(event.data) + int('5') - -3 * (4 / 2) % 7",
]


def expressions(data: Any) -> str:
    """What a user or an event brings along is an expression that gives a value, or an error of ours."""
    pieces = st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=2).map(" && ".join)
    source = data.draw(st.one_of(inputs._spoilt(pieces), pieces, inputs.texts, _deep(), inputs.odd))
    event = Event("order/placed", data.draw(inputs.odd.filter(_is_json)))
    became = "refused"
    for use in (
        lambda: compile_expression(source, "key=").evaluate(event),
        lambda: compile_condition(source, "if_exp=", incoming=True).holds(event, event),
        lambda: check_condition(source, "if_exp="),
        lambda: (check_match(source, "match="), value_at(source, event)),
    ):
        try:
            use()
            became = "taken"
        except (ConfigurationError, ExpressionError) as error:
            assert str(error)
    return became


def _deep() -> st.SearchStrategy[str]:
    around = st.sampled_from([("(", ")"), ("[", "]"), ("-", ""), ("!", ""), ("{'a':", "}"), ("size(", ")")])
    return st.builds(
        lambda pair, n: pair[0] * n + "1" + pair[1] * n, around, st.sampled_from([10, 100, 1000, 4000])
    )


def _is_json(value: Any) -> bool:
    try:
        write(value)
    except Exception:
        return False
    return True


def event_files(data: Any) -> str:
    """A file holds events, or the command says in one line what is wrong with it."""
    plain = {"name": "order/placed", "data": {"amount": 1}, "id": "a", "time": "2025-01-01T00:00:00Z"}
    text = data.draw(inputs.bodies(st.sampled_from([EVENT, plain, [EVENT, plain]])))
    raw = data.draw(st.one_of(st.just(text.encode(errors="surrogatepass")), st.binary(max_size=30)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "event.json")
        path.write_bytes(raw)
        try:
            events = read_events(path, start=datetime(2025, 1, 1, tzinfo=UTC), seed=0)
        except UsageError as error:
            assert "event.json" in str(error)
            return "refused"
    assert events
    return "taken"


def damaged_items(data: Any) -> str:
    """An item that was changed by hand: who reads it says which it is, writes nothing, and its run goes on once
    it is as it was; others are not held up."""
    rig = Rig()
    try:
        table = rig.rt.aws("dynamodb")
        held = table.scan(TableName="lambda-durable")["Items"]
        ours = [item for item in held if item["pk"]["S"].partition("/")[0] == "target"]
        item = data.draw(st.sampled_from(sorted(ours, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))))
        name = data.draw(st.sampled_from(sorted(set(item) - {"pk", "sk", "kp", "ks", "gp", "gs"})))
        odd = st.one_of(
            st.none(),
            inputs.texts.filter(lambda text: text.isprintable()).map(lambda text: {"S": text}),
            st.sampled_from(
                [{"N": "-1"}, {"N": "0"}, {"BOOL": True}, {"L": []}, {"M": {}}, {"S": "{}"}, {"S": "[1]"}]
            ),
        )
        changed = data.draw(odd)
        damaged = {key: value for key, value in item.items() if key != name}
        if changed is not None:
            damaged[name] = changed
        table.put_item(TableName="lambda-durable", Item=damaged)
        before = rig.rt.calls.copy()
        became = "read all the same"
        try:
            rig.rt.get("target")
        except DamagedItemError as error:
            assert "target" in str(error)
            assert item["sk"]["S"] in str(error) or "the event of run" in str(error)
            became = "refused"
        except DurableError:
            became = "refused as a value"
        assert not {
            name for name in (rig.rt.calls - before) if name in ("dynamodb:PutItem", "dynamodb:UpdateItem")
        }
        if became == "refused":
            assert rig.handle(json.dumps(RESUME)) in ("back", "done")  # done: it needs none of it
            table.put_item(TableName="lambda-durable", Item=item)
            assert rig.rt.get("target").status == "running"
        rig.finish()
        if became == "refused":
            assert rig.rt.get("target").status == "completed"
        return became
    finally:
        rig.close()


TARGETS: list[Target] = [
    queue_messages,
    message_bodies,
    sqs_batches,
    lambda_events,
    registrations,
    tokens,
    expressions,
    event_files,
    damaged_items,
]
