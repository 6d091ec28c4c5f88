"""A stand-in for Bedrock's models, on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

PER_TOKEN = 4
"""Characters that count as a token."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a model says instead of an answer: an HTTP status and the name of an error; and when to come again (seconds,
    or an HTTP date)."""

    status: int
    error: str
    retry_after: float | str | None = None
    message: str = "no"


@dataclass(frozen=True, slots=True)
class Stop:
    """An answer that ended for another reason than that it is complete."""

    reason: str
    text: str = ""


Answer = str | dict[str, Any] | Refusal | Stop
"""A text; what a tool is called with; or none."""


class ModelServer:
    """Answers Bedrock's Converse requests as `answer` says, which gets the request with its `modelId`.

    `url` is for `Model(endpoint_url=...)`, or for AWS_ENDPOINT_URL_BEDROCK_RUNTIME. `requests` are those so far. A
    token is four characters. It runs in a thread, until `close`.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], Answer]) -> None:
        self.requests: list[dict[str, Any]] = []
        self._answer = answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="model-server", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> ModelServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                model, _, operation = self.path.removeprefix("/model/").rpartition("/")
                assert operation == "converse", f"this stand-in knows Converse alone, and not {self.path}"
                request = {"modelId": unquote(model), **json.loads(body)}
                server.requests.append(request)
                self._say(_answered(server._answer, request))

            def _say(self, answer: Refusal | dict[str, Any]) -> None:
                headers: dict[str, str] = {}
                if isinstance(answer, Refusal):
                    content, status = json.dumps({"message": answer.message}), answer.status
                    headers["x-amzn-ErrorType"] = answer.error
                    if answer.retry_after is not None:
                        headers["Retry-After"] = str(answer.retry_after)
                else:
                    content, status = json.dumps(answer), 200
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content.encode())))
                with suppress(ConnectionError):  # who asked has gone
                    self.end_headers()
                    self.wfile.write(content.encode())

            def log_message(self, *_: object) -> None:
                """A prompt is nobody's business."""

        return Handler


def _answered(
    answer: Callable[[dict[str, Any]], Answer], request: dict[str, Any]
) -> Refusal | dict[str, Any]:
    """What the request is answered with. A test that is wrong about it is told so in the error of its step."""
    try:
        said = answer(request)
        return said if isinstance(said, Refusal) else _converse(request, said)
    except Exception as error:
        return Refusal(400, "ModelServerError", message=f"answer raised {type(error).__name__}: {error}")


def _converse(request: dict[str, Any], answer: str | dict[str, Any] | Stop) -> dict[str, Any]:
    content: list[dict[str, Any]]
    match answer:
        case Stop(reason, text):
            content = [{"text": text}] if text else []
        case str():
            reason, content = "end_turn", [{"text": answer}]
        case dict():
            if "toolConfig" not in request:
                raise TypeError("a dict is what a tool is called with, and a model without output= has none")
            (tool, *_) = request["toolConfig"]["tools"]
            used = {"toolUseId": "tool-1", "name": tool["toolSpec"]["name"], "input": answer}
            reason, content = "tool_use", [{"toolUse": used}]
        case _:
            raise TypeError(f"it gives a text, a dict, a Refusal or a Stop, and this is {answer!r}")
    asked, said = (len(json.dumps(each)) // PER_TOKEN for each in (request["messages"], content))
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason,
        "usage": {"inputTokens": asked, "outputTokens": said, "totalTokens": asked + said},
        "metrics": {"latencyMs": 1},
    }
