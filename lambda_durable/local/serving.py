"""What a worker process does: takes events, one at a time, and answers, as a Lambda's runtime does."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CHANNEL = "LAMBDA_DURABLE_CHANNEL"
"""Names the file descriptor of the socket on which events come, a line of JSON each. Not standard input, which is for
a debugger."""


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """What a handler may ask about its invocation."""

    aws_request_id: str
    deadline: float
    function_name: str = "Worker"
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:Worker:live"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self.deadline - time.monotonic()) * 1000))


def serve(load: Callable[[], Callable[[Any, Any], Any]]) -> None:
    """Load the handler, and answer requests until there are no more. The first answer says whether it loaded."""
    with socket.socket(fileno=int(os.environ.pop(CHANNEL))) as channel, channel.makefile("rb") as requests:
        channel.set_inheritable(False)

        def answer(**said: Any) -> None:
            channel.sendall(json.dumps(said).encode() + b"\n")

        try:
            handler = load()
        except Exception as error:
            answer(error=str(error) or type(error).__name__)
            return
        answer(ready=True)
        for line in requests:
            request = json.loads(line)
            context = LambdaContext(request["id"], time.monotonic() + request["timeout"])
            try:
                answer(result=handler(request["event"], context))
            except Exception as error:
                answer(error=f"{type(error).__name__}: {error}")
