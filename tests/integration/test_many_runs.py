"""Many runs at once: searched, cancelled, done again; and events with what they started."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from lambda_durable import (
    Batch,
    ConfigurationError,
    Context,
    Durable,
    Event,
    RateLimit,
    Retry,
    Throttle,
    on_event,
)
from lambda_durable.aws.table import SHARDS


class Shop:
    """Orders that are paid, or fail, or wait."""

    def __init__(self, **flow):
        self.app = Durable("shop", retry=Retry.never())
        self.broken = True
        self.paid: list[int] = []

        @self.app.function("order", on_event("order"), labels=lambda event: [f"o-{event.data['n']}"], **flow)
        def order(ctx: Context[dict]) -> dict:
            return {"paid": ctx.step.run("pay", self.pay, ctx.event.data["n"])}

        @self.app.function("wait")
        def wait(ctx: Context[dict]) -> None:
            ctx.step.sleep("rest", "30d")

        self.order, self.wait = order, wait

    def pay(self, number):
        if self.broken and number % 2:
            raise ValueError("broken")
        self.paid.append(number)
        return number * 10


@pytest.fixture
def shop():
    return Shop()


def orders(rt, count):
    """One a second."""
    for number in range(count):
        rt.send(Event("order", {"n": number, "vip": number % 3 == 0}))
        rt.advance("1s")


def numbers(rt, runs):
    return [rt.get(run.run_id).event.data["n"] for run in runs]


# searching


def test_runs_are_found_by_their_events_and_outputs(durable, shop):
    rt = durable(shop.app)
    orders(rt, 10)
    client = rt.client
    assert numbers(rt, client.search("order", "event.data.vip").runs) == [9, 6, 3, 0]
    assert numbers(rt, client.search(shop.order, "output.paid >= 40").runs) == [8, 6, 4]
    assert numbers(rt, client.search(where="event.data.vip && output != null").runs) == [6, 0]
    assert numbers(rt, client.search("order", lambda event, output: output is None and event.data["n"] > 4).runs) == [
        9, 7, 5,
    ]  # fmt: skip
    assert numbers(rt, client.search("order", "event.data.vip", status="failed").runs) == [9, 3]
    assert numbers(rt, client.search("order", label="o-7").runs) == [7]


def test_a_search_says_how_far_it_looked_and_goes_on_from_there(durable, shop):
    rt = durable(shop.app)
    orders(rt, 10)
    found, looked, cursor = [], [], None
    while True:
        page = rt.client.search("order", "event.data.vip", look_at=4, cursor=cursor)
        found += numbers(rt, page.runs)
        looked.append((page.looked_at, page.until.second))
        if (cursor := page.cursor) is None:
            break
    assert (found, looked) == ([9, 6, 3, 0], [(4, 6), (4, 2), (2, 0)])
    page = rt.client.search("order", "event.data.vip", limit=2)
    assert (numbers(rt, page.runs), page.looked_at) == ([9, 6], 4)
    assert numbers(rt, rt.client.search("order", "event.data.vip", cursor=page.cursor).runs) == [3, 0]
    assert rt.client.search("nothing").model_dump(exclude_defaults=True) == {}


def test_an_expression_that_fails_finds_nothing_and_is_counted(durable, shop):
    rt = durable(shop.app)
    orders(rt, 3)
    page = rt.client.search("order", "output.paid > 1")
    assert (numbers(rt, page.runs), page.failed, page.looked_at) == ([2], 1, 3)


def test_what_is_no_search_says_so(durable, shop):
    client = durable(shop.app).client
    for bad in ({"where": "event."}, {"where": "input.x"}, {"where": ""}, {"limit": 0}, {"look_at": True},
                {"cursor": "x"}, {"status": "bad"}):  # fmt: skip
        with pytest.raises(ConfigurationError):
            client.search("order", **bad)


def test_a_page_is_one_query_for_each_shard(durable, shop):
    rt = durable(shop.app)
    orders(rt, 12)
    before = rt.calls.copy()
    assert len(list(rt.client.runs("order", limit=5))) == 5
    assert rt.calls - before == {"dynamodb:Query": SHARDS, "dynamodb:BatchGetItem": 1}
    before = rt.calls.copy()
    assert len(rt.client.search("order", "event.data.vip", status="failed").runs) == 2
    assert rt.calls - before == {"dynamodb:Query": SHARDS, "dynamodb:BatchGetItem": 1}


# events


def test_events_are_listed_with_the_runs_that_they_start(durable):
    shop = Shop()

    @shop.app.function("report", on_event("order"), batch=Batch(max_size=10, timeout="1m"))
    def report(ctx: Context) -> None: ...

    rt = durable(shop.app)
    orders(rt, 3)
    rt.send(Event("other", {}))
    rt.advance("1h")
    found = list(rt.client.events("order"))
    assert [event.data["n"] for event in found] == [2, 1, 0]
    assert [rt.get(event.runs["order"]).event.id for event in found] == [event.id for event in found]
    assert [event.runs["report"] for event in found] == [None] * 3
    assert rt.client.event(found[0].id) == found[0]
    assert rt.client.event("nothing") is None
    since = found[0].received_at
    assert [event.data["n"] for event in rt.client.events("order", since=since)] == [2]
    assert [event.data["n"] for event in rt.client.events("order", until=since - timedelta(seconds=1))] == [
        1,
        0,
    ]
    assert [event.data["n"] for event in rt.client.events("order", limit=1)] == [2]
    (other,) = rt.client.events("other")
    assert other.runs == {}


# cancelling


def test_the_runs_of_a_function_are_cancelled_at_once(durable, shop):
    rt = durable(shop.app)
    runs = []
    for number in range(25):
        runs.append(rt.start(shop.wait, {"n": number}).run_id)
        rt.advance("1s")
    begun = [rt.get(run).created_at for run in runs]
    some = rt.client.cancel_all("wait", since=begun[3], until=begun[5])
    assert some == runs[5:2:-1]
    some = rt.client.cancel_all(shop.wait, None, None, "event.data.n >= 20")
    assert some == runs[:19:-1]
    assert rt.client.cancel_all(shop.wait, if_exp=lambda event: event.data["n"] == 1) == [runs[1]]
    assert rt.client.cancel_all(shop.wait, if_exp="event.data.missing == 1") == []
    rest = rt.client.cancel_all(shop.wait)
    assert len(rest) == 25 - 3 - 5 - 1
    assert rt.client.cancel_all(shop.wait) == []
    rt.advance("1m")
    assert {run.status for run in rt.runs(shop.wait)} == {"cancelled"}
    with pytest.raises(ConfigurationError):
        rt.client.cancel_all(shop.wait, if_exp="event.")


def test_who_has_ended_is_not_cancelled(durable, shop):
    rt = durable(shop.app)
    orders(rt, 3)
    assert rt.client.cancel_all("order") == []


# doing them again


def test_runs_that_failed_are_done_again_at_a_pace(durable, shop):
    rt = durable(shop.app)
    orders(rt, 20)
    shop.broken = False
    began = rt.now()
    new = rt.client.replay("order", "failed", per_second=2)
    assert len(new) == 10
    rt.drain()
    runs = [rt.get(run) for run in new]
    assert [(run.status, run.event.data["n"]) for run in runs] == [("completed", n) for n in range(19, 0, -2)]
    begun = [round((run.created_at - began).total_seconds(), 1) for run in runs]
    assert begun[0] == 0
    assert begun[-1] >= 4
    assert all(one <= other for one, other in pairwise(begun))
    assert [run.rerun_of for run in runs] == [run.run_id for run in rt.runs(status="failed")]


def test_who_replays_again_starts_nothing_twice(durable, shop):
    rt = durable(shop.app)
    orders(rt, 6)
    shop.broken = False
    first = rt.client.replay("order", "failed")
    assert rt.client.replay("order", "failed") == first  # its messages may have been lost
    rt.advance("1m")
    assert rt.client.replay("order", "failed") == []
    assert sorted(shop.paid) == [0, 1, 2, 3, 4, 5]


def test_replays_that_failed_too_are_done_again_once_each(durable, shop):
    rt = durable(shop.app)
    orders(rt, 4)
    once = rt.client.replay("order", "failed")
    rt.advance("1m")
    shop.broken = False
    twice = rt.client.replay("order", "failed")
    rt.advance("1m")
    assert (len(once), len(twice), len({*once, *twice})) == (2, 2, 4)
    assert sorted(shop.paid) == [0, 1, 2, 3]
    assert rt.client.replay("order", "failed") == []


def test_what_was_put_right_one_by_one_is_left_out(durable, shop):
    rt = durable(shop.app)
    orders(rt, 4)
    first, second = [run.run_id for run in rt.runs(status="failed")]
    once = rt.client.rerun(second).run_id
    rt.advance("1m")
    shop.broken = False
    rt.client.rerun(once, from_step="pay")
    rt.advance("1m")
    new = rt.client.replay("order", "failed")
    rt.advance("1m")
    assert [rt.get(run).rerun_of for run in new] == [first]
    assert sorted(shop.paid) == [0, 1, 2, 3]


def test_what_a_rate_limit_skipped_is_not_left_out_the_next_time(durable):
    shop = Shop(rate_limit=RateLimit(2, "1h"))
    rt = durable(shop.app)
    for number in (1, 3, 5):
        rt.send(Event("order", {"n": number}))
        rt.advance("1h")
    shop.broken = False
    once = rt.client.replay("order")
    rt.advance("1m")
    skipped = [rt.get(run).rerun_of for run in once if rt.get(run).status == "skipped"]
    assert len(once) == 3
    assert len(skipped) == 1
    rt.advance("1h")
    new = rt.client.replay("order")
    rt.advance("1m")
    assert [rt.get(run).rerun_of for run in new] == skipped
    assert sorted(shop.paid) == [1, 3, 5]
    assert rt.client.replay("order") == []


def test_with_an_id_a_run_is_done_again_once_whatever_comes_of_it(durable, shop):
    rt = durable(shop.app)
    orders(rt, 4)
    once = rt.client.replay("order", "failed", id="monday")
    rt.advance("1m")
    assert sorted(rt.client.replay("order", "failed", id="monday")) == sorted(once)
    rt.advance("1m")
    assert len(list(rt.runs())) == 4 + 2
    assert len(rt.client.replay("order", "completed", id="tuesday")) == 2


def test_replays_are_of_a_time_and_obey_flow_control(durable):
    shop = Shop(throttle=Throttle(1, "1m"))
    rt = durable(shop.app)
    orders(rt, 4)
    rt.advance("10m")
    failed = [rt.get(run.run_id) for run in rt.runs(status="failed")]
    shop.broken = False
    (new,) = rt.client.replay("order", since=failed[0].created_at, until=failed[0].created_at)
    rt.advance("1m")
    assert rt.get(new).event == failed[0].event
    both = rt.client.replay("order", "completed")
    rt.drain()
    ended = [rt.get(run).ended_at for run in both]
    assert len(ended) == 3
    assert max(ended) - min(ended) == timedelta(minutes=2)


def test_a_long_replay_waits_for_its_time(durable, shop):
    rt = durable(shop.app)
    orders(rt, 4)
    began = rt.now()
    first, second = rt.client.replay("order", per_second=1 / 3000)
    rt.drain()
    assert (rt.get(second).created_at - began).total_seconds() >= 3000
    assert (rt.get(first).created_at - began).total_seconds() < 10


def test_what_is_no_replay_says_so(durable, shop):
    client = durable(shop.app).client
    for bad in ({"status": "running"}, {"per_second": 0}, {"per_second": True}, {"id": ""}, {"id": "#1"}):
        with pytest.raises(ConfigurationError):
            client.replay("order", **bad)
    with pytest.raises(ConfigurationError, match="no function"):
        client.replay("nothing")
