import contextlib
import copy
import dataclasses
import json
import logging
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from lambda_durable import Context, Durable
from lambda_durable.errors import ConfigurationError, DurableError
from lambda_durable.events import (
    Event,
    MalformedEventError,
    Trigger,
    from_eventbridge,
    on_event,
    to_eventbridge_entry,
)

TIME = datetime(2025, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)


class Cart(BaseModel):
    sku: str
    amount: int = Field(default=1, alias="total")


class TestEvent:
    def test_needs_a_name_only(self) -> None:
        before = datetime.now(UTC)
        event: Event[Any] = Event("store/x")

        assert (event.name, event.data, event.source) == ("store/x", {}, "lambda_durable")
        assert before <= event.time <= datetime.now(UTC)
        assert len(event.id) == 32
        assert event.id != Event("store/x").id

    def test_knows_whether_the_sender_chose_its_id(self) -> None:
        assert Event("x").id_is_default
        assert not Event("x", id="order-1").id_is_default
        assert not dataclasses.replace(Event("x"), id="order-1").id_is_default
        assert copy.deepcopy(Event("x")).id_is_default

    def test_takes_its_fields_by_position_or_name(self) -> None:
        cart = Cart(sku="s")

        assert Event("store/x", cart, "e1", TIME) == Event(name="store/x", data=cart, id="e1", time=TIME)

    def test_is_frozen_and_hashable_whatever_its_data(self) -> None:
        event: Event[Any] = Event("x", {"a": []}, id="e1", time=TIME)

        assert len({event, Event("x", {"a": []}, id="e1", time=TIME)}) == 1
        with pytest.raises(dataclasses.FrozenInstanceError):
            event.name = "y"  # type: ignore[misc]

    def test_survives_copying_and_pydantic(self) -> None:
        event = Event("x", Cart(sku="s", total=2), id="e1", time=TIME)
        adapter = TypeAdapter(Event[Cart])

        assert copy.deepcopy(event) == event
        assert pickle.loads(pickle.dumps(event)) == event
        assert adapter.validate_json(adapter.dump_json(event, by_alias=True)) == event

    def test_keeps_its_time_in_utc(self) -> None:
        event = Event("x", time=TIME.astimezone(timezone(timedelta(hours=5))))

        assert event.time == TIME
        assert event.time.tzinfo is UTC

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ({"name": ""}, "an event's name: has 1 to 255 characters, and this has 0"),
            ({"name": "x" * 256}, "1 to 255"),
            ({"name": None}, "an event's name: expected a string, got NoneType"),
            ({"name": "\ud800"}, "lone surrogate"),
            ({"id": "x" * 257}, "an event's id: has 1 to 256 characters, and this has 257"),
            ({"id": ""}, "an event's id"),
            ({"id": 5}, "an event's id: expected a string, got int"),
            ({"source": ""}, "an event's source"),
            ({"time": datetime(2025, 1, 1)}, "an event's time: .*no time zone"),
            ({"time": "2025-01-01"}, "an event's time: expected a datetime"),
        ],
    )
    def test_refuses_a_bad_field_by_name(self, arguments: dict[str, Any], complaint: str) -> None:
        with pytest.raises(ConfigurationError, match=complaint):
            Event(**{"name": "x", **arguments})

    def test_takes_the_longest_name_and_id(self) -> None:
        event = Event("n" * 255, id="é" * 256)

        assert (len(event.name), len(event.id)) == (255, 256)


S3_EVENT = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "111122223333",
    "time": "2021-11-12T00:00:00Z",
    "region": "ca-central-1",
    "resources": ["arn:aws:s3:::bucket"],
    "detail": {"version": "0", "bucket": {"name": "bucket"}, "object": {"key": "k", "size": 5}},
}


