"""A cold start of AWS's SDK: import, its client, and a first invocation that does an execution of one step."""

import time

began = time.perf_counter()

import logging

from aws_durable_execution_sdk_python import DurableContext, durable_execution

logging.disable(logging.CRITICAL)


@durable_execution
def handler(_: dict[str, int], context: DurableContext) -> int:
    return context.step(lambda _: 1, name="s0")


if __name__ == "__main__":
    from measuring import first

    first(handler, began)
