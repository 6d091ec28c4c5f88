"""Contenders and stubs, each in a process of its own, and how they are asked in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import cold_starts
from .environment import Environment

ROOT = Path(__file__).parents[1]


class ContenderError(Exception):
    """A contender could not do what it was asked."""


@dataclass(frozen=True)
class Question:
    """What one contender is asked, `times` in a row of which the median counts. `like`: the floor makes the calls that
    ours made for these arguments. `latency` is that of each call of AWS's (milliseconds)."""

    contender: str
    label: str
    measure: str
    arguments: dict[str, Any]
    latency: int = 0
    times: int = 1
    like: dict[str, Any] | None = None


@dataclass
class Answers:
    """What a question was answered in each round; `failed`, if it could not be."""

    question: Question
    samples: list[dict[str, float]] = field(default_factory=list)
    failed: str = ""


class Process:
    """One contender that waits to be asked."""

    def __init__(self, command: Sequence[str], environ: dict[str, str], log: Path) -> None:
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                command,
                env=environ,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._name, self._log = command[-1], log
        self._line()

    def ask(self, measure: str, **arguments: Any) -> Any:
        """Raises ContenderError."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"measure": measure, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._line())
        if isinstance(answer, dict) and "error" in answer:
            raise ContenderError(answer["error"].strip())
        return answer

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ContenderError(f"{self._name} ended; its log: {self._log}")
        return line

    def close(self) -> None:
        """End it by ending its stdin, so that it ends what it has begun itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        _end(self._process)


class Conductor:
    """Starts what is asked for, when it is asked for first; ends all of it."""

    def __init__(self, environment: Environment, stack: ExitStack) -> None:
        self._environment, self._stack = environment, stack
        self._stubs: dict[int, str] = {}
        self._processes: dict[tuple[str, int], Process] = {}
        self._recorded: dict[str, Any] = {}
        self._loaded: dict[int, str] = {}

    def ask(self, question: Question) -> dict[str, float]:
        """Raises ContenderError."""
        if question.contender == "cold":
            return self._cold(**question.arguments)
        process = self.process(question.contender, question.latency)
        if question.like is not None:
            self._load(process, question)
        return dict(process.ask(question.measure, **question.arguments))

    def process(self, contender: str, latency: int) -> Process:
        key = (contender, latency)
        if key not in self._processes:
            script = str(ROOT / "benchmarks" / "contenders" / f"{contender}.py")
            log = self._environment.cache / f"{contender}.log"
            # What has the local cloud has not what the peers need, and the other way round.
            python = sys.executable if contender == "ministack" else self._environment.python
            made = Process([python, script], self.environ(latency), log)
            self._stack.callback(made.close)
            self._processes[key] = made
        return self._processes[key]

    def environ(self, latency: int) -> dict[str, str]:
        """What a contender finds: the stub in the place of AWS, and nothing of this machine's own settings."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "LAMBDA_", "PYTHON"))
        }
        endpoint = self._stub(latency)
        return {
            **kept,
            **{f"LAMBDA_DURABLE_{name}": value for name, value in settings(endpoint).items()},
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "stub",
            "AWS_SECRET_ACCESS_KEY": "stub",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "RESTATE_SERVER": str(self._environment.restate_server),
        }

    def _stub(self, latency: int) -> str:
        if latency not in self._stubs:
            command = [self._environment.python, "-m", "benchmarks.stub", "--latency", str(latency)]
            stub = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            self._stack.callback(_end, stub)
            assert stub.stdout is not None
            self._stubs[latency] = f"http://127.0.0.1:{int(stub.stdout.readline())}"
        return self._stubs[latency]

    def _load(self, floor: Process, question: Question) -> None:
        """Give the floor the calls that ours makes."""
        key = json.dumps(question.like)
        if key not in self._recorded:
            self._recorded[key] = self.process("ours", 0).ask("record", **(question.like or {}))
        if self._loaded.get(question.latency) != key:
            floor.ask("load", calls=self._recorded[key])
            self._loaded[question.latency] = key

    def _cold(self, script: str, *, emulated: bool = False) -> dict[str, float]:
        environ = {**self.environ(0), "PYTHONPATH": str(ROOT)}
        message = self.process("ours", 0).ask("message")
        event = cold_starts.event(script, message, environ["LAMBDA_DURABLE_QUEUE_ARN"])
        start = cold_starts.under_the_emulator if emulated else cold_starts.of_a_process
        return start(self._environment, environ, script, event)


def settings(endpoint: str) -> dict[str, str]:
    """Of a worker: names of resources that the stub has, whatever they are."""
    queue = "arn:aws:sqs:us-east-1:000000000000:continuations"
    return {
        "TABLE": "table",
        "BUCKET": "bucket",
        "QUEUE_URL": f"{endpoint}/000000000000/continuations",
        "BUS": "bus",
        "QUEUE_ARN": queue,
        "INGRESS_QUEUE_ARN": f"{queue}-ingress",
        "FAILED_QUEUE_ARN": f"{queue}-failed",
        "DEAD_LETTER_URL": f"{endpoint}/000000000000/dead",
        "DEAD_LETTER_ARN": f"{queue}-dead",
        "SCHEDULE_GROUP": "group",
        "SCHEDULER_ROLE_ARN": "arn:aws:iam::000000000000:role/scheduler",
    }


@contextmanager
def conducting(environment: Environment) -> Iterator[Conductor]:
    with ExitStack() as stack:
        yield Conductor(environment, stack)


def _end(process: subprocess.Popen[str]) -> None:
    with process:  # which closes its pipes, and waits
        process.kill()
