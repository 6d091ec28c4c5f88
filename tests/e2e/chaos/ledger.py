"""The account at the end: what was started, how it ended, and what it did to the world. What is read of a stack for
it is in audit.py."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from chaos.kinds import AT_MOST_ONCE, CHILDREN, KINDS, Kind
from chaos.load import Started
from chaos.log import Effect, Invocation, Log
from lambda_durable import Run

Check = Callable[["Ledger"], Iterator[str]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


@dataclass
class Ledger:
    """`runs` by function; `payments` by account, which are the runs' numbers; `left` is what should not be there, in
    words. `again` counts calls of a step's function for an attempt that had been made, by what explains them."""

    started: Sequence[Started]
    runs: Mapping[str, Sequence[Run[Any]]]
    log: Log
    payments: Mapping[int, int]
    left: Sequence[str] = ()
    again: Counter[str] = field(default_factory=Counter)

    def violations(self) -> list[str]:
        return [f"{one.__name__}: {text}" for one in CHECKS for text in one(self)]

    @property
    def endings(self) -> dict[str, dict[str, int]]:
        return {kind: dict(Counter(run.status for run in runs)) for kind, runs in self.runs.items()}

    @cached_property
    def wanted(self) -> dict[str, list[Started]]:
        """What was started, by function."""
        found: dict[str, list[Started]] = defaultdict(list)
        for run in self.started:
            found[run.kind].append(run)
        return dict(found)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Functions by runs."""
        return {run.run_id: kind for kind, runs in self.runs.items() for run in runs}

    @cached_property
    def begun(self) -> dict[str, str]:
        """Runs by the ids of the events that begin them, in whose invocations they may go on."""
        return {run.event.id: run.run_id for runs in self.runs.values() for run in runs}

    def messages(self, *invocations: Invocation) -> Iterator[tuple[str, str, str | None]]:
        """Those of some invocations: their ids, digests of their bodies, and runs."""
        for invocation in invocations:
            for id, digest, about in invocation.messages:
                yield id, digest, about if about is None else self.begun.get(about, about)

    @cached_property
    def steps(self) -> dict[str, list[str]]:
        """The steps whose functions were called, by run, in order."""
        found: dict[str, list[str]] = defaultdict(list)
        for effect in self.log.effects:
            found[effect.run].append(effect.step)
        return found

    @cached_property
    def troubled(self) -> set[str | None]:
        """The runs that had an invocation which died or failed."""
        bad = (invocation for invocation in self.log.invocations if invocation.fate != "clean")
        return {run for _, _, run in self.messages(*bad)}

    @cached_property
    def doubled(self) -> set[str]:
        """The ids of messages whose text came as another message, too: a response was lost, and it was sent
        again."""
        ids: dict[str, set[str]] = defaultdict(set)
        for id, digest, _ in self.messages(*self.log.invocations):
            ids[digest].add(id)
        return {id for same in ids.values() if len(same) > 1 for id in same}

    @cached_property
    def repeated(self) -> Counter[str | None]:
        """By run, how often one of its messages came once more. What it had sent it then sends again."""
        seen: set[str] = set()
        found: Counter[str | None] = Counter()
        for id, _, run in self.messages(*self.log.invocations):
            found[run] += id in seen
            seen.add(id)
        return found

    def history(self, run: str) -> str:
        """The invocations of a run: how each went, for which message (and text), and the steps that it called."""
        steps: dict[int, list[str]] = defaultdict(list)
        for effect in self.log.effects:
            steps[id(effect.invocation)].append(effect.step)
        return "; ".join(
            f"{invocation.fate} {message[:8]} ({digest}) {' '.join(steps[id(invocation)])}"
            for invocation in self.log.invocations
            for message, digest, of in self.messages(invocation)
            if of == run
        )

    def excuse(self, effect: Effect) -> str | None:
        """Why the attempt of a call may have been made by another call, too."""
        match effect.invocation.fate:
            case "died":
                return "their worker died"
            case "failed":
                return "their invocation failed"
        if any(id in self.doubled for id, _, _ in effect.invocation.messages):
            return "their message was sent twice"
        return None


@check
def every_run_is_there_once(ledger: Ledger) -> Iterator[str]:
    for kind, started in ledger.wanted.items():
        found = Counter(run.event.data["n"] for run in ledger.runs[kind])
        for each in started:
            if found.pop(each.n, 0) != 1:
                yield f"{kind} {each.n} was started, and there is not one run of it"
        if found:
            yield f"nobody started {kind} {sorted(found)}"
    calls = len(ledger.wanted.get("calling", ()))
    children = Counter(run.status for run in ledger.runs[CHILDREN])
    if children != Counter(completed=calls, failed=calls):
        yield f"{calls} runs of calling called two others each, and those are {dict(children)}"


@check
def runs_end_as_they_must(ledger: Ledger) -> Iterator[str]:
    for kind in ledger.wanted:
        for run in ledger.runs[kind]:
            yield from (f"{run.run_id} of {kind} {wrong}" for wrong in _wrong(KINDS[kind], run))
            if kind == "careful" and "unknown" in (run.output or ()) and run.run_id not in ledger.troubled:
                yield f"{run.run_id} of {kind} says {run.output}, and nothing had happened to it"


def _wrong(kind: Kind, run: Run[Any]) -> Iterator[str]:
    if run.status != kind.status:
        yield f"is {run.status}, not {kind.status}: {run.error}"
    elif run.output not in kind.output(run.event.data["n"]):
        yield f"has the output {str(run.output)[:200]}"
    if kind.error and (run.error is None or run.error.type != kind.error):
        yield f"has the error {run.error}"
    for step in run.steps.values():
        if step.status not in ("completed", "failed", "cancelled"):
            yield f"has ended, and its step {step.id} is {step.status}"
        if step.attempts > kind.attempts:
            yield f"has {step.attempts} attempts of {step.id}, and {kind.attempts} are allowed"


@check
def effects_are_exact(ledger: Ledger) -> Iterator[str]:
    """Each attempt's function is called once, but for what died, failed or was sent again; and as often as a message of
    the run came again, another time: it sends again what it may not have sent, late, but a queue may be later."""
    for (run, step, attempt), effects in ledger.log.by_attempt():
        excuses = [ledger.excuse(effect) for effect in effects]
        what = f"attempt {attempt} of {step} of {run}"
        if run not in ledger.kinds:
            yield f"{what} is of a run that is not there"
        if len(effects) > 1 and (ledger.kinds.get(run), step) in AT_MOST_ONCE:
            yield f"{what} may happen once, and happened {len(effects)} times"
        if (extra := excuses.count(None) - 1) > 0:
            if extra > ledger.repeated[run]:
                yield f"{what} happened {len(effects)} times, and nothing explains it: {ledger.history(run)}"
            excuses += ["a message of their run had come again"] * extra
        ledger.again.update(sorted(filter(None, excuses))[: len(effects) - 1])


@check
def nothing_was_left_out(ledger: Ledger) -> Iterator[str]:
    for kind in ledger.wanted:
        for run in ledger.runs[kind]:
            for step in set(KINDS[kind].steps) - set(ledger.steps[run.run_id]):
                yield f"{step} of {run.run_id} never happened, and the run is {run.status}"


@check
def payments_are_made_once(ledger: Ledger) -> Iterator[str]:
    wanted = {run.n: 1 for run in ledger.started if run.kind == "paying"}
    for n in wanted.keys() | ledger.payments.keys():
        if ledger.payments.get(n, 0) != wanted.get(n, 0):
            yield f"run {n} has paid {ledger.payments.get(n, 0)} times, not {wanted.get(n, 0)}"


@check
def what_failed_is_undone(ledger: Ledger) -> Iterator[str]:
    for kind in ledger.wanted:
        for run in ledger.runs[kind]:
            undos = (step for step in ledger.steps[run.run_id] if step.startswith("undo/"))
            undone = list(dict.fromkeys(step.removeprefix("undo/") for step in undos))
            done = {step.id for step in run.steps.values() if step.status == "completed"}
            wanted = [step for step in KINDS[kind].undone if step in done]
            if undone != wanted:
                yield f"{run.run_id} has undone {undone}, and was to undo {wanted}"


@check
def nothing_is_left(ledger: Ledger) -> Iterator[str]:
    yield from ledger.left