def received(event: Event[Any]) -> Event[Any]:
    """The event after a journey over EventBridge, which stamps an id and a time of its own."""
    entry = to_eventbridge_entry(event, json.dumps)
    return from_eventbridge(
        {
            "id": "stamped",
            "time": "2030-01-01T00:00:00Z",
            "source": entry["Source"],
            "detail-type": entry["DetailType"],
            "detail": json.loads(entry["Detail"]),
        }
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


class TestOverEventBridge:
    def test_an_aws_event_is_an_event_like_any_other(self) -> None:
        assert from_eventbridge(S3_EVENT) == Event(
            "Object Created",
            S3_EVENT["detail"],
            id="17793124-05d4-b198-2fde-7ededc63b103",
            time=datetime(2021, 11, 12, tzinfo=UTC),
            source="aws.s3",
        )

    def test_the_record_is_not_changed(self) -> None:
        record = {**S3_EVENT, "detail": {"a": 1, "lambda_durable": {"id": "mine"}}}
        before = copy.deepcopy(record)

        from_eventbridge(record)

        assert record == before

    def test_the_senders_id_is_the_events_id_and_its_data_has_no_envelope(self) -> None:
        event = from_eventbridge(
            {**S3_EVENT, "detail": {"a": 1, "lambda_durable": {"id": "mine", "new": "field"}}}
        )

        assert (event.id, event.data) == ("mine", {"a": 1})
        assert event.time == datetime(2021, 11, 12, tzinfo=UTC)
        assert not event.id_is_default

    @given(json_values | st.dictionaries(st.just("lambda_durable"), json_values))
    def test_what_is_sent_is_what_is_received(self, data: Any) -> None:
        event = Event("store/x", data, id="order-1", time=TIME, source="shop")

        assert received(event) == event

    def test_a_json_object_is_the_detail_itself_so_that_rules_can_match_on_it(self) -> None:
        entry = to_eventbridge_entry(
            Event("store/x", {"a": "é"}, id="e1", time=TIME, source="shop"), json.dumps
        )

        assert entry == {
            "Source": "shop",
            "DetailType": "store/x",
            "Detail": '{"a":"é","lambda_durable":{"id":"e1","time":"2025-01-01T12:30:00.123456+00:00"}}',
        }

    def test_models_travel_as_their_json_wherever_they_lie(self) -> None:
        cart = Cart(sku="s", total=2)

        assert received(Event("x", cart)).data == {"sku": "s", "total": 2}
        assert received(Event("x", [cart, {"a": (cart,)}])).data == [
            {"sku": "s", "total": 2},
            {"a": [{"sku": "s", "total": 2}]},
        ]

    def test_every_other_value_is_for_the_encoder(self) -> None:
        encoded: list[Any] = []
        value = {"at": TIME, "set": {1}}

        def encode(data: Any) -> str:
            encoded.append(data)
            return '{"$": "tagged"}'

        entry = to_eventbridge_entry(Event("x", value), encode)

        assert encoded == [value]
        assert json.loads(entry["Detail"])["$"] == "tagged"

    def test_data_too_deep_is_for_the_encoder_to_refuse(self) -> None:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]

        with pytest.raises(RecursionError):
            to_eventbridge_entry(Event("x", deep), json.dumps)

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"detail-type": None}, "^detail-type: expected a string, got NoneType"),
            ({"detail-type": ""}, "^detail-type: has 1 to 255"),
            ({"detail-type": "x" * 256}, "^detail-type: has 1 to 255"),
            ({"detail-type": "\ud800"}, "^detail-type: holds a lone surrogate"),
            ({"id": 5}, "^id: expected a string, got int"),
            ({"id": "x" * 257}, "^id: has 1 to 256"),
            ({"source": []}, "^source: expected a string, got list"),
            ({"time": "yesterday"}, "^time: is no ISO 8601"),
            ({"time": "2025-01-01T00:00:00"}, "^time: is no ISO 8601 time with a time zone"),
            ({"time": "0001-01-01T00:00:00+10:00"}, "^time: is no"),
            ({"time": 1735689600}, "^time: expected a string, got int"),
            ({"time": "1" * 10_000}, "^time: has 1 to 64"),
            ({"detail": "{}"}, "^detail: expected a JSON object, got str"),
            ({"detail": None}, "^detail: expected a JSON object, got NoneType"),
            ({"detail": {"lambda_durable": "x"}}, "^detail.lambda_durable: expected a JSON object, got str"),
            ({"detail": {"lambda_durable": None}}, "^detail.lambda_durable: expected"),
            ({"detail": {"lambda_durable": {"id": ""}}}, "^detail.lambda_durable.id: has 1 to 256"),
            ({"detail": {"lambda_durable": {"id": None}}}, "^detail.lambda_durable.id: expected"),
            ({"detail": {"lambda_durable": {"time": "soon"}}}, "^detail.lambda_durable.time: is no"),
            ({"detail": {"lambda_durable": {"data": 1}, "a": 1}}, "^detail: holds keys beside"),
        ],
    )
    def test_a_malformed_field_is_refused_by_name(self, change: dict[str, Any], complaint: str) -> None:
        with pytest.raises(MalformedEventError, match=complaint):
            from_eventbridge({**S3_EVENT, **change})

    @pytest.mark.parametrize("field", ["detail-type", "id", "time", "source", "detail"])
    def test_a_missing_field_is_refused_by_name(self, field: str) -> None:
        with pytest.raises(MalformedEventError, match=rf"^{field}: "):
            from_eventbridge({key: value for key, value in S3_EVENT.items() if key != field})

    @pytest.mark.parametrize("record", [None, [], "{}", 5])
    def test_what_is_no_object_is_refused(self, record: object) -> None:
        with pytest.raises(MalformedEventError, match=r"^the event: expected a JSON object"):
            from_eventbridge(record)

    @given(st.dictionaries(st.sampled_from(sorted(S3_EVENT)), json_values))
    def test_whatever_arrives_is_an_event_or_malformed(self, change: dict[str, Any]) -> None:
        with contextlib.suppress(MalformedEventError):
            assert isinstance(from_eventbridge({**S3_EVENT, **change}), Event)

    def test_malformed_is_an_error_of_ours_and_a_value_error(self) -> None:
        assert issubclass(MalformedEventError, DurableError)
        assert issubclass(MalformedEventError, ValueError)


