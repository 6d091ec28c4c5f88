"""Who runs the handler: worker processes of ours, or a `sam local start-lambda`."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

from .serving import CHANNEL
from .stack import LAMBDA_TIMEOUT

_SECONDS_TO_LOAD = 60

_STANDARD_ERROR = 2
"""Where what the user's code prints is shown: standard output is for what was asked for."""


class InvocationError(Exception):
    """An invocation failed: its messages come back."""


class NotLoadedError(InvocationError):
    """The app can't be imported: nothing can be run until it changes."""


class Invoker(Protocol):
    def invoke(self, event: dict[str, Any]) -> Any:
        """Run the handler on a Lambda event; what it returns. Raises InvocationError."""
        ...

    def close(self) -> None: ...


class Processes:
    """Worker processes, each with one invocation at a time, begun when all others are busy and kept for the next.

    `command` is run in `environment`; it speaks what `serving.serve` does. An invocation that takes longer than
    `timeout` seconds is killed. With `terminal`, a worker may ask this process's user something, as a debugger does.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        timeout: float = LAMBDA_TIMEOUT,
        terminal: bool = False,
    ) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._timeout = timeout
        self._terminal = terminal
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._generation = 0
        self._closed = False

    def prepare(self) -> None:
        """Begin a worker, which loads while its first invocation is still to come."""
        process = self._begin()
        with self._lock:
            self._idle.append(process)

    def invoke(self, event: dict[str, Any]) -> Any:
        process = self._take()
        try:
            process.await_ready()
            result = process.call(event, self._timeout)
        except BaseException:
            self._drop(process)
            raise
        with self._lock:
            if not self._closed and process.generation == self._generation:
                self._idle.append(process)
                return _outcome(result)
        self._drop(process)
        return _outcome(result)

    def reload(self) -> None:
        """From now on, the code as it is now: what still runs goes on with the old."""
        with self._lock:
            self._generation += 1
            idle, self._idle = self._idle, []
        for process in idle:
            self._drop(process)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            processes = list(self._all)
        for process in processes:
            self._drop(process)

    def _take(self) -> _Process:
        with self._lock:
            if self._closed:
                raise InvocationError("the workers are stopped")
            if self._idle:
                return self._idle.pop()
        return self._begin()

    def _begin(self) -> _Process:
        with self._lock:
            process = _Process(self._command, self._environment, self._generation, self._terminal)
            self._all.add(process)
            return process

    def _drop(self, process: _Process) -> None:
        with self._lock:
            self._all.discard(process)
        process.end()


class _Process:
    def __init__(
        self, command: list[str], environment: dict[str, str], generation: int, terminal: bool
    ) -> None:
        self.generation = generation
        self._ready = False
        self._channel, theirs = socket.socketpair()
        self._answers = self._channel.makefile("rb")
        with theirs:
            self._process = subprocess.Popen(
                command,
                env={**environment, CHANNEL: str(theirs.fileno())},
                pass_fds=[theirs.fileno()],
                stdin=None if terminal else subprocess.DEVNULL,
                stdout=_STANDARD_ERROR,
                # Ctrl-C is for who started us: an invocation may end first. But only our session has the terminal.
                start_new_session=not terminal,
            )

    def await_ready(self) -> None:
        if self._ready:
            return
        answer = self._answer(_SECONDS_TO_LOAD)
        if "error" in answer:
            raise NotLoadedError(answer["error"])
        self._ready = True

    def call(self, event: dict[str, Any], timeout: float) -> dict[str, Any]:
        request = {"id": str(uuid4()), "event": event, "timeout": timeout}
        try:
            self._channel.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            raise InvocationError("the worker is gone") from None
        return self._answer(timeout)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._answers.close()
        self._channel.close()

    def _answer(self, timeout: float) -> dict[str, Any]:
        ready, _, _ = select.select([self._channel], [], [], timeout)
        if not ready:
            raise InvocationError(f"the worker did not end within {timeout:.0f} s, and was killed")
        try:
            line = self._answers.readline()
        except ConnectionError:
            line = b""
        if not line:
            raise InvocationError(f"the worker exited, with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Remote:
    """Another's workers, behind Lambda's own API: `sam local start-lambda`, say."""

    def __init__(self, url: str, function: str = "Worker") -> None:
        self._url = f"{url.rstrip('/')}/2015-03-31/functions/{function}/invocations"

    def invoke(self, event: dict[str, Any]) -> Any:
        request = urllib.request.Request(self._url, data=json.dumps(event).encode(), method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=LAMBDA_TIMEOUT + 60) as response:
                failed = response.headers.get("X-Amz-Function-Error")
                result = json.loads(response.read() or b"null")
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise InvocationError(f"{self._url} did not answer: {error}") from None
        # sam answers 200 without that header for a handler that raised; what it raised has these two.
        if failed or (isinstance(result, dict) and {"errorType", "errorMessage"} <= result.keys()):
            raise InvocationError(f"the handler raised: {result}")
        return result

    def close(self) -> None:
        """Nothing: it is not ours."""


def _outcome(answer: dict[str, Any]) -> Any:
    if "error" in answer:
        raise InvocationError(answer["error"])
    return answer.get("result")
