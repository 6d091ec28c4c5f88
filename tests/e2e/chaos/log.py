"""The effect log: what invocations and steps did, in the order in which it happened."""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(eq=False)
class Invocation:
    """`fate`: open, clean, failed (its message comes back), died (of a kill, or by itself). `messages` are their
    ids, digests of their bodies, and runs (of what begins one, the id of its event)."""

    pid: int
    messages: list[tuple[str, str, str | None]]
    fate: str = "open"


@dataclass(frozen=True)
class Effect:
    """A call of a step's function."""

    run: str
    step: str
    attempt: int
    invocation: Invocation


@dataclass(eq=False)
class Stay:
    """One that has a slot, for a value of its key: from when to when (monotonic; None: it is there still). `n` is the
    number of the event. `pid` is the process that it ends with; None for that of a whole run. `served`: it came to its
    end by itself."""

    n: int
    who: str
    pid: int | None
    begin: float
    end: float | None = None
    served: bool = False


@dataclass
class Log:
    """Reads what was appended since it last looked."""

    path: Path
    invocations: list[Invocation] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    stays: dict[str, Stay] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    began: set[int] = field(default_factory=set)
    killed: int = 0
    changed: float = field(default_factory=time.monotonic)
    _open: dict[int, Invocation] = field(default_factory=dict)
    _read: int = 0

    def read(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                self.changed = time.monotonic()
                self._take(json.loads(line))

    def note_killed(self, pid: int) -> None:
        with self.path.open("ab", buffering=0) as file:
            file.write(json.dumps({"kind": "killed", "pid": pid, "at": time.monotonic()}).encode() + b"\n")

    @property
    def busy(self) -> list[int]:
        """The processes that are in an invocation."""
        return list(self._open)

    def close(self) -> None:
        """No more will come: what is open died."""
        for pid in self.busy:
            self._end(pid, "died")

    def bury(self, alive: set[int]) -> None:
        """Processes that are no longer there are in no invocation."""
        for pid in set(self._open) - alive:
            self._end(pid, "died")

    def by_attempt(self) -> Iterator[tuple[tuple[str, str, int], list[Effect]]]:
        found = defaultdict(list)
        for effect in self.effects:
            found[effect.run, effect.step, effect.attempt].append(effect)
        return iter(found.items())

    def _take(self, line: dict[str, Any]) -> None:
        pid: int = line["pid"]
        match line["kind"]:
            case "ready":
                self.began.add(pid)
            case "begin":
                self._end(pid, "died")
                self._open[pid] = Invocation(pid, [tuple(each) for each in line["messages"]])
                self.invocations.append(self._open[pid])
            case "end":
                self._end(pid, "clean" if line["ok"] else "failed")
            case "killed":
                self.killed += 1
                self._end(pid, "died")
                for stay in self.stays.values():
                    if stay.pid == pid and stay.end is None:
                        stay.end = line["at"]
            case "enter":
                within = None if line["stay"] == line["run"] else pid
                self.stays.setdefault(line["stay"], Stay(line["n"], line["who"], within, line["at"]))
            case "leave":
                stay = self.stays[line["stay"]]
                stay.end, stay.served = line["at"], True
            case "token":
                self.tokens[line["n"]] = line["token"]
            case "effect":
                invocation = self._open.get(pid) or Invocation(pid, [], "unknown")
                self.effects.append(Effect(line["run"], line["step"], line["attempt"], invocation))

    def _end(self, pid: int, fate: str) -> None:
        if invocation := self._open.pop(pid, None):
            invocation.fate = fate


def fresh_log(folder: Path) -> Log:
    path = folder / "effects.jsonl"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    return Log(path)