class TestTriggerNames:
    @pytest.mark.parametrize(
        ("pattern", "name", "matches"),
        [
            ("store/x", "store/x", True),
            ("store/x", "store/xy", False),
            ("store/x", "Store/x", False),
            ("store/*", "store/x", True),
            ("store/*", "store/x/y", True),
            ("store/*", "store/", True),
            ("store/*", "store", False),
            ("store/*", "my store/x", False),
            ("*", "anything", True),
            ("Object Created", "Object Created", True),
            ("a.c", "abc", False),
            ("a[b]*", "a[b]c", True),
        ],
    )
    def test_are_exact_or_end_in_a_wildcard(self, pattern: str, name: str, matches: bool) -> None:
        assert on_event(pattern).matches_name(name) is matches
        assert on_event(pattern).accepts(Event(name)) is matches

    @pytest.mark.parametrize("name", ["", "x" * 256, "store/*/x", "*x", "a**", None, 5, Cart])
    def test_of_another_form_are_refused(self, name: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"^on_event\("):
            on_event(name)


class TestTriggerModels:
    def test_are_kept(self) -> None:
        assert on_event("x", Cart).model is Cart
        assert on_event("x").model is None

    @pytest.mark.parametrize("model", ["Cart", 5, Cart(sku="s"), {"sku": str}])
    def test_must_be_types(self, model: Any) -> None:
        with pytest.raises(ConfigurationError, match="is no pydantic model"):
            on_event("x", model)

    def test_must_be_types_that_pydantic_reads(self) -> None:
        class Opaque: ...

        with pytest.raises(ConfigurationError, match=r"^on_event\('x', model\): pydantic cannot read"):
            on_event("x", Opaque)

    def test_may_refer_to_what_is_defined_later(self) -> None:
        class Order(BaseModel):
            line: "Line"  # type: ignore[name-defined]  # noqa: F821

        assert on_event("x", Order).model is Order
        assert on_event("x", list["Line"])  # type: ignore[name-defined]  # noqa: F821


