"""The nodes in which the outside world plays a part: waits, other runs, events, the user's own table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lambda_durable import Event
from tests.simulation.nodes import Env, Failed, Model, Node, Step, digest, mix

TABLE = {
    "TableName": "effects",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}
"""The user's own table, which `Transact` writes to."""

EVENTS = ("paid", "shipped")
STOPPED = "stopped"
"""The event that cancels a run whose function says so."""

SIGNALS = ("go", "stop")

KEY = "k"
"""What the run's event and those that match it have in common."""


@dataclass(frozen=True)
class Happening:
    """What the outside world does, so many seconds after the run's start: `kind` is "event", "signal",
    "cancel", "deploy", or what is done with all tokens that were handed out: "complete", "fail" or "beat". An event
    comes with a number, and matches the run or not."""

    at: int
    kind: str
    name: str = ""
    number: int = 0
    matches: bool = True

    def event(self) -> Event[Any]:
        return Event(self.name, {"key": KEY if self.matches else "other", "n": self.number})

    def line(self) -> str:
        number = f" {self.number}" if self.kind in ("event", "signal", "complete") else ""
        return f"after {self.at}s: {self.kind} {self.name}{number}{'' if self.matches else ' of another'}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Waiting(Node):
    """Waits for somebody outside, until `seconds` are over; gives the number that came, or None."""

    seconds: int
    name: str

    def call(self, env: Env) -> Any:
        raise NotImplementedError

    def number(self, found: Any) -> Any:
        """The number in what came, as the handler or the journal has it."""
        raise NotImplementedError

    def run(self, env: Env, acc: int) -> Any:
        return self.number(self.call(env))

    async def run_async(self, env: Env, acc: int) -> Any:
        return self.number(await self.call(env))

    def model(self, m: Model, scope: str, acc: int) -> Any:
        path = m.note(m.path(scope, self.id), self)
        record = m.steps.get(path)
        if record is not None and record.status == "failed":
            raise Failed(path)
        return None if record is None else self.number(record.output)

    def lines(self) -> Iterator[str]:
        yield self.title(self.name, f"timeout={self.seconds}s")


@dataclass(frozen=True, kw_only=True)
class EventWait(Waiting):
    matching: bool = True
    lookback: int = 0
    """Seconds."""

    def call(self, env: Env) -> Any:
        match = "data.key" if self.matching else None
        back = f"{self.lookback}s" if self.lookback else None
        return env.step.wait_for_event(
            self.id, self.name, timeout=f"{self.seconds}s", match=match, lookback=back
        )

    def lines(self) -> Iterator[str]:
        back = [f"lookback={self.lookback}s"] if self.lookback else []
        yield self.title(self.name, f"timeout={self.seconds}s", *back)

    def number(self, found: Any) -> Any:
        if found is None:
            return None
        return (found["data"] if isinstance(found, Mapping) else found.data)["n"]


@dataclass(frozen=True, kw_only=True)
class SignalWait(Waiting):
    """Of two that wait for one name at once, one fails."""

    def call(self, env: Env) -> Any:
        return env.step.wait_for_signal(self.id, self.name, timeout=f"{self.seconds}s")

    def number(self, found: Any) -> Any:
        if found is None:
            return None
        return found["data"] if isinstance(found, Mapping) else found.data


@dataclass(frozen=True, kw_only=True)
class Callback(Node):
    """Hands its token out, and waits for who completes it with a number, or fails it; with a heartbeat, perhaps."""

    seconds: int
    heartbeat: int | None = None
    slow: int = 0

    @property
    def submit(self) -> Step:
        return Step(id="submit", fails=self.slow, delay=5)

    def call(self, env: Env, acc: int) -> Any:
        function = env.function(self.submit)

        def submit(callback: Any) -> Any:
            env.outside.token(callback.token)
            return function(acc)

        return env.step.options(retry=self.submit.policy).wait_for_callback(
            self.id,
            submit,
            timeout=f"{self.seconds}s",
            heartbeat=None if self.heartbeat is None else f"{self.heartbeat}s",
        )

    def run(self, env: Env, acc: int) -> Any:
        return self.call(env, acc)

    async def run_async(self, env: Env, acc: int) -> Any:
        return await self.call(env, acc)

    def model(self, m: Model, scope: str, acc: int) -> Any:
        path = m.note(m.path(scope, self.id), self)
        record = m.steps.get(path)
        with m.maybe():
            m.note(f"{path}/submit", self.submit)
        if record is not None and record.status == "failed":
            raise Failed(path)
        return None if record is None else record.output

    def lines(self) -> Iterator[str]:
        beats = self.heartbeat and f"heartbeat={self.heartbeat}s"
        yield self.title(f"timeout={self.seconds}s", beats, self.slow and f"submit fails {self.slow}")


