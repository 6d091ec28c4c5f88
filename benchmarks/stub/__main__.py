"""`python -m benchmarks.stub --latency 5`: serves, and prints the port. POST /control does what a bench asks."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .dynamodb import Refused, Table
from .executions import Executions

Answer = tuple[int, Any]


class Stub:
    """What it keeps: a table, messages, events, executions; and, where that was asked for, what it was called with."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._reset()

    def _reset(self) -> None:
        self._table, self._executions = Table(), Executions()
        self._messages: list[dict[str, Any]] = []
        self._sent = 0
        self._log: list[tuple[str, Any]] | None = None
        self._calls = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, call after call."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target, headers = _parsed(head)
                if headers.get("expect") == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                text = await reader.readexactly(int(headers.get("content-length") or 0))
                if target == "/control":
                    status, answer = 200, self._control(json.loads(text))
                else:
                    status, answer = self._answer(method, target, headers, json.loads(text) if text else {})
                    if self._latency:
                        await asyncio.sleep(self._latency)
                body = json.dumps(answer, separators=(",", ":")).encode()
                writer.write(
                    b"HTTP/1.1 %d OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%b"
                    % (status, len(body), body)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _control(self, asked: dict[str, Any]) -> Any:
        match asked["do"]:
            case "reset":
                self._reset()
            case "latency":
                self._latency = asked["seconds"]
            case "take":
                about = asked.get("about", "")
                taken = [message for message in self._messages if about in message["body"]]
                self._messages = [message for message in self._messages if about not in message["body"]]
                return taken
            case "log":
                self._log = []
            case "logged":
                logged, self._log = self._log, None
                return logged
            case "calls":
                return self._calls
            case "operations":
                return self._executions.all_of(asked["arn"])
        return None

    def _answer(self, method: str, target: str, headers: dict[str, str], request: Any) -> Answer:
        self._calls += 1
        action = headers.get("x-amz-target", "")
        if self._log is not None:
            self._log.append((action or f"{method} {target}", request))
        try:
            service, _, operation = action.partition(".")
            if service == "DynamoDB_20120810":
                return 200, self._table.answer(operation, request)
            if service == "AmazonSQS":
                return 200, self._queue(operation, request)
            if service == "AWSEvents":
                return 200, {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in request["Entries"]]}
            return 200, self._durable(method, target, request)
        except Refused as refused:
            return 400, refused.body

    def _queue(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "SendMessage":
            return self._send(request)
        if operation == "SendMessageBatch":
            return {
                "Successful": [{"Id": entry["Id"], **self._send(entry)} for entry in request["Entries"]],
                "Failed": [],
            }
        if operation in ("DeleteMessage", "ChangeMessageVisibility"):
            return {}
        if operation == "GetQueueAttributes":
            return {"Attributes": {"QueueArn": "arn:aws:sqs:us-east-1:000000000000:continuations"}}
        raise NotImplementedError(f"SQS's {operation}")

    def _send(self, entry: dict[str, Any]) -> dict[str, str]:
        self._sent += 1
        body, delay = entry["MessageBody"], entry.get("DelaySeconds", 0)
        self._messages.append({"body": body, "messageId": f"m-{self._sent}", "delayed": delay})
        return {"MessageId": f"m-{self._sent}", "MD5OfMessageBody": hashlib.md5(body.encode()).hexdigest()}

    def _durable(self, method: str, target: str, request: Any) -> dict[str, Any]:
        parts = urlsplit(target)
        _, _, kind, arn, what = parts.path.split("/")
        if kind != "durable-executions":
            raise NotImplementedError(f"{method} {target}")
        if what == "checkpoint":
            return self._executions.checkpoint(unquote(arn), request)
        return self._executions.state(unquote(arn), dict(parse_qsl(parts.query)))


def _parsed(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *rest = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.lower()] = value.strip()
    return method, target, headers


async def _main(latency: float, ready: Callable[[int], Awaitable[None]]) -> None:
    stub = Stub(latency)
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0, limit=1 << 24)
    for listening in server.sockets:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await ready(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _say(port: int) -> None:
    print(port, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stub", description=__doc__)
    parser.add_argument("--latency", type=float, default=0, help="milliseconds before each answer")
    asyncio.run(_main(parser.parse_args().latency / 1000, _say))