class TestTriggerConditions:
    def test_are_cel_over_the_event(self) -> None:
        trigger = on_event("store/*", Cart, if_exp="event.data.total > 100 && event.name != 'store/test'")

        assert trigger.accepts(Event("store/x", {"sku": "s", "total": 101}))
        assert not trigger.accepts(Event("store/x", {"sku": "s", "total": 100}))
        assert not trigger.accepts(Event("store/test", {"sku": "s", "total": 101}))
        assert not trigger.accepts(Event("shop/x", {"sku": "s", "total": 101}))

    def test_may_be_a_bare_path(self) -> None:
        trigger = on_event("x", if_exp="event.data.vip")

        assert trigger.accepts(Event("x", {"vip": True}))
        assert not trigger.accepts(Event("x", {"vip": False}))

    def test_may_be_a_callable(self) -> None:
        trigger = on_event("x", if_exp=lambda event: event.data.get("vip"))

        assert trigger.accepts(Event("x", {"vip": 1}))
        assert not trigger.accepts(Event("x", {}))

    def test_that_are_callables_see_the_model(self) -> None:
        trigger = on_event("x", Cart, if_exp=lambda event: event.data.amount > 100)

        assert trigger.accepts(Event("x", {"sku": "s", "total": 101}))
        assert trigger.accepts(Event("x", Cart(sku="s", total=101)))
        assert not trigger.accepts(Event("x", {"sku": "s", "total": "100"}))

    def test_that_are_callables_see_any_type_that_pydantic_reads(self) -> None:
        @dataclasses.dataclass
        class Order:
            at: datetime

        trigger = on_event("x", Order, if_exp=lambda event: event.data.at > TIME)

        assert trigger.accepts(Event("x", {"at": "2026-01-01T00:00:00Z"}))
        assert on_event("x", list[Order], if_exp=lambda event: not event.data).accepts(Event("x", []))

    def test_that_are_callables_see_strict_models_read_from_json(self) -> None:
        class Order(BaseModel, strict=True):
            at: datetime

        trigger = on_event("x", Order, if_exp=lambda event: event.data.at > TIME)

        assert trigger.accepts(Event("x", {"at": "2026-01-01T00:00:00Z"}))

    def test_decide_also_on_data_that_the_model_refuses(self) -> None:
        by_name = on_event("*", Cart, if_exp=lambda event: event.name == "x")

        assert by_name.accepts(Event("x", {"no": "cart"}))
        assert not by_name.accepts(Event("y", {"no": "cart"}))

    def test_that_do_not_parse_are_refused_at_once(self) -> None:
        with pytest.raises(ConfigurationError, match=r"^on_event\('x', if_exp=\): .* ends too early$"):
            on_event("x", if_exp="event.data.n >")

    def test_that_fail_do_not_hold_and_are_counted_and_logged_without_payload(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(event: Event[Any]) -> bool:
            raise ValueError(event.data)

        def handler(ctx: Context) -> None: ...

        conditions = [fail, "event.data.n > 1", "event.data + event.name"]
        function = Durable("app").function("f", [on_event("x", if_exp=each) for each in conditions])(handler)
        with caplog.at_level(logging.WARNING):
            assert not function.wants(Event("x", "secret"))

        assert function.failed_conditions == 3
        assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
        assert "ValueError" in caplog.text
        assert "secret" not in caplog.text
        assert all(record.exc_info is None for record in caplog.records)

    def test_are_not_asked_about_other_events(self, caplog: pytest.LogCaptureFixture) -> None:
        assert not on_event("x", if_exp="event.data.n > 1").accepts(Event("y"))
        assert not caplog.records


class TestDuplicates:
    def test_have_the_same_name_model_and_condition(self) -> None:
        def vip(event: Event[Any]) -> bool:
            return True

        for make in (
            lambda: on_event("x"),
            lambda: on_event("x", Cart),
            lambda: on_event("x", if_exp="event.data.n > 1"),
            lambda: on_event("x", if_exp=vip),
        ):
            assert make() == make()
            assert len({make(), make()}) == 1

    def test_differ_in_one_of_them_otherwise(self) -> None:
        triggers: set[Trigger[Any]] = {
            on_event("x"),
            on_event("y"),
            on_event("x", Cart),
            on_event("x", if_exp="event.data.n > 1"),
            on_event("x", if_exp="event.data.n > 2"),
            on_event("x", if_exp=lambda event: True),
            on_event("x", if_exp=lambda event: True),
        }

        assert len(triggers) == 7