@dataclass(frozen=True, kw_only=True)
class Approval(Node):
    """An event against a sleep (async only): who comes first decides which step comes next."""

    wait: EventWait
    sleep: int

    def arm(self, choice: str) -> Step:
        return Step(id=f"{self.id}-{choice}")

    async def run_async(self, env: Env, acc: int) -> Any:
        wait = asyncio.ensure_future(self.wait.call(env))
        nap = asyncio.ensure_future(env.step.sleep(f"{self.id}-sleep", f"{self.sleep}s"))
        done, _ = await asyncio.wait({wait, nap}, return_when=asyncio.FIRST_COMPLETED)
        choice = "came" if wait in done else "late"
        number = self.wait.number(wait.result()) if wait in done else None
        return [number, await env.call(self.arm(choice), mix(acc, number))]

    def model(self, m: Model, scope: str, acc: int) -> Any:
        with m.maybe():
            found = self.wait.model(m, scope, acc)
            m.note(m.path(scope, f"{self.id}-sleep"), self)
        if m.everything:
            for choice in ("came", "late"):
                self.arm(choice).model(m, scope, acc)
            return None
        choice = m.choose(scope, {choice: self.arm(choice).id for choice in ("came", "late")})
        number = found if choice == "came" else None
        return [number, self.arm(choice).model(m, scope, mix(acc, number))]

    def lines(self) -> Iterator[str]:
        yield self.title(f"or a sleep of {self.sleep}s")
        yield from (f"    {line}" for line in self.wait.lines())


@dataclass(frozen=True, kw_only=True)
class Invoke(Node):
    """Another run, which sleeps and then succeeds or fails. With a time-out, it may come too late."""

    sleep: int
    fails: bool = False
    timeout: int | None = None

    def call(self, env: Env, acc: int) -> Any:
        data = {"id": self.id, "acc": acc, "sleep": self.sleep, "fails": self.fails}
        timeout = None if self.timeout is None else f"{self.timeout}s"
        return env.step.invoke(self.id, "child", data, timeout=timeout)

    def run(self, env: Env, acc: int) -> Any:
        return self.call(env, acc)

    async def run_async(self, env: Env, acc: int) -> Any:
        return await self.call(env, acc)

    def model(self, m: Model, scope: str, acc: int) -> Any:
        path = m.note(m.path(scope, self.id), self)
        record = m.steps.get(path)
        late = record is not None and record.error is not None and "Timeout" in record.error.type
        if late and self.timeout is None:
            raise AssertionError(f"{path} timed out, and has no time-out")
        if self.fails or late:
            raise Failed(path)
        return digest(self.id, acc)

    def lines(self) -> Iterator[str]:
        yield self.title(
            f"sleeps {self.sleep}s", self.fails and "fails", self.timeout and f"timeout={self.timeout}s"
        )


@dataclass(frozen=True, kw_only=True)
class Poll(Node):
    """Asks for the time until it is late enough."""

    every: int
    until: int
    timeout: int

    def call(self, env: Env) -> Any:
        return env.step.poll(
            self.id,
            env.outside.seconds,
            until=lambda seconds: seconds >= self.until,
            every=f"{self.every}s",
            timeout=f"{self.timeout}s",
        )

    def run(self, env: Env, acc: int) -> Any:
        return self.call(env) >= self.until

    async def run_async(self, env: Env, acc: int) -> Any:
        return await self.call(env) >= self.until

    def model(self, m: Model, scope: str, acc: int) -> Any:
        path = m.note(m.path(scope, self.id), self)
        record = m.steps.get(path)
        if record is not None and record.status == "failed":
            raise Failed(path)
        return True

    def lines(self) -> Iterator[str]:
        yield self.title(f"every {self.every}s until {self.until}s", f"timeout={self.timeout}s")


@dataclass(frozen=True, kw_only=True)
class Transact(Node):
    """Adds one to an item of the user's own table."""

    def call(self, env: Env) -> Any:
        add = {
            "TableName": TABLE["TableName"],
            "Key": {"id": {"S": self.id}},
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
        return env.step.transact(self.id, {"Update": add})

    def run(self, env: Env, acc: int) -> Any:
        self.call(env)

    async def run_async(self, env: Env, acc: int) -> Any:
        await self.call(env)

    def model(self, m: Model, scope: str, acc: int) -> Any:
        m.note(m.path(scope, self.id), self)

    def lines(self) -> Iterator[str]:
        yield self.title()


@dataclass(frozen=True, kw_only=True)
class Send(Node):
    """Sends an event, which starts a run of its own. Its id follows from the step."""

    def call(self, env: Env, acc: int) -> Any:
        return env.step.send_event(self.id, Event("sent", {"by": self.id}))

    def run(self, env: Env, acc: int) -> Any:
        return len(self.call(env, acc))

    async def run_async(self, env: Env, acc: int) -> Any:
        return len(await self.call(env, acc))

    def model(self, m: Model, scope: str, acc: int) -> Any:
        m.note(m.path(scope, self.id), self)
        return 1

    def lines(self) -> Iterator[str]:
        yield self.title()
