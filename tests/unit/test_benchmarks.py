"""What `scripts/bench` measures still runs; how long it takes is never tested."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import replays, workers
from benchmarks.bars import bars
from benchmarks.conducting import Question, conducting
from benchmarks.dollars import dollars
from benchmarks.environment import Environment
from benchmarks.report import BEGIN, END, put_into
from benchmarks.results import Results
from benchmarks.rows import ROWS
from benchmarks.stub.dynamodb import Refused, Table
from benchmarks.stub.executions import Executions


@pytest.mark.parametrize("replay", replays.REPLAYS.values(), ids=replays.REPLAYS)
def test_a_replay_is_measured(replay):
    replay(3)


@pytest.mark.parametrize("invoke", workers.INVOCATIONS.values(), ids=workers.INVOCATIONS)
def test_an_invocation_is_measured(invoke):
    invoke()


def test_a_run_and_the_same_calls_alone_are_measured_over_the_stub(tmp_path):
    asked = {"steps": 2, "mode": "all"}
    with conducting(Environment(tmp_path, sys.executable)) as conductor:
        ours = conductor.ask(Question("ours", "all 2", "sequence", asked))
        floor = conductor.ask(Question("floor", "all 2", "sequence", {"steps": 2}, like=asked))
        side_by_side = conductor.ask(Question("ours", "2", "branches", asked))
        many = conductor.ask(Question("ours", "2", "throughput", {"clients": 2, "runs": 2}))
    assert floor["calls"] > 3
    assert ours["wall"] > 0 < side_by_side["wall"]
    assert many["runs_per_second"] > 0


def test_a_cold_start_is_measured(tmp_path):
    with conducting(Environment(tmp_path, sys.executable)) as conductor:
        found = conductor.ask(Question("cold", "ours", "", {"script": "ours"}))
    assert found["wall"] > 0 < found["megabytes"]


def test_what_is_between_an_event_and_its_first_step_is_measured_on_ministack(tmp_path):
    with conducting(Environment(tmp_path, sys.executable)) as conductor:
        bare = conductor.ask(Question("ministack", "bare", "bare", {"runs": 2}))
        ours = conductor.ask(Question("ministack", "stepwise", "latency", {"runs": 2, "mode": "stepwise"}))
    assert ours.keys() == bare.keys()
    assert 0 < ours["first_p50"] <= ours["first_p99"]


def item(sk="a", **more):
    return {"pk": {"S": "p"}, "sk": {"S": sk}, **more}


def test_the_stub_writes_where_the_condition_holds_and_shows_what_is_there_where_not():
    table = Table()
    put = {"Item": item(n={"N": "1"}), "ConditionExpression": "attribute_not_exists(pk)"}
    assert table.answer("PutItem", put) == {}
    with pytest.raises(Refused) as refused:
        table.answer("PutItem", {**put, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"})
    assert refused.value.body["Item"] == put["Item"]
    change = {
        "Key": item(),
        "UpdateExpression": "SET s = :s, n = n + :one REMOVE gone ADD t :names",
        "ConditionExpression": "(n IN (:one, :two) AND NOT attribute_exists(gone)) OR size(s) > :one",
        "ExpressionAttributeValues": {
            ":s": {"S": "x"},
            ":one": {"N": "1"},
            ":two": {"N": "2"},
            ":names": {"SS": ["a"]},
        },
        "ReturnValues": "ALL_NEW",
    }
    new = table.answer("UpdateItem", change)["Attributes"]
    assert new == item(n={"N": "2"}, s={"S": "x"}, t={"SS": ["a"]})
    with pytest.raises(Refused):
        table.answer("UpdateItem", {**change, "ConditionExpression": "n < :two"})


def test_the_stub_writes_all_of_a_transaction_or_nothing():
    table = Table()
    table.answer("PutItem", {"Item": item("b")})
    entries = [
        {"Put": {"Item": item(sk), "ConditionExpression": "attribute_not_exists(pk)"}} for sk in ("a", "b")
    ]
    with pytest.raises(Refused) as refused:
        table.answer("TransactWriteItems", {"TransactItems": entries})
    codes = [reason["Code"] for reason in refused.value.body["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"]
    assert table.answer("GetItem", {"Key": item("a")}) == {}


def test_the_stub_answers_a_query_page_by_page_in_order():
    table = Table()
    for sk in ("c", "a", "b"):
        table.answer("PutItem", {"Item": item(sk, big={"S": "x" * 600_000})})
    query = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "p"}}}
    first = table.answer("Query", query)
    rest = table.answer("Query", {**query, "ExclusiveStartKey": first["LastEvaluatedKey"]})
    assert [each["sk"]["S"] for each in (*first["Items"], *rest["Items"])] == ["a", "b", "c"]
    assert "LastEvaluatedKey" not in rest


def test_the_stub_keeps_what_is_checkpointed():
    executions = Executions()
    step = {"Type": "STEP", "Id": "1", "Name": "s", "Action": "SUCCEED", "Payload": "7"}
    answer = executions.checkpoint("arn", {"Updates": [step]})
    (operation,) = answer["NewExecutionState"]["Operations"]
    assert (operation["Status"], operation["StepDetails"]["Result"]) == ("SUCCEEDED", "7")
    assert executions.state("arn", {}) == {"Operations": [operation]}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_what_is_asked_where_there_is_little_time_is_part_of_all(row):
    quick, whole = (
        [(q.contender, q.label, q.latency) for q in row.questions(each)] for each in (True, False)
    )
    assert set(quick) <= set(whole)
    assert len(set(whole)) == len(whole)


def measured(wall):
    def sample(contender, label, **values):
        return {"contender": contender, "label": label, "latency": 0, "samples": [values]}

    steps = [
        sample("ours", "all 1", wall=10, cpu=10, invocations=2),
        sample("ours", "all 100", wall=wall, cpu=109, invocations=2),
        sample("floor", "all 1", wall=8, cpu=8),
        sample("floor", "all 100", wall=100, cpu=107),
        sample("aws_durable", "1", wall=110, cpu=10),
        sample("aws_durable", "100", wall=308, cpu=208),
    ]
    about = {"at": "now", "rounds": 1, "cores": 2, "load": 0.5, "versions": {"python": "3.11"}}
    return Results({"about": about, "rows": {"steps": steps}, "dollars": [], "packages": {}})


@pytest.mark.parametrize(("wall", "holds"), [(109, True), (307, False)])
def test_a_bar_holds_for_what_a_step_takes_without_what_a_run_takes(wall, holds):
    found = {bar.what: bar for bar in bars(measured(wall)) if bar.found is not None}
    step = found['wall a step, `"all"`, 100 steps, against the AWS SDK']
    assert (round(step.found, 2), step.holds) == (0.5 if holds else 1.5, holds)
    assert found["an invocation, over the bare calls"].found == 1
    assert found["CPU a step, 100 steps, against the same calls in bare boto3"].found == 1


def test_what_was_found_takes_the_place_of_what_was_found_before(tmp_path):
    page, kept = tmp_path / "page.md", tmp_path / "results.json"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    measured(109).write(kept)
    put_into(page, Results.read(kept))
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "| lambda_durable, `all` |" in text
    assert "old" not in text

    Results({**measured(307).kept, "rows": {"cold": []}}).write(kept)
    assert json.loads(kept.read_text())["rows"].keys() == {"steps", "cold"}  # the others are as they were


def test_a_million_runs_have_a_price_that_steps_sleeps_and_large_outputs_raise():
    plain, sleeping, large = dollars([5])
    for mode in ("stepwise", "auto", "all"):
        assert plain["ours"][mode] < sleeping["ours"][mode] < large["ours"][mode]
    assert plain["ours"]["all"] < plain["ours"]["stepwise"]
    assert plain["aws_durable"] == pytest.approx(52.4, abs=0.1)  # 51.42, its published price, and an event
