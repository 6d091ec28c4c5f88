"""The SDK of AWS Lambda durable functions: its handler, called as Lambda calls it, with its own boto3 client."""

from __future__ import annotations

import itertools
import json
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.config import MapConfig, NestingType
from serving import serve, timed
from stubbed import control

logging.disable(logging.CRITICAL)
_numbers = itertools.count()


class LambdaContext:
    aws_request_id = "request"
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:f:1"
    function_name = "f"
    function_version = "1"
    memory_limit_in_mb = "256"
    log_group_name = log_stream_name = "log"
    tenant_id = client_context = identity = None

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@durable_execution
def run_sequence(event: dict[str, int], context: DurableContext) -> int:
    total, payload = 0, "x" * event["size"]
    for number in range(event["steps"]):
        total = context.step(lambda _, total=total: total + len(payload), name=f"s{number}")
    return total


@durable_execution
def run_branches(event: dict[str, int], context: DurableContext) -> int:
    config = MapConfig(nesting_type=NestingType.FLAT)
    found = context.map(
        list(range(event["steps"])),
        lambda inner, item, _index, _items: inner.step(lambda _: abs(item), name="s"),
        name="m",
        config=config,
    )
    return sum(found.get_results())


def _event(payload: dict[str, int], operations: tuple[Any, ...] = ()) -> dict[str, Any]:
    id = f"execution-{next(_numbers)}"
    execution = {
        "Id": id,
        "Type": "EXECUTION",
        "Status": "STARTED",
        "StartTimestamp": 1_767_225_600_000,
        "ExecutionDetails": {"InputPayload": json.dumps(payload)},
    }
    return {
        "DurableExecutionArn": f"{LambdaContext.invoked_function_arn}/durable-execution/bench/{id}",
        "CheckpointToken": "t0",
        "InitialExecutionState": {"Operations": [execution, *operations], "NextMarker": ""},
    }


def _check(answer: Any, result: int) -> None:
    assert (answer["Status"], answer.get("Result")) == ("SUCCEEDED", str(result)), answer


def sequence(steps: int, size: int = 1) -> dict[str, Any]:
    control("reset")
    event, calls, answers = _event({"steps": steps, "size": size}), control("calls"), []
    found = timed(lambda: answers.append(run_sequence(event, LambdaContext())))
    _check(answers[0], steps * size)
    return {**found, "invocations": 1, "calls": control("calls") - calls}


def branches(steps: int) -> dict[str, Any]:
    control("reset")
    event, answers = _event({"steps": steps}), []
    found = timed(lambda: answers.append(run_branches(event, LambdaContext())))
    _check(answers[0], sum(range(steps)))
    return {**found, "invocations": 1}


def replay(steps: int) -> dict[str, Any]:
    """An invocation in which all steps but the last are finished: it finds them in its event, of which Lambda's own
    Python client parses the JSON."""
    control("reset")
    event = _event({"steps": steps, "size": 1})
    run_sequence(event, LambdaContext())
    known = control("operations", arn=event["DurableExecutionArn"])
    finished = [each for each in known if each["Type"] == "STEP"][:steps]
    again = _event(
        {"steps": steps + 1, "size": 1},
        tuple({**each, "StartTimestamp": 1_767_225_600_000} for each in finished),
    )
    answers: list[Any] = []
    text = json.dumps(again)
    found = timed(lambda: answers.append(run_sequence(json.loads(text), LambdaContext())))
    _check(answers[0], steps + 1)
    return found


def throughput(clients: int, runs: int) -> dict[str, Any]:
    """Runs of five steps on its local runner, which keeps its state in memory: one for each client, since it does one
    at a time."""
    from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestRunner

    free: SimpleQueue[DurableFunctionTestRunner] = SimpleQueue()

    def one(number: int) -> None:
        runner = free.get()
        done = runner.run(input='{"steps": 5, "size": 1}', execution_name=f"e{number}")
        free.put(runner)
        assert done.status.value == "SUCCEEDED", done

    with ExitStack() as stack, ThreadPoolExecutor(clients) as pool:
        for _ in range(clients):
            free.put(stack.enter_context(DurableFunctionTestRunner(handler=run_sequence)))
        list(pool.map(one, range(runs, runs + clients)))
        began = time.perf_counter()
        list(pool.map(one, range(runs)))
        return {"runs_per_second": runs / (time.perf_counter() - began)}


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    serve({"sequence": sequence, "branches": branches, "replay": replay, "throughput": throughput})
